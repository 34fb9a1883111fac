"""The network: one shape for every config, honest about seats, kept and loaded without surprises."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from rr_engine.boards import CONFIGS, Config
from rr_engine.errors import DataError
from rr_engine.kernels.layout import MAX_SEATS
from rr_engine.nn import precision
from rr_engine.nn.checkpoint import Checkpoint, load_checkpoint, save_checkpoint, untrained
from rr_engine.nn.evaluator import NetworkEvaluator, evaluate
from rr_engine.nn.network import NOBODY, Batch, log_policy
from rr_engine.players import Table
from rr_engine.players.search import SearchPlayer
from rr_engine.records.record import GameRecord
from rr_engine.settings import NetworkSettings, SearchSettings
from rr_engine.training.symmetry import select
from rr_engine.training.window import build_window
from tests.engine.games import make_records

SMALL = NetworkSettings(channels=8, blocks=1)


def _checkpoint(key: str = "hex8_2p") -> Checkpoint:
    return untrained(Config.parse(key), SMALL, seed=7)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.key)
def test_one_network_serves_every_config(config: Config) -> None:
    window = build_window(make_records(config.key, 1), max_samples=10**6)
    encoded = select(window.encoded, np.arange(0, window.samples, 20), config.board)
    batch = Batch.of(encoded)
    with torch.no_grad():
        policy, value = _checkpoint().network(batch, config.board)
        outputs = _checkpoint().network.outputs(batch, config.board)
    torch.testing.assert_close(outputs.policy, policy)
    torch.testing.assert_close(outputs.value, value)
    assert outputs.owner.shape == (len(batch.planes), config.board.cells, NOBODY + 1)
    assert outputs.scores.shape == (len(batch.planes), MAX_SEATS, 2)
    assert policy.shape == (len(encoded.move_kinds),)
    assert bool(torch.isfinite(policy).all())
    assert bool(torch.isfinite(value[:, : config.players]).all())
    assert bool((value[:, config.players :] == -torch.inf).all())
    sums = torch.zeros(len(batch.planes)).index_add(
        0, batch.decision, log_policy(policy, batch.decision, len(batch.planes)).exp()
    )
    torch.testing.assert_close(sums, torch.ones_like(sums))


def test_a_decision_is_judged_alone(hex_records: list[GameRecord]) -> None:
    window = build_window(hex_records, max_samples=10**6)
    network = _checkpoint().network

    def _batch(rows: list[int]) -> Batch:
        return Batch.of(select(window.encoded, np.array(rows), window.config.board))

    with torch.no_grad():
        together = network(_batch([3, 40, 41]), window.config.board)
        alone = network(_batch([40]), window.config.board)
    begin, end = np.cumsum(np.diff(window.encoded.offsets)[[3, 40]])
    torch.testing.assert_close(together[0][begin:end], alone[0])
    torch.testing.assert_close(together[1][1:2], alone[1])


def test_a_checkpoint_survives_storage() -> None:
    checkpoint = _checkpoint()
    data = save_checkpoint(checkpoint)
    again = load_checkpoint(data, checkpoint.config)
    assert save_checkpoint(again) == data
    assert again.settings == SMALL
    assert again.parameters == checkpoint.parameters > 1000


LOADED = """
import sys
from rr_engine.boards import Config
from rr_engine.nn.checkpoint import load_checkpoint
from rr_engine.nn.evaluator import NetworkEvaluator

