"""Training: it learns, repeats itself exactly, goes on where it stopped, and ends on what is not finite."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch

from rr_engine.bench.training import measure_training
from rr_engine.boards import Config
from rr_engine.errors import DataError, TrainingError
from rr_engine.nn.checkpoint import save_checkpoint, untrained
from rr_engine.nn.network import Network, Outputs, log_policy
from rr_engine.records.record import GameRecord
from rr_engine.settings import NetworkSettings, TrainingSettings
from rr_engine.training.batches import sample
from rr_engine.training.loss import hits, losses
from rr_engine.training.plan import Plan, split
from rr_engine.training.report import Epoch, Progress, TrainingResult, is_anomalous
from rr_engine.training.state import load_state, optimizer_tensors, restore_optimizer
from rr_engine.training.train import Listeners, train
from rr_engine.training.validate import validate
from rr_engine.training.window import Window, build_window

NETWORK = NetworkSettings(channels=8, blocks=1)
QUICK = TrainingSettings(passes=3, batch_size=64, learning_rate=5e-3)
DEVICES = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


@pytest.fixture(scope="module")
def window(hex_records: list[GameRecord]) -> Window:
    return build_window(hex_records, max_samples=10**6)


def _train(window: Window, listeners: Listeners | None = None, **changes: object) -> TrainingResult:
    resume, most, device = (changes.pop(name, None) for name in ("resume", "max_samples_trained", "device"))
    settings = replace(QUICK, **changes)
    return train(
        window,
        network=NETWORK,
        settings=settings,
        validation_share=0.2,
        resume=resume,
        max_samples_trained=most,
        listeners=listeners,
        device=device or "cpu",
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_it_learns_the_policy_it_is_shown(window: Window, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rr_engine.training.learner.fast_dtype", lambda _device: dtype)
    seen: list[Epoch] = []
    result = _train(window, Listeners(on_epoch=seen.append))
    assert [epoch.epoch for epoch in seen] == [0, 1, 2]
    assert result.epochs == tuple(seen)
    uniform = np.log(np.diff(window.encoded.offsets)).mean()
    assert seen[-1].train_policy < seen[0].train_policy < uniform + 0.5
    assert seen[-1].train_owner < seen[0].train_owner
    assert seen[-1].train_scores < seen[0].train_scores
    assert seen[-1].validation_policy < seen[0].validation_policy
    assert seen[result.best_epoch].validation == min(epoch.validation for epoch in seen)
    assert all(epoch.samples_per_s > 0 and 0 <= epoch.policy_accuracy <= 1 for epoch in seen)
    assert all(0 <= epoch.value_error <= 1 for epoch in seen)
    assert result.samples_trained == sum(epoch.samples for epoch in seen) == 3 * result.samples
    assert not result.checkpoint.network.training
    assert "first choices found" in str(seen[0])
    assert result.facts()["samples_trained"] == result.samples_trained


def test_the_same_seed_gives_the_same_bytes(window: Window) -> None:
    first, second, other = (_train(window, passes=1, seed=seed) for seed in (1, 1, 2))
    assert save_checkpoint(first.checkpoint) == save_checkpoint(second.checkpoint)
    assert save_checkpoint(first.checkpoint) != save_checkpoint(other.checkpoint)


def test_it_starts_from_the_weights_of_any_config(window: Window) -> None:
    start = untrained(Config.parse("square8_4p"), NETWORK, seed=3)
    still = train(
        window,
        network=NETWORK,
        settings=replace(QUICK, passes=1, learning_rate=0.0),
        validation_share=0.2,
        start=start,
    )
    assert still.checkpoint.config.key == "hex8_2p"
    for before, after in zip(start.network.parameters(), still.checkpoint.network.parameters(), strict=True):
        torch.testing.assert_close(before, after)
    with pytest.raises(RuntimeError, match="size mismatch"):
        train(
            window,
            network=NetworkSettings(channels=4, blocks=1),
            settings=QUICK,
            validation_share=0.2,
            start=start,
        )


def test_it_stops_when_validation_gets_no_better(window: Window) -> None:
    result = _train(window, passes=30, patience=1, learning_rate=0.05, average_steps=1)
    assert len(result.epochs) < 30
    assert result.best_epoch == len(result.epochs) - 2


class _StopError(Exception):
    """Thrown by a listener, as a kill would."""


@pytest.mark.parametrize("killed_after", [1, 2, 5])
def test_a_stopped_run_goes_on_and_ends_the_same(window: Window, killed_after: int) -> None:
    """Stopped within a pass and at its end; a state every step, so that most are taken in the middle of a pass."""
    undisturbed = _train(window, passes=1.5, seed=4)
    states: list[tuple[bytes, int]] = []

    def keep(state: bytes, step: int) -> None:
        states.append((state, step))
        if len(states) == killed_after:
            raise _StopError

    with pytest.raises(_StopError):
        _train(window, Listeners(on_state=keep), passes=1.5, seed=4, state_interval_s=0.0)
    state, step = states[-1]
    assert step == killed_after
    resumed = _train(window, passes=1.5, seed=4, resume=state)  # how often states are kept makes no difference
    assert save_checkpoint(resumed.checkpoint) == save_checkpoint(undisturbed.checkpoint)
    for one, other in zip(resumed.epochs, undisturbed.epochs, strict=True):
        assert replace(one, samples_per_s=0) == replace(other, samples_per_s=0)


@pytest.mark.parametrize("device", DEVICES)
def test_a_stopped_run_goes_on_from_a_file_on_any_device(window: Window, device: str) -> None:
    states: list[bytes] = []
    _train(window, Listeners(on_state=lambda state, _: states.append(state)), state_interval_s=0.0, device=device)
    assert len(states) > 2
    seen: list[Epoch] = []
    _train(window, Listeners(on_epoch=seen.append), resume=states[len(states) // 2], device=device)
    assert seen[-1].epoch == QUICK.passes - 1
    assert 0 < seen[-1].validation < 10


def test_states_are_given_at_the_end_of_a_pass_but_not_of_the_run(window: Window) -> None:
    steps: list[int] = []
    states: list[bytes] = []
    result = _train(window, Listeners(on_state=lambda state, step: (steps.append(step), states.append(state))))
    per_epoch = max(1, round(result.samples / QUICK.batch_size))
    assert steps == [per_epoch, 2 * per_epoch]
    with pytest.raises(DataError, match="another run"):
        _train(window, resume=states[0], learning_rate=1e-3)
    with pytest.raises(DataError, match="not a readable training state"):
        _train(window, resume=states[0][:-5])
    with pytest.raises(DataError, match="not a readable training state"):
        load_state(b"nothing", "")


def test_progress_is_told(window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rr_engine.training.train._TOLD_S", 0.0)
    told: list[Progress] = []
    _train(window, Listeners(on_progress=told.append), passes=1)
    assert [progress.step for progress in told] == list(range(1, told[0].steps + 1))
    assert "samples/s" in str(told[0])


def test_validation_games_are_never_trained_on(window: Window, hex_records: list[GameRecord]) -> None:
    training, validation = split(window, 0.5)
    assert len(training) + len(validation) == window.samples
    held = set(window.games[window.game[validation]].tolist())
    assert held
    assert not held & set(window.games[window.game[training]].tolist())
    later = build_window(hex_records[len(hex_records) // 2 :], max_samples=10**6)
    again = set(later.games[later.game[split(later, 0.5)[1]]].tolist())
    assert again == held & set(later.games.tolist())


def test_the_share_of_the_games_is_kept(window: Window) -> None:
    names = np.array([hashlib.sha256(bytes([one, two])).hexdigest()[:16] for one in range(4) for two in range(250)])
    training, validation = split(replace(window, games=names, game=np.arange(1000, dtype=np.int32)), 0.2)
    assert len(training) + len(validation) == 1000
    assert 160 < len(validation) < 240  # three deviations


def test_each_side_of_the_split_has_a_game(window: Window) -> None:
    for share in (0.0, 1.0):
        assert all(len(rows) for rows in split(window, share))


def test_the_budget_limits_what_is_trained_on(window: Window) -> None:
    result = _train(window, max_samples_trained=500)
    assert 500 - QUICK.batch_size < result.samples_trained <= 500 + QUICK.batch_size
    with pytest.raises(TrainingError, match="make games first"):
        _train(window, max_samples_trained=10)


def test_a_plan_shows_every_decision_once_a_pass() -> None:
    plan = Plan.of(1000, replace(QUICK, passes=2.5, batch_size=64), None)
    assert (plan.per_epoch, plan.steps) == (16, 40)
    shown = [plan.order(0)[slice(*plan.bounds(step))] for step in range(16)]
    assert sorted(np.concatenate(shown).tolist()) == list(range(1000))
    assert {len(batch) for batch in shown} == {62, 63}
    assert plan.order(0).tolist() != plan.order(1).tolist()
    assert [plan.end_of(epoch) for epoch in range(3)] == [16, 32, 40]
    rates = [plan.learning_rate(step) for step in range(plan.steps)]
    assert max(rates) == QUICK.learning_rate
    assert rates[0] == QUICK.learning_rate / 2  # 5 % of 40 steps to warm up
    assert min(rates[2:]) == rates[-1] < 0.11 * QUICK.learning_rate


def test_what_is_not_finite_stops_the_training(window: Window) -> None:
    states: list[bytes] = []
    value = np.full_like(window.value, np.nan)
    with pytest.raises(TrainingError, match="loss is nan at step 0"):
        _train(replace(window, value=value), Listeners(on_state=lambda state, _: states.append(state)))
    assert not states
    with pytest.raises(TrainingError, match="at least two games"):
        _train(replace(window, games=window.games[:1], game=np.zeros_like(window.game)))


def test_all_that_the_optimizer_remembers_comes_back_where_its_weights_are() -> None:
    model = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    model(torch.ones(3)).sum().backward()
    optimizer.step()
    remembered = optimizer_tensors(model, optimizer)
    elsewhere = torch.nn.Linear(3, 2, device="meta")  # as a GPU is to tensors that come from a file
    restored = torch.optim.AdamW(elsewhere.parameters(), fused=True)
    restore_optimizer(elsewhere, restored, remembered)
    back = optimizer_tensors(elsewhere, restored)
    assert back.keys() == remembered.keys()
    assert {tensor.device.type for tensor in back.values()} == {"meta"}


def test_the_last_state_before_nan_is_good(window: Window, monkeypatch: pytest.MonkeyPatch) -> None:
    """NaN after some steps: the run fails, and what it gave before still goes on to a whole result."""
    states: list[bytes] = []
    rise = Network.outputs

    def failing(network: Network, batch: object, board: object) -> Outputs:
        outputs = rise(network, batch, board)  # pyright: ignore[reportArgumentType] - what the real one takes
        return outputs._replace(scores=outputs.scores * (torch.nan if len(states) == 4 else 1.0))

    monkeypatch.setattr(Network, "outputs", failing)
    with pytest.raises(TrainingError, match="loss is nan at step 4"):
        _train(window, Listeners(on_state=lambda state, _: states.append(state)), state_interval_s=0.0)
    monkeypatch.undo()
    resumed = _train(window, resume=states[-1])
    assert save_checkpoint(resumed.checkpoint) == save_checkpoint(_train(window).checkpoint)


def test_decisions_without_target_teach_only_the_value(window: Window) -> None:
    silent = replace(window, policy=np.zeros_like(window.policy), has_policy=np.zeros_like(window.has_policy))
    result = _train(silent, passes=1)
    assert result.epochs[0].train_policy == 0
    assert result.epochs[0].train_value > 0


def _outputs_like(window: Window, policy: torch.Tensor) -> Outputs:
    decisions = 6
    absent = torch.arange(4) >= window.config.players
    return Outputs(
        policy=policy,
        value=torch.zeros(decisions, 4).masked_fill(absent, -torch.inf),
        owner=torch.zeros(decisions, window.config.board.cells, 5),
        scores=torch.zeros(decisions, 4, 2),
    )


def test_losses_of_a_network_that_knows_nothing(window: Window) -> None:
    part = sample(window, np.arange(6))
    moves, legal = len(part.targets.policy), np.diff(window.encoded.offsets)[:6]
    outputs = _outputs_like(window, torch.zeros(moves))
    plain = losses(outputs, part)
    known = window.has_policy[:6]
    assert plain.policy.item() == pytest.approx(np.log(legal[known]).mean(), rel=1e-5)
    assert plain.value.item() == pytest.approx(np.log(2))
    assert plain.owner.item() == pytest.approx(np.log(5))
    assert losses(outputs, part, label_smoothing=0.5).policy.item() == pytest.approx(plain.policy.item(), rel=1e-5)
    assert "owner" in str(plain)


def test_surprise_gives_weight_to_what_the_network_gets_wrong(window: Window) -> None:
    rows = np.flatnonzero(window.has_policy)[:6]
    part = sample(window, rows)
    logits = torch.log(part.targets.policy.clamp(min=1e-9))
    wrong = part.batch.decision == 2
    logits = torch.where(wrong, torch.zeros_like(logits), logits)
    outputs = _outputs_like(window, logits)
    plain, surprised = losses(outputs, part), losses(outputs, part, surprise_share=1.0)
    alone = -(part.targets.policy * log_policy(logits, part.batch.decision, 6))[wrong].sum()
    assert surprised.policy.item() == pytest.approx(alone.item(), rel=1e-3)
    assert plain.policy.item() < surprised.policy.item()


def test_hits_are_first_choices_of_the_target(window: Window) -> None:
    rows = np.flatnonzero(window.has_policy)[:6]
    part = sample(window, rows)
    right = log_policy(torch.log(part.targets.policy.clamp(min=1e-9)), part.batch.decision, 6)
    assert hits(right, part).tolist() == [1.0] * 6
    assert hits(-right, part).sum().item() < 6


def test_validation_measures_chances_against_results(window: Window) -> None:
    network = untrained(window.config, NETWORK, seed=0).network
    with torch.no_grad():
        network.value_out.weight.zero_()
        network.value_out.bias.copy_(torch.tensor([np.log(3.0), 0.0, 0.0, 0.0]))
    rows = np.arange(window.samples)
    seen = validate(network, window, rows)
    assert seen.value_error == pytest.approx(abs(0.75 - window.value[:, 0].mean()), abs=1e-5)


def test_a_loss_that_stands_out_is_an_anomaly() -> None:
    assert not is_anomalous([3.0, 2.5, 2.4])
    assert is_anomalous([3.0, 2.5, 6.0])
    assert is_anomalous([6.0], [3.0, 2.5])
    assert not is_anomalous([6.0], [30.0, 3.0, 3.0, 3.0, 3.0, 3.1])
    assert not is_anomalous([6.0])


def test_the_bench_measures_training_beside_the_bare_network() -> None:
    row = measure_training(Config.parse("hex8_2p"), network=NETWORK, settings=QUICK, seconds=0.1, runs=1)
    assert row["samples_per_s"] > 0
    assert row["share_of_bare"] == pytest.approx(row["samples_per_s"] / row["bare_samples_per_s"], abs=0.01)
    assert (row["batch"], row["channels"], row["blocks"]) == (64, 8, 1)
    assert row["parameters"] > 1000
