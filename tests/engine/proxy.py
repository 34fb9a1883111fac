"""What may stand before an S3 server: a proxy that is slow, loses things, or says what it is told."""

import asyncio
import contextlib
import random
import re
import threading
from collections import Counter

FAULTS = ("reset", "refuse", "cut the question", "lose the answer", "cut the answer")


class Proxy:
    """Stands before `server` on a port of its own; one request a connection.

    Each request waits `latency_s`; a `share` of them, drawn with `seed`, meets one of the faults, and is counted. With
    `answer` the server is never asked. `stall` holds every answer back for ever, `dribble` lets a byte pass at a time,
    `forget` names a header that the server never sees.
    """

    def __init__(
        self, server, *, latency_s=0.0, share=0.0, seed=0, answer=None, stall=False, dribble=False, forget=None
    ):
        self.host, self.port = server.removeprefix("http://").split(":")
        self.latency_s, self.share, self.rng = latency_s, share, random.Random(seed)
        self.answer, self.stall, self.dribble = answer, stall, dribble
        self.dropped = re.compile(rb"(?i)(connection|expect%b):" % (b"|" + forget if forget else b""))
        self.asked, self.met = Counter(), Counter()  # requests by method; faults
        self.keys = set()  # whose requests they were
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    def __enter__(self):
        self.thread.start()
        starting = asyncio.start_server(self.serve, "127.0.0.1", 0, limit=1 << 24)
        self.listening = asyncio.run_coroutine_threadsafe(starting, self.loop).result(10)
        self.url = f"http://127.0.0.1:{self.listening.sockets[0].getsockname()[1]}"
        return self

    def __exit__(self, *_):
        async def stop():
            self.listening.close()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(stop(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()

    async def serve(self, reader, writer):
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            try:
                head = await reader.readuntil(b"\r\n\r\n")
                self.asked[head.split()[0].decode()] += 1
                self.keys |= {key.decode() for key in re.findall(rb"Credential=([^/]+)/", head)}
                await asyncio.sleep(self.latency_s)
                fault = self.rng.choice(FAULTS) if self.rng.random() < self.share else ""
                self.met[fault] += 1
                await self.pass_on(head, reader, writer, fault)
            finally:
                writer.close()

    async def pass_on(self, head, reader, writer, fault):
        if b"\r\nexpect: 100-continue" in head.lower():
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        size = re.search(rb"\r\ncontent-length: *(\d+)", head.lower())
        body = await reader.readexactly(int(size[1]) if size else 0)
        if fault == "reset":
            writer.transport.abort()
        elif fault == "refuse" or self.answer:
            writer.write(self.answer or b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
        elif self.stall:
            await asyncio.sleep(3600)
        else:
            await self.ask(head, body, writer, fault)

    async def ask(self, head, body, writer, fault):
        lines = [line for line in head.split(b"\r\n") if not self.dropped.match(line)]
        lines.insert(1, b"Connection: close")
        theirs, ours = await asyncio.open_connection(self.host, self.port)
        try:
            if fault == "cut the question":
                ours.write(b"\r\n".join(lines) + body[: len(body) // 2])
                await ours.drain()
                ours.transport.abort()
                writer.transport.abort()
                return
            ours.write(b"\r\n".join(lines) + body)
            answer = await theirs.read()
            if fault == "lose the answer":
                writer.transport.abort()
                return
            if fault == "cut the answer":
                answer = answer[: self.rng.randrange(len(answer))]
            for start in range(0, len(answer), 1 if self.dribble else len(answer)):
                writer.write(answer[start : start + 1] if self.dribble else answer)
                await writer.drain()
                await asyncio.sleep(0.02 if self.dribble else 0)
        finally:
            ours.close()


def refusal(status, code="", message="no"):
    """An answer as S3 gives it."""
    body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
    return (
        f"HTTP/1.1 {status} x\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    )
