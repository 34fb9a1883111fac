"""Regression: how much weaker somebody has become, on a scale of four. Pure: differences in, a level out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from rr_engine.settings import RegressionSettings

Result = Mapping[str, Any]  # `MatchResult.to_json`


class Level(IntEnum):
    """How bad a regression is."""

    NONE = 0
    MINOR = 1
    MODERATE = 2
    SEVERE = 3
    CRITICAL = 4


@dataclass(frozen=True)
class Regression:
    """A level, and what it rests on."""

    level: Level
    reason: str


def measured(elo: float, games: int, settings: RegressionSettings) -> Level:
    """The level of a difference in Elo, negative for weaker, over that many games; too few games say nothing."""
    if games < settings.games:
        return Level.NONE
    bounds = (settings.minor, settings.moderate, settings.severe, settings.critical)
    return Level(sum(elo <= -bound for bound in bounds))


def judge_duels(duels: Sequence[Result], settings: RegressionSettings) -> Regression:
    """Of candidates that met their champion, the newest last: the level of the newest, worse for those before it.

    Two regressions in a row count one step worse, from `in_a_row` on they are critical.
    """
    if not duels:
        return Regression(Level.NONE, "no match against a champion")
    levels = [measured(duel["elo"], duel["games"], settings) for duel in duels]
    in_a_row = next((count for count, level in enumerate(reversed(levels)) if not level), len(levels))
    level = levels[-1]
    if in_a_row >= settings.in_a_row:
        level = Level.CRITICAL
    elif in_a_row > 1:
        level = Level(min(level + 1, Level.CRITICAL))
    told = f"{duels[-1]['elo']:+.0f} Elo against the champion over {duels[-1]['games']} games"
    if in_a_row > 1:
        told += f", {in_a_row} in a row"
    return Regression(level, f"{told}: {level.name.lower()}")
