"""Crashes: each asset of a config has a budget; what is no crash costs nothing; one config never harms another."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.errors import DagsterExecutionInterruptedError

from rr_assets import automation, liveness
from rr_assets.coordinator import PARTITION_TAG, writes_tag
from rr_assets.nodes import Gpu
from rr_engine.boards import CONFIGS
from rr_engine.settings import Settings
from rr_engine.stages import fleet, pauses, report
from tests.graph.nodes import ALERTS, FAIL, HEX, MACHINES, REFUSED, SQUARE, Node, crash, idle, machine, nothing


def test_a_crash_may_try_again_three_in_a_row_pause_and_a_success_resumes(
    node: Node, clock: Callable[[float], None]
) -> None:
    FAIL[HEX.key] = crash
    node.run(SQUARE)
    for crashes in (1, 2):
        node.run(HEX)
        node.tick(automation.budget_crashes)
        assert node.retries(HEX) == crashes - 1  # it waits first
        clock(60.0 * 2 ** (crashes - 1))
        told = node.tick(automation.budget_crashes).skip_message
        assert "hex8_2p may try games_db again" in told
        node.tick(automation.budget_crashes)
        assert node.retries(HEX) == crashes  # once per crash
    node.run(HEX)
    assert len(node.tick(automation.budget_crashes).run_requests) == 1  # of a plan that knows of the pause
    assert node.tick(automation.budget_crashes).run_requests == []
    pause = pauses.pause_of(node.vault, HEX)
    assert pause is not None
    assert pause.reason.startswith("3 crashes of games_db in a row, the last in run ")
    assert [f"hex8_2p pauses: {pause.reason}"] == ALERTS
    assert (pauses.pause_of(node.vault, SQUARE), node.retries(SQUARE), node.retries(HEX)) == (None, 0, 2)
    row = {row.config: row for row in fleet.plan_fleet(node.vault, Settings()).rows}[HEX.key]
    assert row.share == 0
    assert row.reason == f"rests: paused since {pause.since}: {pause.reason}"
    FAIL.clear()
    node.run(HEX)
    assert len(node.tick(automation.budget_crashes).run_requests) == 1
    assert pauses.pause_of(node.vault, HEX) is None
    assert {row.config: row for row in fleet.plan_fleet(node.vault, Settings()).rows}[HEX.key].grants


def test_each_asset_has_its_own_budget(node: Node) -> None:
    FAIL[f"checkpoint {HEX.key}"] = crash
    for _ in range(3):
        node.run(HEX, asset="checkpoint")
        node.run(HEX)  # games succeed in between
    node.tick(automation.budget_crashes)
    pause = pauses.pause_of(node.vault, HEX)
    assert pause is not None
    assert pause.reason.startswith("3 crashes of checkpoint in a row")
    node.run(HEX)  # what was under way ends
    node.tick(automation.budget_crashes)
    assert pauses.pause_of(node.vault, HEX) is not None
    FAIL.clear()
    node.run(HEX, asset="checkpoint")
    node.tick(automation.budget_crashes)
    assert pauses.pause_of(node.vault, HEX) is None


def test_who_is_interrupted_may_try_again_and_never_pauses(node: Node) -> None:
    def interrupt() -> None:
        raise DagsterExecutionInterruptedError

    FAIL[HEX.key] = interrupt
    for _ in range(4):
        with suppress(DagsterExecutionInterruptedError):
            node.run(HEX)
    assert {run.status for run in node.instance.get_runs()} == {dg.DagsterRunStatus.FAILURE}
    assert "hex8_2p may try games_db again" in node.tick(automation.budget_crashes).skip_message
    assert pauses.pause_of(node.vault, HEX) is None


def test_a_run_whose_process_died_has_crashed(node: Node, clock: Callable[[float], None]) -> None:
    tags = {PARTITION_TAG: HEX.key, writes_tag("games_db"): HEX.key}
    run = node.instance.create_run_for_job(nothing, tags=tags, status=dg.DagsterRunStatus.STARTED)
    assert node.tick(automation.budget_crashes).skip_message == "no crash to deal with"
    node.instance.report_run_failed(run, "its process is gone")
    clock(60)
    again = node.instance.create_run_for_job(nothing, tags=tags, status=dg.DagsterRunStatus.STARTED)
    assert node.tick(automation.budget_crashes).skip_message == "no crash to deal with"  # somebody is at it already
    node.instance.report_run_failed(again, "its process is gone")
    clock(120)
    assert "hex8_2p may try games_db again" in node.tick(automation.budget_crashes).skip_message


def test_games_of_a_config_that_rests_are_not_tried_again(
    node: Node, clock: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    FAIL[HEX.key] = crash
    node.run(HEX)
    clock(60)
    monkeypatch.setattr("rr_engine.vault.backends.LocalBackend.used_share", lambda _: 0.94)
    node.tick(automation.budget_crashes)
    assert node.retries(HEX) == 0
    monkeypatch.undo()
    monkeypatch.setattr(automation.time, "time", lambda: time.monotonic() + 1e10)
    node.tick(automation.budget_crashes)
    assert node.retries(HEX) == 1


def test_want_of_room_is_no_crash(node: Node, clock: Callable[[float], None], monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        node.vault.demand_room()

    monkeypatch.setattr("rr_engine.vault.backends.LocalBackend.used_share", lambda _: 0.93)
    FAIL[HEX.key] = full
    for _ in range(3):
        assert not node.run(HEX).success
    clock(60)
    node.tick(automation.budget_crashes)
    assert (pauses.pause_of(node.vault, HEX), node.retries(HEX), ALERTS) == (None, 0, [])
    monkeypatch.undo()
    monkeypatch.setattr(automation.time, "time", lambda: time.monotonic() + 1e10)
    node.tick(automation.budget_crashes)
    assert node.retries(HEX) == 1  # there is room again


def test_a_pause_that_a_full_disk_refuses_begins_when_there_is_room(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    FAIL[HEX.key] = FAIL[SQUARE.key] = crash
    for config in (HEX, SQUARE):
        for _ in range(3):
            node.run(config)
    with monkeypatch.context() as full:
        full.setattr("rr_engine.vault.backends.LocalBackend.used_share", lambda _: 0.97)
        assert "nothing can be written down" in node.tick(automation.budget_crashes).skip_message
        assert ALERTS == []
    for _ in range(2):
        node.tick(automation.budget_crashes)
    [told] = ALERTS
    assert [part.split(" pauses")[0] for part in told.split("; ")] == [HEX.key, SQUARE.key]
    assert all(pauses.pause_of(node.vault, config) for config in (HEX, SQUARE))


def test_a_damaged_config_rests_and_the_others_go_on(node: Node) -> None:
    pauses.pause(node.vault, HEX, "holidays", by="hand")
    [path] = (Path(node.vault.url) / "pause" / HEX.key).glob("*.card.json")
    path.write_text("{")
    rows = {row.config: row for row in fleet.plan_fleet(node.vault, Settings()).rows}
    assert rows[HEX.key].reason.startswith("rests: what is known of it cannot be read: ")
    assert rows[SQUARE.key].grants
    told = liveness.table(node.instance, node.vault, Settings(), CONFIGS, None)
    assert [row["waits_for"][:30] for row in told if row["config"] == HEX.key] == ["somebody who mends what cannot"]
    assert len([row for row in told if row["config"] == SQUARE.key]) == 6
    _, standings = report.make_leaderboard(node.vault, Settings(), told)
    assert {row["config"]: row["why"][:30] for row in standings}[HEX.key] == "rests: what is known of it can"
    MACHINES.append(machine(Gpu("idle", 0.0, 70.0, 80.0)))
    [request], _ = idle(node)
    assert request.partition_key != HEX.key
    assert HEX.key in node.tick(automation.budget_crashes).skip_message


def test_a_pause_ended_by_hand_is_not_begun_again_for_the_same_crash(node: Node) -> None:
    FAIL[HEX.key] = crash
    for _ in range(3):
        node.run(HEX)
    node.tick(automation.budget_crashes)
    assert pauses.pause_of(node.vault, HEX) is not None
    pauses.resume(node.vault, HEX, "mended", by="hand")
    for _ in range(2):
        node.tick(automation.budget_crashes)
        assert pauses.pause_of(node.vault, HEX) is None
        assert node.retries(HEX) == 1  # what had crashed is tried once more


def test_a_pause_by_hand_outlasts_successes(node: Node) -> None:
    pauses.pause(node.vault, HEX, "holidays", by="hand")
    node.run(HEX)
    node.tick(automation.budget_crashes)
    assert pauses.pause_of(node.vault, HEX) is not None


def test_a_failed_check_is_no_crash(node: Node, clock: Callable[[float], None]) -> None:
    REFUSED.add(HEX.key)
    for _ in range(4):
        assert not node.run(HEX).success
    clock(3600)
    assert node.tick(automation.budget_crashes).skip_message == "no crash to deal with"
    assert (pauses.pause_of(node.vault, HEX), node.retries(HEX), ALERTS) == (None, 0, [])
