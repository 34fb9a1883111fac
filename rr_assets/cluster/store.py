"""The S3 server of a trial cluster: moto, in memory, one request at a time. Started by `python -m`, with a port.

Moto looks whether an object is there and then puts it, as two steps: among its threads two writers can both create the
same name (21 of 400 times, with 16 writers and threads switched as often as possible). So its requests wait for each
other, and only they: what arrives slowly or not at all is read before.
"""

import io
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any


class OneAtATime:
    """A WSGI application before `application` that lets one request in, and only when its body is whole."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self._application = application
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request; half a body is refused, as S3 does."""
        size = -1 if environ.get("wsgi.input_terminated") else int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(size)
        if len(body) < size:
            start_response("400 Bad Request", [("Content-Type", "application/xml")])
            return [b"<Error><Code>IncompleteBody</Code><Message>the body is not whole</Message></Error>"]
        environ["wsgi.input"] = io.BytesIO(body)
        with self._lock:
            return list(self._application(environ, start_response))


def main(port: int) -> None:
    """Serve on loopback until stopped, first saying where; port 0 takes a free one."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from werkzeug.serving import make_server

    application = OneAtATime(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", port, application, threaded=True, request_handler=MotoRequestHandler)
    sys.stdout.write(f"http://127.0.0.1:{server.port}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]))
