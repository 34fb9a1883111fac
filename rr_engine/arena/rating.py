"""Ratings: one fit over all results of a config, `random` pinned at 0 Elo, 95 % intervals.

The model is Bradley-Terry with two seats, Plackett-Luce for the first place with more: a player at strength e^r wins
with its share of the strengths at the table, a player in several seats counting as often. The fit is the maximum of the
likelihood by scipy's trust-region Newton method. An interval ends where the likelihood ratio rejects at 5 %, the others
moving along as the observed information says; so it may be lopsided. scipy is a dependency anyway and its optimiser is
maintained; choix, the library for such models, gives point estimates alone and knows no player in several seats.

A record without a loss would put its player at infinity. So any two players who met count as having played a fifth of a
game more, shared as equals would share it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from rr_engine.arena.score import ELO_PER_NAT, Interval
from rr_engine.errors import DataError

PINNED = "random"
_VIRTUAL_GAMES = 0.2  # per pair that met; one whole game pulled ratings of 1000 down by 50 Elo in simulation
_HALF_CHI_95 = 1.9207  # half the 95 % point of chi-square with one degree of freedom

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Tally:
    """`games` games of one kind of table: `a` in one seat, `b` in all `seats - 1` others. Players by digest."""

    a: str
    b: str
    seats: int
    games: int
    wins: int  # first places of `a`


@dataclass(frozen=True)
class Rating:
    """Strength of a player; chance to beat an equal is 1 / seats."""

    elo: float
    interval: Interval
    games: int


def fit_ratings(results: Iterable[Mapping[str, Any]], *, seats: int) -> list[dict[str, Any]]:
    """Rate everyone in `results` (each `MatchResult.to_json`): a row per player, strongest first.

    A player is its digest; rows show the name it had last. Raises DataError if a player is not connected with `random`
    by games.
    """
    names: dict[str, str] = {}
    tallies: list[Tally] = []
    for result in results:
        a, b = result["a"], result["b"]
        names |= {a["digest"]: a["name"], b["digest"]: b["name"]}
        tallies.append(Tally(a["digest"], b["digest"], seats, result["games"], result["wins"]))
    pinned = [digest for digest, name in names.items() if name == PINNED]
    if not pinned:
        raise DataError(f"{PINNED} has played no game: nothing to rate against")
    ratings = fit(tallies, pinned=pinned[-1])
    rows = [
        {
            "name": names[digest],
            "digest": digest,
            "elo": rating.elo,
            "low": rating.interval.low,
            "high": rating.interval.high,
            "games": rating.games,
        }
        for digest, rating in ratings.items()
    ]
    return sorted(rows, key=lambda row: -row["elo"])


def fit(tallies: Sequence[Tally], *, pinned: str) -> dict[str, Rating]:
    """The rating of every player in `tallies`; raises DataError for one not connected with `pinned` by games."""
    tallies = [tally for tally in tallies if tally.games and tally.a != tally.b]
    others = sorted({player for tally in tallies for player in (tally.a, tally.b)} - {pinned})
    _require_connected(tallies, pinned, others)
    index = {player: place for place, player in enumerate(others)}
    table = _table(tallies, index)
    solution = scipy.optimize.minimize(
        _loss, np.zeros(len(others)), args=(table,), method="trust-exact", jac=_gradient, hess=_information
    )
    spread = np.linalg.inv(_information(solution.x, table)) if others else np.zeros((0, 0))
    games = {
        player: sum(tally.games for tally in tallies if player in (tally.a, tally.b)) for player in [pinned, *others]
    }
    ratings = {pinned: Rating(0.0, Interval(0.0, 0.0), games[pinned])}
    for player, place in index.items():
        bounds = [solution.x[place] + _reach(solution.x, sign * spread[place], table)[place] for sign in (-1, 1)]
        low, high = (float(bound) * ELO_PER_NAT for bound in bounds)
        ratings[player] = Rating(float(solution.x[place]) * ELO_PER_NAT, Interval(low, high), games[player])
    return ratings


def _reach(ratings: Floats, direction: Floats, table: _Table) -> Floats:
    """How far `ratings` may move along `direction` until the likelihood ratio rejects them at 5 %."""
    limit = _loss(ratings, table) + _HALF_CHI_95

    def excess(steps: float) -> float:
        return _loss(ratings + steps * direction, table) - limit

    steps = 1.0
    while excess(steps) < 0:
        steps *= 2
    found: Any = scipy.optimize.brentq(excess, 0, steps)
    return found * direction


@dataclass(frozen=True)
class _Table:
    """The tallies as arrays: row i says that A's log strength less B's, `design[i] @ ratings`, brought `wins[i]`."""

    design: Floats  # [tallies, players], 1 for A, -1 for B, nothing for the pinned player
    handicap: Floats  # [tallies] log of the number of B's seats
    wins: Floats  # [tallies] virtual games included
    games: Floats


def _table(tallies: Sequence[Tally], index: Mapping[str, int]) -> _Table:
    design = np.zeros((len(tallies), len(index)))
    met: dict[frozenset[str], int] = {}
    for tally in tallies:
        pair = frozenset((tally.a, tally.b))
        met[pair] = met.get(pair, 0) + 1
    virtual = np.array([_VIRTUAL_GAMES / met[frozenset((tally.a, tally.b))] for tally in tallies])
    for row, tally in enumerate(tallies):
        if tally.a in index:
            design[row, index[tally.a]] = 1
        if tally.b in index:
            design[row, index[tally.b]] = -1
    seats = np.array([tally.seats for tally in tallies], np.float64)
    return _Table(
        design=design,
        handicap=np.log(seats - 1),
        wins=np.array([tally.wins for tally in tallies]) + virtual / seats,
        games=np.array([tally.games for tally in tallies]) + virtual,
    )


def _loss(ratings: Floats, table: _Table) -> float:
    odds = table.design @ ratings - table.handicap
    return float(np.sum(table.games * np.logaddexp(0, odds) - table.wins * odds))


def _gradient(ratings: Floats, table: _Table) -> Floats:
    odds = table.design @ ratings - table.handicap
    return table.design.T @ (table.games / (1 + np.exp(-odds)) - table.wins)


def _information(ratings: Floats, table: _Table) -> Floats:
    odds = table.design @ ratings - table.handicap
    chance = 1 / (1 + np.exp(-odds))
    return (table.design.T * (table.games * chance * (1 - chance))) @ table.design


def _require_connected(tallies: Sequence[Tally], pinned: str, others: Sequence[str]) -> None:
    known = {pinned}
    while grown := {p for t in tallies for p in (t.a, t.b) if {t.a, t.b} & known} - known:
        known |= grown
    if lost := sorted(set(others) - known):
        raise DataError(f"no chain of games connects {', '.join(lost)} with {pinned}: ratings need one")
