"""A running cluster as a test uses it: who works, launching runs, waiting, killing."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import dagster as dg

from benchmarks.served import ask
from rr_assets.cluster.launcher import ClusterRunLauncher
from rr_assets.cluster.trial import Trial
from rr_assets.coordinator import UNDER_WAY, WORKER_TAG
from rr_assets.nodes import Node
from rr_engine.boards import CONFIGS
from rr_engine.stages import pauses
from rr_engine.vault import Vault

TINY = Path(__file__).resolve().parents[1] / "data" / "tiny.toml"
_LAUNCH = """mutation($asset: [String!]!, $tags: [ExecutionTag!]!) { launchPipelineExecution(executionParams: {
    selector: {repositoryName: "__repository__", repositoryLocationName: "rr_assets", pipelineName: "__ASSET_JOB",
               assetSelection: [{path: $asset}]}
    runConfigData: {}, mode: "default", executionMetadata: {tags: $tags}})
    { __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""


class Running:
    """A cluster whose processes run."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self.instance: dg.DagsterInstance
        self.vault: Vault

    @contextmanager
    def joined(self) -> Iterator[None]:
        """This process is part of it meanwhile."""
        with (
            mock.patch.dict(os.environ, self.trial.environment | {"RR_SETTINGS": str(TINY)}),
            dg.DagsterInstance.from_config(self.trial.environment["DAGSTER_HOME"]) as instance,
        ):
            self.instance, self.vault = instance, Vault.open()
            yield

    def begin(self) -> None:
        """Start the platform, nothing to do for it yet."""
        with self.joined():
            self.rest()
            for part in self.trial.processes():
                if part["statename"] == "STOPPED":
                    self.trial.start(part["name"])
            self.wait(self._is_served, 120)

    def settle(self) -> None:
        """Bring everybody back, let every config rest, and wait until no run is under way."""
        self.rest()
        for part in self.trial.processes():
            if part["statename"] not in ("RUNNING", "STARTING"):
                self.trial.start(part["name"])
        self.wait(lambda: len(self.nodes()) == len(self.workers), 120)
        self.wait(lambda: not self.instance.get_runs(dg.RunsFilter(statuses=list(UNDER_WAY))), 240)

    @property
    def workers(self) -> list[str]:
        """Names of the workers that there are to be."""
        return sorted(part["name"] for part in self.trial.processes() if part["name"].startswith(("gpu", "cpu")))

    def rest(self) -> None:
        """Let every config rest."""
        for config in CONFIGS:
            if pauses.pause_of(self.vault, config) is None:
                pauses.pause(self.vault, config, "not part of this", by="hand")

    def nodes(self) -> list[Node]:
        """Who answers now."""
        launcher = self.instance.run_launcher
        assert isinstance(launcher, ClusterRunLauncher)
        launcher.forget()
        return list(launcher.nodes())

    def launch(self, asset: str, config: str | None = None) -> str:
        """Launch a run through the pages, as a person does; returns its id."""
        tags = [] if config is None else [{"key": "dagster/partition", "value": config}]
        answer = ask(self.trial.pages, _LAUNCH, {"asset": [asset], "tags": tags})["launchPipelineExecution"]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        return str(answer["run"]["runId"])

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
        """Return as soon as something holds."""
        deadline = time.monotonic() + within_s
        while not holds():
            assert time.monotonic() < deadline, f"not so within {within_s} s: see {self.trial.folder}/log"
            time.sleep(0.3)

    def kill(self, part: str) -> None:
        """SIGKILL a part with all its processes, as when its node vanishes; supervisord starts it again."""
        pid = next(process["pid"] for process in self.trial.processes() if process["name"] == part)
        os.killpg(pid, signal.SIGKILL)

    def _is_served(self) -> bool:
        try:
            return bool(ask(self.trial.pages, "{ assetNodes { id } }")["assetNodes"])
        except OSError:
            return False
