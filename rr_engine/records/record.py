"""One played game, with what its players thought: everything needed to replay it and to learn from it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rr_engine.boards import Config
from rr_engine.errors import ConfigError, DataError
from rr_engine.kernels import layout, replay
from rr_engine.kernels.jit import read_only
from rr_engine.outcome import Outcome, outcome_of
from rr_engine.state import new_state


@dataclass(frozen=True)
class GameRecord:
    """A finished game of `config`, started with the usual rings and last-player-standing rounds.

    Agents are numbered by the seat they opened at; under the pie rule they may have changed places
    (`agent_at`). Arrays have one entry per decision, `policy` one per legal move of every decision in order.
    """

    config: Config
    seed: int  # of the game's random numbers
    pie: bool
    swapped: bool
    players: tuple[str, ...]  # name of each agent
    player_hashes: tuple[str, ...]  # what each agent was, exactly; empty where nobody knows
    generation: int  # number of the champion when this game was made, from 0; -1 before the first
    opening: int  # decisions made for the agents before they took over
    moves: NDArray[np.int64]
    phases: NDArray[np.int8]
    seats: NDArray[np.int8]
    legal: NDArray[np.int32]  # number of legal moves
    policy: NDArray[np.float32]  # target over the legal moves; zeros where `recorded` is False
    recorded: NDArray[np.bool_]  # whether `policy` holds a target for the decision
    values: NDArray[np.float32]  # [decisions, seats] chances to win by seat, as a search found them; NaN where none did
    outcome: Outcome

    @property
    def decisions(self) -> int:
        """Number of decisions made."""
        return len(self.moves)

    @property
    def digest(self) -> str:
        """Names the course of the game: equal for two games with the same moves."""
        return digest_of(self.config, self.moves, pie=self.pie)

    @property
    def offsets(self) -> NDArray[np.int64]:
        """[decisions + 1]: where each decision's part of `policy` begins and ends."""
        return np.concatenate(([0], np.cumsum(self.legal, dtype=np.int64)))

    def agent_at(self, seat: int) -> int:
        """Which agent finished the game at `seat`."""
        return 1 - seat if self.swapped else seat


def digest_of(config: Config, moves: Sequence[int] | NDArray[np.int64], *, pie: bool) -> str:
    """The `GameRecord.digest` of a game with these moves."""
    start = f"{config.key} {int(pie)} ".encode()
    return hashlib.sha256(start + np.asarray(moves, "<i8").tobytes()).hexdigest()[:16]


class Replayed(NamedTuple):
    """Some moves played from the usual start; arrays have one entry per decision that was legal, else 0."""

    made: int  # how many moves were legal in turn
    state: NDArray[np.void]  # behind them
    legal: NDArray[np.int64]
    phases: NDArray[np.int64]
    seats: NDArray[np.int64]


def replayed(config: Config, moves: Sequence[int] | NDArray[np.int64], *, pie: bool) -> Replayed:
    """Play moves, up to the first that is not legal; raises ConfigError for a pie rule that cannot be."""
    state, out = new_state(config, pie=pie), np.empty(config.legal_capacity, np.int64)
    played = read_only(np.asarray(moves, np.int64))
    notes = np.zeros((3, len(played)), np.int64)
    geometry, scratch = config.board.geometry[0], np.zeros(1, layout.SCRATCH)[0]
    made = int(replay.replay_moves(geometry, state[0], scratch, out, played, *notes))
    return Replayed(made, state, *notes)


def record_of_moves(
    config: Config, moves: Sequence[int], *, pie: bool, seed: int, players: tuple[str, ...], generation: int
) -> GameRecord:
    """A finished game of which no more is known than its moves: no policy, no chances, nothing of who played exactly.

    Raises DataError unless the moves are legal and end the game.
    """
    found = replayed(config, moves, pie=pie)
    outcome = outcome_of(found.state)
    if found.made < len(moves) or outcome is None:
        raise DataError(f"{len(moves)} moves of {config.key}, {found.made} of them legal, make no finished game")
    return GameRecord(
        config=config,
        seed=seed,
        pie=pie,
        swapped=bool(found.state[0]["swapped"]),
        players=players,
        player_hashes=("",) * config.players,
        generation=generation,
        opening=0,
        moves=np.array(moves, np.int64),
        phases=found.phases.astype(np.int8),
        seats=found.seats.astype(np.int8),
        legal=found.legal.astype(np.int32),
        policy=np.zeros(int(found.legal.sum()), np.float32),
        recorded=np.zeros(len(moves), bool),
        values=np.full((len(moves), config.players), np.nan, np.float32),
        outcome=outcome,
    )


def check_replays(record: GameRecord) -> None:
    """Replay a record from its start; raises DataError saying what differs from what was recorded."""
    name = f"game {record.digest} of {record.config.key} (seed {record.seed})"
    if uneven := _uneven(record):
        raise DataError(f"{name}: {record.decisions} moves, but {uneven}")
    try:
        found = replayed(record.config, record.moves, pie=record.pie)
    except ConfigError as error:
        raise DataError(f"{name}: {error}") from error
    if found.made < record.decisions:
        raise DataError(f"{name}: decision {found.made} is not legal on replay")
    for what, stored, seen in (
        ("legal moves", record.legal, found.legal),
        ("phase", record.phases, found.phases),
        ("seat", record.seats, found.seats),
    ):
        if wrong := np.flatnonzero(stored != seen).tolist():
            raise DataError(f"{name}: {what} at decision {wrong[0]} is {seen[wrong[0]]}, stored {stored[wrong[0]]}")
    if len(record.policy) != found.legal.sum():
        raise DataError(f"{name}: {found.legal.sum()} moves are legal in all, {len(record.policy)} stand in its policy")
    outcome = outcome_of(found.state)
    if outcome != record.outcome:
        raise DataError(f"{name}: replay gives {outcome}, stored {record.outcome}")
    if bool(found.state[0]["swapped"]) != record.swapped:
        raise DataError(f"{name}: swapped is {not record.swapped} on replay, stored {record.swapped}")


def _uneven(record: GameRecord) -> str:
    """Which array has not the shape that the number of moves asks for; empty if all have."""
    made = record.decisions
    wanted: dict[str, tuple[int, ...]] = {name: (made,) for name in ("phases", "seats", "legal", "recorded")}
    wanted["values"] = (made, record.config.players)
    shapes = {name: getattr(record, name).shape for name in wanted}
    return ", ".join(f"{name} has shape {shape}" for name, shape in shapes.items() if shape != wanted[name])
