"""Which node takes what, and how much the queue lets go of."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, replace

import dagster as dg
import pynvml
import pytest
from dagster._utils.tags import TagConcurrencyLimitsCounter

from rr_assets.coordinator import priority_of, queue_limits, run_tags, why_nobody
from rr_assets.nodes import Gpu, Node, code_version, use_gpu, works
from rr_engine.boards import CONFIGS
from rr_engine.errors import ConfigError, DataError
from rr_engine.selfplay import idle
from rr_engine.settings import NetworkSettings, Settings, TrainingSettings
from rr_engine.training import memory
from tests.graph.nodes import machine

WIDE = Settings(network=NetworkSettings(128, 10), training=TrainingSettings(batch_size=1024))
BOTH = {"training", "selfplay"}


def kinds(takes: tuple[str, ...]) -> set[str]:
    return {work.partition(".")[0] for work in takes}


@pytest.mark.parametrize(
    ("lane", "role", "taken"),
    [
        ("gpu", "trainer", BOTH),
        ("gpu", "selfplay", {"selfplay"}),
        ("gpu", "ephemeral", {"selfplay"}),
        ("gpu", "coordinator", set[str]()),
        ("cpu", "coordinator", {"cpu"}),
        ("cpu", "trainer", {"cpu"}),
    ],
)
def test_a_role_says_what_a_worker_takes(lane: str, role: str, taken: set[str]) -> None:
    takes = works(lane, role, Settings(), gpu_gb=None, ram_gb=64.0)
    assert kinds(takes) == taken
    if lane == "gpu":
        assert len(takes) == 12 * len(taken)
        assert takes[:1] == ("training.hex8_2p",) or role != "trainer"


def test_what_does_not_fit_goes_elsewhere() -> None:
    for gpu_gb in (1.0, 2.0, 4.0, 24.0, 80.0):
        takes = works("gpu", "trainer", WIDE, gpu_gb=gpu_gb, ram_gb=64.0)
        for config in CONFIGS:
            plays = idle.memory_gb(config, WIDE.network, WIDE.selfplay.games_at_once) <= gpu_gb
            trains = memory.gpu_gb(config, WIDE.network, WIDE.training.batch_size) <= gpu_gb
            assert (f"selfplay.{config.key}" in takes, f"training.{config.key}" in takes) == (plays, trains)
    assert works("gpu", "trainer", WIDE, gpu_gb=1.0, ram_gb=64.0) == ()
    few = works("gpu", "trainer", WIDE, gpu_gb=24.0, ram_gb=64.0)
    assert "training.hex8_2p" in few and "training.hexagonal_2p" not in few and "selfplay.hexagonal_2p" in few
    assert kinds(works("gpu", "trainer", WIDE, gpu_gb=80.0, ram_gb=4.0)) == {"selfplay"}  # no room for a window


def test_every_run_says_what_it_is_to_a_worker() -> None:
    games = run_tags({"games_db"}, "hex8_2p")
    assert games == {
        "rr/lane": "gpu",
        "rr/work": "selfplay.hex8_2p",
        "rr/kind": "selfplay",
        "dagster-celery/queue": "gpu",
        "rr/config": "hex8_2p",
        "rr/writes/games_db": "hex8_2p",
    }
    assert run_tags({"games_db", "checkpoint", "elo"}, "hex8_2p")["rr/work"] == "training.hex8_2p"
    assert run_tags({"npz_dataset"}, "hex8_2p")["dagster-celery/queue"] == "cpu"
    assert run_tags({"selfplay_plan"}, None) == {
        "rr/lane": "cpu",
        "rr/work": "cpu",
        "rr/kind": "cpu",
        "dagster-celery/queue": "cpu",
        "rr/writes/selfplay_plan": "all",
    }
    training = run_tags({"checkpoint"}, "hex8_2p")
    plan = run_tags({"selfplay_plan", "leaderboard"}, None)
    ordered = [priority_of(games, 0.9), priority_of(training, 0.1), priority_of(training, 1.0), priority_of(plan, 0.0)]
    assert ordered == sorted(set(ordered))
    dataset = run_tags({"npz_dataset"}, "hex8_2p")
    assert priority_of(dataset, 0.9) == priority_of(dataset, 0.1)  # nobody is passed for ever


def active(*assets: str, config: str = "hex8_2p", worker: str = "") -> dg.DagsterRun:
    """A run that the queue has let go of; `worker` is at it."""
    tags = run_tags(set(assets), config) | ({"rr/worker": worker} if worker else {})
    return dg.DagsterRun(job_name="any", tags=tags)


class Queue:
    """Dagster's own counting under the limits of some nodes."""

    def __init__(self, *nodes: Node, active: Sequence[dg.DagsterRun] = ()) -> None:
        self._counter = TagConcurrencyLimitsCounter(queue_limits(nodes, active), list(active))

    def lets_go(self, *assets: str, config: str | None = "hex8_2p") -> bool:
        run = dg.DagsterRun(job_name="any", tags=run_tags(set(assets), config))
        if self._counter.is_blocked(run):
            return False
        self._counter.update_counters_with_launched_item(run)
        return True


