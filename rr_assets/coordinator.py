"""The run coordinator: every run, whoever launched it, gets its lane and the tags that keep one writer a partition."""

from collections.abc import Collection, Mapping
from typing import Any

from dagster import (
    AssetKey,
    AssetRecordsFilter,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    QueuedRunCoordinator,
    RunRecord,
    RunsFilter,
    SubmitRunContext,
)
from dagster._core.run_coordinator.queued_run_coordinator import RunQueueConfig

from rr_assets.nodes import CPU, GPU, SELFPLAY, TRAINING, KnowsNodes, Node, code_version, kind_of
from rr_engine.boards import CONFIGS

PARTITION_TAG = "dagster/partition"
BUDGET_NAME = "selfplay_budget"  # the external asset by whose events the plan lets configs play
UNDER_WAY = {  # what a run does that has not ended
    DagsterRunStatus.QUEUED: "queued",
    DagsterRunStatus.NOT_STARTED: "starting",
    DagsterRunStatus.STARTING: "starting",
    DagsterRunStatus.STARTED: "runs",
    DagsterRunStatus.CANCELING: "is being stopped",
}
WORK_TAG = "rr/work"  # what a worker must take to get the run: `cpu`, `selfplay.hex8_2p`, `training.hex8_2p`
WORKER_TAG = "rr/worker"  # which worker is at a run, or was
LOST_TAG = "rr/lost"  # of a run whose worker vanished
_KIND_TAG = "rr/kind"  # the first part of that
_QUEUE_TAG = "dagster-celery/queue"
_PRIORITY_TAG = "dagster/priority"


_QUEUED = RunsFilter(statuses=[DagsterRunStatus.QUEUED])
_ACTIVE = RunsFilter(statuses=[DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING])


def writes_tag(asset: str) -> str:
    """The tag of runs that write an asset; its value is the partition."""
    return f"rr/writes/{asset}"


def work_of(assets: Collection[str], config: str | None) -> str:
    """What a run that writes `assets` is to a worker; one that trains and plays is for those who train."""
    if config is not None and "checkpoint" in assets:
        return f"{TRAINING}.{config}"
    if config is not None and "games_db" in assets:
        return f"{SELFPLAY}.{config}"
    return CPU


def run_tags(assets: set[str], partition: str | None) -> dict[str, str]:
    """The tags of a run that writes `assets` of `partition`, if there is one: lane, work and queue, and what it writes.

    The queue is the lane; which of its workers take the run follows from the work.
    """
    work = work_of(assets, partition)
    lane = CPU if work == CPU else GPU
    tags = {"rr/lane": lane, WORK_TAG: work, _KIND_TAG: kind_of(work), _QUEUE_TAG: lane}
    if partition is not None:
        tags["rr/config"] = partition
    return tags | {writes_tag(asset): partition or "all" for asset in sorted(assets)}


def priority_of(tags: Mapping[str, str], planned: float) -> int:
    """`dagster/priority` of a run with those tags: the plan's, from 0 to 1, in percent; a training comes before games.

    One training follows a whole dataset, so games never starve. On lane cpu it is first come, first served: what is
    done there follows games that the plan has weighed already, and while more comes than gets done, whoever is last in
    the plan would never be served. The plan itself comes before all, who wait for it.
    """
    if writes_tag("selfplay_plan") in tags:
        return 300
    if tags[_KIND_TAG] == CPU:
        return 0
    return round(100 * planned) + (100 if tags[_KIND_TAG] == TRAINING else 0)


