"""A running cluster, as tests and measurements use it: who works, launching runs, waiting, killing."""

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import dagster as dg

from benchmarks.served import ask, let_rest
from benchmarks.tripwire import Tripwire
from rr_assets.cluster.launcher import ClusterRunLauncher
from rr_assets.cluster.trial import Trial
from rr_assets.coordinator import UNDER_WAY, WORKER_TAG
from rr_assets.nodes import Node
from rr_engine.vault import Vault

_CPU_SLOTS = 4  # plans, datasets and short matches do not wait for two long ones
_LAUNCH = """mutation($asset: [String!]!, $config: RunConfigData!, $tags: [ExecutionTag!]!) {
    launchPipelineExecution(executionParams: {
    selector: {repositoryName: "__repository__", repositoryLocationName: "rr_assets", pipelineName: "__ASSET_JOB",
               assetSelection: [{path: $asset}]}
    runConfigData: $config, mode: "default", executionMetadata: {tags: $tags}})
    { __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
_HERE = {"repositoryName": "__repository__", "repositoryLocationName": "rr_assets"}
_SENSOR = """query($sensor: SensorSelector!) { sensorOrError(sensorSelector: $sensor) {
    ... on Sensor { sensorState { id } } } }"""
_STOP_SENSOR = """mutation($state: String!) { stopSensor(id: $state) {
    __typename ... on PythonError { message } } }"""
_START_SENSOR = """mutation($sensor: SensorSelector!) { startSensor(sensorSelector: $sensor) {
    __typename ... on PythonError { message } } }"""
_STOP = """mutation($run: String!) { terminateRun(runId: $run) {
    __typename ... on TerminateRunFailure { message } ... on PythonError { message } } }"""


@contextmanager
def running_cluster(workers: Mapping[str, str], settings: Path) -> Iterator[tuple["Running", Tripwire]]:
    """A cluster of its own in a folder for temporary files, every config at rest; the platform uses the tripwire.

    The folder is removed, unless what is done with the cluster raises: then its logs may tell why.
    """
    folder = Path(tempfile.mkdtemp(prefix="ringrift-"))
    folder.chmod(0o755)  # the database runs as another user
    trial = Trial(folder)
    try:
        trial.prepare()
        wire = Tripwire(trial.addresses.store)
        trial.serve(workers, cpu_slots=_CPU_SLOTS, environ={"RR_SETTINGS": str(settings), "AWS_ENDPOINT_URL": wire.url})
        running = Running(trial, settings)
        running.begin()
        yield running, wire
    finally:
        if trial.processes():
            trial.down()
    shutil.rmtree(folder)


def times_to_start(instance: dg.DagsterInstance, runs: Sequence[dg.RunRecord]) -> list[tuple[float, float]]:
    """Of each run that has begun: seconds in the queue, and from there to the first line of its own process."""
    stats = [instance.get_run_stats(record.dagster_run.run_id) for record in runs]
    return [
        (stat.launch_time - stat.enqueued_time, stat.start_time - stat.launch_time)
        for stat in stats
        if stat.enqueued_time and stat.launch_time and stat.start_time
    ]


class Running:
    """A cluster whose processes run."""

    def __init__(self, trial: Trial, settings: Path) -> None:
        self.trial = trial
        self._settings = settings
        self.instance: dg.DagsterInstance
        self.vault: Vault

    @contextmanager
    def joined(self) -> Iterator[None]:
        """This process is part of it meanwhile."""
        with (
            mock.patch.dict(os.environ, self.trial.environment | {"RR_SETTINGS": str(self._settings)}),
            dg.DagsterInstance.from_config(self.trial.environment["DAGSTER_HOME"]) as instance,
        ):
            self.instance, self.vault = instance, Vault.open()
            yield

    def begin(self) -> None:
        """Start the platform, nothing to do for it yet."""
        with self.joined():
            let_rest(self.vault)
            for part in self.trial.processes():
                if part["statename"] == "STOPPED":
                    self.trial.start(part["name"])
            self.wait_served()

    def settle(self) -> None:
        """Bring everybody back, let every config rest, drop what is queued, and wait for what is under way."""
        let_rest(self.vault)
        for part in self.trial.processes():
            if part["statename"] not in ("RUNNING", "STARTING"):
                self.trial.start(part["name"])
        self.wait(lambda: len(self.nodes()) == len(self.workers), 120)
        self.wait(self._is_at_rest, 240)

    def _is_at_rest(self) -> bool:
        """Drop what is queued; says whether no worker was at a run, were it one that has ended, and none under way."""
        busy = any(node.runs for node in self.nodes())  # asked first: an answer takes a second, in which runs begin
        runs = self.instance.get_runs(dg.RunsFilter(statuses=list(UNDER_WAY)))
        for run in runs:
            if run.status is dg.DagsterRunStatus.QUEUED:
                self.instance.report_run_canceled(run)  # should it begin just then, its worker lets it be
        return not runs and not busy

    @property
    def workers(self) -> list[str]:
        """Names of the workers that there are to be."""
        return sorted(part["name"] for part in self.trial.processes() if part["name"].startswith(("gpu", "cpu")))

    def nodes(self) -> list[Node]:
        """Who answers now."""
        launcher = self.instance.run_launcher
        assert isinstance(launcher, ClusterRunLauncher)
        launcher.forget()
        return list(launcher.nodes())

    def node(self, worker: str) -> Node:
        """A worker as it answers now."""
        return next(node for node in self.nodes() if node.name.partition("@")[0] == worker)

    def launch(self, asset: str, config: str | None = None, **overrides: Mapping[str, float]) -> str:
        """Launch a run through the pages, as a person does, with other settings if they are named; returns its id."""
        run_config = {"resources": {"settings": {"config": {"overrides": overrides}}}} if overrides else {}
        tags = [] if config is None else [{"key": "dagster/partition", "value": config}]
        variables = {"asset": [asset], "config": run_config, "tags": tags}
        return str(self._order(_LAUNCH, variables, "launchPipelineExecution", "LaunchRunSuccess")["run"]["runId"])

    def stop(self, run_id: str) -> None:
        """Stop a run through the pages, as a person does."""
        self._order(_STOP, {"run": run_id}, "terminateRun", "TerminateRunSuccess")

    def _order(self, mutation: str, variables: dict[str, Any], field: str, success: str) -> dict[str, Any]:
        """What the pages answer to a mutation, which must be of the type `success`."""
        answer: dict[str, Any] = ask(self.trial.pages, mutation, variables)[field]
        assert answer["__typename"] == success, answer
        return answer

    @contextmanager
    def without(self, sensor: str) -> Iterator[None]:
        """The platform does not do meanwhile what that sensor starts."""
        selector = _HERE | {"sensorName": sensor}
        state = ask(self.trial.pages, _SENSOR, {"sensor": selector})["sensorOrError"]["sensorState"]["id"]
        self._order(_STOP_SENSOR, {"state": state}, "stopSensor", "StopSensorMutationResult")
        try:
            yield
        finally:
            self._order(_START_SENSOR, {"sensor": selector}, "startSensor", "Sensor")

    def run(self, run_id: str) -> dg.RunRecord:
        """A run as it is now."""
        record = self.instance.get_run_record_by_id(run_id)
        assert record is not None
        return record

    def status(self, run_id: str) -> dg.DagsterRunStatus:
        return self.run(run_id).dagster_run.status

    def worker_of(self, run_id: str) -> str:
        """Which worker is at a run, or was; empty before one is."""
        return self.run(run_id).dagster_run.tags.get(WORKER_TAG, "").partition("@")[0]

    def wait_ended(self, run_id: str, within_s: float = 120) -> dg.DagsterRunStatus:
        self.wait(lambda: self.run(run_id).dagster_run.is_finished, within_s)
        return self.status(run_id)

    def wait(self, holds: Callable[[], Any], within_s: float) -> None:
        """Return as soon as something holds; raises TimeoutError if it does not in time."""
        deadline = time.monotonic() + within_s
        while not holds():
            if time.monotonic() > deadline:
                raise TimeoutError(f"not so within {within_s} s: see {self.trial.folder}/log")
            time.sleep(0.3)

    def kill(self, part: str) -> None:
        """SIGKILL a part with all its processes, as when its node vanishes; supervisord starts it again."""
        pid = next(process["pid"] for process in self.trial.processes() if process["name"] == part)
        os.killpg(pid, signal.SIGKILL)

    def wait_served(self) -> None:
        """Return when pages and database answer."""
        self.wait(self._is_served, 120)

    def _is_served(self) -> bool:
        try:
            runs = "{ assetNodes { id } runsOrError(limit: 1) { __typename } }"
            answer = ask(self.trial.pages, runs)
        except OSError:
            return False
        return bool(answer["assetNodes"]) and answer["runsOrError"]["__typename"] == "Runs"
