"""The quality of games: every term measures what it names, and nothing is assumed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from rr_engine.errors import DataError
from rr_engine.records.record import GameRecord
from rr_engine.selfplay.quality import Quality, measure, pooled
from tests.engine.games import make_records

GOOD = Quality(games=10, decisive=1.0, length=1.0, starts=1.0, targets=1.0, balance=1.0)


@pytest.fixture(scope="module")
def records() -> list[GameRecord]:
    return make_records("hex8_3p", 12)


def quality(records: list[GameRecord], *, usual: float | None = None, planned: float = 1.0) -> Quality:
    mean = float(np.mean([record.decisions for record in records]))
    return measure(records, usual_decisions=usual or mean, planned_share=planned)


def test_the_score_is_the_sum_of_its_weighted_terms() -> None:
    assert GOOD.score == pytest.approx(1)
    for name, weight in (("decisive", 0.2), ("length", 0.2), ("starts", 0.25), ("targets", 0.25), ("balance", 0.1)):
        assert replace(GOOD, **{name: 0.0}).score == pytest.approx(1 - weight)
        assert replace(GOOD, **{name: 0.5}).weakest == f"{name} 0.50"


def test_ordinary_games_are_good(records: list[GameRecord]) -> None:
    found = quality(records)
    assert found.games == 12
    assert (found.decisive, found.starts) == (1.0, 1.0)
    assert found.targets == 1.0
    assert found.score > 0.8


def _stalemate(record: GameRecord) -> GameRecord:
    return replace(record, outcome=replace(record.outcome, end="stale-terr"))


def _without_targets(record: GameRecord) -> GameRecord:
    nothing = np.zeros(record.decisions, bool)
    return replace(record, recorded=nothing, values=np.full_like(record.values, np.nan))


def _won_by_the_first(record: GameRecord) -> GameRecord:
    return replace(record, outcome=replace(record.outcome, winner=0))


@pytest.mark.parametrize(
    ("spoil", "term"),
    [(_stalemate, "decisive"), (_without_targets, "targets"), (_won_by_the_first, "balance")],
)
def test_what_is_spoilt_in_all_games_is_worth_nothing(
    records: list[GameRecord], spoil: Callable[[GameRecord], GameRecord], term: str
) -> None:
    spoilt = quality([spoil(record) for record in records])
    assert getattr(spoilt, term) == 0.0
    others = {"decisive", "length", "starts", "targets", "balance"} - {term}
    assert all(getattr(spoilt, name) == getattr(quality(records), name) for name in others)


def test_games_that_begin_alike_count_once(records: list[GameRecord]) -> None:
    assert quality([records[0]] * 9 + records[1:4]).starts == pytest.approx(4 / 12)


def test_games_of_unusual_length_are_counted_out(records: list[GameRecord]) -> None:
    lengths = sorted(record.decisions for record in records)
    assert quality(records, usual=2.0 * lengths[-1] + 1).length == 0.0
    assert quality(records, usual=lengths[0] / 2.0 - 1).length == 0.0
    between = quality(records, usual=2.0 * lengths[5]).length
    assert between == pytest.approx(sum(length >= lengths[5] for length in lengths) / 12)


def test_targets_are_those_recorded_over_those_planned(records: list[GameRecord]) -> None:
    searched = [replace(record, values=np.full_like(record.values, 1 / 3)) for record in records]
    half = [replace(record, recorded=np.arange(record.decisions) % 2 == 0) for record in searched]
    assert quality(half).targets == pytest.approx(0.5, abs=0.01)
    assert quality(half, planned=0.5).targets == pytest.approx(1.0, abs=0.02)
    assert quality(half, planned=0.25).targets == 1.0


def test_several_batches_count_by_their_games() -> None:
    together = pooled([GOOD, replace(GOOD, games=30, starts=0.2)])
    assert (together.games, together.starts) == (40, pytest.approx(0.4))


def test_facts_come_back_and_a_missing_term_is_an_error() -> None:
    assert Quality.from_facts(GOOD.facts()) == GOOD
    for name in ("decisive", "starts", "games"):
        facts = GOOD.facts()
        del facts[name]
        with pytest.raises(DataError, match=f"quality without {name}: it is measured, never assumed"):
            Quality.from_facts(facts)
    with pytest.raises(DataError, match="length outside 0..1"):
        Quality.from_facts({**GOOD.facts(), "length": 1.2})
