"""A running program and the lines to and from it. Nothing here waits longer than a deadline, or leaves it running."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
import weakref
from collections.abc import Sequence
from contextlib import suppress

from rr_engine.errors import PlayerError

_CHUNK = 1 << 16
_LONGEST_LINE = 1 << 16  # bytes
_MOST_UNSENT = 1 << 22  # bytes
_COMPLAINTS = 2000  # bytes kept of standard error
_GRACE_S = 0.25
_FAREWELL_S = 0.5  # from `quit` to the end


class FaultError(PlayerError):
    """A program broke the protocol, or itself."""


class Deadline:
    """So many milliseconds from now by the clock on the wall, and a grace on top for the way there and back."""

    def __init__(self, limit_ms: int) -> None:
        self.limit_ms = limit_ms
        self._end = time.monotonic() + limit_ms / 1000 + _GRACE_S

    @property
    def left_s(self) -> float:
        """Seconds left, none or less when it has passed."""
        return self._end - time.monotonic()


class Program:
    """A child process that is told lines and answers lines."""

    def __init__(self, words: Sequence[str]) -> None:
        """Start it; raises FaultError if that fails."""
        try:
            process = subprocess.Popen(
                words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is ours to handle, and its children end with it
            )
        except OSError as error:
            raise FaultError(f"does not start: {error.strerror}") from error
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        self._process = process
        self._input, self._output, self._errors = process.stdin, process.stdout, process.stderr
        self._selector = selectors.DefaultSelector()
        for pipe in (self._input, self._output, self._errors):
            os.set_blocking(pipe.fileno(), False)
        self._selector.register(self._output, selectors.EVENT_READ)
        self._selector.register(self._errors, selectors.EVENT_READ)
        self._unsent, self._heard, self._complaints = bytearray(), bytearray(), bytearray()
        self._finalize = weakref.finalize(self, _kill, process, self._selector)  # also when Python ends

    def quit(self) -> None:
        """Ask it to end, and end it if it does not."""
        if self._finalize.alive:
            with suppress(BlockingIOError, BrokenPipeError):
                os.write(self._input.fileno(), b"quit\n")
            self._input.close()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_FAREWELL_S)
        self.kill()

    def kill(self) -> None:
        """End it and what it started at once; nothing once that is done."""
        self._finalize()

    def say(self, line: str) -> None:
        """Have a line sent, at the latest while the next one is awaited; raises FaultError if it never reads."""
        if not self._unsent:
            self._selector.register(self._input, selectors.EVENT_WRITE)
        self._unsent += line.encode() + b"\n"
        if len(self._unsent) > _MOST_UNSENT:
            raise FaultError("does not read what it is told")

    def line(self, deadline: Deadline) -> str:
        """The next line that is not empty and no `info`; raises FaultError without one in time, or at its end."""
        while True:
            if (line := self._heard_line()) is not None:
                return line
            if (left_s := deadline.left_s) <= 0:
                raise FaultError(f"no answer within {deadline.limit_ms} ms")
            self._exchange(left_s)

    def require_silence(self, deadline: Deadline) -> None:
        """Raise FaultError if it has said anything but `info` unasked."""
        while (line := self._heard_line()) is None:
            if not self._exchange(0) or deadline.left_s <= 0:
                return
        raise FaultError(f"said {line[:60]!r} out of turn")

    def _heard_line(self) -> str | None:
        """The first whole line that counts among those that have arrived."""
        while (end := self._heard.find(b"\n")) >= 0:
            line = self._heard[:end].decode(errors="replace").strip()
            del self._heard[: end + 1]
            if line and line.split()[0] != "info":
                return line
        if len(self._heard) > _LONGEST_LINE:
            raise FaultError(f"wrote a line of more than {_LONGEST_LINE} bytes")
        return None

    def _exchange(self, timeout: float) -> bool:
        """Send and receive what can be, once; says whether anything came."""
        came = False
        for key, _ in self._selector.select(timeout):
            if key.fileobj is self._input:
                self._send()
            elif key.fileobj is self._output:
                came = True
                data = os.read(self._output.fileno(), _CHUNK)
                if not data:
                    raise FaultError(self._epitaph())
                self._heard += data
            else:
                self._listen_to_complaints()
        return came

    def _send(self) -> None:
        try:
            sent = os.write(self._input.fileno(), self._unsent[:_CHUNK])
        except BrokenPipeError:
            sent = len(self._unsent)  # it reads no more; that it ends shows in its output
        del self._unsent[:sent]
        if not self._unsent:
            self._selector.unregister(self._input)

    def _listen_to_complaints(self) -> None:
        data = os.read(self._errors.fileno(), _CHUNK)
        if not data:
            self._selector.unregister(self._errors)
        self._complaints += data
        del self._complaints[:-_COMPLAINTS]

    def _epitaph(self) -> str:
        """How it ended, and its last words."""
        with suppress(BlockingIOError):
            while data := os.read(self._errors.fileno(), _CHUNK):
                self._complaints += data
                del self._complaints[:-_COMPLAINTS]
        try:
            status = self._process.wait(_FAREWELL_S)
        except subprocess.TimeoutExpired:
            return "closed its output"
        how = f"ended with exit status {status}" if status >= 0 else f"was ended by signal {-status}"
        last = self._complaints.decode(errors="replace").strip().rpartition("\n")[2]
        return f"{how}: {last[:120]}" if last else how


def _kill(process: subprocess.Popen[bytes], selector: selectors.BaseSelector) -> None:
    selector.close()
    with suppress(ProcessLookupError):  # nobody of its group is left
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()
