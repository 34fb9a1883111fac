"""Runs in a cluster: they land where they belong, wait where nobody takes them, and turn the loop."""

from itertools import pairwise

import dagster as dg

from benchmarks.running import Running
from benchmarks.soak import SETTINGS, WORKERS
from rr_assets import liveness
from rr_assets.coordinator import run_tags
from rr_assets.nodes import code_version
from rr_engine.boards import Config
from rr_engine.settings import load
from rr_engine.stages import pauses
from tests.graph.conftest import LOOP

HEX = Config.parse("hex8_2p")
S = dg.DagsterRunStatus


def test_cluster_turns_the_loop_and_every_run_lands_where_it_belongs(cluster: Running) -> None:
    pauses.resume(cluster.vault, HEX, "its turn", by="hand")
    cluster.launch("selfplay_plan")

    def has_come_round() -> bool:
        return all(_made(cluster, asset) for asset in LOOP) and _made(cluster, "games_db") >= 2

    cluster.wait(has_come_round, 240)
    runs = cluster.instance.get_run_records(dg.RunsFilter(statuses=[S.SUCCESS]))
    for record in runs:
        tags = record.dagster_run.tags
        is_training, is_games = "rr/writes/checkpoint" in tags, "rr/writes/games_db" in tags
        lane = "gpu" if is_training or is_games else "cpu"
        assert (tags["rr/lane"], tags["dagster-celery/queue"]) == (lane, lane)
        worker = tags["rr/worker"].partition("@")[0]
        assert worker in (("gpu1", "gpu2") if is_training else ("gpu1", "gpu2", "gpu3") if is_games else ("cpu",))
    for name in ("gpu1", "gpu2", "gpu3"):
        mine = sorted(
            (record.start_time, record.end_time)
            for record in runs
            if record.dagster_run.tags["rr/worker"].startswith(f"{name}@")
        )
        assert all(first_end <= second_start for (_, first_end), (second_start, _) in pairwise(mine))


def _made(cluster: Running, asset: str) -> int:
    wanted = dg.AssetRecordsFilter(dg.AssetKey(asset), asset_partitions=[HEX.key])
    return len(cluster.instance.fetch_materializations(wanted, limit=10).records)


def test_cluster_run_waits_while_nobody_takes_it(cluster: Running) -> None:
    cluster.trial.stop("gpu1")
    cluster.trial.stop("gpu2")
    cluster.wait(lambda: len(cluster.nodes()) == 2, 30)
    training = cluster.launch("checkpoint", HEX.key)  # gpu3 is there for games alone
    games = cluster.launch("games_db", HEX.key)
    assert cluster.wait_ended(games) is S.SUCCESS
    assert cluster.worker_of(games) == "gpu3"
    assert cluster.status(training) is S.QUEUED
    cluster.trial.start("gpu1")
    cluster.wait(lambda: cluster.status(training) is not S.QUEUED, 120)
    assert cluster.wait_ended(training) is S.SUCCESS
    assert cluster.worker_of(training) == "gpu1"
    assert cluster.run(training).dagster_run.tags.items() >= run_tags({"checkpoint"}, HEX.key).items()


def test_cluster_says_who_works_and_why_a_run_waits(cluster: Running) -> None:
    told = {row["worker"].partition("@")[0]: row for row in liveness.nodes_table(cluster.instance)}
    assert {name: row["role"] for name, row in told.items()} == WORKERS | {"cpu": "coordinator"}
    assert told["gpu1"]["takes"] == "training of 12 configs, selfplay of 12 configs"
    assert told["gpu3"]["takes"] == "selfplay of 12 configs"
    assert told["cpu"]["runs"] == "0 of 2"
    assert {row["code"] for row in told.values()} == {code_version()}
    for name in ("gpu1", "gpu2", "gpu3"):
        cluster.trial.stop(name)
    cluster.wait(lambda: [node.lane for node in cluster.nodes()] == ["cpu"], 30)
    games = cluster.launch("games_db", HEX.key)
    cluster.wait(lambda: cluster.status(games) is S.QUEUED, 30)
    rows = liveness.table(cluster.instance, cluster.vault, load(SETTINGS), [HEX])
    assert rows[0]["waits_for"] == f"run {games} queued: no worker of lane gpu is alive"
