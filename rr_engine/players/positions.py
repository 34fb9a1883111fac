"""What a player is asked and what it answers: many positions at once, their legal moves as one ragged list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rr_engine.boards import Config

Int64Array = NDArray[np.int64]
UInt64Array = NDArray[np.uint64]
Float64Array = NDArray[np.float64]


@dataclass(frozen=True)
class Positions:
    """Positions to decide, of one config. Game i may play `moves[offsets[i]:offsets[i + 1]]`, never none."""

    config: Config
    states: NDArray[np.void]  # [games] records of `config.board.state_dtype`; read only for players
    moves: Int64Array  # [legal moves of all games]
    offsets: Int64Array  # [games + 1]
    seeds: UInt64Array  # [games] fresh random bits for this decision, never 0
    temperature: Float64Array  # [games] 0: the best move; above: exploring, by players that can
    histories: tuple[Sequence[int], ...] | None = None  # [games] the moves so far: one list a game, growing in place

    def __len__(self) -> int:
        return len(self.states)

    def take(self, chosen: Int64Array) -> Positions:
        """The positions of the games `chosen`, in that order."""
        counts = np.diff(self.offsets)[chosen]
        return Positions(
            config=self.config,
            states=self.states[chosen],
            moves=self.moves[self.rows(chosen)],
            offsets=np.concatenate(([0], np.cumsum(counts))),
            seeds=self.seeds[chosen],
            temperature=self.temperature[chosen],
            histories=None if self.histories is None else tuple(self.histories[game] for game in chosen.tolist()),
        )

    def rows(self, chosen: Int64Array) -> Int64Array:
        """Where the legal moves of the games `chosen`, one game behind the other, stand in `moves`."""
        counts = np.diff(self.offsets)[chosen]
        ends = np.cumsum(counts)
        return np.repeat(self.offsets[chosen] - ends + counts, counts) + np.arange(counts.sum())


@dataclass(frozen=True)
class Choice:
    """The moves chosen, and how a player that weighs all legal moves weighed them."""

    moves: Int64Array  # [games]
    policy: Float64Array | None = None  # [legal moves of all games], sums to 1 in each game
    recorded: NDArray[np.bool_] | None = None  # [games] whose policy is worth learning; None: all
    values: Float64Array | None = None  # [games, seats] chances to win by seat; NaN where nobody looked
    move_values: Float64Array | None = None  # [legal moves of all games] the mover's chance after each; NaN as above
    forfeits: Mapping[int, str] = field(default_factory=dict[int, str])  # games lost without a move: index -> why


def best_moves(positions: Positions, values: Float64Array) -> Int64Array:
    """The move of the highest value in each game, by its seed a random one of those that share it."""
    starts, counts = positions.offsets[:-1], np.diff(positions.offsets)
    equal = values == np.repeat(np.maximum.reduceat(values, starts), counts)
    before = np.concatenate(([0], np.cumsum(equal)))
    ties = np.diff(before[positions.offsets]).astype(np.uint64)
    picked = ((positions.seeds >> np.uint64(32)) * ties) >> np.uint64(32)
    return positions.moves[np.flatnonzero(equal)[before[starts] + picked.astype(np.int64)]]


def mixed(seeds: UInt64Array, salt: int) -> UInt64Array:
    """Independent random bits, never 0, from seeds and a salt (the finaliser of splitmix64)."""
    words = seeds + np.uint64((salt + 1) * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    words ^= words >> np.uint64(31)
    return np.where(words == 0, np.uint64(1), words)


def sampled_moves(positions: Positions, policy: Float64Array) -> Int64Array:
    """A move of each game drawn from `policy` (sums to 1 in each game) by its seed."""
    starts, counts = positions.offsets[:-1], np.diff(positions.offsets)
    total = np.concatenate(([0.0], np.cumsum(policy)))
    drawn = (positions.seeds >> np.uint64(11)).astype(np.float64) / 2.0**53
    wanted = total[starts] + drawn * (total[positions.offsets[1:]] - total[starts])
    picked = np.searchsorted(total[1:], wanted, side="right")
    return positions.moves[np.clip(picked, starts, starts + counts - 1)]