def queue_limits(nodes: Collection[Node], active: Collection[DagsterRun]) -> list[dict[str, Any]]:
    """Limits by which the queue lets go of no more runs than free workers can begin at once.

    `active` are the runs that it has let go of and that have not ended. Each work has a limit, and each kind of work,
    and each lane: so many as are active, and as many more as there is room. So the queue stays in Dagster, where
    priorities hold and people see it, and a run does not wait behind another while its worker could do a third.
    """
    able = [node for node in nodes if node.code == code_version()]
    begun = {run for node in nodes for run in node.runs}
    starting = [run for run in active if run.run_id not in begun and WORKER_TAG not in run.tags]

    def limit(key: str, value: str, takers: Collection[Node]) -> dict[str, Any]:
        room = sum(node.slots - len(node.runs) for node in takers)
        taken = {work for node in takers for work in node.takes}
        coming = sum(run.tags.get(WORK_TAG) in taken for run in starting)
        return {"key": key, "value": value, "limit": _count(active, key, value) + max(0, room - coming)}

    works = [CPU, *(f"{kind}.{config.key}" for kind in (SELFPLAY, TRAINING) for config in CONFIGS)]
    return [
        *(limit(WORK_TAG, work, [node for node in able if work in node.takes]) for work in works),
        *(limit(_KIND_TAG, kind, [node for node in able if kind in _kinds(node)]) for kind in (SELFPLAY, TRAINING)),
        *(limit(_QUEUE_TAG, lane, [node for node in able if node.lane == lane]) for lane in (CPU, GPU)),
    ]


def _count(runs: Collection[DagsterRun], key: str, value: str) -> int:
    return sum(run.tags.get(key) == value for run in runs)


def _kinds(node: Node) -> set[str]:
    return {kind_of(work) for work in node.takes}


def why_nobody(work: str, nodes: Collection[Node]) -> str:
    """Why no worker takes a work; empty if one does."""
    lane = CPU if work == CPU else GPU
    there = [node for node in nodes if node.lane == lane]
    able = [node for node in there if node.code == code_version()]
    if any(work in node.takes for node in able):
        return ""
    if not there:
        return f"no worker of lane {lane} is alive"
    if not able:
        return f"all workers of lane {lane} have other code"
    return f"no worker takes {work}: by role, memory or a full disk"


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
    """A queued coordinator that tags each run before it is queued; runs are limited by these tags.

    The limits stand in dagster.yaml; where runs go to workers, those of `queue_limits` are added at each look.
    """

    def get_run_queue_config(self) -> RunQueueConfig:
        """The limits that hold now."""
        config = super().get_run_queue_config()
        launcher = self._instance.run_launcher
        if not isinstance(launcher, KnowsNodes) or not self._instance.get_run_ids(_QUEUED, limit=1):
            return config
        nodes = launcher.nodes()
        own = queue_limits(nodes, self._instance.get_runs(_ACTIVE))
        return config._replace(tag_concurrency_limits=[*(config.tag_concurrency_limits or ()), *own])

    def submit_run(self, context: SubmitRunContext) -> DagsterRun:
        """Tag and queue a run; raises what the instance's storage raises."""
        run = context.dagster_run
        self._make_pools(run)
        nodes = self._instance.get_job_snapshot(run.job_snapshot_id).node_names if run.job_snapshot_id else ()
        config = run.tags.get(PARTITION_TAG)
        tags = run_tags(assets_of(run, nodes), config)
        if _PRIORITY_TAG not in run.tags:
            tags[_PRIORITY_TAG] = str(priority_of(tags, 0.0 if config is None else self._planned(config)))
        self._instance.add_run_tags(run.run_id, tags)
        return super().submit_run(context)

    def _planned(self, config: str) -> float:
        """The priority that the plan gave a config when it last let it play; 0 before."""
        wanted = AssetRecordsFilter(AssetKey(BUDGET_NAME), asset_partitions=[config])
        for record in self._instance.fetch_materializations(wanted, limit=1).records:
            event = record.asset_materialization
            priority = None if event is None else event.metadata.get("priority")
            if priority is not None and isinstance(priority.value, float):
                return priority.value
        return 0.0

    def _make_pools(self, run: DagsterRun) -> None:
        """Make the pools of a run before the queue looks: at its first look those it does not know hold nobody back."""
        pools = set(run.run_op_concurrency.all_pools or ()) if run.run_op_concurrency else set[str]()
        storage = self._instance.event_log_storage
        for pool in pools - {limit.name for limit in storage.get_pool_limits()}:
            storage.initialize_concurrency_limit_to_default(pool)
