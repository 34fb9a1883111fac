"""The curriculum: mastered opponents advance it, stalls widen exploration, promotions narrow it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rr_engine.selfplay.curriculum import CurriculumState, Evaluation, advance, is_mastered
from rr_engine.settings import CurriculumSettings

SETTINGS = CurriculumSettings()


def _evaluation(candidate: str, *, promoted: bool = False, **results: tuple[int, int]) -> Evaluation:
    return Evaluation(candidate, seats=2, champion=0, promoted=promoted, results=results)


def test_a_mastered_opponent_advances_the_stage() -> None:
    state = advance(CurriculumState(), _evaluation("a", random=(99, 100), greedy=(50, 100)), SETTINGS)
    assert (state.stage, state.opponent, state.sparring_partner) == (1, "greedy", "greedy")
    assert state.weight == pytest.approx(0.9)
    assert "random mastered with 99 of 100" in state.reason


@pytest.mark.parametrize("result", [(84, 100), (99, 99), (0, 0)])
def test_too_few_wins_or_games_master_nothing(result: tuple[int, int]) -> None:
    state = advance(CurriculumState(), _evaluation("a", random=result), SETTINGS)
    assert (state.stage, state.weight) == (0, 1.0)
    assert state.reason == "random not mastered yet"


@pytest.mark.parametrize(("seats", "enough"), [(2, 85), (3, 74), (4, 66)])
def test_with_more_seats_fewer_first_places_master_somebody(seats: int, enough: int) -> None:
    assert is_mastered(enough, 100, seats, SETTINGS)
    assert not is_mastered(enough - 1, 100, seats, SETTINGS)


def test_several_stages_can_fall_at_once_but_never_the_last() -> None:
    won = (100, 100)
    state = advance(CurriculumState(), _evaluation("a", random=won, greedy=won, heuristic=won, champion=won), SETTINGS)
    assert state.opponent == "champion"
    assert state.sparring_partner == "heuristic"
    assert state.weight == pytest.approx(0.9**3)


def test_the_weight_has_a_floor() -> None:
    state = advance(CurriculumState(weight=0.51), _evaluation("a", random=(100, 100)), SETTINGS)
    assert state.weight == SETTINGS.min_weight


def test_a_stall_explores_more_and_a_promotion_less() -> None:
    state = CurriculumState()
    for name in "abc":
        state = advance(state, _evaluation(name), SETTINGS)
    assert state.exploration == pytest.approx(1.3)
    assert "stalled for 3 evaluations" in state.reason
    for name in "defghijkl":
        state = advance(state, _evaluation(name), SETTINGS)
    assert state.exploration == SETTINGS.max_exploration
    promoted = advance(state, _evaluation("m", promoted=True), SETTINGS)
    assert promoted.exploration == pytest.approx(1.8)
    assert promoted.evaluations == 0
    calm = advance(replace(state, exploration=1.0), _evaluation("n", promoted=True), SETTINGS)
    assert calm.exploration == 1.0


def test_the_same_evaluation_counts_once() -> None:
    state = advance(CurriculumState(), _evaluation("a"), SETTINGS)
    assert advance(state, _evaluation("a", random=(100, 100)), SETTINGS) is state


def test_a_state_survives_its_card() -> None:
    state = CurriculumState(stage=2, weight=0.81, exploration=1.3, evaluations=2, champion=4, candidate="x", reason="y")
    assert CurriculumState.from_facts(state.facts()) == state
