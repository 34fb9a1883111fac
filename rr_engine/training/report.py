"""What a training tells: while it runs, after every pass, and at its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rr_engine import progress
from rr_engine.nn.checkpoint import Checkpoint

_RECENT = 5  # epochs that a validation loss is compared with
_ANOMALOUS = 2.0  # times their mean


@dataclass(frozen=True)
class Progress:
    """Where a training stands within a pass."""

    step: int  # done
    steps: int  # in all, if it does not stop early
    policy: float  # mean losses of this pass so far
    value: float
    samples_per_s: float
    left_s: float  # if it does not stop early

    @property
    def share(self) -> float:
        """Of the steps, done."""
        return self.step / self.steps

    def __str__(self) -> str:
        losses = f"policy {self.policy:.3f}, value {self.value:.3f}"
        speed = progress.speed(self.samples_per_s, "samples")
        return f"{progress.counted(self.step, self.steps, 'steps')}, {losses}, {speed}, {progress.left(self.left_s)}"


@dataclass(frozen=True)
class Epoch:
    """One pass over the window, the last one maybe a part of it. Losses are means (nats per decision)."""

    epoch: int
    samples: int  # trained on
    train_policy: float
    train_value: float
    train_owner: float
    train_scores: float
    validation_policy: float
    validation_value: float  # against the outcome
    validation_owner: float
    validation_scores: float
    policy_accuracy: float  # share of validation decisions where the network's first choice is the target's
    value_error: float  # mean gap between the mover's chance to win and how often it won, over ten bins of the chance
    validation: float  # what early stopping watches: policy, and value by its weight
    samples_per_s: float  # in training, validation left out

    def __str__(self) -> str:
        return (
            f"epoch {self.epoch}: policy {self.train_policy:.3f}, value {self.train_value:.3f}; validation "
            f"{self.validation_policy:.3f}, {self.validation_value:.3f}; {self.policy_accuracy:.1%} of the targets' "
            f"first choices found; {progress.speed(self.samples_per_s, 'samples')}"
        )


@dataclass(frozen=True)
class TrainingResult:
    """The best weights of a training, and how they came about."""

    checkpoint: Checkpoint
    epochs: tuple[Epoch, ...]
    best_epoch: int
    samples: int  # decisions in a whole pass
    samples_trained: int  # with those seen again

    def facts(self) -> dict[str, object]:
        """The same as JSON, for a card."""
        best = self.epochs[self.best_epoch]
        return {
            "best_epoch": self.best_epoch,
            "samples": self.samples,
            "samples_trained": self.samples_trained,
            "validation_loss": best.validation,
            "policy_accuracy": best.policy_accuracy,
            "value_error": best.value_error,
            "samples_per_s": self.epochs[-1].samples_per_s,
            "epochs": [asdict(epoch) for epoch in self.epochs],
        }


def is_anomalous(validations: Sequence[float], earlier: Sequence[float] = ()) -> bool:
    """Whether one of `validations` is above twice the mean of the five before it; `earlier` are those of other runs."""
    known = [*earlier, *validations]
    for index in range(len(earlier), len(known)):
        recent = known[max(0, index - _RECENT) : index]
        if recent and known[index] > _ANOMALOUS * sum(recent) / len(recent):
            return True
    return False
