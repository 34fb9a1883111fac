"""The run coordinator: every run, whoever launched it, gets its lane and the tags that keep one writer a partition."""

from collections.abc import Collection

from dagster import (
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    QueuedRunCoordinator,
    RunRecord,
    RunsFilter,
    SubmitRunContext,
)

PARTITION_TAG = "dagster/partition"
UNDER_WAY = {  # what a run does that has not ended
    DagsterRunStatus.QUEUED: "queued",
    DagsterRunStatus.NOT_STARTED: "starting",
    DagsterRunStatus.STARTING: "starting",
    DagsterRunStatus.STARTED: "runs",
    DagsterRunStatus.CANCELING: "is being stopped",
}
_GPU_ASSETS = {"games_db", "checkpoint"}


def writes_tag(asset: str) -> str:
    """The tag of runs that write an asset; its value is the partition."""
    return f"rr/writes/{asset}"


def run_tags(assets: set[str], partition: str | None) -> dict[str, str]:
    """The tags of a run that writes `assets` of `partition`: `rr/lane`, and `rr/writes/<asset>` for each."""
    tags = {"rr/lane": "gpu" if assets & _GPU_ASSETS else "cpu"}
    if partition is not None:
        tags["rr/config"] = partition
        tags |= {writes_tag(asset): partition for asset in sorted(assets)}
    return tags


def assets_of(run: DagsterRun, nodes: Collection[str]) -> set[str]:
    """Names of the assets a run writes; `nodes` are those of its whole job, for a run that selects none."""
    if run.asset_selection:
        return {key.path[-1] for key in run.asset_selection}
    return {step.split(".")[0] for step in run.step_keys_to_execute or nodes}


def written(run: DagsterRun) -> set[str]:
    """Names of the assets a run writes, whether it was launched, so tagged, or started directly."""
    prefix = writes_tag("")
    return assets_of(run, ()) | {tag.removeprefix(prefix) for tag in run.tags if tag.startswith(prefix)}


def under_way(instance: DagsterInstance, asset: str, config: str | None = None, *, but: str = "") -> list[RunRecord]:
    """The runs that write an asset, of a config or any, and have not ended: the newest first, without the run `but`."""
    unended = RunsFilter(tags={PARTITION_TAG: config} if config else None, statuses=list(UNDER_WAY))
    return [
        record
        for record in instance.get_run_records(filters=unended)
        if record.dagster_run.run_id != but and asset in written(record.dagster_run)
    ]


class TaggingRunCoordinator(QueuedRunCoordinator):
    """A queued coordinator that tags each run before it is queued; dagster.yaml limits runs by these tags."""

    def submit_run(self, context: SubmitRunContext) -> DagsterRun:
        """Tag and queue a run; raises what the instance's storage raises."""
        run = context.dagster_run
        self._make_pools(run)
        nodes = self._instance.get_job_snapshot(run.job_snapshot_id).node_names if run.job_snapshot_id else ()
        self._instance.add_run_tags(run.run_id, run_tags(assets_of(run, nodes), run.tags.get(PARTITION_TAG)))
        return super().submit_run(context)

    def _make_pools(self, run: DagsterRun) -> None:
        """Make the pools of a run before the queue looks: at its first look those it does not know hold nobody back."""
        pools = set(run.run_op_concurrency.all_pools or ()) if run.run_op_concurrency else set[str]()
        storage = self._instance.event_log_storage
        for pool in pools - {limit.name for limit in storage.get_pool_limits()}:
            storage.initialize_concurrency_limit_to_default(pool)
