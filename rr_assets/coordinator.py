"""The run coordinator: every run, whoever launched it, gets its lane and the tags that keep one writer a partition."""

from collections.abc import Collection

from dagster import DagsterRun, QueuedRunCoordinator, SubmitRunContext

_GPU_ASSETS = {"games_db", "checkpoint"}
PARTITION_TAG = "dagster/partition"


def run_tags(assets: set[str], partition: str | None) -> dict[str, str]:
    """The tags of a run that writes `assets` of `partition`: `rr/lane`, and `rr/writes/<asset>` for each."""
    tags = {"rr/lane": "gpu" if assets & _GPU_ASSETS else "cpu"}
    if partition is not None:
        tags["rr/config"] = partition
        tags |= {f"rr/writes/{asset}": partition for asset in sorted(assets)}
    return tags


def assets_of(run: DagsterRun, nodes: Collection[str]) -> set[str]:
    """Names of the assets a run writes; `nodes` are those of its whole job, for a run that selects none."""
    if run.asset_selection:
        return {key.path[-1] for key in run.asset_selection}
    return {step.split(".")[0] for step in run.step_keys_to_execute or nodes}


class TaggingRunCoordinator(QueuedRunCoordinator):
    """A queued coordinator that tags each run before it is queued; dagster.yaml limits runs by these tags."""

    def submit_run(self, context: SubmitRunContext) -> DagsterRun:
        """Tag and queue a run."""
        run = context.dagster_run
        nodes = self._instance.get_job_snapshot(run.job_snapshot_id).node_names if run.job_snapshot_id else ()
        self._instance.add_run_tags(run.run_id, run_tags(assets_of(run, nodes), run.tags.get(PARTITION_TAG)))
        return super().submit_run(context)
