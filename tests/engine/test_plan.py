"""The plan: bounded, complete, and moved by each fact the way it should be."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rr_engine.boards import CONFIGS
from rr_engine.selfplay.plan import ConfigFacts, PlanRow, highest_share, make_plan
from rr_engine.settings import PlanSettings, Settings

SETTINGS = Settings()
PLAN = SETTINGS.plan
CALM = ConfigFacts(  # no term is at an end of its range
    config="",
    games_age_hours=6.0,
    samples_new=2000,
    samples_wanted=5000,
    elo_half_width=80.0,
    elo_per_day=40.0,
    elo_per_day_error=10.0,
    curriculum_weight=0.8,
    quality=0.9,
)


def _all(**changes: object) -> list[ConfigFacts]:
    return [replace(CALM, config=config.key, **changes) for config in CONFIGS]


def _first(**changes: object) -> PlanRow:
    """The first row of a plan in which only that config differs."""
    first, *others = _all()
    return make_plan([replace(first, **changes), *others], SETTINGS)[0]


def test_equal_facts_give_equal_shares() -> None:
    rows = make_plan(_all(opponent="random"), SETTINGS)
    assert [row.config for row in rows] == [config.key for config in CONFIGS]
    assert {round(row.share, 9) for row in rows} == {round(1 / 12, 9)}
    assert {row.opponent for row in rows} == {"random"}
    assert rows[0].games == round(PLAN.games / 12)


def test_a_share_is_of_the_compute_so_long_games_are_fewer() -> None:
    games = {row.config: row.games for row in make_plan(_all(), SETTINGS)}
    assert games["hexagonal_2p"] * 40 < games["hex8_2p"]
    assert games["hex8_4p"] < games["hex8_3p"] < games["hex8_2p"]
    assert min(games.values()) >= 1


@pytest.mark.parametrize(
    ("name", "calm", "wanting"),
    [
        ("games_age_hours", 1.0, 20.0),
        ("games_age_hours", 20.0, None),
        ("generation_lag", 0, 3),
        ("samples_new", 4000, 100),
        ("elo_half_width", 20.0, 150.0),
        ("elo_half_width", 150.0, None),
        ("elo_per_day", 20.0, 90.0),
        ("elo_per_day_error", 30.0, 5.0),
        ("curriculum_weight", 0.5, 1.0),
        ("quality", 0.4, 1.0),
    ],
)
def test_each_fact_moves_the_share_its_way(name: str, calm: object, wanting: object) -> None:
    assert _first(**{name: wanting}).share > _first(**{name: calm}).share


hours = st.none() | st.floats(0, 1e4)
FACTS = st.builds(
    ConfigFacts,
    config=st.just(""),
    games_age_hours=hours,
    generation_lag=st.integers(0, 1000),
    samples_new=st.integers(0, 10**6),
    samples_wanted=st.integers(1, 10**5),
    elo_half_width=st.none() | st.floats(0, 1e4),
    elo_per_day=st.floats(-1e4, 1e4),
    elo_per_day_error=st.floats(0, 1e4),
    curriculum_weight=st.floats(0, 1),
    exploration=st.floats(1, 2),
    quality=st.none() | st.floats(0, 1),
    was_throttled=st.booleans(),
    blocked=st.integers(0, 20),
    rests=st.sampled_from(["", "", "paused"]),
)
FLEET = st.lists(FACTS, min_size=12, max_size=12).map(
    lambda facts: [replace(fact, config=config.key) for fact, config in zip(facts, CONFIGS, strict=True)]
)


@given(FLEET)
def test_shares_are_always_bounded_and_whole(facts: list[ConfigFacts]) -> None:
    rows = make_plan(facts, SETTINGS)
    playing = [row for row, fact in zip(rows, facts, strict=True) if not fact.rests]
    for row in rows:
        assert 0 <= row.priority <= 1
        assert row.reason
        if row not in playing:
            assert (row.share, row.games, row.grants) == (0, 0, False)
    if playing:
        assert sum(row.share for row in playing) == pytest.approx(1)
        for row in playing:
            assert PLAN.min_share - 1e-9 <= row.share <= highest_share(len(playing), PLAN) + 1e-9
            assert row.games >= 1


@given(
    FLEET,
    st.sampled_from(["games_age_hours", "generation_lag", "elo_half_width", "samples_wanted"]),
    st.floats(1, 100),
)
def test_a_config_never_loses_by_wanting_more(facts: list[ConfigFacts], name: str, times: float) -> None:
    first = replace(facts[0], rests="")
    before = make_plan([first, *facts[1:]], SETTINGS)[0]
    known = getattr(first, name)
    more = replace(first, **{name: None if known is None else type(known)(known * times + times)})
    after = make_plan([more, *facts[1:]], SETTINGS)[0]
    assert after.priority >= before.priority - 1e-12
    assert after.share >= before.share - 1e-9


@given(FLEET)
def test_no_term_weighs_more_than_ten_times_another(facts: list[ConfigFacts]) -> None:
    weights = [value for name, value in vars(PlanSettings()).items() if name.startswith("weight_")]
    assert len(weights) == 5
    assert max(weights) <= 10 * min(weights)
    nothing = dict(
        games_age_hours=0.0, generation_lag=0, samples_new=10**9, elo_half_width=0.0, elo_per_day=0.0,
        curriculum_weight=0.0, rests="",
    )  # fmt: skip
    everything = (
        {"games_age_hours": 1e9}, {"samples_new": 0}, {"elo_half_width": 1e9}, {"elo_per_day": 1e9},
        {"curriculum_weight": 1.0, "quality": 1.0},
    )  # fmt: skip
    gains = [make_plan([replace(facts[0], **{**nothing, **one})], SETTINGS)[0].priority for one in everything]
    assert max(gains) <= 10 * min(gains)


@pytest.mark.parametrize(("refused", "times"), [(1, 1.5), (2, 2.0), (7, 2.0)])
def test_a_refused_dataset_brings_more_compute(refused: int, times: float) -> None:
    usual, more = _first(), _first(blocked=refused, blocked_by="quality 0.31 is below 0.5")
    assert more.share == pytest.approx(times * usual.share)
    assert more.games == pytest.approx(times * usual.games, abs=1)
    assert f"share x{times:g}, {refused} refused in a row: quality 0.31 is below 0.5" in more.reason


def test_a_refused_dataset_never_takes_the_floor_of_others() -> None:
    facts = _all()
    rows = make_plan([*(replace(fact, blocked=5) for fact in facts[:11]), facts[11]], SETTINGS)
    assert rows[11].share == pytest.approx(PLAN.min_share)
    assert len({round(row.share, 9) for row in rows[:11]}) == 1


def test_poor_games_bring_fewer_and_better_ones_until_they_are_good() -> None:
    usual, poor = _first(), _first(quality=0.55)
    assert not usual.throttled
    assert poor.throttled
    assert (poor.simulations, poor.cheap_simulations) == (2 * usual.simulations, 2 * usual.cheap_simulations)
    assert poor.games == pytest.approx(poor.share * 12 * usual.games / 2, abs=1)
    assert "quality 0.55: 1/2 of the games at 2 times the simulations" in poor.reason
    assert _first(quality=0.7, was_throttled=True).throttled
    assert not _first(quality=0.7).throttled
    assert not _first(quality=0.8, was_throttled=True).throttled


def test_a_refused_dataset_and_poor_games_compose() -> None:
    row = _first(quality=0.4, blocked=1, blocked_by="quality 0.40 is below 0.5")
    alone = _first(quality=0.4)
    assert row.share == pytest.approx(1.5 * alone.share)
    assert (row.throttled, row.simulations) == (True, alone.simulations)


def test_poor_games_cost_weight_each_time_anew() -> None:
    assert _first(quality=0.5).share < _first(quality=1.0).share
    assert "weight 0.68 at quality 0.50" in _first(quality=0.5).reason  # 0.8 x (1 - 0.3 x 0.5)
    assert _first(quality=0.5, was_throttled=True).share == _first(quality=0.5).share


def test_exploration_raises_the_temperature() -> None:
    explored = _first(exploration=1.3)
    assert explored.temperature == pytest.approx(1.3 * _first().temperature)
    assert "temperature x1.30" in explored.reason


def test_who_rests_gets_nothing_and_the_others_share_it() -> None:
    facts = _all()
    rows = make_plan([replace(facts[0], rests="target met"), *facts[1:]], SETTINGS)
    assert (rows[0].share, rows[0].reason) == (0.0, "rests: target met")
    assert {round(row.share, 9) for row in rows[1:]} == {round(1 / 11, 9)}
    assert {row.share for row in make_plan(_all(rests="paused"), SETTINGS)} == {0.0}


def test_a_cause_grants_games_once() -> None:
    asked = _first(due="a")
    assert (asked.grants, asked.granted) == (True, "a")
    assert not _first(due="a", was_granted="a").grants
    assert _first(due="b", was_granted="a").granted == "b"
    assert not _first(due="a", plays=True).grants  # the games of an earlier one are not over
    waiting = _first(due="", was_granted="a")
    assert (waiting.grants, waiting.granted) == (False, "a")


def test_a_rest_forgets_what_was_granted_so_that_games_go_on_after_it() -> None:
    resting = _first(due="a", was_granted="a", rests="paused")
    assert (resting.grants, resting.granted) == (False, "")


def test_no_config_starves_in_a_thousand_steps() -> None:
    """Twelve configs of changing fortune, served as the plan says; the compute each got is its floor at least."""
    rng = random.Random(1)
    facts = _all()
    served = [0.0] * 12
    for step in range(1000):
        rows = make_plan(facts, SETTINGS)
        for index, row in enumerate(rows):
            served[index] += row.share
            lucky = index < 2 or rng.random() < row.share * 4  # two configs always want everything
            facts[index] = replace(
                facts[index],
                games_age_hours=None if index < 2 else 0.0 if lucky else facts[index].games_age_hours + 1.0,
                samples_new=rng.randrange(6000),
                elo_half_width=None if index < 2 else rng.uniform(10, 150),
                elo_per_day=1000.0 if index < 2 else rng.uniform(-50, 50),
                quality=rng.uniform(0.3, 1),
                was_throttled=row.throttled,
                blocked=rng.choice([0, 0, 0, 1, 4]),
            )
        assert min(row.share for row in rows) >= PLAN.min_share - 1e-9, step
    assert min(served) >= PLAN.min_share * 1000
