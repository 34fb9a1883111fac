"""The project as people meet it: `dagster dev` or `make ui` on free ports of this machine, stopped at the end."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from rr_engine.boards import CONFIGS
from rr_engine.stages import pauses
from rr_engine.vault import Vault

ROOT = Path(__file__).resolve().parents[1]
DAGSTER = Path(sys.executable).with_name("dagster")
_SERVED_S = 120  # seconds that it has to serve the graph
_ENDED_S = 60  # seconds that it has to end


class Dev:
    """A running `dagster dev`, and the `rr serve` beside it where `make ui` has started both."""

    def __init__(self, url: str, play: str, process: "subprocess.Popen[bytes]") -> None:
        self.url, self.play = url, play
        self._process = process

    def ask(self, query: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The answer to a GraphQL query."""
        return ask(self.url, query, variables)

    def wait_until_served(self) -> None:
        """Return when the code location has loaded."""
        deadline = time.monotonic() + _SERVED_S
        while time.monotonic() < deadline:
            assert self._process.poll() is None, "dagster dev has ended"
            try:
                if self.ask("{ assetNodes { assetKey { path } } }")["assetNodes"]:
                    return
            except (OSError, http.client.HTTPException):
                pass  # not there yet
            time.sleep(0.5)
        raise AssertionError(f"dagster dev served no asset within {_SERVED_S} seconds")

    def stop(self) -> list[psutil.Process]:
        """End all of it by Ctrl-C; returns what is left nevertheless."""
        started = psutil.Process(self._process.pid).children(recursive=True)
        os.killpg(self._process.pid, signal.SIGINT)
        self._process.wait(_ENDED_S)
        _, left = psutil.wait_procs(started, timeout=_ENDED_S)
        return [process for process in left if process.status() != psutil.STATUS_ZOMBIE]


def ask(url: str, query: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What pages answer to a GraphQL query; raises OSError where nobody answers."""
    body = json.dumps({"query": query, "variables": variables or {}}).encode()
    request = urllib.request.Request(f"{url}/graphql", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)["data"]


def let_rest(vault: Vault, *, but: Collection[str] = ()) -> None:
    """Pause every config except some, so that nothing starts by itself."""
    for config in CONFIGS:
        if config.key not in but and pauses.pause_of(vault, config) is None:
            pauses.pause(vault, config, "not part of this", by="hand")


def free_port() -> int:
    """A port of loopback that nobody listens at now."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def hears_ctrl_c() -> None:
    """For a process about to start: where the one that starts it is in the background it ignores Ctrl-C, and so would
    this."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def dagster_dev(home: Path, command: Sequence[str | Path] = (DAGSTER, "dev"), **environ: str) -> Iterator[Dev]:
    """Serve the project with that home and the vault inside it."""
    port, url = free_port(), f"http://127.0.0.1:{free_port()}"
    own = {"DAGSTER_HOME": str(home), "RR_VAULT": str(home / "vault"), "RR_SERVE__URL": url}
    with (home / "dev.log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | own | {"DAGSTER_CLI_DEV_PORT": str(port)} | environ,
            stdout=log, stderr=subprocess.STDOUT, start_new_session=True, preexec_fn=hears_ctrl_c,
        )  # fmt: skip
    try:
        dev = Dev(f"http://127.0.0.1:{port}", url, process)
        dev.wait_until_served()
        yield dev
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
            try:
                process.wait(_ENDED_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(_ENDED_S)
