"""The run launcher of a cluster: dagster-celery's, restricted to JSON, with queues that only fitting workers know."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Self

from celery.exceptions import CeleryError
from celery.states import READY_STATES
from dagster import DagsterRun, DagsterRunStatus
from dagster._core.launcher import CheckRunHealthResult, LaunchRunContext, WorkerStatus
from dagster._serdes import ConfigurableClassData
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_QUEUE_TAG, DAGSTER_CELERY_TASK_ID_TAG
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from rr_assets.cluster.broker import SETTINGS, ask_nodes, broker_url, queue_of
from rr_assets.coordinator import LOST_TAG, WORK_TAG
from rr_assets.nodes import Node, code_version

NO_BROKER = (OperationalError, RedisError, CeleryError, OSError)
_OTHERS_S = 10.0  # seconds after which new workers are waited for
_LOOK_S = 5.0  # seconds for which what workers say of their runs serves for all runs of one look at them
_GONE_S = 45.0  # seconds after which a run that no worker says it is at is lost


class ClusterRunLauncher(CeleryRunLauncher):
    """Sends runs to workers, knows the workers, and notices runs whose worker has vanished."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        url = broker_url()
        super().__init__("cpu", broker=url, backend=url, config_source=SETTINGS, inst_data=inst_data)
        self._all_asked_at, self._known = float("-inf"), list[Node]()
        self._missed_since: dict[str, float] = {}  # run -> since when nobody says that he is at it
        self._runs_asked_at, self._runs = float("-inf"), set[str]()

    @classmethod
    def config_type(cls) -> Mapping[str, Any]:
        """Nothing to configure: the broker's address holds a password and comes from the environment."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]) -> Self:
        """As Dagster makes it from dagster.yaml; raises ConfigError without a broker in the environment."""
        return cls(inst_data, **config_value)

    def nodes(self) -> Sequence[Node]:
        """The workers that answer now, new ones after a while; empty while there is no broker."""
        expects_others = not self._known or time.monotonic() - self._all_asked_at > _OTHERS_S
        if expects_others:
            self._all_asked_at = time.monotonic()
        try:
            self._known = ask_nodes(self.celery, enough=None if expects_others else len(self._known))
        except NO_BROKER:
            self._known = []
        return self._known

    def forget(self) -> None:
        """Wait for new workers the next time."""
        self._all_asked_at = float("-inf")

    def launch_run(self, context: LaunchRunContext) -> None:
        """Put the run into the queue of its work, for workers with this code."""
        run = context.dagster_run
        queue = queue_of(run.tags[WORK_TAG], code_version())
        sent = run.with_tags({**run.tags, DAGSTER_CELERY_QUEUE_TAG: queue})
        super().launch_run(LaunchRunContext(dagster_run=sent, workspace=context.workspace))

    def terminate(self, run_id: str) -> bool:
        """Stop a run: at once if no worker has begun it, else when its worker has put away what it was at.

        Says whether there was anything to stop; raises what the broker raises.
        """
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        self._instance.report_run_canceling(run)  # or its end by a signal would count as a failure, and be made up for
        super().terminate(run_id)
        if run.status is DagsterRunStatus.STARTING:
            self._instance.report_run_canceled(run)  # the worker that takes it nevertheless lets it be
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Whether a worker is at `run`, by its own word; raises what the broker raises: then nothing is known."""
        task = self.celery.AsyncResult(run.tags[DAGSTER_CELERY_TASK_ID_TAG])
        if task.state in READY_STATES:  # and yet the run has not ended: it could not say why
            return CheckRunHealthResult(WorkerStatus.FAILED, f"its process has ended without a word: {task.info!r}")
        if run.run_id in self._runs_told():
            self._missed_since.pop(run.run_id, None)
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        missed = time.monotonic() - self._missed_since.setdefault(run.run_id, time.monotonic())
        if missed < _GONE_S:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        self._instance.add_run_tags(run.run_id, {LOST_TAG: "true"})
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, f"for {missed:.0f} s no worker has been at it")

    def _runs_told(self) -> set[str]:
        """The runs that workers say they are at."""
        if time.monotonic() - self._runs_asked_at > _LOOK_S:
            self._runs = {run for node in ask_nodes(self.celery) for run in node.runs}
            self._runs_asked_at = time.monotonic()
        return self._runs
