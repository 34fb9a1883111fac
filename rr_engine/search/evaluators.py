"""What a search asks about positions, and the evaluator that knows nothing."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rr_engine.boards import Config

Floats = NDArray[np.float64]
Answer = tuple[Floats, Floats]  # logits and chances


class Evaluator(Protocol):
    """Judges positions: `nn.evaluator.NetworkEvaluator`, `heuristic.evaluator.HeuristicEvaluator`, or `Uniform`."""

    def evaluate(
        self, config: Config, states: NDArray[np.void], moves: NDArray[np.int64], offsets: NDArray[np.int64]
    ) -> tuple[Floats, Floats]:
        """(logits [moves], chances to win [states, seats]) of positions, none over, with their legal moves.

        The moves are ragged by `offsets`. Logits count up to a constant in each position. Chances are by seat, as it is
        filled now (rules 5.9), and sum to 1. Threads may call at the same time.
        """
        ...


class UniformEvaluator:
    """All moves alike, all seats alike."""

    def evaluate(
        self, config: Config, states: NDArray[np.void], moves: NDArray[np.int64], offsets: NDArray[np.int64]
    ) -> tuple[Floats, Floats]:
        """See `Evaluator`."""
        del offsets
        return np.zeros(len(moves)), np.full((len(states), config.players), 1 / config.players)
