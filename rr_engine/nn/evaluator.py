"""Asking a network: arrays in, arrays out, so that who asks needs no torch."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from rr_engine.boards import Board
from rr_engine.nn.checkpoint import Checkpoint
from rr_engine.nn.features import Encoded
from rr_engine.nn.network import Batch, log_policy


@torch.inference_mode()
def evaluate(checkpoint: Checkpoint, encoded: Encoded, board: Board) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(log policy [moves], normalised within each decision; value [decisions, MAX_SEATS], shares of the win).

    Values are by relative seat, the mover first; seats that are not in the game have 0.
    """
    batch = Batch.of(encoded)
    logits, values = checkpoint.network(batch, board)
    policy = log_policy(logits, batch.decision, len(batch.planes))
    return policy.double().numpy(), values.softmax(1).double().numpy()
