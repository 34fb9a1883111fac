"""Matches between two players: many games at once, in groups of one opening played from every seat in turn.

A group has as many games as seats. With two seats it is a pair; with more, A holds one seat and B all others. Knows no
ratings and judges nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from rr_engine.arena.score import Interval, elo_of, wilson
from rr_engine.boards import Config, typical_decisions
from rr_engine.players import Player, Table, mixed
from rr_engine.players.external import ExternalPlayer
from rr_engine.players.heuristic import opener
from rr_engine.players.positions import Int64Array, UInt64Array
from rr_engine.progress import Task

_AT_ONCE = 1024  # games on the table together, at most
_OPENING, _GAME = 0, 1  # salts of the two kinds of seeds
Progress = Callable[[int, int], None]  # told after every step: games ended and decisions made in it


@dataclass(frozen=True)
class Contestant:
    """Who took part: the name says what was asked for, the digest what played."""

    name: str
    digest: str


@dataclass(frozen=True)
class PlayedGame:
    """One game of a match, complete: `moves` from the start position with the default rules of its config."""

    group: int  # number of the opening
    seat: int  # of A at the start; a swap (rules 5.9) may have moved it
    winner: int | None  # seat; None in a game that was forfeited
    won: bool  # by A; A wins what B forfeits, and has not won what it forfeits itself
    moves: tuple[int, ...]  # up to a forfeit, if there was one
    forfeit: str | None = None  # why A forfeited it if it has not won, why B did if it has


@dataclass(frozen=True)
class MatchResult:
    """How A did against B. `played` holds the games in order of group and seat and does not go into JSON."""

    config: str
    a: Contestant
    b: Contestant
    played: tuple[PlayedGame, ...] = field(repr=False)

    @property
    def seats(self) -> int:
        """Seats of a game, and games of a group."""
        return Config.parse(self.config).players

    @property
    def games(self) -> int:
        """Games played."""
        return len(self.played)

    @property
    def wins(self) -> int:
        """First places of A; no game is drawn."""
        return sum(game.won for game in self.played)

    @property
    def wins_by_seat(self) -> tuple[int, ...]:
        """First places of A by the seat where it opened; every seat has equally many games."""
        return tuple(sum(game.won for game in self.played if game.seat == seat) for seat in range(self.seats))

    @property
    def groups(self) -> tuple[int, ...]:
        """How many groups brought A 0, 1, ... wins: what the sequential test sees."""
        wins: dict[int, int] = {}
        for game in self.played:
            wins[game.group] = wins.get(game.group, 0) + game.won
        return tuple(list(wins.values()).count(number) for number in range(self.seats + 1))

    @property
    def distinct(self) -> int:
        """Games that differ in their moves: deterministic players repeat themselves."""
        return len({game.moves for game in self.played})

    @property
    def forfeits(self) -> tuple[int, int]:
        """Games forfeited by A and by B."""
        lost = [game.won for game in self.played if game.forfeit is not None]
        return len(lost) - sum(lost), sum(lost)

    @property
    def forfeit_reasons(self) -> dict[str, int]:
        """Why games were forfeited, and how many."""
        return dict(Counter(f"{'b' if game.won else 'a'}: {game.forfeit}" for game in self.played if game.forfeit))

    @property
    def score(self) -> float:
        """Share of first places; chance gives 1 / seats."""
        return self.wins / self.games

    @property
    def interval(self) -> Interval:
        """Wilson interval of the score, 95 %."""
        return wilson(self.wins, self.games)

    @property
    def elo(self) -> float:
        """Elo of A over B, see `score.elo_of`."""
        return elo_of(self.score, self.seats, self.games)

    @property
    def elo_interval(self) -> Interval:
        """The Wilson interval in Elo."""
        low, high = self.interval
        return Interval(elo_of(low, self.seats, self.games), elo_of(high, self.seats, self.games))

    def extended(self, more: MatchResult) -> MatchResult:
        """Both results as one; `more` must come from the same players and from other groups."""
        if (self.config, self.a, self.b) != (more.config, more.a, more.b):
            raise ValueError("results of different matches")
        return replace(self, played=self.played + more.played)

    def to_json(self) -> dict[str, Any]:
        """Everything but the games, as plain JSON values."""
        return {
            "config": self.config,
            "a": {"name": self.a.name, "digest": self.a.digest},
            "b": {"name": self.b.name, "digest": self.b.digest},
            "games": self.games,
            "distinct": self.distinct,
            "wins": self.wins,
            "wins_by_seat": list(self.wins_by_seat),
            "groups": list(self.groups),
            "forfeits": dict(zip("ab", self.forfeits, strict=True)),
            "score": self.score,
            "wilson_low": self.interval.low,
            "wilson_high": self.interval.high,
            "elo": self.elo,
            "elo_low": self.elo_interval.low,
            "elo_high": self.elo_interval.high,
        }


def task_of(name: str, config: Config, games: int) -> Task:
    """A match as work that is counted: `games`, rounded up to whole groups."""
    whole = -(-games // config.players) * config.players
    return Task("games", whole, name, rate="decisions", expected=whole * typical_decisions(config))


def play_match(
    a: Player,
    b: Player,
    config: Config,
    *,
    games: int,
    opening_decisions: int,
    seed: int,
    temperature: float = 0.0,
    first_group: int = 0,
    progress: Progress | None = None,
) -> MatchResult:
    """Play `games` games, rounded up to whole groups, numbered from `first_group` on.

    An opening is `opening_decisions` decisions of `opener`; it depends on `seed` and the group only, so a later call
    with a higher `first_group` continues a match, and other players meet the same openings. An outside program follows
    one game at a time, so with one the games are played one after another.
    """
    groups = -(-games // config.players)
    group = np.repeat(np.arange(first_group, first_group + groups), config.players)
    seat = np.tile(np.arange(config.players), groups)
    at_once = 1 if isinstance(a, ExternalPlayer) or isinstance(b, ExternalPlayer) else _AT_ONCE
    root = mixed(np.array([seed], np.uint64), 0)[0]
    openings = mixed(root + group.astype(np.uint64), _OPENING)
    played: list[PlayedGame] = []
    for first in range(0, len(group), at_once):
        wave = slice(first, first + at_once)
        table = Table(config, mixed(openings[wave] + seat[wave].astype(np.uint64), _GAME))
        for decision in range(opening_decisions):
            _step_opening(table, openings[wave], decision)
        forfeits = _play_out(table, seat[wave], a, b, temperature, progress)
        played += _played_games(table, group[wave], seat[wave], forfeits)
    return MatchResult(config.key, Contestant(a.name, a.digest), Contestant(b.name, b.digest), tuple(played))


@dataclass(frozen=True)
class _Forfeit:
    by_a: bool
    reason: str


def _play_out(
    table: Table, seat: Int64Array, a: Player, b: Player, temperature: float, progress: Progress | None
) -> dict[int, _Forfeit]:
    """Play the games of `table` to their ends, A at `seat`; returns those that were forfeited."""
    forfeits: dict[int, _Forfeit] = {}
    while len(running := table.running):
        moves = np.empty(len(running), np.int64)
        positions = table.positions(temperature)
        own = table.agents == seat[running]
        for by_a, player, chosen in ((True, a, own), (False, b, ~own)):
            if chosen.any():
                choice = player.choose(positions.take(np.flatnonzero(chosen)))
                moves[chosen] = choice.moves
                for index, reason in choice.forfeits.items():
                    forfeits[int(running[chosen][index])] = _Forfeit(by_a, reason)
        lost = np.isin(running, list(forfeits))
        table.drop(running[lost])
        if not lost.all():
            table.step(moves[~lost])
        if progress is not None:
            progress(len(running) - len(table.running), int(np.sum(~lost)))
    return forfeits


def _played_games(
    table: Table, group: Int64Array, seat: Int64Array, forfeits: Mapping[int, _Forfeit]
) -> list[PlayedGame]:
    winners = table.states["winner"]
    agents = np.where(table.states["swapped"] != 0, 1 - winners, winners)
    played: list[PlayedGame] = []
    for game, moves in enumerate(table.histories):
        where = int(group[game]), int(seat[game])
        if (forfeit := forfeits.get(game)) is not None:
            played.append(PlayedGame(*where, None, not forfeit.by_a, tuple(moves), forfeit.reason))
        else:
            played.append(PlayedGame(*where, int(winners[game]), bool(agents[game] == seat[game]), tuple(moves)))
    return played


def _step_opening(table: Table, openings: UInt64Array, decision: int) -> None:
    """One decision of an opening, the same in all games of a group."""
    if len(table.running):
        positions = replace(table.positions(), seeds=mixed(openings[table.running], decision))
        table.step(opener().choose(positions).moves)
