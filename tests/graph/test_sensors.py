"""Sensors: crashes are budgeted, disks watched, idle GPUs used; each says what it did or why it did nothing."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pynvml
import pytest

from rr_assets import automation
from rr_assets.coordinator import run_tags
from rr_assets.nodes import Gpu, NoGpuError, own_gpus
from rr_assets.nodes import Node as Machine
from rr_assets.resources import AlertResource, SettingsResource
from rr_engine.boards import Config
from rr_engine.nn.features import FEATURE_VERSION
from rr_engine.settings import Settings, VaultSettings
from rr_engine.stages import fleet, pauses
from rr_engine.vault import Vault
from tests.engine.test_stored import network
from tests.graph.nodes import ALERTS, FAIL, HEX, MACHINES, SQUARE, Node, crash, idle, machine


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


def test_a_disk_of_a_node_that_gets_full_is_told_but_the_others_go_on(node: Node) -> None:
    MACHINES.extend([machine(name="wide"), machine(name="full", disk_used=0.94)])
    told = node.tick(automation.watch_disk)
    assert told.run_requests == []
    assert [alert.split(" is ")[0] for alert in ALERTS] == ["full"]
    node.tick(automation.watch_disk)
    assert len(ALERTS) == 1


def test_sensors_start_nothing_but_what_they_are_for() -> None:
    assert str(automation.watch_disk.job.selection) == 'key:"selfplay_plan"'
    assert str(automation.use_idle_gpu.job.selection) == 'key:"games_db"'
    assert str(automation.budget_crashes.job.selection) == 'key:"selfplay_plan"'


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
    MACHINES.append(machine(Gpu("H100", 0.03, 70.0, 80.0)))
    assert idle(node) == ([], "there is no plan yet")
    _crown(node.vault, SQUARE)
    _crown(node.vault, HEX)
    fleet.plan_fleet(node.vault, Settings())
    pauses.pause(node.vault, HEX, "not now", by="hand")  # the plan does not know yet
    [request], _ = idle(node)
    assert request.partition_key == SQUARE.key
    assert request.tags["rr/reason"].startswith("H100 of node at 3%: priority ")


def test_without_a_network_that_fits_the_heuristic_plays(node: Node) -> None:
    MACHINES.append(machine(Gpu("small", 0.0, 0.5, 1.0)))
    _crown(node.vault, HEX)
    fleet.plan_fleet(node.vault, Settings())
    [request], _ = idle(node)
    assert "no network fits, the heuristic plays" in request.tags["rr/reason"]
    assert "hex8_2p needs 1." in request.tags["rr/reason"]


BUSY = (Gpu("busy", 0.1, 70.0, 80.0), Gpu("all", 0.9, 70.0, 80.0))
IDLE = Gpu("idle", 0.0, 70.0, 80.0)


@pytest.mark.parametrize(
    ("known", "says"),
    [
        ([], "no worker for GPUs answers"),
        ([machine(IDLE, lane="cpu")], "no worker for GPUs answers"),
        ([machine()], "node: no NVIDIA driver on this machine"),
        ([machine(*BUSY, role="trainer")], "no GPU of node is idle: the least used one is at 10%"),
        ([machine(IDLE, role="coordinator")], "node is a coordinator: it plays no games"),
        ([machine(IDLE, code="old")], "node has other code"),
        ([machine(IDLE, runs=("a run",))], "idle of node is at 0%, a run for it is under way"),
        ([machine(), machine(*BUSY, name="other")], "node: no NVIDIA driver on this machine"),
    ],
)
def test_a_gpu_that_is_not_to_be_used_is_left_alone(node: Node, known: list[Machine], says: str) -> None:
    MACHINES.extend(known)
    fleet.plan_fleet(node.vault, Settings())
    requests, told = idle(node)
    assert requests == []
    assert told is not None and says in told


def test_a_gpu_that_a_queued_run_will_take_is_left_alone(node: Node) -> None:
    MACHINES.append(machine(IDLE))
    fleet.plan_fleet(node.vault, Settings())
    other = run_tags({"games_db"}, "hexagonal_4p")  # nothing for this node
    for tags, asks in ((other, 1), (run_tags({"games_db"}, HEX.key), 0)):
        node.instance.add_run(dg.DagsterRun(job_name="queued", status=dg.DagsterRunStatus.NOT_STARTED, tags=tags))
        assert len(idle(node)[0]) == asks


def test_idle_gpus_share_the_configs_as_the_plan_does(node: Node) -> None:
    MACHINES.extend(machine(IDLE, name=f"node{number}") for number in range(24))
    rows = fleet.plan_fleet(node.vault, Settings()).rows
    requests, _ = idle(node)
    played = Counter(request.partition_key for request in requests)
    assert set(played) == {row.config for row in rows}
    assert all(abs(played[row.config] - 24 * row.share) <= 1 for row in rows)


def test_launches_that_fail_wait_twice_as_long_each_time(node: Node, clock: Callable[[float], None]) -> None:
    MACHINES.append(machine(Gpu("idle", 0.0, 70.0, 80.0)))
    fleet.plan_fleet(node.vault, Settings())
    for wait in (60, 120, 240, 480, 960, 1800, 1800):
        [request], _ = idle(node)
        config = Config.parse(request.partition_key)
        FAIL[config.key] = crash
        node.run(config, tags={"dagster/run_key": request.run_key})
        requests, says = idle(node)
        assert requests == []
        assert says is not None and "launches failed in a row" in says
        clock(wait - 30)
        assert idle(node)[0] == []
        clock(30)
    [request], _ = idle(node)
    FAIL.clear()
    node.run(Config.parse(request.partition_key), tags={"dagster/run_key": request.run_key})
    assert len(idle(node)[0]) == 1


def test_the_gpus_of_a_machine_without_nvidia_are_told_in_one_line() -> None:
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        with pytest.raises(NoGpuError, match="no NVIDIA driver on this machine"):
            own_gpus()
    else:
        assert all(0 <= gpu.use <= 1 and gpu.free_gb > 0 for gpu in own_gpus())


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
