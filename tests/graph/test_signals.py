"""Signals: real materialisations make a fact, a check or rating shows it, and the plan's row changes as written."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import dagster as dg
import numpy as np
import pytest

from rr_assets.coordinator import PARTITION_TAG, writes_tag
from rr_engine.records.record import GameRecord
from rr_engine.settings import load
from rr_engine.stages import candidate, dataset, fleet, games
from rr_engine.training import report
from rr_engine.vault import Card, Vault
from tests.graph.conftest import HEX, TINY, Loop, ordered, row
from tests.graph.nodes import nothing

Failed = Callable[[dg.ExecuteInProcessResult], dict[str, str]]
POOR = {"GATE": "0.5", "THROTTLE_BELOW": "0.8", "RECOVER_AT": "0.85"}  # games without targets lie between the first two


@pytest.fixture
def without_targets(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Self-play that records no policy."""
    honest = games.play_games

    def silent(*args: Any, **kwargs: Any) -> Iterator[list[GameRecord]]:
        for shard in honest(*args, **kwargs):
            yield [replace(record, recorded=np.zeros(record.decisions, bool)) for record in shard]

    with monkeypatch.context() as patch:
        patch.setattr(games, "play_games", silent)
        yield


def test_a_refused_dataset_trains_nobody_and_brings_more_games(
    loop: Loop, failed_checks: Failed, without_targets: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in POOR:
        monkeypatch.setenv(f"RR_QUALITY__{name}", "0.8")
    for refused, times in ((1, 1.5), (2, 2.0), (3, 2.0)):
        result = loop.materialize("games_db", "npz_dataset", "checkpoint", config=HEX.key)
        assert not result.success
        said = failed_checks(result)["quality_passes_the_gate"]
        assert said.endswith("is below 0.8, most of all targets 0.00")
        assert not loop.vault.cards(candidate.KIND, HEX.key)
        planned = row(loop)
        assert f"share x{times:g}, {refused} refused in a row: {said}" in planned["reason"]
        assert planned["grants"]  # once for each dataset that was refused
        assert not row(loop)["grants"]
        with monkeypatch.context() as patch:
            patch.setenv("RR_QUALITY__GATE", "0.5")
            sound = row(loop)
        assert "refused" not in sound["reason"]
        assert planned["share"] == pytest.approx(times * sound["share"], rel=0.01)


def _keep_again(vault: Vault, card: Card, facts: dict[str, Any]) -> Card:
    """The same artefact with other facts on a newer card."""
    return vault.put(
        card.kind,
        card.config,
        vault.get(card),
        suffix=card.suffix,
        producer="test",
        rows=card.rows,
        schema_version=card.schema_version,
        facts=facts,
    )


def test_what_was_not_measured_is_refused_and_brings_games(loop: Loop) -> None:
    assert loop.materialize("games_db", "npz_dataset", config=HEX.key).success
    [shard, *_] = games.newest_batch(loop.vault, HEX)
    data = dataset.newest_dataset(loop.vault, HEX)
    bare = _keep_again(loop.vault, data, {"games_made": data.facts["games_made"]})
    assert [problem for problem in dataset.blocked(bare, loop.settings) if "measured" in problem] == [
        "problems was not measured",
        "samples_by_seat was not measured",
        "newest_hours was not measured",
        "generation_lag was not measured",
        "quality without games, decisive, length, starts, targets, balance: it is measured, never assumed",
    ]
    assert len(dataset.unready(bare.facts, loop.settings.dataset)) == 4
    planned = row(loop)
    assert "share x1.5, 1 refused in a row: problems was not measured" in planned["reason"]
    assert planned["grants"]
    result = loop.materialize("checkpoint", config=HEX.key)  # by hand
    assert not result.success
    old = _keep_again(loop.vault, shard, {name: shard.facts[name] for name in shard.facts if name != "quality"})
    assert loop.materialize("games_db", "npz_dataset", config=HEX.key).success
    [refused] = dataset.newest_dataset(loop.vault, HEX).facts["refused"]
    assert refused["shard"] == old.sha256
    assert "quality without games" in refused["why"]


def test_poor_games_are_followed_by_fewer_and_better_ones(
    loop: Loop, failed_checks: Failed, without_targets: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in POOR.items():
        monkeypatch.setenv(f"RR_QUALITY__{name}", value)
    monkeypatch.setenv("RR_SELFPLAY__GAMES", "0")
    simulations = load(TINY).selfplay.simulations
    usual = row(loop)
    result = loop.materialize("games_db", "npz_dataset", config=HEX.key)
    assert result.success  # it only warns
    assert "targets 0.00" in failed_checks(result)["quality_is_high"]
    assert ordered(loop)["simulations"] == simulations
    planned = row(loop)
    assert planned["throttled"]
    assert "1/2 of the games at 2 times the simulations" in planned["reason"]
    assert "weight 0." in planned["reason"]
    assert planned["games"] / planned["share"] == pytest.approx(usual["games"] / usual["share"] / 2, rel=0.2)
    assert loop.materialize("games_db", config=HEX.key).success
    told = ordered(loop)
    assert (told["games"], told["simulations"]) == (planned["games"], 2 * simulations)


def test_waiting_for_samples_is_no_failure(loop: Loop, failed_checks: Failed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RR_DATASET__MIN_NEW_SAMPLES", "100000")
    result = loop.materialize("games_db", "npz_dataset", config=HEX.key)
    assert result.success
    assert failed_checks(result)["trainable"].endswith(" new samples of 100000")
    assert "deficit" in row(loop)["reason"]
    monkeypatch.setenv("RR_DATASET__MIN_NEW_SAMPLES", "50")
    assert failed_checks(loop.materialize("npz_dataset", "checkpoint", config=HEX.key)) == {}
    result = loop.materialize("npz_dataset", config=HEX.key)  # nothing is new any more
    assert failed_checks(result)["trainable"] == "0 new samples of 50"


def test_a_training_under_way_counts_as_one_that_took_its_samples(
    loop: Loop, failed_checks: Failed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RR_DATASET__MIN_NEW_SAMPLES", "50")
    assert "trainable" not in failed_checks(loop.materialize("games_db", "npz_dataset", config=HEX.key))
    tags = {PARTITION_TAG: HEX.key, writes_tag("checkpoint"): HEX.key}
    run = loop.instance.create_run_for_job(nothing, tags=tags, status=dg.DagsterRunStatus.NOT_STARTED)
    result = loop.materialize("npz_dataset", config=HEX.key)  # it will have these
    assert failed_checks(result)["trainable"] == "0 new samples of 50"
    loop.instance.report_dagster_event(dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, "nothing"), run.run_id)
    made = loop.materialize("games_db", "npz_dataset", config=HEX.key)
    again = loop.materialize("npz_dataset", config=HEX.key)  # still those since it began
    assert "trainable" not in failed_checks(made) | failed_checks(again)
    loop.instance.report_run_failed(run)
    assert "trainable" not in failed_checks(loop.materialize("npz_dataset", config=HEX.key))


def test_samples_that_were_seen_often_enough_wait_for_more(
    loop: Loop, failed_checks: Failed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RR_DATASET__MIN_NEW_SAMPLES", "1")
    monkeypatch.setenv("RR_DATASET__MAX_REPLAY_RATIO", "1.5")
    assert loop.materialize("games_db", "npz_dataset", "checkpoint", config=HEX.key).success
    result = loop.materialize("npz_dataset", config=HEX.key)
    assert "one more pass would exceed 1.5" in failed_checks(result)["trainable"]


def test_who_sets_a_number_for_one_run_gets_it_times_what_the_plan_says(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = row(loop)
    monkeypatch.setenv("RR_SELFPLAY__SIMULATIONS", "7")
    monkeypatch.setenv("RR_SELFPLAY__TEMPERATURE", "0.5")
    assert planned["simulations"] != 7
    assert loop.materialize("games_db", config=HEX.key).success
    assert (ordered(loop)["simulations"], ordered(loop)["temperature"]) == (7, 0.5)


def test_old_data_is_refused_and_asks_for_games(
    loop: Loop, failed_checks: Failed, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert loop.materialize("games_db", config=HEX.key).success
    monkeypatch.setenv("RR_DATASET__FRESH_HOURS", "0")
    result = loop.materialize("npz_dataset", config=HEX.key)
    assert "its newest game is 0.0 h old, 0 are allowed" in failed_checks(result)["data_is_fresh"]
    refused = row(loop)
    assert "share x1.5, 1 refused in a row: its newest game is" in refused["reason"]
    assert refused["grants"]
    monkeypatch.setenv("RR_DATASET__FRESH_HOURS", "24")
    fresh = row(loop)
    assert refused["share"] == pytest.approx(1.5 * fresh["share"], rel=0.01)
    monkeypatch.setenv("RR_PLAN__STALE_HOURS", "0.0000001")
    old = row(loop)
    assert "staleness 1.00" in old["reason"]
    assert (old["priority"] > fresh["priority"], old["share"] > fresh["share"]) == (True, True)


def test_an_unusual_loss_measures_the_input_again_and_the_plan_takes_that(
    loop: Loop, failed_checks: Failed, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert loop.materialize("games_db", "npz_dataset", config=HEX.key).success
    good = dataset.newest_dataset(loop.vault, HEX).facts["quality"]
    honest = games.quality.measure
    monkeypatch.setattr(games.quality, "measure", lambda *a, **k: replace(honest(*a, **k), starts=0.25))
    monkeypatch.setattr(report, "is_anomalous", lambda *_: True)
    result = loop.materialize("checkpoint", config=HEX.key)
    assert result.success  # it only warns
    assert "stand out; the input, measured again, has quality" in failed_checks(result)["losses_are_usual"]
    again = candidate.newest_candidate(loop.vault, HEX).facts["input_quality"]
    assert again["score"] == pytest.approx(good["score"] - 0.25 * (good["starts"] - 0.25), abs=1e-5)
    assert f"at quality {again['score']:.2f}" in row(loop)["reason"]


def test_games_that_were_granted_and_never_came_are_granted_again(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    assert row(loop)["granted"] == "start"
    assert not row(loop)["grants"]
    monkeypatch.setenv("RR_PLAN__STUCK_HOURS", "0")
    again = row(loop)
    assert (again["grants"], again["granted"]) == (True, "start")
    tags = {PARTITION_TAG: HEX.key, writes_tag("games_db"): HEX.key}
    run = loop.instance.create_run_for_job(nothing, tags=tags, status=dg.DagsterRunStatus.NOT_STARTED)
    assert not row(loop)["grants"]  # its games may still come
    loop.instance.report_run_canceled(run)
    assert row(loop)["grants"]
    assert loop.materialize("games_db", config=HEX.key).success
    monkeypatch.setenv("RR_PLAN__STUCK_HOURS", "1")
    assert not row(loop)["grants"]


def test_a_plan_lets_games_start_by_an_event_for_each_config_that_may(loop: Loop) -> None:
    def granted() -> list[str]:
        wanted = dg.AssetRecordsFilter(dg.AssetKey("selfplay_budget"))
        found = loop.instance.fetch_materializations(wanted, limit=100).records
        return sorted(str(record.partition_key) for record in found)

    assert row(loop)["grants"]
    everyone = sorted(fleet.newest_plan(loop.vault))
    assert granted() == everyone
    row(loop)
    assert granted() == everyone  # nothing happened since
    assert loop.materialize("games_db", "npz_dataset", config=HEX.key).success
    assert row(loop)["grants"]
    assert granted() == sorted([*everyone, HEX.key])
