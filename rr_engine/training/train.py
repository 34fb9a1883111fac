"""Training a candidate on a window. Knows neither vault nor champion."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from rr_engine.errors import TrainingError
from rr_engine.nn.checkpoint import Checkpoint
from rr_engine.nn.network import Batch, Network, log_policy
from rr_engine.settings import NetworkSettings, TrainingSettings
from rr_engine.training.window import Window, select


@dataclass(frozen=True)
class Epoch:
    """Mean losses (nats per decision) of one pass, and how fast it went."""

    epoch: int
    train_policy: float
    train_value: float
    validation_policy: float
    validation_value: float
    policy_accuracy: float  # share of validation decisions where the network's first choice is the target's
    samples_per_s: float

    @property
    def validation(self) -> float:
        """What early stopping watches."""
        return self.validation_policy + self.validation_value

    def __str__(self) -> str:
        return (
            f"epoch {self.epoch}: policy {self.train_policy:.3f}, value {self.train_value:.3f}; validation "
            f"{self.validation_policy:.3f}, {self.validation_value:.3f}; {self.policy_accuracy:.1%} of the targets' "
            f"first choices found; {self.samples_per_s:.0f} samples/s"
        )


@dataclass(frozen=True)
class TrainingResult:
    """The best state of a training, and how it came about."""

    checkpoint: Checkpoint
    epochs: tuple[Epoch, ...]
    best_epoch: int
    samples: int  # trained on in each pass

    def facts(self) -> dict[str, object]:
        """The same as JSON, for a card."""
        best = self.epochs[self.best_epoch]
        return {
            "best_epoch": self.best_epoch,
            "samples": self.samples,
            "validation_loss": best.validation,
            "policy_accuracy": best.policy_accuracy,
            "epochs": [asdict(epoch) for epoch in self.epochs],
        }


def train(
    window: Window,
    *,
    network: NetworkSettings,
    settings: TrainingSettings,
    validation_share: float,
    start: Checkpoint | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> TrainingResult:
    """Train on `window` from `start`'s weights, else from new ones; the same arguments give the same weights.

    Whole games are kept apart for validation; training stops after `patience` passes without a better validation loss
    and returns the best state. Raises TrainingError when a loss is not finite.
    """
    rng = np.random.default_rng(settings.seed)
    torch.manual_seed(settings.seed)
    model = Network(network)
    if start is not None:
        model.load_state_dict(start.network.state_dict(), strict=True)
    training, validation = _split(window, validation_share, rng)
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    steps = math.ceil(len(training) / settings.batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _learning_rate(settings, steps))
    epochs: list[Epoch] = []
    best_state = model.state_dict()
    best = 0
    for number in range(settings.epochs):
        began = time.perf_counter()
        losses = _train_epoch(model, window, rng.permutation(training), settings, optimizer, schedule)
        rate = len(training) / (time.perf_counter() - began)
        epochs.append(Epoch(number, *losses, *_validate(model, window, validation, settings), samples_per_s=rate))
        if on_epoch is not None:
            on_epoch(epochs[-1])
        if not math.isfinite(epochs[-1].validation):
            raise TrainingError(f"validation loss {epochs[-1].validation} after epoch {number}: training has diverged")
        if epochs[-1].validation <= epochs[best].validation:
            best = number
            best_state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        elif number - best >= settings.patience:
            break
    model.load_state_dict(best_state)
    model.eval()
    return TrainingResult(Checkpoint(window.config, network, model), tuple(epochs), best, len(training))


def _split(window: Window, share: float, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(training, validation) decisions; at least one game on each side."""
    games = len(window.games)
    if games < 2:
        raise TrainingError("training needs at least two games: one is kept for validation")
    kept = min(games - 1, max(1, round(share * games)))
    held = np.zeros(games, bool)
    held[rng.permutation(games)[:kept]] = True
    rows = held[window.game]
    return np.flatnonzero(~rows), np.flatnonzero(rows)


def _learning_rate(settings: TrainingSettings, steps: int) -> Callable[[int], float]:
    """Linear warm-up, then half a cosine down to a tenth."""
    warm = max(1, settings.warmup_epochs * steps)
    total = max(warm + 1, settings.epochs * steps)

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        return 0.1 + 0.45 * (1 + math.cos(math.pi * (step - warm) / (total - warm)))

    return factor


def _batches(window: Window, rows: NDArray[np.int64], size: int) -> Iterator[tuple[Batch, Tensor, Tensor]]:
    for begin in range(0, len(rows), size):
        encoded, policy, value = select(window, rows[begin : begin + size])
        yield Batch.of(encoded), torch.from_numpy(policy), torch.from_numpy(value)


def _losses(
    model: Network, window: Window, batch: Batch, policy: Tensor, value: Tensor, smoothing: float
) -> tuple[Tensor, Tensor, Tensor]:
    """(policy loss, value loss, log policy) of a batch; a decision without policy target adds nothing to the first."""
    logits, values = model(batch, window.config.board)
    decisions = len(batch.planes)
    log_p = log_policy(logits, batch.decision, decisions)
    known = torch.zeros(decisions).index_add(0, batch.decision, policy).round()
    legal = torch.zeros(decisions).index_add(0, batch.decision, torch.ones_like(policy))
    smooth = (1 - smoothing) * policy + smoothing * (known / legal)[batch.decision]
    policy_loss = -(smooth * log_p).sum() / known.sum().clamp(min=1)
    log_v = functional.log_softmax(values, 1).masked_fill(values == -torch.inf, 0)
    return policy_loss, -(value * log_v).sum() / decisions, log_p


def _train_epoch(
    model: Network,
    window: Window,
    rows: NDArray[np.int64],
    settings: TrainingSettings,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
) -> tuple[float, float]:
    model.train()
    sums = np.zeros(2)
    for batch, policy, value in _batches(window, rows, settings.batch_size):
        policy_loss, value_loss, _ = _losses(model, window, batch, policy, value, settings.label_smoothing)
        loss = policy_loss + settings.value_weight * value_loss
        if not bool(torch.isfinite(loss)):
            raise TrainingError(f"loss is {loss.item()} (policy {policy_loss.item()}, value {value_loss.item()})")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm)
        optimizer.step()
        schedule.step()
        sums += np.array([policy_loss.item(), value_loss.item()]) * len(batch.planes)
    return float(sums[0] / len(rows)), float(sums[1] / len(rows))


@torch.inference_mode()
def _validate(
    model: Network, window: Window, rows: NDArray[np.int64], settings: TrainingSettings
) -> tuple[float, float, float]:
    """(policy loss, value loss, policy accuracy) on decisions kept apart."""
    model.eval()
    sums = np.zeros(3)
    for batch, policy, value in _batches(window, rows, 4 * settings.batch_size):
        policy_loss, value_loss, log_p = _losses(model, window, batch, policy, value, 0.0)
        decisions = len(batch.planes)
        best = torch.full((decisions,), -torch.inf).scatter_reduce(0, batch.decision, log_p, "amax")
        target = torch.zeros(decisions).scatter_reduce(0, batch.decision, policy, "amax")
        agreed = (log_p == best[batch.decision]) & (policy == target[batch.decision]) & (policy > 0)
        hits = torch.zeros(decisions).scatter_reduce(0, batch.decision, agreed.float(), "amax").sum()
        sums += np.array([policy_loss.item() * decisions, value_loss.item() * decisions, hits.item()])
    return float(sums[0] / len(rows)), float(sums[1] / len(rows)), float(sums[2] / len(rows))
