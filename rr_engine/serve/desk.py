"""Thinking about positions for many at once: whoever asks while others are thought about comes next, together."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from rr_engine.boards import Config
from rr_engine.errors import PlayerError
from rr_engine.game import Game
from rr_engine.players import Player
from rr_engine.players.asked import Thought, think

_MOST_NUMBER = 1024  # simulations or playouts that a name may ask for here: others wait meanwhile
_MOST_AT_ONCE = 64  # positions thought about together
_MOST_PLAYERS = 16  # kept ready, with their networks; who was not asked for longest goes
_FRESH_S = 30.0  # seconds for which a player is the one of its name; a champion may have a successor

Making = Callable[[str, Config], Player]  # raises PlayerError


@dataclass(frozen=True)
class _Question:
    game: Game
    seed: int
    answer: asyncio.Future[Thought]


@dataclass
class Desk:
    """Players by name, and who waits for them. Used from one event loop."""

    make: Making
    _waiting: dict[tuple[str, Config], list[_Question]] = field(
        default_factory=dict[tuple[str, Config], list[_Question]]
    )
    _players: dict[tuple[str, Config], tuple[Player, float]] = field(
        default_factory=dict[tuple[str, Config], tuple[Player, float]]
    )
    _thinker: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "think"))
    _is_thinking: bool = False

    async def think(self, name: str, games: Sequence[Game], *, seed: int = 0) -> list[Thought]:
        """What the player called `name` makes of positions, none over; raises PlayerError for names it cannot be."""
        require_modest(name)
        loop = asyncio.get_running_loop()
        questions = [_Question(game, seed, loop.create_future()) for game in games]
        for question in questions:
            self._waiting.setdefault((name, question.game.config), []).append(question)
        if not self._is_thinking:
            self._think_on()
        return await asyncio.gather(*(question.answer for question in questions))

    def _think_on(self) -> None:
        """Think about what waits longest, and of what waits for the same player as much as goes together."""
        self._is_thinking = bool(self._waiting)
        if not self._waiting:
            return
        key = next(iter(self._waiting))
        waiting = self._waiting.pop(key)
        chosen, left = waiting[:_MOST_AT_ONCE], waiting[_MOST_AT_ONCE:]
        if left:
            self._waiting[key] = left
        task = asyncio.get_running_loop().run_in_executor(self._thinker, self._thoughts, key, chosen)
        task.add_done_callback(lambda done: self._deliver(done, chosen))

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
        name, config = key
        games, seeds = [question.game for question in questions], [question.seed for question in questions]
        return think(self._player(name, config), games, seeds)

    def _player(self, name: str, config: Config) -> Player:
        known = self._players.pop((name, config), None)
        if known is None or time.monotonic() - known[1] > _FRESH_S:
            made = self.make(name, config)
            player = known[0] if known is not None and known[0].digest == made.digest else made
            known = (player, time.monotonic())
        self._players[name, config] = known  # the last one, as the one used last
        while len(self._players) > _MOST_PLAYERS:
            del self._players[next(iter(self._players))]
        return known[0]


def require_modest(name: str) -> None:
    """Raise PlayerError for a player that would keep everybody waiting."""
    if any(int(number) > _MOST_NUMBER for number in re.findall(r"(?<=:)\d+(?=$)", name)):
        raise PlayerError(f"player {name}: here it may have {_MOST_NUMBER} simulations or playouts at most")
