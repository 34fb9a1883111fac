"""Work on many games split over the cores: kernels release the interpreter's lock, so threads suffice."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache


def _cores() -> int:
    """As many as OMP_NUM_THREADS says, which torch follows too; without it all that this process may use."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    told = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(there, int(told))) if told.isdecimal() else there


CORES = _cores()


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(CORES, thread_name_prefix="games")


def over_cores(work: Callable[[int, int], None], games: int, *, share: int) -> None:
    """Call `work(first, end)` for slices of about `share` games each; returns when all of them are done.

    The slices, not the cores, decide what a call works on, so a result never depends on the machine.
    """
    bounds = [(first, min(first + share, games)) for first in range(0, games, share)]
    if len(bounds) < 2 or CORES == 1:
        for first, end in bounds:
            work(first, end)
        return
    tasks = [_pool().submit(work, first, end) for first, end in bounds]
    try:
        for task in tasks:
            task.result()
    finally:
        for task in tasks:
            task.cancel()  # what has not begun when one failed or the user interrupts
