"""How the runs of a config ended, asset by asset: what crashed, and what only was refused or stopped."""

from collections import defaultdict
from collections.abc import Collection
from typing import Any

import dagster as dg
from dagster._core.events import JobFailureData, RunFailureReason

from rr_assets.coordinator import LOST_TAG, PARTITION_TAG, written
from rr_engine import errors
from rr_engine.boards import Config
from rr_engine.stages import pauses

_CHECK_FAILED = "DagsterAssetCheckFailedError"  # what a step ends with when a blocking check refuses
_NO_FAULT = {  # names of errors that are nobody's fault here: no room, no way to the store, to the database
    error.__name__ for error in errors.family() if error.retryable
} | {"DiskFullError", "OperationalError", "InterfaceError"}
_RUNS_SEEN = 30  # of a config, to count crashes among


def ended_runs(instance: dg.DagsterInstance, config: Config) -> dict[str, list[pauses.Ended]]:
    """By asset: the newest runs of a config that have ended, the last first."""
    wanted = dg.RunsFilter(
        tags={PARTITION_TAG: config.key}, statuses=[dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
    )
    records = instance.get_run_records(filters=wanted, limit=_RUNS_SEEN)
    found: dict[str, list[pauses.Ended]] = defaultdict(list)
    for record in sorted(records, key=lambda record: record.end_time or 0.0, reverse=True):
        for asset, end in _ends(instance, record.dagster_run).items():
            found[asset].append(pauses.Ended(record.dagster_run.run_id, record.end_time or 0.0, end))
    return found


def _ends(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dict[str, pauses.End]:
    """How a run ended for each asset it wrote or was to write; what it did not come to is left out."""
    assets = written(run)
    if run.status != dg.DagsterRunStatus.FAILURE:
        return dict.fromkeys(assets, pauses.End.SUCCESS)
    events = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    made = {key.path[-1] for entry in events if (key := entry.get_dagster_event().asset_key) is not None}
    ends = dict.fromkeys(assets & made, pauses.End.SUCCESS)
    failures = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    for event in (entry.get_dagster_event() for entry in failures):
        ends[_asset_of(event.step_key or "", assets)] = _end(event.step_failure_data.error)
    if _was_interrupted(instance, run):
        return ends | dict.fromkeys(assets - made, pauses.End.STOPPED)
    return ends if failures else ends | dict.fromkeys(assets - made, pauses.End.CRASHED)  # its process died


def _asset_of(step: str, assets: Collection[str]) -> str:
    """The asset whose step, or the step of whose check, this is."""
    return max((asset for asset in assets if step.startswith(asset)), key=len, default=step)


def _end(error: Any) -> pauses.End:
    """What an error of a step, or what caused it, means."""
    while error is not None:
        if error.cls_name == _CHECK_FAILED:
            return pauses.End.REFUSED
        if error.cls_name in _NO_FAULT:
            return pauses.End.STOPPED
        error = error.cause
    return pauses.End.CRASHED


def _was_interrupted(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether it was stopped from outside: with its process, with its worker, or before a worker began it."""
    if LOST_TAG in run.tags:
        return True
    failures = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    told = [entry.get_dagster_event().event_specific_data for entry in failures]
    reasons = {data.failure_reason for data in told if isinstance(data, JobFailureData)}
    return bool(reasons & {RunFailureReason.UNEXPECTED_TERMINATION, RunFailureReason.START_TIMEOUT})
