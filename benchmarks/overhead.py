"""What the platform itself costs: everything of a turn of the loop but the stages' own work, and a tick of automation.

    python -m benchmarks.overhead --turns 5 --generations 1000

Turns: `dagster dev` on a fresh home with tiny settings, or with `--cluster` a cluster of real servers with two warm
workers, and one config until it has come round so often. A turn is the time from the start of one `games_db` to the
start of the next; of it the stages' work is the time inside steps. Ticks: a graph with so many past materialisations of
every asset and partition, one evaluation of all conditions. One JSON line each.
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg

from benchmarks.running import running_cluster, times_to_start
from benchmarks.served import ROOT, dagster_dev, let_rest
from rr_assets import code_location
from rr_assets.partitions import CONFIG_PARTITIONS
from rr_engine.boards import Config
from rr_engine.stages import pauses
from rr_engine.vault import Vault

LOOP = ("games_db", "npz_dataset", "checkpoint", "elo", "champion", "curriculum")
CONFIG = "hex8_2p"
_TINY = ROOT / "tests" / "data" / "tiny.toml"
_TURN_S = 300  # seconds after which a turn is given up


def measure_turns(turns: int, *, cluster: bool) -> dict[str, Any]:
    """Let one config turn and take every turn apart."""
    with _cluster() if cluster else _alone() as instance:
        _wait_for(instance, turns + 2)
        rows = _turns(instance)[1 : turns + 1]  # the first compiles
    return {
        "cluster": cluster,
        "turns": len(rows),
        **{f"{name}_s": round(statistics.median(row[name] for row in rows), 1) for name in rows[0]},
        "worst_overhead_s": round(max(row["overhead"] for row in rows), 1),
    }


@contextmanager
def _alone() -> Generator[dg.DagsterInstance]:
    """One machine, whose loop turns by itself."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        shutil.copy(ROOT / "dagster_home" / "dagster.yaml", home)
        let_rest(Vault.open(str(home / "vault")), but=(CONFIG,))
        with dagster_dev(home, RR_SETTINGS=str(_TINY)), dg.DagsterInstance.from_config(folder) as instance:
            yield instance


@contextmanager
def _cluster() -> Generator[dg.DagsterInstance]:
    """A cluster of real servers on this machine, whose loop turns by itself."""
    with running_cluster({"gpu1": "trainer"}, _TINY) as (running, _), running.joined():
        pauses.resume(running.vault, Config.parse(CONFIG), "to be measured", by="hand")
        yield running.instance


def _games(instance: dg.DagsterInstance) -> list[float]:
    """When each step of games_db began, in order."""
    return sorted(stat.start_time for _, stat in _steps(instance) if stat.step_key == "games_db")


def _wait_for(instance: dg.DagsterInstance, times: int) -> None:
    deadline = time.monotonic() + _TURN_S * times
    while len(_games(instance)) < times:
        if time.monotonic() > deadline:
            raise TimeoutError(f"only {len(_games(instance))} of {times} games_db in time")
        time.sleep(2)


def _steps(instance: dg.DagsterInstance) -> list[tuple[dg.RunRecord, Any]]:
    return [
        (record, stat)
        for record in instance.get_run_records()
        for stat in instance.get_run_step_stats(record.dagster_run.run_id)
        if stat.start_time is not None and stat.end_time is not None
    ]


def _turns(instance: dg.DagsterInstance) -> list[dict[str, float]]:
    """Of each turn: its length, the stages' work, where the rest went, and how many runs it took."""
    began = _games(instance)
    steps = _steps(instance)
    records = {record.dagster_run.run_id: record for record, _ in steps}.values()
    rows: list[dict[str, float]] = []
    for start, end in zip(began, began[1:], strict=False):
        inside = [(max(stat.start_time, start), min(stat.end_time, end)) for _, stat in steps]
        work = _covered([span for span in inside if span[0] < span[1]])
        runs = [record for record in records if start < record.create_timestamp.timestamp() <= end]
        rows.append(
            {
                "turn": end - start,
                "work": work,
                "overhead": end - start - work,
                "runs": float(len(runs)),
                **_until_they_ran(instance, runs),
            }
        )
    return rows


def _until_they_ran(instance: dg.DagsterInstance, runs: Sequence[dg.RunRecord]) -> dict[str, float]:
    """Medians over runs: seconds in the queue, and from there to the first line of the run's own process."""
    queued, started = zip(*times_to_start(instance, runs), strict=True)
    return {"queued": statistics.median(queued), "started": statistics.median(started)}


def _covered(spans: list[tuple[float, float]]) -> float:
    """Seconds in at least one of the spans."""
    covered, until = 0.0, 0.0
    for start, end in sorted(spans):
        covered += max(0.0, end - max(start, until))
        until = max(until, end)
    return covered


def measure_tick(generations: int) -> dict[str, Any]:
    """One evaluation of every condition after so many materialisations of every asset and partition."""
    definitions = code_location()
    with tempfile.TemporaryDirectory() as folder, dg.DagsterInstance.local_temp(folder) as instance:
        for _ in range(generations):
            for name in LOOP:
                for key in CONFIG_PARTITIONS.get_partition_keys():
                    instance.report_runless_asset_event(dg.AssetMaterialization(name, partition=key))
        for check in definitions.resolve_asset_graph().asset_check_keys:  # conditions look at the last ones only
            partitions = CONFIG_PARTITIONS.get_partition_keys() if check.asset_key.to_user_string() in LOOP else [None]
            for key in partitions:
                instance.report_runless_asset_event(
                    dg.AssetCheckEvaluation(check.asset_key, check.name, passed=True, partition=key)
                )
        cursor, seconds = None, []
        for _ in range(4):
            began = time.perf_counter()
            result = dg.evaluate_automation_conditions(definitions, instance, cursor=cursor)
            seconds.append(time.perf_counter() - began)
            cursor = result.cursor
            instance.report_runless_asset_event(dg.AssetMaterialization("games_db", partition=CONFIG))
    return {
        "generations": generations,
        "first_tick_s": round(seconds[0], 2),
        "tick_s": round(statistics.median(seconds[1:]), 2),
    }


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=5, help="0: leave them out")
    parser.add_argument("--cluster", action="store_true", help="turns on a cluster")
    parser.add_argument("--generations", type=int, default=1000, help="0: leave the tick out")
    arguments = parser.parse_args()
    if arguments.generations:
        print(json.dumps(measure_tick(arguments.generations)), flush=True)
    if arguments.turns:
        print(json.dumps(measure_turns(arguments.turns, cluster=arguments.cluster)), flush=True)


if __name__ == "__main__":
    sys.exit(main())
