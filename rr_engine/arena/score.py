"""Scores, intervals and Elo: the arithmetic that every result shares."""

from __future__ import annotations

import math
from typing import NamedTuple

import scipy  # its parts load when they are first used: half a second that most processes never need

ELO_PER_NAT = 400 / math.log(10)  # one nat of log odds, in Elo


class Interval(NamedTuple):
    """A 95 % interval."""

    low: float
    high: float


def wilson(wins: int, games: int) -> Interval:
    """Wilson interval of a win rate."""
    bounds = scipy.stats.binomtest(wins, games).proportion_ci(method="wilson")
    return Interval(float(bounds.low), float(bounds.high))


def newcombe(wins: int, games: int, other_wins: int, other_games: int) -> Interval:
    """Interval of the difference between two independent win rates (Newcombe 1998, method 10)."""
    rate, other = wins / games, other_wins / other_games
    low, high = wilson(wins, games)
    other_low, other_high = wilson(other_wins, other_games)
    return Interval(
        rate - other - math.hypot(rate - low, other_high - other),
        rate - other + math.hypot(high - rate, other - other_low),
    )


def expected_score(elo: float, seats: int) -> float:
    """Chance of the first place for one player who is `elo` above equal players in all other seats."""
    strength = math.exp(elo / ELO_PER_NAT)
    return strength / (strength + seats - 1)


def elo_of(score: float, seats: int, games: int) -> float:
    """The inverse of `expected_score`: 0 Elo is a share of 1 / seats.

    So that it stays finite, a score counts as at least half a win in `games`, and at most half a win short of all.
    """
    score = min(max(score, 0.5 / games), 1 - 0.5 / games)
    return ELO_PER_NAT * math.log(score * (seats - 1) / (1 - score))
