"""Signals: real materialisations make a fact, a check or rating shows it, and the plan's row changes as written."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import dagster as dg
import numpy as np
import pytest

from rr_assets.coordinator import PARTITION_TAG, writes_tag
from rr_engine.boards import Config
from rr_engine.players.stored import champion_of
from rr_engine.records.record import GameRecord
from rr_engine.settings import load
from rr_engine.stages import candidate, curriculum, dataset, evaluations, fleet, games, rating
from rr_engine.training import report
from rr_engine.vault import Card, Vault
from tests.graph.conftest import LOOP, TINY, Loop

Failed = Callable[[dg.ExecuteInProcessResult], dict[str, str]]
HEX = Config.parse("hex8_2p")
LENIENT = {"ALPHA": "0.4", "BETA": "0.4", "ANCHOR_MARGIN": "0.9"}  # a gate that a handful of games can pass
POOR = {"GATE": "0.5", "THROTTLE_BELOW": "0.8", "RECOVER_AT": "0.85"}  # games without targets lie between the first two


def row(loop: Loop) -> dict[str, Any]:
    """The row of HEX in a plan made now, and kept."""
    assert loop.materialize("selfplay_plan").success
    return dict(fleet.newest_plan(loop.vault)[HEX.key])


def ordered(loop: Loop) -> dict[str, Any]:
    """What the newest self-play run was told."""
    return dict(loop.vault.claims(HEX.key)[-1].facts["order"])


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


@pytest.fixture
def scores(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Matches end as this says: name of the opponent's result -> share that is won. Others end as they are played."""
    wanted: dict[str, float] = {}
    honest, names = rating.play_match, rating._Evening.play

    def played(*args: Any, **kwargs: Any) -> Any:
        result = honest(*args, **kwargs)
        share = wanted.get(current[0])
        if share is None:
            return result
        won = round(share * result.games)
        return replace(result, played=tuple(replace(game, won=n < won) for n, game in enumerate(result.played)))

    current = [""]

    def named(evening: Any, name: str, *args: Any, **kwargs: Any) -> None:
        current[0] = name
        names(evening, name, *args, **kwargs)
        current[0] = ""

    duels = rating._Evening.duel

    def duel(evening: Any, *args: Any, **kwargs: Any) -> Any:
        current[0] = "champion"
        ruling = duels(evening, *args, **kwargs)
        current[0] = ""
        return ruling

    monkeypatch.setattr(rating, "play_match", played)
    monkeypatch.setattr(rating._Evening, "play", named)
    monkeypatch.setattr(rating._Evening, "duel", duel)
    return wanted


