"""Runs in a cluster: they land on workers that are there for them, and are noticed when their worker vanishes."""

import dagster as dg

from benchmarks.running import Running
from benchmarks.soak import WORKERS
from rr_assets import liveness
from rr_assets.coordinator import LOST_TAG, WORK_TAG, run_tags
from rr_assets.nodes import code_version
from rr_engine.boards import Config
from rr_engine.stages.candidate import STATE_KIND

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


def test_cluster_training_goes_to_a_trainer_and_is_noticed_when_that_vanishes(cluster: Running) -> None:
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
