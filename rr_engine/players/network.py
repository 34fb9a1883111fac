"""A network without search: its policy decides."""

from __future__ import annotations

import numpy as np

from rr_engine.heuristic.source import code_digest
from rr_engine.nn.checkpoint import Checkpoint
from rr_engine.nn.evaluator import evaluate
from rr_engine.nn.features import encode
from rr_engine.players.positions import Choice, Float64Array, Positions, best_moves, sampled_moves

_ROWS = 256  # positions in one call of the network


class NetworkPlayer:
    """The policy of a checkpoint: its best move at temperature 0, else a sample of policy ** (1 / temperature)."""

    def __init__(self, checkpoint: Checkpoint, sha256: str) -> None:
        """`sha256` is the checkpoint file's."""
        self.name = f"checkpoint:{sha256[:12]}"
        self.digest = code_digest(__name__, options=sha256)
        self._checkpoint = checkpoint

    def choose(self, positions: Positions) -> Choice:
        """One legal move of each game, and the policy it came from."""
        log_p = np.concatenate(
            [
                self._log_policy(positions.take(np.arange(first, min(first + _ROWS, len(positions)))))
                for first in range(0, len(positions), _ROWS)
            ]
        )
        sharp = np.where(positions.temperature > 0, positions.temperature, 1.0)
        policy = _normalised(log_p / np.repeat(sharp, np.diff(positions.offsets)), positions)
        moves = np.where(positions.temperature > 0, sampled_moves(positions, policy), best_moves(positions, log_p))
        return Choice(moves, policy)

    def _log_policy(self, positions: Positions) -> Float64Array:
        encoded = encode(positions.config, positions.states, positions.moves, positions.offsets)
        return evaluate(self._checkpoint, encoded, positions.config.board)[0]


def _normalised(log_p: Float64Array, positions: Positions) -> Float64Array:
    """exp(`log_p`), scaled to sum 1 in each game."""
    counts = np.diff(positions.offsets)
    shares = np.exp(log_p - np.repeat(np.maximum.reduceat(log_p, positions.offsets[:-1]), counts))
    return shares / np.repeat(np.add.reduceat(shares, positions.offsets[:-1]), counts)
