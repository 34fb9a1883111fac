"""Many games of one config, played side by side and stepped together, as players and matches see them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rr_engine.batch import Batch
from rr_engine.boards import Config
from rr_engine.players.positions import Float64Array, Int64Array, Positions, UInt64Array, mixed
from rr_engine.players.workers import CORES

_DECISION = 2  # salt of the seeds of decisions


class Table:
    """Games of one config from the start on. Every step plays one move in each running game.

    `running` numbers the games that go on, ascending; `histories[game]` are the moves of a game so far. A place whose
    game has ended may be dealt a new one.
    """

    def __init__(self, config: Config, seeds: UInt64Array, *, pie: bool | None = None) -> None:
        """One game per seed, which feeds the random bits of all its decisions. `pie` as in `Game`."""
        self.config = config
        self.seeds = seeds
        self.histories: list[list[int]] = [[] for _ in seeds]
        self.decisions = np.zeros(len(seeds), np.int64)  # of each game, made so far
        self.running: Int64Array = np.arange(len(seeds))
        self._games = Batch(config, len(seeds), threads=CORES, pie=pie)

    @property
    def states(self) -> NDArray[np.void]:
        """[games] the present states, finished games too; read only, changed by the next step."""
        return self._games.states

    @property
    def players(self) -> Int64Array:
        """The seat to move in each running game."""
        return self.states["player"][self.running]

    @property
    def agents(self) -> Int64Array:
        """The agent to move in each running game, by the seat it opened at, before any swap (rules 5.9)."""
        return np.where(self.states["swapped"][self.running] != 0, 1 - self.players, self.players)

    def positions(self, temperature: float | Float64Array = 0.0) -> Positions:
        """The running games, in order, for a player; `temperature` is one number or one per running game."""
        legal = self._games.legal  # finished games have no moves in it, dropped ones have
        offsets = np.concatenate(([0], np.cumsum(legal.counts[self.running])))
        moves = legal.moves
        if len(moves) != offsets[-1]:
            moves = np.concatenate([legal.of(game) for game in self.running.tolist()])
        return Positions(
            config=self.config,
            states=self.states[self.running],
            moves=moves,
            offsets=offsets,
            seeds=mixed(self.seeds[self.running] + self.decisions[self.running].astype(np.uint64), _DECISION),
            temperature=np.broadcast_to(np.asarray(temperature, np.float64), len(self.running)),
            histories=tuple(self.histories[game] for game in self.running.tolist()),
        )

    def step(self, moves: Int64Array) -> None:
        """Play one move in each running game, in order; raises IllegalMoveError, nothing played, if one is illegal."""
        self._games.step(moves, self.running)
        for game, move in zip(self.running.tolist(), moves.tolist(), strict=True):
            self.histories[game].append(move)
        self.decisions[self.running] += 1
        self.running = self.running[~self._games.is_over[self.running]]

    def drop(self, games: Int64Array) -> None:
        """Let `games` end here, undecided."""
        self.running = np.setdiff1d(self.running, games)

    def deal(self, games: Int64Array, seeds: UInt64Array) -> None:
        """Begin a new game at each of the places `games`, with these seeds."""
        self.seeds[games] = seeds
        self.decisions[games] = 0
        for game in games.tolist():
            self.histories[game] = []
        self._games.restart(games)
        self.running = np.union1d(self.running, games)
