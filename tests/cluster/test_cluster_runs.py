"""Runs in a cluster: they wait where nobody takes them, say why, and go on where a vanished worker left them."""

import dagster as dg

from benchmarks.running import Running
from benchmarks.soak import SETTINGS, WORKERS
from rr_assets import liveness
from rr_assets.coordinator import LOST_TAG, WORK_TAG, run_tags
from rr_assets.nodes import code_version
from rr_engine.boards import Config
from rr_engine.settings import load
from rr_engine.stages.candidate import STATE_KIND, newest_candidate

HEX = Config.parse("hex8_2p")
S = dg.DagsterRunStatus
TRAININGS = dg.RunsFilter(tags={WORK_TAG: f"training.{HEX.key}"})


def test_cluster_says_who_works(cluster: Running) -> None:
    told = {row["worker"].partition("@")[0]: row for row in liveness.nodes_table(cluster.instance)}
    assert {name: row["role"] for name, row in told.items()} == WORKERS | {"cpu": "coordinator"}
    assert told["gpu1"]["takes"] == "training of 12 configs, selfplay of 12 configs"
    assert told["gpu3"]["takes"] == "selfplay of 12 configs"
    assert told["cpu"]["runs"] == "0 of 2"
    assert {row["code"] for row in told.values()} == {code_version()}


def test_cluster_training_waits_for_a_trainer_and_goes_on_where_a_lost_one_was(cluster: Running) -> None:
    cluster.trial.stop("gpu2")
    for asset in ("games_db", "npz_dataset"):
        assert cluster.wait_ended(cluster.launch(asset, HEX.key)) is S.SUCCESS
    cluster.wait(lambda: cluster.vault.cards(STATE_KIND, HEX.key), 60)  # the platform trains by itself
    lost = cluster.instance.get_runs(TRAININGS)[0].run_id
    assert cluster.worker_of(lost) == "gpu1"
    assert cluster.run(lost).dagster_run.tags.items() >= run_tags({"checkpoint"}, HEX.key).items()
    cluster.kill("gpu1")
    cluster.trial.stop("gpu1")
    games = cluster.launch("games_db", "square8_2p")  # gpu3 plays, and does not train
    assert cluster.wait_ended(games) is S.SUCCESS
    assert cluster.worker_of(games) == "gpu3"
    assert cluster.wait_ended(lost) is S.FAILURE
    assert LOST_TAG in cluster.run(lost).dagster_run.tags
    cluster.wait(lambda: len(cluster.instance.get_runs(TRAININGS)) == 2, 150)  # it asks again, by itself
    again = cluster.instance.get_runs(TRAININGS)[0]
    cluster.wait(lambda: cluster.status(again.run_id) is S.QUEUED, 30)
    row = next(
        row
        for row in liveness.table(cluster.instance, cluster.vault, load(SETTINGS), [HEX])
        if row["asset"] == "checkpoint"
    )
    assert row["waits_for"].startswith(f"run {again.run_id} queued: no worker takes training.hex8_2p")
    cluster.trial.start("gpu1")
    assert cluster.wait_ended(again.run_id, 180) is S.SUCCESS
    assert newest_candidate(cluster.vault, HEX).facts["resumed_at_step"] > 0
