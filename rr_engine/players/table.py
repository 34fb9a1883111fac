"""Many games of one config, played side by side and stepped together."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rr_engine import state
from rr_engine.boards import Config
from rr_engine.kernels import layout, turn
from rr_engine.kernels.jit import entry
from rr_engine.players.positions import Float64Array, Int64Array, Positions, UInt64Array, mixed
from rr_engine.players.workers import over_cores

_SHARE = 64  # games one worker steps at a time
_USUAL_MOVES = 128  # room per game in the first list of legal moves


@entry
def _step(g: Any, states: Any, games: Any, moves: Any, scratch: Any, out: Any, room: int, counts: Any) -> Any:
    """Play `moves[i]` in `states[games[i]]` for each i, listing the legal moves one after another in `out`.

    Stops before a game for which fewer than `room` places are left; returns (games done, places used).
    """
    used = 0
    for index in range(len(games)):
        if len(out) - used < room:
            return index, used
        counts[index] = turn.advance(g, states[games[index]], scratch[0], moves[index], out[used:])
        used += counts[index]
    return len(games), used


class Table:
    """Games of one config from the start on. Every step plays one move in each running game.

    `running` numbers the games that go on, ascending; `histories[game]` are the moves of a game so far.
    """

    def __init__(self, config: Config, seeds: UInt64Array, *, pie: bool | None = None) -> None:
        """One game per seed, which feeds the random bits of all its decisions. `pie` as in `Game`."""
        self.config = config
        self.seeds = seeds
        self.states: NDArray[np.void] = np.repeat(state.new_state(config, pie=pie), len(seeds))
        self.histories: list[list[int]] = [[] for _ in seeds]
        self.decision = 0  # how many decisions every running game has behind it
        self.running: Int64Array = np.arange(len(seeds))
        self._list(np.full(len(seeds), layout.NO_MOVE))

    @property
    def players(self) -> Int64Array:
        """The seat to move in each running game."""
        return self.states["player"][self.running]

    @property
    def swapped(self) -> NDArray[np.bool_]:
        """Whether the agents of each running game have changed places (rules 5.9)."""
        return self.states["swapped"][self.running] != 0

    def positions(self, temperature: float | Float64Array = 0.0) -> Positions:
        """The running games, in order, for a player; `temperature` is one number or one per running game."""
        return Positions(
            config=self.config,
            states=self.states[self.running],
            moves=self._moves,
            offsets=self._offsets,
            seeds=mixed(self.seeds[self.running], self.decision),
            temperature=np.broadcast_to(np.asarray(temperature, np.float64), len(self.running)),
        )

    def step(self, moves: Int64Array) -> None:
        """Play a legal move in each running game, in order."""
        for game, move in zip(self.running.tolist(), moves.tolist(), strict=True):
            self.histories[game].append(move)
        self.decision += 1
        self._list(moves)

    def _list(self, moves: Int64Array) -> None:
        slices: dict[int, tuple[Int64Array, Int64Array]] = {}

        def work(first: int, end: int) -> None:
            slices[first] = self._advance(self.running[first:end], moves[first:end])

        over_cores(work, len(self.running), share=_SHARE)
        parts = [slices[first] for first in sorted(slices)]
        counts = np.concatenate([part[0] for part in parts]) if parts else np.zeros(0, np.int64)
        self._moves = np.concatenate([part[1] for part in parts]) if parts else np.zeros(0, np.int64)
        self.running = self.running[counts > 0]
        self._offsets = np.concatenate(([0], np.cumsum(counts[counts > 0])))

    def _advance(self, games: Int64Array, moves: Int64Array) -> tuple[Int64Array, Int64Array]:
        """(legal moves of each game, all of them in a row) once `moves` are played in `games`."""
        geometry, room = self.config.board.geometry[0], self.config.legal_capacity
        scratch = np.zeros(1, layout.SCRATCH)
        counts = np.zeros(len(games), np.int64)
        out = np.empty(room + _USUAL_MOVES * len(games), np.int64)
        lists: list[Int64Array] = []
        done = 0
        while done < len(games):
            more, used = _step(geometry, self.states, games[done:], moves[done:], scratch, out, room, counts[done:])
            lists.append(out[:used].copy())
            done += more
        return counts, np.concatenate(lists) if lists else np.zeros(0, np.int64)
