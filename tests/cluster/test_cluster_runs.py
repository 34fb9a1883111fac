"""Runs in a cluster: they land on workers that are there for them, and are noticed when their worker vanishes."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import sqlalchemy

from benchmarks.running import Running
from benchmarks.served import ROOT
from benchmarks.soak import SETTINGS, WORKERS
from rr_assets import liveness
from rr_assets.coordinator import LOST_TAG, run_tags
from rr_assets.nodes import code_version
from rr_engine.boards import Config
from rr_engine.settings import load
from rr_engine.stages import candidate, dataset, games

HEX, OTHER = Config.parse("hex8_2p"), Config.parse("square8_3p")
S = dg.DagsterRunStatus
LONG = {"passes": 40, "patience": 40}


def test_cluster_says_who_works(cluster: Running) -> None:
    told = _workers(cluster)
    assert {name: row["role"] for name, row in told.items()} == WORKERS | {"cpu": "coordinator"}
    assert told["gpu1"]["takes"] == "training of 12 configs, selfplay of 12 configs"
    assert told["gpu3"]["takes"] == "selfplay of 12 configs"
    assert told["cpu"]["runs"] == "0 of 4"
    assert {row["code"] for row in told.values()} == {code_version()}


def test_cluster_run_waits_until_a_worker_with_this_code_is_alive(cluster: Running, tmp_path: Path) -> None:
    for name in WORKERS:
        cluster.trial.stop(name)
    run = cluster.launch("games_db", HEX.key)
    cluster.wait(lambda: _told_of(cluster, run) == f"run {run} queued: no worker of lane gpu is alive", 30)
    with _worker_on_other_code(cluster, tmp_path):
        cluster.wait(lambda: _told_of(cluster, run) == f"run {run} queued: all workers of lane gpu have other code", 60)
        cluster.wait(lambda: _workers(cluster).get("other", {}).get("takes") == "nothing: it has other code", 30)
        assert cluster.status(run) is S.QUEUED
        cluster.trial.start("gpu3")
        assert cluster.wait_ended(run) is S.SUCCESS
        assert cluster.worker_of(run) == "gpu3"


def test_cluster_database_is_asked_by_a_connection_that_is_kept(cluster: Running) -> None:
    def ask(question: str) -> Any:
        with cluster.instance.run_storage.connect() as connection:
            return connection.execute(sqlalchemy.text(question)).scalar()

    kept = ask("select pg_backend_pid()")
    assert ask("select pg_backend_pid()") == kept
    with cluster.instance.event_log_storage.index_connection() as connection:
        connection.execute(sqlalchemy.text(f"select pg_terminate_backend({kept})"))
    assert ask("select pg_backend_pid()") != kept


def _workers(cluster: Running) -> dict[str, dict[str, Any]]:
    """What the page says of each worker."""
    return {row["worker"].partition("@")[0]: row for row in liveness.nodes_table(cluster.nodes())}


def _told_of(cluster: Running, run: str) -> str:
    """What the page says that games wait for, when it is this run."""
    rows = liveness.table(cluster.instance, cluster.vault, load(SETTINGS), [HEX], cluster.nodes())
    return next((row["waits_for"] for row in rows if run in row["waits_for"]), "")


@contextmanager
def _worker_on_other_code(cluster: Running, folder: Path) -> Iterator[None]:
    """A worker of lane gpu whose copy of the project is not the coordinator's."""
    for package in ("rr_assets", "rr_engine"):
        shutil.copytree(ROOT / package, folder / package)
    shutil.copy(ROOT / "pyproject.toml", folder)
    with (folder / "rr_engine" / "__init__.py").open("a") as file:
        file.write("# later\n")
    command = [sys.executable, "-c", "from rr_assets.cluster.worker import main; main()", "gpu", "--name", "other"]
    environ = os.environ | {"PYTHONPATH": str(folder), "RR_NODE__ROLE": "selfplay", "OMP_NUM_THREADS": "1"}
    with (folder / "log").open("w") as log:
        worker = subprocess.Popen(
            command, cwd=folder, env=environ, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        yield
    finally:
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()


def test_cluster_run_that_is_stopped_keeps_what_it_had_stored_and_gives_its_worker_back(cluster: Running) -> None:
    def stored() -> int:
        return sum(card.rows for card in cluster.vault.cards(games.KIND, HEX.key))

    before = stored()
    run = cluster.launch("games_db", HEX.key, selfplay={"games": 4000, "shard_games": 4})
    cluster.wait(lambda: stored() > before, 60)
    cluster.stop(run)
    assert cluster.wait_ended(run, 30) is S.CANCELED
    kept = stored()
    assert before < kept < before + 4000
    for name in WORKERS.keys() - {cluster.worker_of(run)}:
        cluster.trial.stop(name)
    again = cluster.launch("games_db", HEX.key)
    assert cluster.wait_ended(again) is S.SUCCESS
    assert stored() == kept + 4


def test_cluster_lost_training_is_noticed_and_goes_on_from_its_state(cluster: Running) -> None:
    with cluster.without("start_training"):
        cluster.trial.stop("gpu2")
        assert cluster.wait_ended(cluster.launch("games_db", OTHER.key)) is S.SUCCESS
        cluster.wait(lambda: cluster.vault.cards(dataset.KIND, OTHER.key), 60)  # the platform makes it by itself
        lost = cluster.launch("checkpoint", OTHER.key, training=LONG)
        cluster.wait(lambda: cluster.vault.cards(candidate.STATE_KIND, OTHER.key), 60)
        assert cluster.run(lost).dagster_run.tags.items() >= run_tags({"checkpoint"}, OTHER.key).items()
        assert cluster.worker_of(lost) == "gpu1"  # gpu3 plays, and does not train
        cluster.kill("gpu1")
        cluster.trial.stop("gpu1")
        played = cluster.launch("games_db", HEX.key)
        assert cluster.wait_ended(played) is S.SUCCESS
        assert cluster.worker_of(played) == "gpu3"
        assert cluster.wait_ended(lost) is S.FAILURE
        assert LOST_TAG in cluster.run(lost).dagster_run.tags
        cluster.trial.start("gpu1")
        assert cluster.wait_ended(cluster.launch("checkpoint", OTHER.key, training=LONG)) is S.SUCCESS
        made = cluster.vault.cards(candidate.KIND, OTHER.key)[-1].facts
        assert made["resumed_at_step"] > 0
        gpus = cluster.node("gpu1").gpus
        assert made["device"] == (gpus[0].name if gpus else "cpu")
