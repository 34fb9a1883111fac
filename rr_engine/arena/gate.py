"""The gate: whether a candidate takes the champion's place. Pure: results in, a verdict with its reason out.

It fails closed: what is missing, too little or too much alike never promotes. Knows no files and plays nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from rr_engine.arena.score import Interval, expected_score, newcombe
from rr_engine.settings import GateSettings

CHAMPION, ANCHOR = "champion", "heuristic"  # names of the two matches that count
_UNSEEN = 1e-3  # groups added to every outcome, so that one never seen keeps the likelihood finite

Result = Mapping[str, Any]  # `MatchResult.to_json`


class Ruling(StrEnum):
    """Where the sequential test stands."""

    BETTER = "better"
    NO_BETTER = "no better"
    OPEN = "open"


@dataclass(frozen=True)
class Verdict:
    """What the gate decided and why; what was never computed is None."""

    promote: bool
    reason: str
    llr: float | None = None
    groups: int = 0
    anchor_difference: Interval | None = None


def judge(
    results: Mapping[str, Result],
    *,
    champion_results: Mapping[str, Result] | None,
    seats: int,
    gate: GateSettings,
    min_distinct: float,
) -> Verdict:
    """Judge a candidate that loads, by its matches and those its champion played as a candidate, both by opponent.

    Without a champion (`champion_results` None) the candidate becomes generation 0, unproven. Otherwise it must be
    better than the champion by the sequential test, and the lower bound of its win rate against the heuristic less the
    champion's must be above `-gate.anchor_margin`. No match may repeat itself (`is_varied`).
    """
    if champion_results is None:
        return Verdict(True, "the first checkpoint that loads becomes generation 0, unproven")
    duel = results.get(CHAMPION)
    own, other = results.get(ANCHOR), champion_results.get(ANCHOR)
    for what, result in (
        ("the match against the champion", duel),
        ("the match against the heuristic", own),
        ("the champion's match against the heuristic", other),
    ):
        if (fault := _fault(result, seats, min_distinct)) is not None:
            return Verdict(False, f"{what} {fault}")
    assert duel is not None and own is not None and other is not None  # `_fault` told of them
    if own["b"] != other["b"]:
        return Verdict(False, "candidate and champion met different heuristics: rate the champion again")
    return _judge_numbers(duel, own, other, seats, gate)


def is_varied(result: Result, *, seats: int, min_distinct: float) -> bool:
    """Whether a match has at least `min_distinct` times as many different games as openings.

    Players that think alike play an opening alike from every seat, which is no fault; openings that all lead to the
    same few games are one.
    """
    return result["distinct"] >= min_distinct * result["games"] / seats


def _fault(result: Result | None, seats: int, min_distinct: float) -> str | None:
    """What keeps a match from counting, None if nothing does."""
    if result is None or not result["games"]:
        return "is missing"
    if not is_varied(result, seats=seats, min_distinct=min_distinct):
        openings = result["games"] // seats
        return f"has only {result['distinct']} different games from {openings} openings, needs {min_distinct:.0%}"
    return None


def _judge_numbers(duel: Result, own: Result, other: Result, seats: int, gate: GateSettings) -> Verdict:
    groups = sum(duel["groups"])
    llr = log_likelihood_ratio(duel["groups"], seats=seats, elo0=gate.elo0, elo1=gate.elo1)
    difference = newcombe(own["wins"], own["games"], other["wins"], other["games"])
    upper = _bounds(gate)[1]
    told = f"LLR {llr:.2f} after {groups} {'pairs' if seats == 2 else 'groups'}, needs {upper:.2f}"
    ruling = sequential_test(duel["groups"], seats=seats, settings=gate)
    if ruling != Ruling.BETTER:
        return Verdict(False, told, llr, groups, difference)
    against = f"{difference.low:+.3f} against the heuristic by the lower bound, needs above {-gate.anchor_margin:+.3f}"
    promote = difference.low > -gate.anchor_margin
    return Verdict(promote, f"{told}; {against}", llr, groups, difference)


def sequential_test(groups: Sequence[int], *, seats: int, settings: GateSettings) -> Ruling:
    """The generalised sequential probability ratio test on groups with 0, 1, ... wins (`MatchResult.groups`).

    It stays open between the bounds of `settings.alpha` and `settings.beta`, and ends as no better at `max_pairs`.
    """
    llr = log_likelihood_ratio(groups, seats=seats, elo0=settings.elo0, elo1=settings.elo1)
    lower, upper = _bounds(settings)
    if llr >= upper:
        return Ruling.BETTER
    if llr <= lower or sum(groups) >= settings.max_pairs:
        return Ruling.NO_BETTER
    return Ruling.OPEN


def _bounds(settings: GateSettings) -> tuple[float, float]:
    """Wald's bounds of the log likelihood ratio."""
    return (
        math.log(settings.beta / (1 - settings.alpha)),
        math.log((1 - settings.beta) / settings.alpha),
    )


def log_likelihood_ratio(groups: Sequence[int], *, seats: int, elo0: float, elo1: float) -> float:
    """Log likelihood ratio of "the candidate is `elo1` better" over "`elo0` better".

    `groups[k]` groups of one opening from every seat brought k wins. Groups, not games, are the independent trials, so
    an opening that favours a seat does no harm. Each hypothesis fixes the mean score only; the rest of the distribution
    is the likeliest with that mean (Van den Bergh 2020, the test of fishtest).
    """
    counts = np.asarray(groups, np.float64) + _UNSEEN
    scores = np.arange(len(counts)) / (len(counts) - 1)
    shares = counts / counts.sum()
    likely0 = _likeliest(shares, scores, expected_score(elo0, seats))
    likely1 = _likeliest(shares, scores, expected_score(elo1, seats))
    return float(np.sum(counts * np.log(likely1 / likely0)))


def _likeliest(shares: NDArray[np.float64], scores: NDArray[np.float64], mean: float) -> NDArray[np.float64]:
    """The distribution over `scores` with this mean under which the observed `shares` are likeliest."""
    off = scores - mean

    def slope(tilt: float) -> float:
        return float(np.sum(shares * off / (1 + tilt * off)))

    edge = 1e-9
    tilt: Any = scipy.optimize.brentq(slope, -1 / off.max() + edge, -1 / off.min() - edge)
    return shares / (1 + tilt * off)
