"""The heuristic as the evaluator of a search: priors from its values of the moves, chances from the best of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rr_engine.boards import Config
from rr_engine.heuristic.values import fill_values, policy, seat_totals

POINTS_PER_NAT = 50.0  # of the odds to win, see `weights`

Floats = NDArray[np.float64]


class HeuristicEvaluator:
    """`search.Evaluator` of the frozen evaluation."""

    def evaluate(
        self, config: Config, states: NDArray[np.void], moves: NDArray[np.int64], offsets: NDArray[np.int64]
    ) -> tuple[Floats, Floats]:
        """(logits [moves], chances to win [states, seats]) of positions, none over, with their legal moves.

        Logits are the log of the policy at temperature 1. The mover leads its best opponent by the value of its best
        move; the opponents' shares follow from the position as it stands.
        """
        values = np.empty(len(moves))
        fill_values(config, states, moves, offsets, values, 0, len(states))
        totals = seat_totals(config, states)
        rows, movers = np.arange(len(states)), states["player"]
        totals[rows, movers] = -np.inf
        totals[rows, movers] = totals.max(1) + np.maximum.reduceat(values, offsets[:-1])
        chances = np.exp((totals - totals.max(1, keepdims=True)) / POINTS_PER_NAT)
        return np.log(policy(values, offsets) + 1e-9), chances / chances.sum(1, keepdims=True)
