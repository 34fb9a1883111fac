"""How fast bytes may go. Knows neither what they are nor where they go."""

import threading
import time
from collections.abc import Mapping
from functools import cache

from rr_engine.settings.ranges import entry_of


class Pace:
    """A line that carries so many bytes a second, for all threads together; what is booked later waits for its turn."""

    def __init__(self, bytes_per_s: float) -> None:
        self._bytes_per_s = bytes_per_s
        self._lock = threading.Lock()
        self._free_at = 0.0  # by the monotonic clock: when all that is booked has been carried

    def take(self, size: int) -> None:
        """Book `size` bytes and wait until such a line had carried them."""
        with self._lock:
            now = time.monotonic()
            self._free_at = max(self._free_at, now) + size / self._bytes_per_s
            wait = self._free_at - now
        time.sleep(wait)


def pace_of(url: str, limits: Mapping[str, float]) -> Pace | None:
    """The line of this process to `url`, None if it has no limit; `limits` is what `vault.bandwidth_mb_s` says."""
    found = entry_of(limits, url)
    return None if found is None else _line(*found)


@cache
def _line(prefix: str, mb_s: float) -> Pace:  # noqa: ARG001 - each address has a line of its own
    return Pace(mb_s * 1e6)
