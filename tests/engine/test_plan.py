"""The plan: bounded, complete, and moved by each fact the way it should be."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rr_engine.boards import CONFIGS
from rr_engine.selfplay.plan import ConfigFacts, PlanRow, make_plan
from rr_engine.settings import PlanSettings, SelfplaySettings

NOTHING = ConfigFacts(
    config="",
    games=0,
    games_age_hours=None,
    dataset_samples=0,
    samples_wanted=5000,
    elo_half_width=None,
    elo_per_day=0.0,
    curriculum_weight=1.0,
    exploration=1.0,
    opponent="random",
)
SETTINGS = PlanSettings()


def _plan(facts: list[ConfigFacts]) -> list[PlanRow]:
    return make_plan(facts, SETTINGS, SelfplaySettings())


def _all(**changes: object) -> list[ConfigFacts]:
    return [replace(NOTHING, config=config.key, **changes) for config in CONFIGS]


def test_equal_facts_give_equal_shares() -> None:
    rows = _plan(_all())
    assert [row.config for row in rows] == [config.key for config in CONFIGS]
    assert {round(row.share, 9) for row in rows} == {round(1 / 12, 9)}
    assert {row.games for row in rows} == {round(SETTINGS.games / 12)}
    assert rows[0].reason.startswith("uncertainty 1.00")
    assert {row.opponent for row in rows} == {"random"}


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({"games_age_hours": 1.0}, {"games_age_hours": 20.0}),
        ({"dataset_samples": 5000}, {"dataset_samples": 100}),
        ({"elo_half_width": 20.0}, {"elo_half_width": 150.0}),
        ({"elo_per_day": 0.0}, {"elo_per_day": 50.0}),
        ({"curriculum_weight": 0.5}, {"curriculum_weight": 1.0}),
    ],
)
def test_each_fact_moves_the_share_its_way(better: dict[str, float], worse: dict[str, float]) -> None:
    facts = _all(games_age_hours=1.0, dataset_samples=5000, elo_half_width=20.0, curriculum_weight=0.5)
    calm, wanting = replace(facts[0], **better), replace(facts[0], **worse)
    assert _plan([wanting, *facts[1:]])[0].share > _plan([calm, *facts[1:]])[0].share


def test_exploration_raises_the_temperature() -> None:
    facts = _all()
    facts[2] = replace(facts[2], exploration=1.3)
    rows = _plan(facts)
    assert rows[2].temperature == pytest.approx(1.3 * rows[0].temperature)


hours = st.none() | st.floats(0, 1e4)
FACTS = st.builds(
    ConfigFacts,
    config=st.just(""),
    games=st.integers(0, 10**6),
    games_age_hours=hours,
    dataset_samples=st.integers(0, 10**6),
    samples_wanted=st.integers(1, 10**5),
    elo_half_width=st.none() | st.floats(0, 1e4),
    elo_per_day=st.floats(-1e4, 1e4),
    curriculum_weight=st.floats(0, 1),
    exploration=st.floats(1, 2),
)


@given(st.lists(FACTS, min_size=12, max_size=12))
def test_shares_are_always_bounded_and_whole(facts: list[ConfigFacts]) -> None:
    rows = _plan([replace(fact, config=config.key) for fact, config in zip(facts, CONFIGS, strict=True)])
    assert sum(row.share for row in rows) == pytest.approx(1)
    for row in rows:
        assert SETTINGS.min_share - 1e-9 <= row.share <= SETTINGS.max_share + 1e-9
        assert 0 <= row.priority <= 1
        assert row.games >= 1
        assert row.reason
