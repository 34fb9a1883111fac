"""The gate: what it promotes, what it refuses and why, and how often it errs."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from rr_engine.arena.gate import Ruling, judge, log_likelihood_ratio, sequential_test
from rr_engine.arena.score import ELO_PER_NAT, expected_score
from rr_engine.settings import GateSettings

GATE = GateSettings()


def result(wins: int, games: int, *, groups: tuple[int, ...] = (), distinct: int | None = None, b: str = "x") -> Any:
    return {
        "b": {"name": b, "digest": b},
        "wins": wins,
        "games": games,
        "distinct": games if distinct is None else distinct,
        "groups": groups,
    }


WON_CLEARLY = result(500, 800, groups=(50, 200, 150))
EVEN = result(400, 800, groups=(100, 200, 100))
ANCHOR = result(900, 1000, b="heuristic")


def verdict(duel: Any = WON_CLEARLY, own: Any = ANCHOR, champion: Any = ANCHOR, seats: int = 2) -> Any:
    results = {name: found for name, found in (("champion", duel), ("heuristic", own)) if found is not None}
    champion_results = {} if champion is None else {"heuristic": champion}
    return judge(results, champion_results=champion_results, seats=seats, gate=GATE, min_distinct=0.9)


def test_a_clear_winner_is_promoted_and_the_reason_has_the_numbers():
    found = verdict()
    assert found.promote
    assert found.llr > 2.94
    assert found.groups == 400
    assert "after 400 pairs, needs 2.94" in found.reason


def test_without_a_champion_the_first_checkpoint_is_generation_0():
    found = judge({}, champion_results=None, seats=2, gate=GATE, min_distinct=0.9)
    assert found.promote
    assert "unproven" in found.reason


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"duel": EVEN}, "LLR"),
        ({"duel": None}, "match against the champion is missing"),
        ({"duel": result(0, 0)}, "match against the champion is missing"),
        ({"own": None}, "match against the heuristic is missing"),
        ({"champion": None}, "champion's match against the heuristic is missing"),
        ({"duel": {**WON_CLEARLY, "distinct": 2}}, "only 2 different games from 400 openings"),
        ({"own": {**ANCHOR, "distinct": 300}}, "only 300 different games from 500 openings"),
        ({"champion": {**ANCHOR, "b": {"name": "heuristic", "digest": "older"}}}, "different heuristics"),
        ({"own": result(840, 1000, b="heuristic")}, "against the heuristic by the lower bound"),
    ],
)
def test_it_fails_closed(changed: dict[str, Any], reason: str):
    found = verdict(**changed)
    assert not found.promote
    assert reason in found.reason


def test_players_that_play_an_opening_alike_from_both_seats_are_no_fault():
    assert verdict(duel={**WON_CLEARLY, "distinct": 400}).promote


def test_groups_of_three_and_four_seats_are_judged_against_their_chance():
    even3, even4 = (119, 177, 88, 16), (126, 169, 84, 19, 2)  # binomial around 1/3 and 1/4
    strong3, strong4 = (60, 140, 130, 70), (60, 140, 120, 60, 20)
    for seats, even, strong in ((3, even3, strong3), (4, even4, strong4)):
        assert sequential_test(even, seats=seats, settings=GATE) == Ruling.NO_BETTER
        assert sequential_test(strong, seats=seats, settings=GATE) == Ruling.BETTER
        assert log_likelihood_ratio(even, seats=seats, elo0=0, elo1=35) < 0


def test_few_groups_leave_the_test_open_and_the_limit_closes_it():
    assert sequential_test((0, 1, 2), seats=2, settings=GATE) == Ruling.OPEN
    assert sequential_test((0, 0, 0), seats=2, settings=GATE) == Ruling.OPEN
    undecided = (85, 205, 110)
    assert sequential_test(undecided, seats=2, settings=replace(GATE, max_pairs=401)) == Ruling.OPEN
    assert sequential_test(undecided, seats=2, settings=GATE) == Ruling.NO_BETTER


def test_the_ratio_agrees_with_the_normal_approximation():
    groups = np.array([70, 200, 130])
    scores, total = np.array([0, 0.5, 1]), groups.sum()
    mean = (groups * scores).sum() / total
    variance = (groups * (scores - mean) ** 2).sum() / total
    low, high = expected_score(0, 2), expected_score(35, 2)
    approximate = total * (high - low) * (2 * mean - low - high) / (2 * variance)
    assert log_likelihood_ratio(groups.tolist(), seats=2, elo0=0, elo1=35) == pytest.approx(approximate, rel=0.05)


def simulated(elo: float, *, seats: int, tests: int) -> tuple[float, float]:
    """(share promoted, mean games) where openings favour seats at random, as the stage plays: wave after wave."""
    rng = np.random.default_rng(seats)
    wave = GATE.wave_groups(seats)
    strength = np.exp(elo / ELO_PER_NAT)
    promoted = played = 0
    for _ in range(tests):
        groups = np.zeros(seats + 1, np.int64)
        ruling = Ruling.OPEN
        while ruling == Ruling.OPEN:
            luck = np.exp(rng.normal(0, 0.7, (wave, seats)))
            chance = luck * strength / (luck * strength + luck.sum(1, keepdims=True) - luck)
            wins = (rng.random((wave, seats)) < chance).sum(1)
            groups += np.bincount(wins, minlength=seats + 1)
            ruling = sequential_test(groups.tolist(), seats=seats, settings=GATE)
        promoted += ruling == Ruling.BETTER
        played += int(groups.sum())
    return promoted / tests, played * seats / tests


@pytest.mark.parametrize("seats", [2, 3, 4])
def test_equals_are_seldom_promoted_and_the_stronger_nearly_always(
    seats: int, record_property: Callable[[str, object], None]
):
    false_promotions, games_of_equals = simulated(0, seats=seats, tests=400)
    power, games = simulated(60, seats=seats, tests=200)
    weaker_promoted, games_of_the_weaker = simulated(-100, seats=seats, tests=100)
    told = (
        f"promoted at 0 Elo {false_promotions:.1%}, at +60 {power:.1%}; games on average at 0 Elo "
        f"{games_of_equals:.0f}, at +60 {games:.0f}, at -100 {games_of_the_weaker:.0f}"
    )
    record_property(f"gate with {seats} seats", told)
    assert false_promotions <= 0.06, told
    assert power >= 0.9, told
    assert weaker_promoted == 0
    assert games_of_equals < 550
    assert games < 450
    assert games_of_the_weaker < 250
