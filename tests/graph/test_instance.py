"""The instance of one machine: queue, pools, one writer per partition; and what users type works from a clean shell."""

import os
import shutil
import subprocess
import time
import tomllib
from pathlib import Path

import dagster as dg
import psutil
import pytest
import yaml
from dagster._core.launcher.base import WorkerStatus

from benchmarks.served import DAGSTER
from rr_assets import code_location, launcher
from rr_assets.coordinator import TaggingRunCoordinator
from tests.graph.conftest import ROOT, clean_shell


def test_the_home_configures_what_it_should(home: Path) -> None:
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert isinstance(instance.run_coordinator, TaggingRunCoordinator)
        assert not instance.telemetry_enabled
        assert instance.run_monitoring_enabled
        assert not instance.run_retries_enabled
        settings = instance.get_settings("concurrency")
    assert settings["pools"] == {"granularity": "run", "default_limit": 1}
    limited = {limit["key"] for limit in settings["runs"]["tag_concurrency_limits"]}
    graph = code_location().resolve_asset_graph()
    partitioned = [key.path[-1] for key in graph.materializable_asset_keys if graph.get(key).partitions_def]
    assert limited == {f"rr/writes/{name}" for name in partitioned}
    assert all(limit["limit"] == 1 for limit in settings["runs"]["tag_concurrency_limits"])


def test_a_launched_run_is_tagged_and_queued(home: Path) -> None:
    tags = '{"dagster/partition": "square8_3p"}'
    done = _dagster(home, "job", "launch", "-m", "rr_assets", "-j", "__ASSET_JOB", "--tags", tags)
    assert done.returncode == 0, done.stderr
    with dg.DagsterInstance.from_config(str(home)) as instance:
        [run] = instance.get_runs()
        pools = {pool.name: pool.limit for pool in instance.event_log_storage.get_pool_limits()}
    assert pools == dict.fromkeys(
        ("selfplay", "dataset", "training", "match", "champion", "plan", "mirror"), 1
    )  # before the queue looks
    assert run.status is dg.DagsterRunStatus.QUEUED
    assert run.tags["rr/lane"] == run.tags["dagster-celery/queue"] == "gpu"
    assert run.tags["rr/config"] == run.tags["rr/writes/elo"] == run.tags["rr/writes/games_db"] == "square8_3p"


def test_a_run_whose_process_was_killed_is_noticed(home: Path) -> None:
    words = ("asset", "materialize", "-m", "rr_assets", "--select", "games_db", "--partition", "hex8_2p")
    with dg.DagsterInstance.from_config(str(home)) as instance:
        watch = instance.run_launcher
        assert watch.supports_check_run_worker_health
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(
            [DAGSTER, *words], cwd=ROOT, env=clean_shell(home) | {"RR_SELFPLAY__GAMES": "100000"}, **quiet
        )
        try:
            run = _started(instance, deadline=time.monotonic() + 120)
            assert watch.check_run_worker_health(run).status is WorkerStatus.RUNNING
        finally:
            process.kill()
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        ended = watch.check_run_worker_health(run)  # a zombie still
        assert (ended.status, ended.msg) == (WorkerStatus.FAILED, f"its process {process.pid} is gone")
        process.wait(60)
        assert watch.check_run_worker_health(run).status is WorkerStatus.FAILED


def _started(instance: dg.DagsterInstance, *, deadline: float) -> dg.DagsterRun:
    """The one run, once a step of it is under way."""
    while time.monotonic() < deadline:
        for run in instance.get_runs():
            if instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_START):
                return run
        time.sleep(0.5)
    raise AssertionError("no step has started")


def test_a_younger_process_with_the_number_of_a_dead_one_is_not_taken_for_it() -> None:
    assert launcher._is_alive(os.getpid(), time.time())
    assert not launcher._is_alive(os.getpid(), psutil.Process().create_time() - 60)
    assert not launcher._is_alive(2**22 + 1, time.time())  # Linux has no number so high


def test_names_agree_everywhere() -> None:
    workspace = yaml.safe_load((ROOT / "workspace.yaml").read_text())
    module = workspace["load_from"][0]["python_module"]
    assert (module["module_name"], module["location_name"]) == ("rr_assets", "rr_assets")
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    assert tool["dagster"] == {"module_name": "rr_assets", "code_location_name": "rr_assets"}
    project = tool["dg"]["project"]
    assert (project["root_module"], project["code_location_name"]) == ("rr_assets", "rr_assets")


