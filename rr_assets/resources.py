"""Resources: vault, settings, nodes and alerts, as a run or sensor gets them."""

import http.client
import shlex
import subprocess
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from rr_assets.nodes import GPU, Node, own_node, workers_of
from rr_engine import settings
from rr_engine.vault import Vault

_ALERT_S = 5  # seconds that a command or URL has to take an alert


class SettingsResource(dg.ConfigurableResource[settings.Settings]):
    """Every number of the loop: defaults, one TOML file, environment, and last the launchpad's `overrides`."""

    overrides: dict[str, Any] = Field(
        default_factory=dict, description="section -> key -> value, for example {selfplay: {games: 50}}"
    )

    def load(self) -> settings.Settings:
        """The settings of this run; raises ConfigError for an unknown key or a value out of range."""
        return settings.load(overrides=self.overrides)


class VaultResource(dg.ConfigurableResource[Vault]):
    """Where artefacts lie."""

    url: str = Field(default="", description="empty: the variable RR_VAULT, else data/ beside the project")

    def open(self, loaded: settings.Settings) -> Vault:
        """The vault, with the limits of `loaded`."""
        return Vault.open(self.url or None, settings=loaded.vault)


class NodesResource(dg.ConfigurableResource[None]):
    """The machines that play and train."""

    def read(self, instance: dg.DagsterInstance, loaded: settings.Settings) -> list[Node]:
        """The workers of a cluster, as they answer; where runs go to no workers, this machine."""
        if (workers := workers_of(instance.run_launcher)) is not None:
            return list(workers)
        own = own_node(GPU, loaded.node.role, loaded, disk=Path.cwd())
        on_gpu = dg.RunsFilter(tags={"rr/lane": GPU}, statuses=[dg.DagsterRunStatus.STARTED])
        return [replace(own, runs=tuple(run.run_id for run in instance.get_runs(on_gpu)))]


class AlertResource(dg.ConfigurableResource[None]):
    """Tells people what they should look at."""

    def send(self, text: str, loaded: settings.Settings, log: Any) -> None:
        """Log a warning, and pass it to `alert.to`: a URL it is posted to, or a command. Its failure stops nothing."""
        log.warning(text)
        target = loaded.alert.to
        try:
            if target.startswith(("http://", "https://")):
                with urllib.request.urlopen(urllib.request.Request(target, text.encode()), timeout=_ALERT_S):
                    pass
            elif target:
                subprocess.run([*shlex.split(target), text], check=True, timeout=_ALERT_S, capture_output=True)
        except (OSError, ValueError, http.client.HTTPException, subprocess.SubprocessError) as error:
            log.warning(f"the alert did not reach {target}: {error}")
