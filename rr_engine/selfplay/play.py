"""Playing games to learn from. Knows players, not where games are kept or why they are wanted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rr_engine.boards import Config
from rr_engine.outcome import outcome_of
from rr_engine.players import Choice, Player, Positions, Table, player
from rr_engine.records.record import GameRecord
from rr_engine.settings import SelfplaySettings

# Decisions of a typical game with 2, 3 and 4 players, from random play.
TYPICAL_DECISIONS = {
    "square8": (72, 86, 84),
    "hex8": (77, 94, 105),
    "square19": (338, 414, 429),
    "hexagonal": (481, 620, 754),
}


def typical_decisions(config: Config) -> int:
    """Length of a usual game of `config`, in decisions."""
    return TYPICAL_DECISIONS[config.board_name][config.players - 2]


@dataclass
class _Notes:
    """What is written down while a game goes on, an entry per decision."""

    legal: list[int] = field(default_factory=list[int])
    phases: list[int] = field(default_factory=list[int])
    seats: list[int] = field(default_factory=list[int])
    recorded: list[bool] = field(default_factory=list[bool])
    policy: list[NDArray[np.float32]] = field(default_factory=list[NDArray[np.float32]])


def play_games(
    config: Config,
    agent: Player,
    *,
    seeds: Sequence[int],
    generation: int,
    settings: SelfplaySettings,
    on_progress: Callable[[int], None] | None = None,
) -> list[GameRecord]:
    """One game per seed of `agent` against itself; the same arguments give the same games.

    Each game starts with `opening_decisions` random decisions or down to half as many, which carry no policy target,
    so that games differ even if the agent repeats itself. Then the agent explores at `temperature`, later at
    `temperature_late`. `on_progress` is told how many games have ended.
    """
    table = Table(config, np.array([_bits(seed) for seed in seeds], np.uint64))
    shortest = settings.opening_decisions // 2
    openings = np.array(
        [shortest + _bits(seed) % (settings.opening_decisions - shortest + 1) for seed in seeds], np.int64
    )
    hot = round(settings.temperature_share * typical_decisions(config))
    dice = player("random", config)
    notes = [_Notes() for _ in seeds]
    while len(table.running):
        warm = table.decision < hot
        positions = table.positions(settings.temperature if warm else settings.temperature_late)
        opening = table.decision < openings[table.running]
        choice = agent.choose(positions)
        moves = np.where(opening, dice.choose(positions).moves, choice.moves)
        _note(notes, table, positions, choice, opening)
        table.step(moves)
        if on_progress is not None:
            on_progress(len(seeds) - len(table.running))
    return [
        _record(config, agent, seed, generation, int(openings[game]), table, game, notes[game])
        for game, seed in enumerate(seeds)
    ]


def _bits(seed: int) -> int:
    """Well mixed bits of a seed, never 0."""
    return int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]) | 1


def _note(notes: list[_Notes], table: Table, positions: Positions, choice: Choice, opening: NDArray[np.bool_]) -> None:
    bounds = positions.offsets.tolist()
    phases, seats = positions.states["phase"].tolist(), positions.states["player"].tolist()
    for index, game in enumerate(table.running.tolist()):
        begin, end = bounds[index], bounds[index + 1]
        known = choice.policy is not None and not opening[index]
        target = choice.policy[begin:end] if choice.policy is not None and known else np.zeros(end - begin)
        note = notes[game]
        note.legal.append(end - begin)
        note.phases.append(phases[index])
        note.seats.append(seats[index])
        note.recorded.append(known)
        note.policy.append(target.astype(np.float32))


def _record(
    config: Config, agent: Player, seed: int, generation: int, opening: int, table: Table, game: int, note: _Notes
) -> GameRecord:
    state = table.states[game : game + 1]
    outcome = outcome_of(state)
    assert outcome is not None  # the table stepped every game to its end
    return GameRecord(
        config=config,
        seed=seed,
        pie=config.players == 2,
        swapped=bool(state[0]["swapped"]),
        players=(agent.name,) * config.players,
        player_hashes=(agent.digest,) * config.players,
        generation=generation,
        opening=min(opening, len(note.legal)),
        moves=np.array(table.histories[game], np.int64),
        phases=np.array(note.phases, np.int8),
        seats=np.array(note.seats, np.int8),
        legal=np.array(note.legal, np.int32),
        policy=np.concatenate(note.policy),
        recorded=np.array(note.recorded, bool),
        outcome=outcome,
    )
