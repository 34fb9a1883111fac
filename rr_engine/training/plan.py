"""How a training run is cut: games kept apart, passes, steps, and the learning rate of each."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rr_engine.errors import TrainingError
from rr_engine.settings import TrainingSettings
from rr_engine.training.window import Window

_ORDER, _TURNS = 0, 1  # what random numbers are for


def split(window: Window, share: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(training, validation) decisions of whole games, at least one on each side; raises TrainingError for one game.

    A game's digest tells its side, so a game kept apart once is kept apart from every later window that holds it.
    """
    games = len(window.games)
    if games < 2:
        raise TrainingError("training needs at least two games: one is kept for validation")
    drawn = np.array([int(name, 16) / 16 ** len(name) for name in window.games.tolist()])
    kept = np.clip(np.count_nonzero(drawn < share), 1, games - 1)
    held = np.zeros(games, bool)
    held[np.argsort(drawn)[:kept]] = True
    rows = held[window.game]
    return np.flatnonzero(~rows), np.flatnonzero(rows)


@dataclass(frozen=True)
class Plan:
    """The steps of a run over `samples` decisions. What is random follows from the seed, the pass and the step."""

    settings: TrainingSettings
    samples: int  # decisions in a whole pass
    per_epoch: int  # steps in a whole pass
    steps: int  # in all, if it does not stop early

    @classmethod
    def of(cls, samples: int, settings: TrainingSettings, most: int | None) -> Plan:
        """`passes` over `samples` decisions, and at most `most` of them; raises TrainingError if that is no step."""
        per_epoch = max(1, round(samples / settings.batch_size))
        steps = max(1, round(settings.passes * per_epoch))
        if most is not None:
            steps = min(steps, most * per_epoch // max(1, samples))
        if steps < 1:
            raise TrainingError(
                f"{most} more decisions may be trained on, a step takes {samples // per_epoch}: make games first"
            )
        return cls(settings, samples, per_epoch, steps)

    def epoch_of(self, step: int) -> int:
        """The pass that a step belongs to."""
        return step // self.per_epoch

    def end_of(self, epoch: int) -> int:
        """The step after the last one of a pass."""
        return min((epoch + 1) * self.per_epoch, self.steps)

    def order(self, epoch: int) -> NDArray[np.int64]:
        """[samples]: the order of a pass."""
        return np.random.default_rng((self.settings.seed, _ORDER, epoch)).permutation(self.samples)

    def bounds(self, step: int) -> tuple[int, int]:
        """Where the decisions of a step lie in the order of its pass; all steps get the same number, but for one."""
        place = step % self.per_epoch
        return place * self.samples // self.per_epoch, (place + 1) * self.samples // self.per_epoch

    def turns(self, step: int, decisions: int, symmetries: int) -> NDArray[np.int64]:
        """[decisions]: a symmetry for each decision of a step."""
        return np.random.default_rng((self.settings.seed, _TURNS, step)).integers(symmetries, size=decisions)

    def learning_rate(self, step: int) -> float:
        """Linear warm-up, then half a cosine down to `final_rate` of the peak."""
        peak, final = self.settings.learning_rate, self.settings.final_rate
        warm = max(1, round(self.settings.warmup_share * self.steps))
        if step < warm:
            return peak * (step + 1) / warm
        fallen = 0.5 - 0.5 * math.cos(math.pi * (step - warm) / max(1, self.steps - warm))
        return peak * (1 - (1 - final) * fallen)