NetworkEvaluator(load_checkpoint(sys.stdin.buffer.read(), Config.parse("hex8_2p")), device="cpu")
print("torch._dynamo" in sys.modules)
"""


def test_who_only_asks_a_network_imports_no_compiler_of_torch() -> None:
    told = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LOADED], input=save_checkpoint(_checkpoint()), capture_output=True
    )
    assert (told.stdout, told.stderr) == (b"False\n", b"")


def test_what_does_not_fit_is_refused() -> None:
    checkpoint = _checkpoint()
    data = save_checkpoint(checkpoint)
    with pytest.raises(DataError, match="has config 'hex8_2p', 'square8_2p' is needed"):
        load_checkpoint(data, Config.parse("square8_2p"))
    with pytest.raises(DataError, match="not a readable checkpoint"):
        load_checkpoint(data[:-10], checkpoint.config)
    with pytest.raises(DataError, match="not a readable checkpoint"):
        load_checkpoint(b"\x00" * 40, checkpoint.config)
    length = int.from_bytes(data[:8], "little")
    header = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["ringrift"])

    def rewritten(tensors: dict[str, torch.Tensor], **changes: object) -> bytes:
        return save(tensors, {"ringrift": json.dumps(header | changes)})

    tensors = load(data)
    with pytest.raises(DataError, match="feature_version 99"):
        load_checkpoint(rewritten(tensors, feature_version=99), checkpoint.config)
    with pytest.raises(DataError, match="does not fit"):
        load_checkpoint(rewritten(tensors, network={"channels": 16, "blocks": 1}), checkpoint.config)
    missing = {name: tensor for name, tensor in tensors.items() if name != "stem.bias"}
    with pytest.raises(DataError, match=r"does not fit.*stem\.bias"):
        load_checkpoint(rewritten(missing), checkpoint.config)
    tensors["stem.bias"][0] = float("nan")
    with pytest.raises(DataError, match=r"stem\.bias is not finite"):
        load_checkpoint(rewritten(tensors), checkpoint.config)
    with torch.no_grad():
        checkpoint.network.stem.bias[0] = float("inf")
    with pytest.raises(DataError, match=r"stem\.bias is not finite"):
        save_checkpoint(checkpoint)


def _player(checkpoint: Checkpoint, simulations: int) -> SearchPlayer:
    return SearchPlayer(
        NetworkEvaluator(checkpoint, device="cpu"),
        name="network",
        identity="a" * 64,
        settings=SearchSettings(),
        simulations=simulations,
    )


@pytest.mark.parametrize("device", ["cpu", *(["cuda"] if torch.cuda.is_available() else [])])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_the_evaluator_answers_as_the_network_was_trained(
    hex_records: list[GameRecord], dtype: torch.dtype, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rr_engine.nn.evaluator.fast_dtype", lambda _device: dtype)
    window = build_window(hex_records, max_samples=300)
    encoded = select(window.encoded, np.arange(64), window.config.board)
    logits, values = NetworkEvaluator(_checkpoint(), device=device).answer(encoded)
    policy, value = evaluate(_checkpoint(), encoded, window.config.board)
    decision = torch.from_numpy(np.repeat(np.arange(64), np.diff(encoded.offsets)))
    np.testing.assert_allclose(log_policy(torch.from_numpy(logits), decision, 64).numpy(), policy, atol=0.05)
    np.testing.assert_allclose(torch.from_numpy(values).softmax(1).numpy(), value, atol=0.02)


@pytest.mark.parametrize(
    ("seconds", "chosen"), [((1.0, 2.0), torch.bfloat16), ((1.0, 1.1), torch.float32), ((2.0, 1.0), torch.float32)]
)
def test_a_network_runs_in_what_is_clearly_faster(
    seconds: tuple[float, float], chosen: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = dict(zip((torch.bfloat16, torch.float32), seconds, strict=True))
    monkeypatch.setattr(precision, "_time_convolution", lambda x, _weight: taken[x.dtype])
    assert precision.fast_dtype.__wrapped__("cpu") == chosen
    assert precision.fast_dtype.__wrapped__("cuda") == torch.bfloat16


def test_the_choice_of_precision_does_not_depend_on_what_else_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A wait, as for a core that others use, costs the thread no processor time."""

    def convolution(x: torch.Tensor, _weight: torch.Tensor, *, padding: int) -> None:
        if x.dtype == torch.bfloat16:
            time.sleep(0.01)
        else:
            began = time.thread_time()
            while time.thread_time() - began < 0.002:
                pass

    monkeypatch.setattr(precision.functional, "conv2d", convolution)
    threads = torch.get_num_threads()
    assert precision.fast_dtype.__wrapped__("cpu") == torch.bfloat16
    assert torch.get_num_threads() == threads


def test_a_network_plays_whole_games_the_same_way_twice() -> None:
    player = _player(_checkpoint("hex8_3p"), simulations=4)
    histories = []
    for _ in range(2):
        table = Table(Config.parse("hex8_3p"), np.array([1, 2, 3], np.uint64))
        while len(table.running):
            positions = table.positions(1.0)
            choice = player.choose(positions)
            assert choice.policy is not None
            np.testing.assert_allclose(np.add.reduceat(choice.policy, positions.offsets[:-1]), 1)
            table.step(choice.moves)
        histories.append(table.histories)
    assert histories[0] == histories[1]
    assert histories[0][0] != histories[0][1]


def test_a_network_is_read_without_a_process_beside_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []

    def refuse() -> int:
        started.append("a process")
        raise OSError("no process is to be started")

    monkeypatch.setattr("os.fork", refuse)
    positions = Table(_checkpoint().config, np.arange(1, 3, dtype=np.uint64)).positions(0.0)
    evaluator = NetworkEvaluator(_checkpoint(), device="cpu")
    logits, _ = evaluator.evaluate(positions.config, positions.states, positions.moves, positions.offsets)
    assert np.isfinite(logits).all() and not started


INTERRUPTED = """
import os, signal, threading, time
import numpy as np
from rr_engine.boards import Config
from rr_engine.nn.checkpoint import untrained
from rr_engine.nn.evaluator import NetworkEvaluator
from rr_engine.players import Table
from rr_engine.settings import NetworkSettings

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
config = Config.parse("hex8_2p")
positions = Table(config, np.arange(1, 3, dtype=np.uint64)).positions(0.0)
asked = [NetworkEvaluator(untrained(config, NetworkSettings(channels=8, blocks=1), seed=7), device="cpu")]
asked[0].evaluate(config, positions.states, positions.moves, positions.offsets)
dropping = threading.Thread(target=asked.clear)
dropping.start()
dropping.join()
try:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(10)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_ctrl_c_reaches_who_has_asked_a_network_that_another_thread_let_go() -> None:
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", INTERRUPTED], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "interrupted\n")
