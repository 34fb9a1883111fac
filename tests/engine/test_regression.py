"""Regressions: levels by Elo and games, worse in a row."""

from __future__ import annotations

import pytest

from rr_engine.arena.regression import Level, judge_duels, measured
from rr_engine.settings import RegressionSettings

SETTINGS = RegressionSettings()


def _duel(elo: float, games: int = 100) -> dict[str, float]:
    return {"elo": elo, "games": games}


@pytest.mark.parametrize(
    ("elo", "level"),
    [
        (100, Level.NONE),
        (-19.9, Level.NONE),
        (-20, Level.MINOR),
        (-35, Level.MODERATE),
        (-50, Level.SEVERE),
        (-74.9, Level.SEVERE),
        (-75, Level.CRITICAL),
        (-500, Level.CRITICAL),
    ],
)
def test_levels_by_elo(elo: float, level: Level) -> None:
    assert measured(elo, 50, SETTINGS) == level
    assert measured(elo, 49, SETTINGS) == Level.NONE
    assert judge_duels([_duel(elo)], SETTINGS).level == level


@pytest.mark.parametrize(
    ("elos", "level"),
    [
        ([-25, -25], Level.MODERATE),
        ([-80, -25], Level.MODERATE),
        ([-25, -80], Level.CRITICAL),
        ([-25, 5, -25], Level.MINOR),
        ([-25, -25, -25], Level.CRITICAL),
        ([-25, -25, -25, 0], Level.NONE),
        ([-25, -25, -25, -25], Level.CRITICAL),
    ],
)
def test_several_in_a_row_are_worse(elos: list[float], level: Level) -> None:
    assert judge_duels([_duel(elo) for elo in elos], SETTINGS).level == level


def test_the_reason_says_what_it_rests_on() -> None:
    found = judge_duels([_duel(-30), _duel(-40, 80)], SETTINGS)
    assert found.reason == "-40 Elo against the champion over 80 games, 2 in a row: severe"
    assert judge_duels([], SETTINGS).reason == "no match against a champion"