def test_a_refused_dataset_trains_nobody_and_brings_more_games(
    loop: Loop, failed_checks: Failed, without_targets: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in POOR:
        monkeypatch.setenv(f"RR_QUALITY__{name}", "0.8")
    usual = row(loop)["share"]
    for refused, times in ((1, 1.5), (2, 2.0), (3, 2.0)):
        result = loop.materialize("games_db", "npz_dataset", "checkpoint", config=HEX.key)
        assert not result.success
        said = failed_checks(result)["quality_passes_the_gate"]
        assert said.endswith("is below 0.8, most of all targets 0.00")
        assert not loop.vault.cards(candidate.KIND, HEX.key)
        planned = row(loop)
        assert f"share x{times:g}, {refused} refused in a row: {said}" in planned["reason"]
        assert planned["share"] > usual or refused == 1
        assert planned["grants"]  # once for each dataset that was refused
        assert not row(loop)["grants"]
    monkeypatch.setenv("RR_QUALITY__GATE", "0.5")
    assert "refused" not in row(loop)["reason"]


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
    assert len(dataset.unready(bare.facts, loop.settings.dataset)) == 3
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


def test_old_data_is_refused_and_asks_for_games(
    loop: Loop, failed_checks: Failed, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert loop.materialize("games_db", config=HEX.key).success
    monkeypatch.setenv("RR_DATASET__FRESH_HOURS", "0")
    result = loop.materialize("npz_dataset", config=HEX.key)
    assert "its newest game is 0.0 h old, 0 are allowed" in failed_checks(result)["data_is_fresh"]
    fresh = row(loop)
    monkeypatch.setenv("RR_PLAN__STALE_HOURS", "0.0000001")
    old = row(loop)
    assert "staleness 1.00" in old["reason"]
    assert old["priority"] > fresh["priority"]


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


def test_a_candidate_far_behind_is_left_and_training_starts_from_the_champion(
    loop: Loop, failed_checks: Failed, scores: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RR_REGRESSION__GAMES", "4")
    assert loop.materialize(*LOOP, config=HEX.key).success
    first = candidate.newest_candidate(loop.vault, HEX).sha256
    scores["champion"] = 0.0
    result = loop.materialize(*LOOP, config=HEX.key)
    assert result.success
    assert failed_checks(result)["candidate_is_no_regression"].endswith("games: critical")
    champion = champion_of(loop.vault, HEX)
    assert champion is not None
    assert champion.card.sha256 == first
    assert loop.materialize("games_db", "npz_dataset", "checkpoint", config=HEX.key).success
    assert candidate.newest_candidate(loop.vault, HEX).facts["started_from"] == first


def test_a_champion_that_fails_when_met_again_gives_way_and_self_play_uses_the_one_before(
    loop: Loop, failed_checks: Failed, scores: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr("rr_assets.resources.AlertResource.send", lambda _, text, *__: told.append(text))
    monkeypatch.setenv("RR_REGRESSION__GAMES", "4")
    for name, value in LENIENT.items():
        monkeypatch.setenv(f"RR_GATE__{name}", value)
    scores |= {"heuristic": 1.0, "champion": 1.0, "champion-heuristic": 1.0}
    for _ in range(2):
        assert loop.materialize(*LOOP, config=HEX.key).success
    first, second = loop.vault.pointers(HEX.key)
    assert first.sha256 != second.sha256
    scores |= {"champion": 0.5, evaluations.AGAIN: 0.0, "heuristic": 0.5}
    result = loop.materialize(*LOOP, config=HEX.key)
    assert result.success
    pointer = loop.vault.pointers(HEX.key)[-1]
    assert (pointer.number, pointer.sha256, pointer.facts["rolled_back"]) == (2, first.sha256, second.sha256)
    assert "Elo against its predecessor" in pointer.facts["reason"]
    assert told[-1] == f"hex8_2p was rolled back: {pointer.facts['reason']}"
    [event] = [e for e in result.get_asset_materialization_events() if e.asset_key.to_user_string() == "champion"]
    assert event.materialization.metadata["decision"].value == "rolled back"
    assert loop.materialize("games_db", config=HEX.key).success
    assert games.newest_batch(loop.vault, HEX)[-1].parents == (first.sha256,)
    assert loop.materialize("elo", "champion", config=HEX.key).success  # the one rolled back is no predecessor
    assert loop.vault.pointers(HEX.key)[-1].number == 2


def test_a_mastered_opponent_gives_way_to_the_next(loop: Loop, scores: dict[str, float]) -> None:
    scores |= {"random": 1.0, "greedy": 0.5}
    assert loop.materialize(*LOOP, config=HEX.key).success
    state = curriculum.curriculum_of(loop.vault, HEX)
    assert (state.opponent, state.weight) == ("greedy", pytest.approx(0.9))
    planned = row(loop)
    assert planned["opponent"] == "greedy"
    assert "curriculum 0." in planned["reason"]
    assert loop.materialize("games_db", config=HEX.key).success
    assert ordered(loop)["opponent"] == "greedy"


def test_a_stall_explores_more_until_somebody_is_promoted(
    loop: Loop, scores: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RR_CURRICULUM__STALL_EVALUATIONS", "2")
    for name, value in LENIENT.items():
        monkeypatch.setenv(f"RR_GATE__{name}", value)
    scores["champion"] = 0.5
    usual = row(loop)["temperature"]
    for _ in range(3):  # the first is promoted, two are not
        assert loop.materialize(*LOOP, config=HEX.key).success
    planned = row(loop)
    assert planned["temperature"] == pytest.approx(1.3 * usual)
    assert "temperature x1.30" in planned["reason"]
    assert loop.materialize("games_db", config=HEX.key).success
    assert ordered(loop)["temperature"] == pytest.approx(1.3 * usual)
    scores |= {"champion": 1.0, "heuristic": 1.0, "champion-heuristic": 0.5}
    assert loop.materialize(*LOOP, config=HEX.key).success
    assert row(loop)["temperature"] == pytest.approx(1.3 * 0.9 * usual)


def test_a_config_that_met_its_target_rests(
    loop: Loop, scores: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    scores["heuristic"] = 1.0
    assert loop.materialize(*LOOP, config=HEX.key).success
    assert row(loop)["share"] > 0
    monkeypatch.setenv("RR_PLAN__TARGET_WIN_RATE", "0.4")
    planned = row(loop)
    assert (planned["share"], planned["grants"]) == (0.0, False)
    assert planned["reason"].startswith("rests: target met: 100.0% against the heuristic")


def test_games_that_were_granted_and_never_came_are_granted_again(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    assert row(loop)["granted"] == "start"
    assert not row(loop)["grants"]
    monkeypatch.setenv("RR_PLAN__STUCK_HOURS", "0")
    again = row(loop)
    assert (again["grants"], again["granted"]) == (True, "start")
    tags = {PARTITION_TAG: HEX.key, writes_tag("games_db"): HEX.key}
    run = loop.instance.create_run_for_job(_nothing, tags=tags, status=dg.DagsterRunStatus.NOT_STARTED)
    assert not row(loop)["grants"]  # its games may still come
    loop.instance.report_run_canceled(run)
    assert row(loop)["grants"]
    assert loop.materialize("games_db", config=HEX.key).success
    monkeypatch.setenv("RR_PLAN__STUCK_HOURS", "1")
    assert not row(loop)["grants"]


@dg.job
def _nothing() -> None:
    pass


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
