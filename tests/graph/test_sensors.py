"""Sensors: crashes are budgeted, disks watched, idle GPUs used; each says what it did or why it did nothing."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pynvml
import pytest

from rr_assets import automation, code_location
from rr_assets.resources import AlertResource, Gpu, GpuResource, NoGpuError, SettingsResource, VaultResource
from rr_engine.boards import Config
from rr_engine.nn.features import FEATURE_VERSION
from rr_engine.settings import Settings, VaultSettings
from rr_engine.stages import fleet, pauses
from rr_engine.vault import Vault
from tests.engine.test_stored import network

HEX, SQUARE = Config.parse("hex8_2p"), Config.parse("square8_2p")
FAIL: dict[str, Callable[[], None]] = {}


class SentAlerts(AlertResource):
    """Keeps what it was told."""

    def send(self, text: str, *_: Any) -> None:
        ALERTS.append(text)


ALERTS: list[str] = []


class FakeGpus(GpuResource):
    """GPUs as a test wants them; none without any."""

    def read(self) -> list[Gpu]:
        if not GPUS:
            raise NoGpuError("no NVIDIA driver on this machine")
        return list(GPUS)


GPUS: list[Gpu] = []


@dg.asset(partitions_def=automation.CONFIG_PARTITIONS)
def games_db(context: dg.AssetExecutionContext) -> None:
    FAIL.get(context.partition_key, lambda: None)()


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
            "gpus": FakeGpus(),
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

    def run(self, config: Config, *, tags: dict[str, str] | None = None) -> dg.ExecuteInProcessResult:
        return dg.materialize(
            [games_db, sound],
            partition_key=config.key,
            instance=self.instance,
            raise_on_error=False,
            tags=tags,
        )

    def retries(self, config: Config) -> int:
        wanted = dg.AssetRecordsFilter(automation.RETRY_BUDGET.key, asset_partitions=[config.key])
        return len(self.instance.fetch_materializations(wanted, limit=100).records)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    for kept in (ALERTS, GPUS):
        kept.clear()
    FAIL.clear()
    REFUSED.clear()
    with dg.DagsterInstance.ephemeral() as instance:
        yield Node(tmp_path / "vault", instance)


def crash() -> None:
    raise RuntimeError("out of memory")


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


def test_a_crash_may_try_again_three_in_a_row_pause_and_a_success_resumes(
    node: Node, clock: Callable[[float], None]
) -> None:
    FAIL[HEX.key] = crash
    node.run(SQUARE)
    for crashes in (1, 2):
        node.run(HEX)
        node.tick(automation.budget_crashes)
        assert node.retries(HEX) == crashes - 1  # it waits first
        clock(60.0 * 2 ** (crashes - 1))
        told = node.tick(automation.budget_crashes).skip_message
        assert "hex8_2p may try again" in told
        node.tick(automation.budget_crashes)
        assert node.retries(HEX) == crashes  # once per crash
    node.run(HEX)
    node.tick(automation.budget_crashes)
    pause = pauses.pause_of(node.vault, HEX)
    assert pause is not None
    assert pause.reason.startswith("3 crashes in a row, the last in run ")
    assert [f"hex8_2p pauses: {pause.reason}"] == ALERTS
    assert (pauses.pause_of(node.vault, SQUARE), node.retries(SQUARE), node.retries(HEX)) == (None, 0, 2)
    row = {row.config: row for row in fleet.plan_fleet(node.vault, Settings()).rows}[HEX.key]
    assert row.share == 0
    assert row.reason == f"rests: paused since {pause.since}: {pause.reason}"
    FAIL.clear()
    node.run(HEX)
    node.tick(automation.budget_crashes)
    assert pauses.pause_of(node.vault, HEX) is None
    assert {row.config: row for row in fleet.plan_fleet(node.vault, Settings()).rows}[HEX.key].grants


def test_a_pause_ended_by_hand_is_not_begun_again_for_the_same_crash(node: Node) -> None:
    FAIL[HEX.key] = crash
    for _ in range(3):
        node.run(HEX)
    node.tick(automation.budget_crashes)
    assert pauses.pause_of(node.vault, HEX) is not None
    pauses.resume(node.vault, HEX, "mended", by="hand")
    node.tick(automation.budget_crashes)
    assert pauses.pause_of(node.vault, HEX) is None


def test_a_pause_by_hand_outlasts_successes(node: Node) -> None:
    pauses.pause(node.vault, HEX, "holidays", by="hand")
    node.run(HEX)
    node.tick(automation.budget_crashes)
    assert pauses.pause_of(node.vault, HEX) is not None


def test_a_failed_check_is_no_crash(node: Node, clock: Callable[[float], None]) -> None:
    REFUSED.add(HEX.key)
    for _ in range(4):
        assert not node.run(HEX).success
    clock(3600)
    assert node.tick(automation.budget_crashes).skip_message == "no crash to deal with"
    assert (pauses.pause_of(node.vault, HEX), node.retries(HEX), ALERTS) == (None, 0, [])


def test_a_disk_that_gets_full_is_told_once_and_the_plan_pauses_the_producers(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "there is room" in node.tick(automation.watch_disk).skip_message
    for used, says in ((0.70, "from 93% on nothing is produced"), (0.93, "free some space"), (0.2, "there is room")):
        monkeypatch.setattr("rr_engine.vault.backends.LocalBackend.used_share", lambda _, used=used: used)
        data = node.tick(automation.watch_disk)
        assert len(data.run_requests) == 1
        assert says in ALERTS[-1]
        assert f"{used:.1%} full" in ALERTS[-1]
        assert node.tick(automation.watch_disk).run_requests == []
        shares = {row.share for row in fleet.plan_fleet(node.vault, Settings()).rows}
        assert (shares == {0.0}) == (used >= VaultSettings().pause_full)
    assert len(ALERTS) == 3


def test_sensors_start_nothing_but_what_they_are_for() -> None:
    assert str(automation.watch_disk.job.selection) == 'key:"selfplay_plan"'
    assert str(automation.use_idle_gpu.job.selection) == 'key:"games_db"'
    assert automation.budget_crashes.targets == []


def _idle(node: Node) -> tuple[list[dg.RunRequest], str | None]:
    data = node.tick(automation.use_idle_gpu)
    return data.run_requests, data.skip_message


def _crown(vault: Vault, config: Config) -> None:
    data = network(config, 1)
    card = vault.put(
        "checkpoint",
        config.key,
        data,
        suffix=".safetensors",
        producer="test",
        rows=1,
        schema_version=FEATURE_VERSION,
        facts={"input_quality": None},
    )
    vault.write_pointer(card, facts={"proven": True})


def test_an_idle_gpu_plays_what_the_plan_wants_most_and_has_a_network_for(node: Node) -> None:
    GPUS.append(Gpu("H100", 0.03, 70.0))
    assert _idle(node) == ([], "every config rests")  # nothing is planned yet
    _crown(node.vault, SQUARE)
    _crown(node.vault, HEX)
    pauses.pause(node.vault, HEX, "not now", by="hand")
    fleet.plan_fleet(node.vault, Settings())
    [request], _ = _idle(node)
    assert request.partition_key == SQUARE.key
    assert request.tags["rr/lane"] == "gpu"
    assert request.tags["rr/reason"].startswith("H100 at 3%: priority ")


def test_without_a_network_that_fits_the_heuristic_plays(node: Node) -> None:
    GPUS.append(Gpu("small", 0.0, 0.5))
    _crown(node.vault, HEX)
    fleet.plan_fleet(node.vault, Settings())
    [request], _ = _idle(node)
    assert "no network fits, the heuristic plays" in request.tags["rr/reason"]
    assert "hex8_2p needs 1." in request.tags["rr/reason"]


@pytest.mark.parametrize(
    ("gpus", "role", "says"),
    [
        ([], "selfplay", "no NVIDIA driver on this machine"),
        ([Gpu("busy", 0.1, 70.0), Gpu("all", 0.9, 70.0)], "trainer", "no GPU is idle: the least used one is at 10%"),
        ([Gpu("idle", 0.0, 70.0)], "coordinator", "this node is a coordinator: it plays no games"),
    ],
)
def test_a_gpu_that_is_not_to_be_used_is_left_alone(
    node: Node, monkeypatch: pytest.MonkeyPatch, gpus: list[Gpu], role: str, says: str
) -> None:
    monkeypatch.setenv("RR_IDLE__ROLE", role)
    GPUS.extend(gpus)
    fleet.plan_fleet(node.vault, Settings())
    assert _idle(node) == ([], says)


def test_launches_that_fail_wait_twice_as_long_each_time(node: Node, clock: Callable[[float], None]) -> None:
    GPUS.append(Gpu("idle", 0.0, 70.0))
    fleet.plan_fleet(node.vault, Settings())
    for wait in (60, 120, 240, 480, 960, 1800, 1800):
        [request], _ = _idle(node)
        config = Config.parse(request.partition_key)
        FAIL[config.key] = crash
        node.run(config, tags={"dagster/run_key": request.run_key})
        requests, says = _idle(node)
        assert requests == []
        assert says is not None and "launches failed in a row" in says
        clock(wait - 30)
        assert _idle(node)[0] == []
        clock(30)
    [request], _ = _idle(node)
    FAIL.clear()
    node.run(Config.parse(request.partition_key), tags={"dagster/run_key": request.run_key})
    assert len(_idle(node)[0]) == 1


def test_the_gpus_of_a_machine_without_nvidia_are_told_in_one_line() -> None:
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        with pytest.raises(NoGpuError, match="no NVIDIA driver on this machine"):
            GpuResource().read()
    else:
        assert all(0 <= gpu.use <= 1 and gpu.free_gb > 0 for gpu in GpuResource().read())


def test_an_alert_reaches_a_command_and_its_failure_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = dg.get_dagster_logger()
    received, command = tmp_path / "received", tmp_path / "tell"
    command.write_text(f'#!/bin/sh\nprintf %s "$2" > {received}\n')
    command.chmod(0o755)
    for target, fails in ((f"{command} chat", False), ("false", True), ("/nothing/here", True), ("http://[", True)):
        caplog.clear()
        loaded = SettingsResource(overrides={"alert": {"to": target}}).load()
        AlertResource().send("hex8_2p pauses", loaded, log)
        assert ("did not reach" in caplog.text) == fails
    assert received.read_text() == "hex8_2p pauses"
