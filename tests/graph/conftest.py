"""A loop of one's own: tiny settings, a vault in a temporary folder, an instance in memory."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from rr_assets import automation, code_location
from rr_assets.resources import AlertResource, SettingsResource, VaultResource
from rr_engine.boards import Config
from rr_engine.settings import load
from rr_engine.stages import fleet
from rr_engine.vault import Vault
from tests.graph.nodes import ALERTS, FAIL, MACHINES, REFUSED, Node

ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "tests" / "data" / "tiny.toml"
HEX = Config.parse("hex8_2p")
LOOP = ("games_db", "npz_dataset", "checkpoint", "elo", "champion", "curriculum")


class Loop:
    """Materialises parts of the graph with their checks, as a run would."""

    def __init__(self, url: str, instance: dg.DagsterInstance) -> None:
        self.vault = Vault.open(url)
        self.instance = instance
        self.settings = load(TINY)
        self._resources = {
            "vault": VaultResource(url=url),
            "settings": SettingsResource(),
            "alert": AlertResource(),
        }
        definitions = code_location()
        assets = {asset.key.to_user_string(): asset for asset in definitions.assets or ()}
        checks = list(definitions.asset_checks or ())
        self._parts = {
            name: [asset, *(check for check in checks if check.check_key.asset_key == asset.key)]
            for name, asset in assets.items()
        }

    def materialize(self, *names: str, config: str | None = None) -> dg.ExecuteInProcessResult:
        """Run assets and their checks; failures are in the result, not raised."""
        parts = [part for name in names for part in self._parts[name]]
        others = [asset for name, (asset, *_) in self._parts.items() if name not in names]
        return dg.materialize(
            [*parts, *others],
            selection=dg.AssetSelection.assets(*names),
            partition_key=config,
            instance=self.instance,
            resources=self._resources,
            raise_on_error=False,
        )


def clean_shell(home: Path) -> dict[str, str]:
    """The environment of a shell that knows nothing but a home, the vault inside it and tiny settings."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    return kept | {"DAGSTER_HOME": str(home), "RR_VAULT": str(home / "vault"), "RR_SETTINGS": str(TINY)}


def log_of(loop: Loop, result: dg.ExecuteInProcessResult, asset: str) -> list[str]:
    """What an asset has logged itself."""
    entries = loop.instance.all_logs(result.run_id)
    return [entry.user_message for entry in entries if entry.step_key == asset and entry.dagster_event is None]


def row(loop: Loop) -> dict[str, Any]:
    """The row of HEX in a plan made now, and kept."""
    assert loop.materialize("selfplay_plan").success
    return dict(fleet.newest_plan(loop.vault)[HEX.key])


def ordered(loop: Loop) -> dict[str, Any]:
    """What the newest self-play run was told."""
    return dict(loop.vault.claims(HEX.key)[-1].facts["order"])


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A Dagster home as the project has it, empty."""
    shutil.copy(ROOT / "dagster_home" / "dagster.yaml", tmp_path)
    return tmp_path


@pytest.fixture
def loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loop]:
    monkeypatch.setenv("RR_SETTINGS", str(TINY))
    with dg.DagsterInstance.ephemeral() as instance:
        yield Loop(str(tmp_path / "vault"), instance)


@pytest.fixture
def failed_checks() -> Callable[[dg.ExecuteInProcessResult], dict[str, str]]:
    """Checks that did not pass -> their description."""
    return lambda result: {
        evaluation.check_name: evaluation.description or ""
        for evaluation in result.get_asset_check_evaluations()
        if not evaluation.passed
    }


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    for kept in (ALERTS, MACHINES):
        kept.clear()
    FAIL.clear()
    REFUSED.clear()
    with dg.DagsterInstance.ephemeral() as instance:
        yield Node(tmp_path / "vault", instance)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Turns the time of the sensors forward."""
    ahead = 0.0
    real = time.time

    def forward(seconds: float) -> None:
        nonlocal ahead
        ahead += seconds

    monkeypatch.setattr(automation.time, "time", lambda: real() + ahead)
    return forward