TRAINER = machine(name="trainer", role="trainer", takes=works("gpu", "trainer", Settings(), gpu_gb=None, ram_gb=64.0))
PLAYER = machine(name="player", takes=works("gpu", "selfplay", Settings(), gpu_gb=None, ram_gb=64.0))
CLERK = machine(name="clerk", lane="cpu", takes=("cpu",), slots=2)


def test_the_queue_lets_go_of_no_more_than_the_workers_have_room_for() -> None:
    nobody = Queue()
    assert not nobody.lets_go("games_db") and not nobody.lets_go("selfplay_plan", config=None)
    queue = Queue(TRAINER, PLAYER, CLERK)
    assert queue.lets_go("checkpoint")
    assert not queue.lets_go("checkpoint", config="square8_2p")  # there is one trainer
    assert queue.lets_go("games_db")
    assert not queue.lets_go("games_db", config="square8_2p")
    assert [queue.lets_go("npz_dataset", config=config.key) for config in CONFIGS[:3]] == [True, True, False]


def test_a_run_that_was_let_go_of_takes_a_place_before_a_worker_has_it() -> None:
    assert not Queue(TRAINER, active=[active("games_db")]).lets_go("checkpoint")
    games = active("games_db", worker="trainer")
    busy = replace(TRAINER, runs=(games.run_id,))
    assert not Queue(busy, active=[games]).lets_go("checkpoint")
    assert not Queue(busy, PLAYER, active=[games]).lets_go("checkpoint")  # who is free does not train
    assert Queue(busy, PLAYER, active=[games]).lets_go("games_db")
    assert Queue(busy, PLAYER, CLERK, active=[games]).lets_go("elo")


def test_a_run_whose_worker_is_gone_takes_no_place() -> None:
    assert Queue(TRAINER, active=[active("games_db", worker="vanished")]).lets_go("checkpoint")


def test_a_gpu_never_has_two_runs() -> None:
    queue = Queue(TRAINER)
    assert queue.lets_go("games_db")
    assert not any(queue.lets_go("games_db", config=config.key) for config in CONFIGS)
    assert not any(queue.lets_go("checkpoint", config=config.key) for config in CONFIGS)


def test_a_worker_with_other_code_gets_no_runs() -> None:
    assert not Queue(replace(TRAINER, code="0123456789ab")).lets_go("games_db")


@pytest.mark.parametrize(
    ("work", "nodes", "why"),
    [
        ("selfplay.hex8_2p", [CLERK], "no worker of lane gpu is alive"),
        ("cpu", [TRAINER], "no worker of lane cpu is alive"),
        ("selfplay.hex8_2p", [replace(TRAINER, code="old")], "all workers of lane gpu have other code"),
        (
            "training.hex8_2p",
            [PLAYER, CLERK],
            "no worker takes training.hex8_2p: by role, memory or a full disk",
        ),
        ("training.hex8_2p", [PLAYER, TRAINER], ""),
    ],
)
def test_a_run_that_nobody_takes_says_why(work: str, nodes: list[Node], why: str) -> None:
    assert why_nobody(work, nodes) == why


def test_a_node_is_read_as_it_was_told_and_nothing_else_is_one() -> None:
    node = replace(TRAINER, gpus=(Gpu("H200", 0.5, 100.0, 141.0),), runs=("a", "b"))
    told = json.loads(json.dumps(asdict(node)))
    assert Node.read(told) == node
    assert node.code == code_version()
    for damaged in (
        None,
        "ok: pong",
        {},
        told | {"slots": "many"},
        told | {"takes": "cpu"},
        {name: value for name, value in told.items() if name != "role"},
        told | {"gpus": [{"name": "H200"}]},
    ):
        with pytest.raises(DataError, match="describes no node"):
            Node.read(damaged)


@pytest.mark.parametrize(
    ("there", "visible", "asked", "seen"),
    [
        (2, None, 1, "1"),
        (2, None, None, ""),
        (2, "", 0, ""),
        (4, "2,3", 3, "3"),
        (2, "GPU-5a1c", 1, "1"),
        (0, None, 0, "0"),  # where the driver does not answer, CUDA may
    ],
)
def test_a_worker_uses_one_gpu_or_none(
    monkeypatch: pytest.MonkeyPatch, there: int, visible: str | None, asked: int | None, seen: str
) -> None:
    _pretend(monkeypatch, there, visible)
    use_gpu(asked)
    assert os.environ["CUDA_VISIBLE_DEVICES"] == seen


@pytest.mark.parametrize(("there", "visible", "asked"), [(2, None, 2), (4, "2,3", 0)])
def test_a_gpu_that_is_not_there_is_refused(
    monkeypatch: pytest.MonkeyPatch, there: int, visible: str | None, asked: int
) -> None:
    _pretend(monkeypatch, there, visible)
    with pytest.raises(ConfigError, match=rf"this node has GPU \d, \d and no GPU {asked}"):
        use_gpu(asked)


def _pretend(monkeypatch: pytest.MonkeyPatch, there: int, visible: str | None) -> None:
    """So many GPUs, as NVIDIA's library would tell, and what the environment shows of them."""
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    for name in ("nvmlInit", "nvmlShutdown"):
        monkeypatch.setattr(pynvml, name, lambda: None)
    monkeypatch.setattr(pynvml, "nvmlDeviceGetCount", lambda: there)
