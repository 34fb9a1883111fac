"""Playing games to learn from. Knows players, not where games are kept or why they are wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from rr_engine.boards import Config, typical_decisions
from rr_engine.outcome import outcome_of
from rr_engine.players import Choice, Player, Positions, Table
from rr_engine.players.heuristic import opener
from rr_engine.records.record import GameRecord
from rr_engine.settings import SelfplaySettings

_UNTHOUGHT = Choice(np.zeros(0, np.int64))  # what is known of a decision nobody thought about


@dataclass
class _Notes:
    """What is written down while a game goes on, an entry per decision."""

    seed: int
    opening: int  # decisions that `opener` makes first
    players: tuple[Player, ...]  # by the seat they opened at
    legal: list[int] = field(default_factory=list[int])
    phases: list[int] = field(default_factory=list[int])
    seats: list[int] = field(default_factory=list[int])
    recorded: list[bool] = field(default_factory=list[bool])
    policy: list[NDArray[np.float32]] = field(default_factory=list[NDArray[np.float32]])
    values: list[NDArray[np.float32]] = field(default_factory=list[NDArray[np.float32]])


def play_games(
    config: Config,
    agent: Player,
    *,
    opponent: Player | None = None,
    seeds: range,
    generation: int,
    settings: SelfplaySettings,
    on_progress: Callable[[int, int], None] | None = None,
) -> Iterator[list[GameRecord]]:
    """One game per seed of `agent` against itself: `shard_games` games as soon as as many have ended, at last the rest.

    With an `opponent`, about `opponent_share` of the games are against it instead: the agent has one place, from game
    to game another, the opponent all others. What the opponent thinks is no policy target.

    Up to `games_at_once` go on side by side: where one ends the next seed begins. The same arguments give the same
    games. Each starts with `opening_decisions` decisions of `opener` or down to half as many, no policy targets,
    so that games differ even if the agent repeats itself. Then the agent explores at `temperature`, later at
    `temperature_late`. `on_progress` is told how many games have ended, after how many decisions in all.
    """
    hot = round(settings.temperature_share * typical_decisions(config))
    first_moves = opener()
    waiting = iter(seeds)
    begun = list(islice(waiting, settings.games_at_once))
    table = Table(config, np.array([_bits(seed) for seed in begun], np.uint64))
    notes = [_begin(config, agent, opponent, seed, settings) for seed in begun]
    finished: list[GameRecord] = []
    ended = decisions = 0
    while len(table.running):
        running, made = table.running, table.decisions[table.running]
        positions = table.positions(np.where(made < hot, settings.temperature, settings.temperature_late))
        opening = made < np.array([notes[game].opening for game in running.tolist()])
        seated = zip(running.tolist(), table.agents.tolist(), strict=True)
        guest = np.array([notes[game].players[place] is not agent for game, place in seated], bool) & ~opening
        moves = np.empty(len(running), np.int64)
        for who, their in ((first_moves, opening), (agent, ~opening & ~guest), (opponent, guest)):
            asked = np.flatnonzero(their)
            if who is not None and len(asked):
                choice = who.choose(positions.take(asked))
                moves[asked] = choice.moves
                _note(notes, table, positions, choice if who is agent else _UNTHOUGHT, asked)
        table.step(moves)
        decisions += len(running)
        over = np.setdiff1d(running, table.running)
        finished += [_record(config, generation, table, game, notes[game]) for game in over.tolist()]
        ended += len(over)
        following = list(islice(waiting, len(over)))
        if following:
            places = over[: len(following)]
            table.deal(places, np.array([_bits(seed) for seed in following], np.uint64))
            for game, seed in zip(places.tolist(), following, strict=True):
                notes[game] = _begin(config, agent, opponent, seed, settings)
        if on_progress is not None:
            on_progress(ended, decisions)
        while len(finished) >= settings.shard_games or (finished and not len(table.running)):
            yield finished[: settings.shard_games]
            del finished[: settings.shard_games]


def _begin(config: Config, agent: Player, opponent: Player | None, seed: int, settings: SelfplaySettings) -> _Notes:
    shortest = settings.opening_decisions // 2
    opening, against, own = np.random.SeedSequence(seed).generate_state(4, np.uint64)[1:].tolist()
    players = [agent] * config.players
    if opponent is not None and against < settings.opponent_share * 2.0**64:
        players = [opponent] * config.players
        players[own % config.players] = agent
    return _Notes(seed, shortest + opening % (settings.opening_decisions - shortest + 1), tuple(players))


def _bits(seed: int) -> int:
    """Well mixed bits of a seed, never 0."""
    return int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]) | 1


def _note(notes: list[_Notes], table: Table, positions: Positions, choice: Choice, asked: NDArray[np.int64]) -> None:
    """Write down what the agent thought of the positions `asked`."""
    counts = np.diff(positions.offsets)[asked]
    ends = np.cumsum(counts)
    policy = None if choice.policy is None else choice.policy.astype(np.float32)
    values = None if choice.values is None else choice.values.astype(np.float32)
    phases, seats = positions.states["phase"][asked].tolist(), positions.states["player"][asked].tolist()
    unknown = np.full(positions.config.players, np.nan, np.float32)
    for index, game in enumerate(table.running[asked].tolist()):
        known = policy is not None and (choice.recorded is None or bool(choice.recorded[index]))
        begin, end = int(ends[index] - counts[index]), int(ends[index])
        note = notes[game]
        note.legal.append(end - begin)
        note.phases.append(phases[index])
        note.seats.append(seats[index])
        note.recorded.append(known)
        note.policy.append(policy[begin:end] if policy is not None and known else np.zeros(end - begin, np.float32))
        note.values.append(unknown if values is None else values[index])


def _record(config: Config, generation: int, table: Table, game: int, note: _Notes) -> GameRecord:
    state = table.states[game : game + 1]
    outcome = outcome_of(state)
    assert outcome is not None  # the table stepped it to its end
    return GameRecord(
        config=config,
        seed=note.seed,
        pie=config.players == 2,
        swapped=bool(state[0]["swapped"]),
        players=tuple(who.name for who in note.players),
        player_hashes=tuple(who.digest for who in note.players),
        generation=generation,
        opening=min(note.opening, len(note.legal)),
        moves=np.array(table.histories[game], np.int64),
        phases=np.array(note.phases, np.int8),
        seats=np.array(note.seats, np.int8),
        legal=np.array(note.legal, np.int32),
        policy=np.concatenate(note.policy),
        recorded=np.array(note.recorded, bool),
        values=np.stack(note.values),
        outcome=outcome,
    )
