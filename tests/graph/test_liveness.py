"""What every config does, or why it does nothing: told for every asset, at every step of the loop."""

import json
from contextlib import nullcontext

import dagster as dg
import pytest
from typer.testing import CliRunner

from rr_assets import liveness
from rr_assets.coordinator import writes_tag
from rr_engine.boards import CONFIGS
from rr_engine.cli import app as rr
from rr_engine.stages import pauses
from tests.graph.conftest import HEX, LOOP, Loop
from tests.graph.nodes import nothing


def waits(loop: Loop) -> dict[str, str]:
    """asset -> what it waits for."""
    rows = liveness.table(loop.instance, loop.vault, loop.settings, [HEX], None)
    return {row["asset"]: row["waits_for"] for row in rows}


def last(loop: Loop, asset: str) -> str:
    rows = liveness.table(loop.instance, loop.vault, loop.settings, [HEX], None)
    return next(row["last_event"] for row in rows if row["asset"] == asset)


def test_each_asset_says_what_it_waits_for_at_every_step(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = {
        "games_db": "the first plan",
        "npz_dataset": "new games, the first",
        "checkpoint": "a dataset, the first",
        "elo": "a new candidate, the first",
        "champion": "a new evaluation, the first",
        "curriculum": "a new evaluation, the first",
    }
    assert waits(loop) == nothing
    assert loop.materialize("selfplay_plan").success
    assert waits(loop) == {**nothing, "games_db": "due"}
    assert loop.materialize("games_db", config=HEX.key).success
    assert waits(loop) | {"games_db": "", "npz_dataset": ""} == {**nothing, "games_db": "", "npz_dataset": ""}
    assert waits(loop)["games_db"] == "a dataset that takes the newest games"
    assert waits(loop)["npz_dataset"] == "due"
    assert loop.materialize("npz_dataset", config=HEX.key).success
    told = waits(loop)
    assert (told["games_db"], told["npz_dataset"], told["checkpoint"]) == ("the plan's go-ahead", "new games", "due")
    assert loop.materialize("checkpoint", config=HEX.key).success
    told = waits(loop)
    assert (told["checkpoint"], told["elo"], told["champion"]) == (
        "a new dataset",
        "due",
        "a new evaluation, the first",
    )
    assert loop.materialize("elo", "champion", "curriculum", config=HEX.key).success
    told = waits(loop)
    assert (told["elo"], told["champion"], told["curriculum"]) == (
        "a new candidate",
        "a new evaluation",
        "a new evaluation",
    )
    assert {last(loop, asset) for asset in LOOP} == {"materialised"}


def test_a_dataset_that_is_refused_or_too_small_is_named(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RR_DATASET__MIN_NEW_SAMPLES", "100000")
    assert loop.materialize("games_db", "npz_dataset", config=HEX.key).success
    assert waits(loop)["checkpoint"].endswith(" new samples of 100000")
    monkeypatch.setenv("RR_DATASET__FRESH_HOURS", "0")
    loop.settings = liveness.load()
    assert "its newest game is" in waits(loop)["checkpoint"]


def test_a_pause_shows_and_goes_by_command(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RR_VAULT", loop.vault.url)
    assert loop.materialize("selfplay_plan").success
    paused = CliRunner().invoke(rr, ["pause", HEX.key, "the node is away"])
    assert paused.exit_code == 0
    assert waits(loop)["games_db"].endswith(": the node is away")
    resumed = CliRunner().invoke(rr, ["resume", HEX.key])
    assert "the node is away" in resumed.stdout
    assert pauses.pause_of(loop.vault, HEX) is None
    again = CliRunner().invoke(rr, ["resume", HEX.key])
    assert (again.exit_code, again.stderr) == (1, "hex8_2p is not paused\n")


def test_runs_under_way_and_runs_that_failed_show(loop: Loop) -> None:
    tags = {writes_tag("npz_dataset"): HEX.key, "dagster/partition": HEX.key}
    run = loop.instance.create_run_for_job(nothing, tags=tags, status=dg.DagsterRunStatus.NOT_STARTED)
    assert waits(loop)["npz_dataset"] == f"run {run.run_id} starting"
    later = loop.instance.create_run_for_job(nothing, tags=tags, status=dg.DagsterRunStatus.NOT_STARTED)
    loop.instance.report_run_failed(later)
    assert waits(loop)["npz_dataset"] == f"run {run.run_id} starting"  # the one before is still to come
    loop.instance.report_run_failed(run)
    assert last(loop, "npz_dataset") == f"run {later.run_id} failed"
    result = loop.materialize("checkpoint", config=HEX.key)  # started directly: the coordinator has not tagged it
    assert not result.success
    assert last(loop, "checkpoint") == f"run {result.run_id} failed"


def test_the_command_lists_every_config(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RR_VAULT", loop.vault.url)
    monkeypatch.setattr(liveness.dg.DagsterInstance, "get", lambda: nullcontext(loop.instance))
    told = CliRunner().invoke(liveness.app, ["--json"])
    assert told.exit_code == 0
    rows = [json.loads(line) for line in told.stdout.splitlines()]
    assert [(row["config"], row["asset"]) for row in rows] == [(c.key, asset) for c in CONFIGS for asset in LOOP]
    shown = CliRunner().invoke(liveness.app, ["--config", HEX.key])
    assert len(shown.stdout.splitlines()) == 1 + len(LOOP)
    wrong = CliRunner().invoke(liveness.app, ["--config", "hex9_2p"])
    assert "hex9_2p" in str(wrong.exception)
