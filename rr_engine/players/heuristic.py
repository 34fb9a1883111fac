"""The heuristic as a player: its best move, or a sample of its policy."""

from __future__ import annotations

import hashlib

import numpy as np

from rr_engine.heuristic import HEURISTIC_HASH, fill_values, policy
from rr_engine.players.positions import Choice, Positions, best_moves, sampled_moves
from rr_engine.players.workers import over_cores

_SHARE = 8  # games one worker decides at a time
_OPENING_TEMPERATURE = 1.0


class HeuristicPlayer:
    """The move the frozen evaluation likes best, random among equals; above temperature 0 a sample of its policy."""

    def __init__(self, temperature: float = 0.0) -> None:
        """`temperature` holds where a position asks for none."""
        self.temperature = temperature
        self.name = f"heuristic:{temperature:g}" if temperature else "heuristic"
        self.digest = hashlib.sha256(f"{HEURISTIC_HASH} {self.name}".encode()).hexdigest()

    def choose(self, positions: Positions) -> Choice:
        """One legal move of each game, and the policy: at the temperature it was sampled with, else at 1."""
        values = np.empty(len(positions.moves))

        def work(first: int, end: int) -> None:
            fill_values(positions.config, positions.states, positions.moves, positions.offsets, values, first, end)

        over_cores(work, len(positions), share=_SHARE)
        warmth = np.where(positions.temperature > 0, positions.temperature, self.temperature)
        shares = policy(values, positions.offsets, np.where(warmth > 0, warmth, 1.0))
        moves = np.where(warmth > 0, sampled_moves(positions, shares), best_moves(positions, values))
        return Choice(moves, shares)


def opener() -> HeuristicPlayer:
    """Who makes the first decisions of a game, for both sides, so that games differ.

    Its openings are varied and sensible. Random decisions are not: one thrown-away turn decides a game between good
    players (docs/experiments.md).
    """
    return HeuristicPlayer(_OPENING_TEMPERATURE)
