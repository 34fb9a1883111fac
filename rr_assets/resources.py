"""Resources: vault, settings, GPUs and alerts, as a run or sensor gets them."""

import http.client
import shlex
import subprocess
import urllib.request
from dataclasses import dataclass
from typing import Any

import dagster as dg
import pynvml
from pydantic import Field

from rr_engine import settings
from rr_engine.errors import EngineError
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


@dataclass(frozen=True)
class Gpu:
    """A GPU of this node as it is now."""

    name: str
    use: float  # from 0 to 1, of the time just past
    free_gb: float


class NoGpuError(EngineError):
    """This node has no GPU that can be asked."""


class GpuResource(dg.ConfigurableResource[None]):
    """The GPUs of this node, as NVIDIA's management library sees them."""

    def read(self) -> list[Gpu]:
        """All GPUs; raises NoGpuError, saying why, where there is none."""
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as error:
            raise NoGpuError(f"no NVIDIA driver on this machine: {error}") from error
        try:
            handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
            found = [_gpu(handle) for handle in handles]
        except pynvml.NVMLError as error:
            raise NoGpuError(f"the GPUs of this machine do not answer: {error}") from error
        finally:
            pynvml.nvmlShutdown()
        if not found:
            raise NoGpuError("this machine has no NVIDIA GPU")
        return found


def _gpu(handle: Any) -> Gpu:
    name = pynvml.nvmlDeviceGetName(handle)
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    use = pynvml.nvmlDeviceGetUtilizationRates(handle)
    return Gpu(str(name), float(use.gpu) / 100, int(memory.free) / 1e9)


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
