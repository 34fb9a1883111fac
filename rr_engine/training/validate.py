"""How good a network is on decisions that it was not trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from rr_engine.nn.network import Network
from rr_engine.training.batches import Sample, sample
from rr_engine.training.loss import hits, losses
from rr_engine.training.window import Window

_BATCH = 1024
_BINS = 10


@dataclass(frozen=True)
class Validation:
    """Means over decisions; `report.Epoch` explains them."""

    policy: float
    value: float
    owner: float
    scores: float
    policy_accuracy: float
    value_error: float


@torch.no_grad()
def validate(network: Network, window: Window, rows: NDArray[np.int64], *, device: str = "cpu") -> Validation:
    """A network in evaluation mode on decisions `rows`, against outcomes alone, in single precision."""
    sums, known, found = np.zeros(4), 0.0, 0.0
    bins = np.zeros((2, _BINS))  # chances, wins
    for first in range(0, len(rows), _BATCH):
        part = sample(window, rows[first : first + _BATCH], device=device)
        outputs = network.outputs(part.batch, window.config.board)
        lost = losses(outputs, part)
        with_policy = part.targets.has_policy.sum().item()
        decisions = len(part.targets.value)
        known += with_policy
        found += hits(lost.log_policy, part).sum().item()
        sums += lost.numbers() * np.array([with_policy, decisions, decisions, decisions])
        bins += _chances(outputs.value.softmax(1)[:, 0], part)
    policy, *others = (sums / np.array([max(1.0, known), len(rows), len(rows), len(rows)])).tolist()
    gap = float(np.abs(bins[0] - bins[1]).sum() / len(rows))
    return Validation(policy, *others, policy_accuracy=found / max(1.0, known), value_error=gap)


def _chances(chance: torch.Tensor, part: Sample) -> NDArray[np.float64]:
    """[2, bins]: the mover's chances to win and its wins, summed by chance."""
    mine, won = chance.cpu().numpy(), part.targets.value[:, 0].cpu().numpy()
    place = np.minimum((mine * _BINS).astype(np.int64), _BINS - 1)
    return np.stack([np.bincount(place, weights, _BINS).astype(np.float64) for weights in (mine, won)])