def _write_env(folder: Path) -> str:
    subprocess.run(["make", "-s", "-C", folder, "-f", ROOT / "Makefile", ".env"], check=True)
    assert [path.name for path in folder.iterdir() if path.name.startswith(".env")] == [".env"]
    return (folder / ".env").read_text()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, "DAGSTER_HOME=${{DAGSTER_HOME:-{own}}}\n"),
        ("KEY=1", "KEY=1\nDAGSTER_HOME=${{DAGSTER_HOME:-{own}}}\n"),
        ("DAGSTER_HOME=/mine\nKEY=1\n", "DAGSTER_HOME=/mine\nKEY=1\n"),
        ("KEY=1\nexport DAGSTER_HOME=/mine\n", "KEY=1\nexport DAGSTER_HOME=/mine\n"),
        # written by make where the project lay before
        ("DAGSTER_HOME=${DAGSTER_HOME:-/old/dagster_home}\nKEY=1\n", "KEY=1\nDAGSTER_HOME=${{DAGSTER_HOME:-{own}}}\n"),
    ],
)
def test_make_adds_the_home_to_what_stands_in_env(tmp_path: Path, before: str | None, after: str) -> None:
    if before is not None:
        (tmp_path / ".env").write_text(before)
    for _ in range(2):
        assert _write_env(tmp_path) == after.format(own=tmp_path / "dagster_home")


def test_dagster_finds_its_home_without_being_told(home: Path, tmp_path: Path) -> None:
    """From the folder of the project, by the file that make wrote there."""
    (tmp_path / "dagster_home").mkdir()
    shutil.move(home / "dagster.yaml", tmp_path / "dagster_home")
    _write_env(tmp_path)
    clean = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    launch = (
        DAGSTER,
        "job",
        "launch",
        "-m",
        "rr_assets",
        "-j",
        "__ASSET_JOB",
        "--tags",
        '{"dagster/partition": "hex8_2p"}',
    )
    done = subprocess.run(
        launch,
        cwd=tmp_path,
        env=clean | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    with dg.DagsterInstance.from_config(str(tmp_path / "dagster_home")) as instance:
        assert len(instance.get_runs()) == 1


def test_what_waits_is_told_without_a_home_being_set(home: Path, tmp_path: Path) -> None:
    clean = {name: value for name, value in clean_shell(home).items() if name != "DAGSTER_HOME"}
    command = [DAGSTER.with_name("rr-status"), "--config", "hex8_2p"]
    (tmp_path / ".env").write_text(f"DAGSTER_HOME=${{DAGSTER_HOME:-{home}}}\n")  # as make writes it
    told = subprocess.run(command, cwd=tmp_path, env=clean, capture_output=True, text=True, check=True, timeout=60)
    assert told.stdout.splitlines()[1].split() == ["hex8_2p", "games_db", "-", "-", "the", "first", "plan", "-"]
    (tmp_path / ".env").unlink()
    lost = subprocess.run(command, cwd=tmp_path, env=clean, capture_output=True, text=True, check=False, timeout=60)
    assert lost.returncode == 2
    assert lost.stderr.startswith("rr-status: ") and "DAGSTER_HOME" in lost.stderr and "Traceback" not in lost.stderr


def test_a_config_that_is_none_stops_make_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "bin").symlink_to(DAGSTER.parent)
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).touch()
    (tmp_path / ".venv" / ".installed").touch()
    make = ("make", "-C", tmp_path, "-f", ROOT / "Makefile", "run", "CONFIG=nonsense")
    done = subprocess.run(make, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    told, *_ = done.stderr.splitlines()
    assert told.startswith("rr: unknown config 'nonsense': configs are hex8_2p, ")
    assert "Traceback" not in done.stderr and "materialize" not in done.stdout


def _dagster(home: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    env = clean_shell(home) | environ
    return subprocess.run(
        [DAGSTER, *words], cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=240
    )


def test_definitions_validate_from_a_clean_shell(home: Path) -> None:
    done = _dagster(home, "definitions", "validate")
    assert done.returncode == 0, done.stderr
    assert "All code locations passed validation" in done.stderr + done.stdout


def test_one_asset_materialises_from_a_clean_shell(home: Path) -> None:
    words = ("asset", "materialize", "-m", "rr_assets", "--select", "games_db", "--partition")
    done = _dagster(home, *words, "hex8_2p")
    assert done.returncode == 0, done.stderr
    assert len(list((home / "vault" / "games" / "hex8_2p").glob("*.parquet"))) == 2
    with dg.DagsterInstance.from_config(str(home)) as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey("games_db"))
        assert event is not None
        assert event.asset_materialization is not None
        assert event.asset_materialization.partition == "hex8_2p"
        assert event.asset_materialization.metadata["games"].value == 8
    wrong = _dagster(home, *words, "hex9_2p")
    assert wrong.returncode != 0
    assert "hex9_2p" in wrong.stderr + wrong.stdout
    refused = _dagster(home, *words, "hex8_2p", RR_SELFPLAY__GAMES='"many"')
    assert refused.returncode != 0
    assert "selfplay.games" in refused.stderr + refused.stdout
