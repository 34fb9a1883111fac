"""What training makes small, and how good a network is by it. Knows no optimizer and no window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from rr_engine.nn.network import Outputs, log_policy
from rr_engine.settings import TrainingSettings
from rr_engine.training.batches import Sample


@dataclass(frozen=True)
class Losses:
    """Means over a batch: cross entropies in nats, scores as a Huber loss."""

    policy: Tensor  # over decisions with a policy target
    value: Tensor
    owner: Tensor  # per cell
    scores: Tensor
    log_policy: Tensor  # [moves], what the network thinks of each

    def numbers(self) -> NDArray[np.float64]:
        """[4]: policy, value, owner and scores."""
        return np.array([self.policy.item(), self.value.item(), self.owner.item(), self.scores.item()])

    def __str__(self) -> str:
        return "policy {:.4g}, value {:.4g}, owner {:.4g}, scores {:.4g}".format(*self.numbers())

    def total(self, settings: TrainingSettings) -> Tensor:
        """The weighted sum."""
        return (
            self.policy
            + settings.value_weight * self.value
            + settings.owner_weight * self.owner
            + settings.score_weight * self.scores
        )


def losses(outputs: Outputs, sample: Sample, *, label_smoothing: float = 0.0, surprise_share: float = 0.0) -> Losses:
    """Of a network's `outputs` on a batch; a decision without policy target adds nothing to the policy loss.

    `surprise_share` of a decision's weight in the policy loss follows how far the network is from its target (policy
    surprise weighting, KataGo), the rest is the same for all.
    """
    targets, decision = sample.targets, sample.batch.decision
    decisions = len(targets.value)
    log_p = log_policy(outputs.policy.float(), decision, decisions)
    wanted = targets.policy
    if label_smoothing:
        legal = torch.zeros_like(targets.has_policy).index_add(0, decision, torch.ones_like(wanted))
        wanted = (1 - label_smoothing) * wanted + label_smoothing * (targets.has_policy / legal)[decision]
    per_decision = torch.zeros_like(targets.has_policy).index_add(0, decision, -wanted * log_p)
    known = targets.has_policy.sum().clamp(min=1)
    if surprise_share:
        entropy = torch.zeros_like(per_decision).index_add(0, decision, -torch.xlogy(wanted, wanted))
        surprise = (per_decision.detach() - entropy).clamp(min=0)
        weight = 1 - surprise_share + surprise_share * surprise * known / surprise.sum().clamp(min=1e-6)
        per_decision = weight * per_decision
    log_v = functional.log_softmax(outputs.value.float(), 1).masked_fill(~targets.present, 0)
    return Losses(
        policy=per_decision.sum() / known,
        value=-(targets.value * log_v).sum() / decisions,
        owner=functional.cross_entropy(outputs.owner.float().flatten(0, 1), targets.owner.flatten()),
        scores=functional.smooth_l1_loss(
            outputs.scores.float()[:, targets.present], targets.scores[:, targets.present]
        ),
        log_policy=log_p,
    )


def hits(log_p: Tensor, sample: Sample) -> Tensor:
    """[decisions] 1 where there is a policy target and the network's first choice is one of its best, else 0."""
    targets, decision = sample.targets, sample.batch.decision
    none = torch.full_like(targets.has_policy, -torch.inf)
    best = none.scatter_reduce(0, decision, log_p, "amax")
    top = none.scatter_reduce(0, decision, targets.policy, "amax")
    agreed = (log_p == best[decision]) & (targets.policy == top[decision]) & (targets.policy > 0)
    return torch.zeros_like(none).scatter_reduce(0, decision, agreed.float(), "amax")
