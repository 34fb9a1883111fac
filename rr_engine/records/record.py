"""One played game, with what its players thought: everything needed to replay it and to learn from it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rr_engine.boards import Config
from rr_engine.errors import ConfigError, DataError
from rr_engine.kernels import layout, replay
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
    player_hashes: tuple[str, ...]  # what each agent was, exactly
    generation: int  # champions before this game was made, -1 if there was none
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
        start = f"{self.config.key} {int(self.pie)} ".encode()
        return hashlib.sha256(start + self.moves.astype("<i8").tobytes()).hexdigest()[:16]

    @property
    def offsets(self) -> NDArray[np.int64]:
        """[decisions + 1]: where each decision's part of `policy` begins and ends."""
        return np.concatenate(([0], np.cumsum(self.legal, dtype=np.int64)))

    def agent_at(self, seat: int) -> int:
        """Which agent finished the game at `seat`."""
        return 1 - seat if self.swapped else seat


def check_replays(record: GameRecord) -> None:
    """Replay a record from its start; raises DataError saying what differs from what was recorded."""
    name = f"game {record.digest} of {record.config.key} (seed {record.seed})"
    if uneven := _uneven(record):
        raise DataError(f"{name}: {record.decisions} moves, but {uneven}")
    try:
        state = new_state(record.config, pie=record.pie)
    except ConfigError as error:
        raise DataError(f"{name}: {error}") from error
    out = np.empty(record.config.legal_capacity, np.int64)
    counts, phases, seats = np.zeros((3, record.decisions), np.int64)
    geometry, scratch = record.config.board.geometry[0], np.zeros(1, layout.SCRATCH)[0]
    legal = int(replay.replay_moves(geometry, state[0], scratch, out, record.moves, counts, phases, seats))
    if legal < record.decisions:
        raise DataError(f"{name}: decision {legal} is not legal on replay")
    for what, stored, found in (
        ("legal moves", record.legal, counts),
        ("phase", record.phases, phases),
        ("seat", record.seats, seats),
    ):
        if wrong := np.flatnonzero(stored != found).tolist():
            raise DataError(f"{name}: {what} at decision {wrong[0]} is {found[wrong[0]]}, stored {stored[wrong[0]]}")
    if len(record.policy) != counts.sum():
        raise DataError(f"{name}: {counts.sum()} moves are legal in all, {len(record.policy)} stand in its policy")
    outcome = outcome_of(state)
    if outcome != record.outcome:
        raise DataError(f"{name}: replay gives {outcome}, stored {record.outcome}")
    if bool(state[0]["swapped"]) != record.swapped:
        raise DataError(f"{name}: swapped is {not record.swapped} on replay, stored {record.swapped}")


def _uneven(record: GameRecord) -> str:
    """Which array has not the shape that the number of moves asks for; empty if all have."""
    made = record.decisions
    wanted: dict[str, tuple[int, ...]] = {name: (made,) for name in ("phases", "seats", "legal", "recorded")}
    wanted["values"] = (made, record.config.players)
    shapes = {name: getattr(record, name).shape for name in wanted}
    return ", ".join(f"{name} has shape {shape}" for name, shape in shapes.items() if shape != wanted[name])
