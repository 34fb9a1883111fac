"""Players without a plan: random play, and greed for territory and eliminated rings."""

from __future__ import annotations

from typing import Any

import numpy as np

from rr_engine.heuristic.source import code_digest
from rr_engine.kernels import layout, turn
from rr_engine.kernels.jit import entry
from rr_engine.players.positions import Choice, Positions, best_moves
from rr_engine.players.workers import over_cores

_SHARE = 64  # games one worker decides at a time


class RandomPlayer:
    """Every legal move with the same chance."""

    name = "random"

    def __init__(self) -> None:
        self.digest = code_digest(__name__, options=self.name)

    def choose(self, positions: Positions) -> Choice:
        """One legal move of each game."""
        equal = np.zeros(len(positions.moves))
        return Choice(best_moves(positions, equal))


class GreedyPlayer:
    """The move after which the mover has the most territory and eliminated credit; random among equals."""

    name = "greedy"

    def __init__(self) -> None:
        self.digest = code_digest(__name__, options=self.name)

    def choose(self, positions: Positions) -> Choice:
        """One legal move of each game."""
        geometry = positions.config.board.geometry[0]
        values = np.empty(len(positions.moves))

        def work(first: int, end: int) -> None:
            spare = np.empty(1, positions.states.dtype)
            scratch = np.zeros(1, layout.SCRATCH)
            _greed(geometry, positions.states, positions.moves, positions.offsets, values, spare, scratch, first, end)

        over_cores(work, len(positions), share=_SHARE)
        return Choice(best_moves(positions, values))


@entry
def _greed(
    g: Any, states: Any, moves: Any, offsets: Any, values: Any, spare: Any, scratch: Any, first: int, end: int
) -> None:
    """Fill `values` for the legal moves of the games `first` to `end`; `spare` holds one state."""
    for game in range(first, end):
        seat = states[game]["player"]
        for index in range(offsets[game], offsets[game + 1]):
            spare[0] = states[game]
            turn.apply_move(g, spare[0], scratch[0], moves[index])
            values[index] = spare[0]["terr"][seat] + spare[0]["elim"][seat]
