"""Training: it learns, repeats itself exactly, keeps the best state and stops on what is not finite."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from rr_engine.errors import TrainingError
from rr_engine.nn.checkpoint import save_checkpoint
from rr_engine.records.record import GameRecord
from rr_engine.settings import NetworkSettings, TrainingSettings
from rr_engine.training.train import Epoch, TrainingResult, train
from rr_engine.training.window import Window, build_window

NETWORK = NetworkSettings(channels=8, blocks=1)
QUICK = TrainingSettings(epochs=3, batch_size=64, warmup_epochs=0, learning_rate=5e-3)


@pytest.fixture(scope="module")
def window(hex_records: list[GameRecord]) -> Window:
    return build_window(hex_records, max_samples=10**6)


def _train(window: Window, **changes: object) -> TrainingResult:
    settings = replace(QUICK, **changes)
    return train(window, network=NETWORK, settings=settings, validation_share=0.2)


def test_it_learns_the_policy_it_is_shown(window: Window) -> None:
    seen: list[Epoch] = []
    result = train(window, network=NETWORK, settings=QUICK, validation_share=0.2, on_epoch=seen.append)
    assert [epoch.epoch for epoch in seen] == [0, 1, 2]
    uniform = np.log(np.diff(window.encoded.offsets)).mean()
    assert result.epochs[-1].train_policy < result.epochs[0].train_policy < uniform + 0.5
    assert result.epochs[result.best_epoch].validation == min(epoch.validation for epoch in result.epochs)
    assert all(epoch.samples_per_s > 0 and 0 <= epoch.policy_accuracy <= 1 for epoch in result.epochs)
    assert not result.checkpoint.network.training


def test_the_same_seed_gives_the_same_bytes(window: Window) -> None:
    first, second, other = (_train(window, epochs=1, seed=seed) for seed in (1, 1, 2))
    assert save_checkpoint(first.checkpoint) == save_checkpoint(second.checkpoint)
    assert save_checkpoint(first.checkpoint) != save_checkpoint(other.checkpoint)


def test_it_starts_from_the_weights_it_is_given(window: Window) -> None:
    first = _train(window)
    still = train(
        window,
        network=NETWORK,
        settings=replace(QUICK, epochs=1, learning_rate=0.0),
        validation_share=0.2,
        start=first.checkpoint,
    )
    for before, after in zip(first.checkpoint.network.parameters(), still.checkpoint.network.parameters(), strict=True):
        torch.testing.assert_close(before, after)


def test_it_stops_when_validation_gets_no_better(window: Window) -> None:
    result = _train(window, epochs=30, patience=1, learning_rate=0.05)
    assert len(result.epochs) < 30
    assert result.best_epoch == len(result.epochs) - 2


def test_validation_games_are_never_trained_on(window: Window) -> None:
    result = _train(window, epochs=1)
    kept = round(0.2 * len(window.games))
    counts = np.sort(np.bincount(window.game))
    assert window.samples - counts[-kept:].sum() <= result.samples <= window.samples - counts[:kept].sum()


def test_nan_stops_the_training(window: Window) -> None:
    value = window.value.copy()
    value[:] = np.nan
    with pytest.raises(TrainingError, match="loss is nan"):
        _train(replace(window, value=value))
    with pytest.raises(TrainingError, match="at least two games"):
        _train(replace(window, games=window.games[:1], game=np.zeros_like(window.game)))


def test_decisions_without_target_teach_only_the_value(window: Window) -> None:
    silent = replace(window, policy=np.zeros_like(window.policy), has_policy=np.zeros_like(window.has_policy))
    result = _train(silent, epochs=1)
    assert result.epochs[0].train_policy == 0
    assert result.epochs[0].train_value > 0
