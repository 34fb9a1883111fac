"""What every config does now, or why it does nothing: the vault's view and the runs', in one table.

`rr-status` prints it, and the leaderboard's page holds it.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import typer
from dagster._core.errors import DagsterHomeNotSetError
from dotenv import load_dotenv

from rr_assets.coordinator import PARTITION_TAG, UNDER_WAY, WORK_TAG, why_nobody, written
from rr_assets.nodes import CPU, Gpu, KnowsNodes, Node, code_version, kind_of, workers_of
from rr_engine.boards import CONFIGS, Config
from rr_engine.cli import run_command
from rr_engine.cli_shown import AsJson, ConfigKeys, Quiet, print_table, watching
from rr_engine.errors import DataError, VaultError
from rr_engine.progress import UNWATCHED, Task, Watch
from rr_engine.render.table import columns
from rr_engine.settings import Settings, load
from rr_engine.stages import liveness
from rr_engine.vault import Vault

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
NO_WORKER = "no worker answers: runs wait in the queue until one does"
_RUNS_SEEN = 50  # of a config, the newest
_FAILED = {dg.DagsterRunStatus.FAILURE: "failed", dg.DagsterRunStatus.CANCELED: "was stopped"}


@dataclass(frozen=True)
class _Event:
    """The last thing that happened to an asset of a config."""

    at: float  # seconds since 1970
    what: str


def table(
    instance: dg.DagsterInstance,
    vault: Vault,
    settings: Settings,
    configs: Sequence[Config],
    workers: Sequence[Node] | None,
    watch: Watch = UNWATCHED,
) -> list[dict[str, Any]]:
    """A row per config and asset: last event and its time, what it waits for and since when (UTC).

    `workers` are those that answered; None where runs go to no workers.
    """
    count = watch(Task("configs", len(configs)))
    return [row for config in count.each(configs) for row in _rows(instance, vault, settings, config, workers)]


def _rows(
    instance: dg.DagsterInstance, vault: Vault, settings: Settings, config: Config, workers: Sequence[Node] | None
) -> list[dict[str, Any]]:
    runs = instance.get_run_records(filters=dg.RunsFilter(tags={PARTITION_TAG: config.key}), limit=_RUNS_SEEN)
    try:
        waits = liveness.waits_of(vault, config, settings)
    except (VaultError, DataError) as error:
        waits = [liveness.Wait("games_db", f"somebody who mends what cannot be read: {error}", None)]
    return [_row(instance, config, wait, runs, workers) for wait in waits]


def _row(
    instance: dg.DagsterInstance,
    config: Config,
    wait: liveness.Wait,
    runs: Sequence[dg.RunRecord],
    workers: Sequence[Node] | None,
) -> dict[str, Any]:
    """A row of the table; `runs` are those of the config, the newest first."""
    event = _last_event(instance, config, wait.asset)
    own = [run for run in runs if wait.asset in written(run.dagster_run)]
    run = next((run for run in own if run.dagster_run.status in UNDER_WAY), own[0] if own else None)
    waits_for = wait.waits_for
    since = None if wait.since is None else _told(datetime.fromisoformat(wait.since).timestamp())
    if run is not None and run.dagster_run.status in UNDER_WAY:
        waits_for = f"run {run.dagster_run.run_id} {_told_of(run.dagster_run, workers)}"
        since = _told(run.start_time or run.create_timestamp.timestamp())
    elif run is not None and run.dagster_run.status in _FAILED and (event is None or (run.end_time or 0) > event.at):
        event = _Event(run.end_time or 0.0, f"run {run.dagster_run.run_id} {_FAILED[run.dagster_run.status]}")
    return {
        "config": config.key,
        "asset": wait.asset,
        "last_event": "-" if event is None else event.what,
        "at": "-" if event is None else _told(event.at),
        "waits_for": waits_for,
        "since": since or "-",
    }


def _told_of(run: dg.DagsterRun, workers: Sequence[Node] | None) -> str:
    """What a run that has not ended does; where it is queued because nobody takes it, why."""
    told = UNDER_WAY[run.status]
    if run.status is not dg.DagsterRunStatus.QUEUED or workers is None:
        return told
    why = why_nobody(run.tags.get(WORK_TAG, CPU), workers)
    return f"{told}: {why}" if why else told


def nodes_table(workers: Sequence[Node] | None) -> list[dict[str, Any]]:
    """A row per worker that answered; empty where runs go to no workers, or none answered."""
    return [_node_row(node) for node in workers or ()]


def _node_row(node: Node) -> dict[str, Any]:
    by_work = Counter(map(kind_of, node.takes))
    takes = ", ".join(work if work == CPU else f"{work} of {count} configs" for work, count in by_work.items())
    if node.code != code_version():
        takes = "nothing: it has other code"
    return {
        "worker": node.name,
        "role": node.role,
        "takes": takes or "nothing: its disk is too full",
        "runs": f"{len(node.runs)} of {node.slots}",
        "gpu": "; ".join(_told_gpu(gpu) for gpu in node.gpus) or node.why_no_gpu,
        "disk": f"{node.disk_used:.0%} full, {node.disk_free_gb:.0f} GB free",
        "code": node.code,
    }


def _told_gpu(gpu: Gpu) -> str:
    return f"{gpu.name} at {gpu.use:.0%}, {gpu.free_gb:.0f} of {gpu.total_gb:.0f} GB free"


def _last_event(instance: dg.DagsterInstance, config: Config, asset: str) -> _Event | None:
    wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=[config.key])
    records = instance.fetch_materializations(wanted, limit=1).records
    return _Event(records[0].timestamp, "materialised") if records else None


def _told(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def main() -> None:
    """Run `rr-status`; like Dagster's own commands it reads `.env` in the folder where it is called."""
    load_dotenv(Path.cwd() / ".env")
    run_command(app, "rr-status", DagsterHomeNotSetError)


@app.command()
def status(config: ConfigKeys = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """What every asset of every config did last, what it waits for and since when; in a cluster also who works."""
    configs = [Config.parse(key) for key in config] if config else list(CONFIGS)
    loaded = load()
    with dg.DagsterInstance.get() as instance, watching(quiet=quiet) as watch:
        nodes = workers_of(instance.run_launcher)
        rows = table(instance, Vault.open(settings=loaded.vault).snapshot(), loaded, configs, nodes, watch)
        workers = nodes_table(nodes)
        in_cluster = isinstance(instance.run_launcher, KnowsNodes)
    print_table([*rows, *workers] if as_json else rows, as_json=as_json, right=False)
    if in_cluster and not as_json:
        typer.echo("\n" + (columns(workers, right=False) if workers else NO_WORKER))
