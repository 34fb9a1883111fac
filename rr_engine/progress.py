"""Progress: how far work is and how long the rest takes, in one text, and which lines of it are worth telling.

Who works is given a `Watch`, asks it for a `Count` of each task and adds what is done. Knows no terminals and no logs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

Item = TypeVar("Item")

BYTES = "bytes"
_NEARLY = 0.98  # of a task: more is not believed of what is only expected
_CLOCK_S = 1e-3  # what takes less has no speed
_SIZES = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
_TYPED_FIRST_S, _TYPED_EVERY_S = 2.0, 5.0
_LOGGED_EVERY_S, _LOGGED_TENTHS = 30.0, 10
_APART_S = 1.0  # lines of tenths, at least: what is quick tells none


@dataclass(frozen=True)
class Task:
    """Work that is counted."""

    unit: str  # what is counted: games, files, `BYTES`
    total: int | None = None  # None: nobody knows
    name: str = ""  # where there are several
    rate: str = ""  # what its speed is told in: decisions, `BYTES`; empty: it is not told
    expected: float = 0.0  # of that in all, about: games that are played side by side end side by side


class Count:
    """How much of a task is done, and since when; as text how long the rest takes."""

    def __init__(self, task: Task, on_change: Callable[[Count], None]) -> None:
        self.task = task
        self.done = 0
        self.amount = 0  # of what the speed is told in
        self._on_change = on_change
        self._began = time.perf_counter()

    def add(self, done: int = 1, amount: int = 0) -> None:
        """So much more is done."""
        self.reach(self.done + done, self.amount + amount)

    def reach(self, done: int, amount: int = 0) -> None:
        """So much is done in all."""
        self.done, self.amount = done, amount
        self._on_change(self)

    def each(self, items: Iterable[Item]) -> Iterator[Item]:
        """The items; each is done when the next one is asked for."""
        for item in items:
            yield item
            self.add()

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.perf_counter() - self._began

    @property
    def share(self) -> float:
        """From 0 to 1; 0 where nobody knows the total."""
        return share_of(self.task, self.done, self.amount)

    @property
    def told(self) -> str:
        """Where it stands, without its name."""
        return told_of(self.task, self.done, self.amount, self.seconds)

    def __str__(self) -> str:
        return f"{self.task.name}: {self.told}" if self.task.name else self.told


class Watch(Protocol):
    """Whom to tell of progress."""

    def __call__(self, task: Task) -> Count:
        """A task begins."""
        ...

    def say(self, text: str) -> None:
        """Something worth a line of its own."""
        ...


class _Unwatched:
    def __call__(self, task: Task) -> Count:
        return Count(task, lambda _: None)

    def say(self, text: str) -> None:
        pass


UNWATCHED: Watch = _Unwatched()


class Lines:
    """Tells lines: the first after `first_s`, then one each `every_s`, over all tasks.

    Up to `tenths` come sooner, each when another tenth of a task is done and not in the same second.
    """

    def __init__(self, tell: Callable[[str], object], *, first_s: float, every_s: float, tenths: int = 0) -> None:
        self._tell, self._every_s = tell, every_s
        self._told = time.perf_counter()
        self._due = self._told + first_s
        self._tenths_left = tenths
        self._tenth = 0  # of the task, told last

    def __call__(self, task: Task) -> Count:
        self._tenth = 0
        return Count(task, lambda count: self.offer(count, count.share))

    def say(self, text: str) -> None:
        self._tell(text)

    def offer(self, line: object, share: float) -> None:
        """Tell a line if it is time; `share` of the task is done."""
        now, tenth = time.perf_counter(), int(10 * share)
        sooner = tenth > self._tenth and self._tenths_left > 0 and now >= self._told + _APART_S
        if now >= self._due or sooner:
            self._tenths_left -= sooner
            self._tenth, self._told, self._due = tenth, now, now + self._every_s
            self._tell(str(line))


def typed(tell: Callable[[str], object]) -> Lines:
    """For who waits: nothing of what is quick."""
    return Lines(tell, first_s=_TYPED_FIRST_S, every_s=_TYPED_EVERY_S)


def logged(tell: Callable[[str], object]) -> Lines:
    """For a log that is kept: ten lines, and one each half minute; nothing of what is quick."""
    return Lines(tell, first_s=_LOGGED_EVERY_S, every_s=_LOGGED_EVERY_S, tenths=_LOGGED_TENTHS)


@contextmanager
def compiling(watch: Watch, board: str) -> Generator[None]:
    """Say so, once, when rules are compiled meanwhile; on a machine that has them cached they are not."""
    from numba.core import event

    class First(event.Listener):
        """Hears of what is compiled, not of what is cached."""

        said = False

        def on_start(self, event: Any) -> None:  # noqa: ARG002 - numba's signature
            if not self.said:
                self.said = True
                watch.say(f"compiling the rules of {board}, half a minute the first time")

        def on_end(self, event: Any) -> None:
            pass

    with event.install_listener("numba:compile", First()):
        yield


def told_of(task: Task, done: int, amount: int, seconds: float) -> str:
    """`120 of 400 games, 2,311 decisions/s, about 12 s left`: as much of that as is known."""
    told = [counted(done, task.total, task.unit)]
    if task.rate and amount and seconds > _CLOCK_S:
        told.append(speed(amount / seconds, task.rate))
    share = share_of(task, done, amount)
    if share == 1:
        told.append(f"{span(seconds)} in all")
    else:
        told.append(left(seconds * (1 - share) / share) if share else f"{span(seconds)} so far")
    return ", ".join(told)


def share_of(task: Task, done: int, amount: int) -> float:
    """How much of a task is done, from 0 to 1; 0 where nobody knows the total."""
    if task.total is None:
        return 0.0
    if done >= task.total:
        return 1.0
    return max(done / task.total, min(_NEARLY, amount / task.expected) if task.expected else 0.0)


def counted(done: int, total: int | None, unit: str) -> str:
    """`120 of 400 games`; more than were expected are as many as there are."""
    whole = done if total is None else max(done, total)
    scale, name = _scale(whole) if unit == BYTES else (1, unit)
    numbers = [f"{number / scale:,.{0 if scale == 1 else 1}f}" for number in (done, whole)]
    return f"{numbers[0]} {name}" if total is None else f"{numbers[0]} of {numbers[1]} {name}"


def speed(per_s: float, unit: str) -> str:
    """`2,311 decisions/s`."""
    scale, name = _scale(per_s) if unit == BYTES else (1, unit)
    number = per_s / scale
    return f"{number:,.{0 if number >= 100 else 1}f} {name}/s"


def left(seconds: float) -> str:
    """`about 12 s left`."""
    return f"about {span(seconds)} left"


def span(seconds: float) -> str:
    """A time in the unit that fits."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5970 else f"{seconds / 3600:.1f} h"


def _scale(number: float) -> tuple[float, str]:
    return next(((scale, name) for scale, name in _SIZES if number >= scale), (1, BYTES))
