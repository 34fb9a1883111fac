"""The run launcher of one machine: it notices runs whose process is gone, after a power cut for instance.

Such a run would count as under way for ever, and its config and pool would wait for it.
"""

from collections.abc import Iterator

import psutil
from dagster import DagsterEventType, DagsterRun, DefaultRunLauncher
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus

_CLOCK_S = 2.0  # seconds by which a process may seem to be younger than its own events


class WatchfulRunLauncher(DefaultRunLauncher):
    """The default launcher, which also answers the daemon's question whether the process of a run is alive."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """That it can tell."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Whether the last process that said it works on `run` still does; the daemon fails the run if not."""
        processes = list(self._processes(run))
        if not processes or _is_alive(*processes[-1]):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(WorkerStatus.FAILED, f"its process {processes[-1][0]} is gone")

    def _processes(self, run: DagsterRun) -> Iterator[tuple[int, float]]:
        """(process, seconds since 1970 when it said so), the first one first; none before the first step."""
        for entry in self._instance.all_logs(run.run_id, of_type=DagsterEventType.ENGINE_EVENT):
            pid = entry.get_dagster_event().engine_event_data.metadata.get("pid")
            if pid is not None:
                yield int(str(pid.value)), entry.timestamp


def _is_alive(pid: int, said_at: float) -> bool:
    """Whether the process is there and is no younger one that got its number."""
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= said_at + _CLOCK_S
    except psutil.NoSuchProcess:
        return False
