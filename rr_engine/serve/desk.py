"""Thinking about positions for many at once: whoever asks while others are thought about comes next, together.

Work is counted in simulations of a search. What would keep everybody waiting is refused, and so is who comes when too
much waits; what nobody waits for any more is not thought about.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from rr_engine.boards import Config
from rr_engine.errors import EngineError
from rr_engine.game import Game
from rr_engine.players import Player
from rr_engine.players.asked import Thought, think

MOST_WORK = 4096  # of one who asks, and of what is thought about together
_MOST_WAITING = 8 * MOST_WORK
_LEAST_WORK = 32  # of a position, whoever thinks about it: it takes room, too
_MOST_AT_ONCE = 64  # positions thought about together


class TooMuchError(EngineError):
    """A question that would keep everybody waiting."""


class BusyError(EngineError):
    """So many wait that nobody else may; or who asked has gone."""


@dataclass(frozen=True)
class _Question:
    game: Game
    seed: int
    work: int
    answer: asyncio.Future[Thought]


@dataclass
class Desk:
    """Who waits for which player. Used from one event loop."""

    player_of: Callable[[str, Config], Player]  # called from the thinker's thread; raises EngineError
    work_of: Callable[[str, Game], int]  # simulations that a position takes
    _waiting: dict[tuple[str, Config], list[_Question]] = field(
        default_factory=dict[tuple[str, Config], list[_Question]]
    )
    _thinker: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "think"))
    _is_thinking: bool = False

    async def think(self, name: str, games: Sequence[Game], *, seed: int = 0) -> list[Thought]:
        """What the player called `name` makes of positions, none over.

        Raises TooMuchError, BusyError, and PlayerError for names it cannot be. Who asks may cancel.
        """
        works = [max(_LEAST_WORK, self.work_of(name, game)) for game in games]
        self._require_room(name, works)
        loop = asyncio.get_running_loop()
        questions = [_Question(game, seed, work, loop.create_future()) for game, work in zip(games, works, strict=True)]
        for question in questions:
            self._waiting.setdefault((name, question.game.config), []).append(question)
        if not self._is_thinking:
            self._think_on()
        return await asyncio.gather(*(question.answer for question in questions))

    def _require_room(self, name: str, works: Sequence[int]) -> None:
        if (work := sum(works)) > MOST_WORK:
            raise TooMuchError(
                f"player {name} would need {work:,} simulations for this, or playouts that take as long: here one "
                f"question may need {MOST_WORK:,}; ask about fewer positions or for fewer simulations"
            )
        waiting = sum(question.work for asked in self._waiting.values() for question in _wanted(asked))
        if waiting + work > _MOST_WAITING:
            raise BusyError("too many wait already: ask again in a while")

    def _think_on(self) -> None:
        """Think about what is next, if anything waits."""
        found = self._next()
        self._is_thinking = found is not None
        if found is not None:
            key, chosen = found
            task = asyncio.get_running_loop().run_in_executor(self._thinker, self._thoughts, key, chosen)
            task.add_done_callback(lambda done: self._deliver(done, chosen))

    def _next(self) -> tuple[tuple[str, Config], Sequence[_Question]] | None:
        """Take what waits longest, and of what waits for the same player as much as goes together."""
        while self._waiting:
            key = next(iter(self._waiting))
            chosen, left = _cut(_wanted(self._waiting.pop(key)))
            if left:
                self._waiting[key] = left
            if chosen:
                return key, chosen
        return None

    def _deliver(self, done: asyncio.Future[list[Thought]], questions: Sequence[_Question]) -> None:
        error = done.exception()
        for index, question in enumerate(questions):
            if question.answer.done():
                continue  # who asked has gone
            if error is None:
                question.answer.set_result(done.result()[index])
            else:
                question.answer.set_exception(error)
        self._think_on()

    def _thoughts(self, key: tuple[str, Config], questions: Sequence[_Question]) -> list[Thought]:
        """In the thinker's thread."""
        games, seeds = [question.game for question in questions], [question.seed for question in questions]
        return think(self.player_of(*key), games, seeds)


def _wanted(questions: Sequence[_Question]) -> list[_Question]:
    """Those that somebody waits for."""
    return [question for question in questions if not question.answer.done()]


def _cut(questions: Sequence[_Question]) -> tuple[Sequence[_Question], list[_Question]]:
    """What is thought about together, and the rest."""
    work, count = 0, 0
    for question in questions[:_MOST_AT_ONCE]:
        work += question.work
        if count and work > MOST_WORK:
            break
        count += 1
    return questions[:count], list(questions[count:])
