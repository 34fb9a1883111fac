"""A node for tests of sensors: a vault, an instance, and fakes for what lies outside."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg

from rr_assets import automation, code_location
from rr_assets.nodes import Gpu, code_version
from rr_assets.nodes import Node as Machine
from rr_assets.resources import AlertResource, NodesResource, SettingsResource, VaultResource
from rr_engine.boards import Config
from rr_engine.vault import Vault

HEX, SQUARE = Config.parse("hex8_2p"), Config.parse("square8_2p")
FAIL: dict[str, Callable[[], None]] = {}


class SentAlerts(AlertResource):
    """Keeps what it was told."""

    def send(self, text: str, *_: Any) -> None:
        ALERTS.append(text)


ALERTS: list[str] = []


def machine(*gpus: Gpu, **fields: Any) -> Machine:
    """A machine as a test wants it."""
    usual = {
        "name": "node",
        "role": "selfplay",
        "lane": "gpu",
        "takes": (f"selfplay.{HEX.key}", f"selfplay.{SQUARE.key}"),
        "slots": 1,
        "code": code_version(),
        "gpus": gpus,
        "why_no_gpu": "" if gpus else "no NVIDIA driver on this machine",
        "disk_used": 0.5,
        "disk_free_gb": 100.0,
    }
    return Machine(**usual | fields)


class FakeNodes(NodesResource):
    """Machines as a test wants them."""

    def read(self, *_: Any) -> list[Machine]:
        return list(MACHINES)


MACHINES: list[Machine] = []


@dg.asset(partitions_def=automation.CONFIG_PARTITIONS)
def games_db(context: dg.AssetExecutionContext) -> None:
    FAIL.get(context.partition_key, lambda: None)()


@dg.asset(partitions_def=automation.CONFIG_PARTITIONS)
def checkpoint(context: dg.AssetExecutionContext) -> None:
    FAIL.get(f"checkpoint {context.partition_key}", lambda: None)()


@dg.asset_check(asset=games_db, partitions_def=automation.CONFIG_PARTITIONS, blocking=True)
def sound(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=context.partition_key not in REFUSED)


REFUSED: set[str] = set()


class Node:
    """A vault, an instance, and sensors with fakes for what is outside."""

    def __init__(self, path: Path, instance: dg.DagsterInstance) -> None:
        self.vault = Vault.open(str(path))
        self.instance = instance
        self._cursors: dict[str, str | None] = {}

    def tick(self, sensor: dg.SensorDefinition) -> dg.SensorResult | Any:
        """What the sensor yields; its cursor goes on from tick to tick."""
        given = {
            "vault": VaultResource(url=self.vault.url),
            "settings": SettingsResource(),
            "alert": SentAlerts(),
            "nodes": FakeNodes(),
        }
        context = dg.build_sensor_context(
            self.instance,
            cursor=self._cursors.get(sensor.name),
            resources={name: given[name] for name in sensor.required_resource_keys},
            repository_def=code_location().get_repository_def(),
        )
        data = sensor.evaluate_tick(context)
        self._cursors[sensor.name] = data.cursor
        return data

    def run(
        self, config: Config, *, asset: str = "games_db", tags: dict[str, str] | None = None
    ) -> dg.ExecuteInProcessResult:
        return dg.materialize(
            [games_db, checkpoint, sound],
            selection=[asset],
            partition_key=config.key,
            instance=self.instance,
            raise_on_error=False,
            tags=tags,
        )

    def retries(self, config: Config, asset: str = "games_db") -> int:
        wanted = dg.AssetRecordsFilter(automation.RETRY_BUDGETS[asset].key, asset_partitions=[config.key])
        return len(self.instance.fetch_materializations(wanted, limit=100).records)


def crash() -> None:
    raise RuntimeError("out of memory")


def idle(node: Node) -> tuple[list[dg.RunRequest], str | None]:
    """What the idle sensor asks for, and why it asks for nothing."""
    data = node.tick(automation.use_idle_gpu)
    return data.run_requests, data.skip_message


@dg.job
def nothing() -> None:
    """A job for runs that a test only writes down."""
