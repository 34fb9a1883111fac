"""Flat Monte Carlo: every legal move is judged by random games played on from it."""

from __future__ import annotations

from typing import Any

import numpy as np

from rr_engine.heuristic.source import code_digest
from rr_engine.kernels import layout, moves, playout, turn
from rr_engine.kernels.jit import entry
from rr_engine.players.positions import Choice, Positions, best_moves, mixed
from rr_engine.players.workers import over_cores


class FlatPlayer:
    """The move that wins the most of `playouts` random games played after each legal move."""

    def __init__(self, playouts: int) -> None:
        self.playouts = playouts
        self.name = f"flat:{playouts}"
        self.digest = code_digest(__name__, options=self.name)

    def choose(self, positions: Positions) -> Choice:
        """One legal move of each game."""
        config = positions.config
        geometry = config.board.geometry[0]
        wins = np.zeros(len(positions.moves))

        def work(first: int, end: int) -> None:
            spare = np.empty(2, positions.states.dtype)
            scratch = np.zeros(1, layout.SCRATCH)
            out = np.empty(config.legal_capacity, np.int64)
            for game in range(first, end):
                legal = slice(positions.offsets[game], positions.offsets[game + 1])
                rng = mixed(positions.seeds[game : game + 1], salt=0)
                state = positions.states[game]
                _count_wins(
                    geometry, state, positions.moves[legal], wins[legal], self.playouts, spare, scratch, out, rng
                )

        over_cores(work, len(positions), share=1)
        return Choice(best_moves(positions, wins))


@entry
def _count_wins(
    g: Any, state: Any, legal: Any, wins: Any, playouts: int, spare: Any, scratch: Any, out: Any, rng: Any
) -> None:
    """Fill `wins` for each legal move of `state`; `spare` holds two states, `rng[0]` the generator."""
    for index in range(len(legal)):
        seat = state["player"]
        if moves.kind_of(legal[index]) == layout.SWAP:
            seat = 1 - seat
        spare[0] = state
        turn.apply_move(g, spare[0], scratch[0], legal[index])
        for _ in range(playouts):
            spare[1] = spare[0]
            playout.play_randomly(g, spare[1], scratch[0], out, rng)
            wins[index] += spare[1]["winner"] == seat
