"""A network as the evaluator of a search: states and legal moves in, arrays out, so that who asks needs no torch.

On a CPU it runs on OpenVINO, with one core a call: callers run side by side. On a GPU it runs on torch. Both compute in
the precision that is fastest there.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from rr_engine.boards import Board, Config
from rr_engine.errors import DataError
from rr_engine.nn.checkpoint import Checkpoint
from rr_engine.nn.features import Encoded, encode
from rr_engine.nn.network import Batch, log_policy
from rr_engine.nn.precision import fast_dtype
from rr_engine.nn.scoring import share_chances

Floats = NDArray[np.float64]


def best_device() -> str:
    """The GPU where there is one, else the CPU."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def device_name(device: str) -> str:
    """What people call a device: a GPU's model, or `cpu`."""
    return torch.cuda.get_device_name() if device == "cuda" else device


class NetworkEvaluator:
    """`search.Evaluator` of a checkpoint. Keeps a copy of the network made for speed.

    Best asked about `games_per_call` positions at once.
    """

    def __init__(self, checkpoint: Checkpoint, *, device: str | None = None) -> None:
        """`device` is torch's name of it, None for the best there is."""
        self.config = checkpoint.config
        self.device = device or best_device()
        network, dtype = checkpoint.network.fused(), fast_dtype(self.device)
        self.games_per_call = 128 if self.device == "cpu" else 512
        self._run: Callable[[Encoded], tuple[NDArray[np.float32], NDArray[np.float32]]]
        if self.device == "cpu":
            from rr_engine.nn.openvino import OpenVinoNetwork

            self._run = OpenVinoNetwork(network, checkpoint.config.board, dtype=dtype)
        else:
            from rr_engine.nn.gpu import GpuNetwork

            self._run = GpuNetwork(network, checkpoint.config.board, self.device, dtype)

    def answer(self, encoded: Encoded) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(policy logits [moves], value logits [decisions, MAX_SEATS], -inf for absent seats), for what is encoded."""
        return self._run(encoded)

    def evaluate(
        self, config: Config, states: NDArray[np.void], moves: NDArray[np.int64], offsets: NDArray[np.int64]
    ) -> tuple[Floats, Floats]:
        """(logits [moves], chances to win [states, seats]) of positions, none over, with their legal moves."""
        if config != self.config:
            raise DataError(f"a network for {self.config.key} is asked about {config.key}")
        logits, values = self.answer(encode(config, states, moves, offsets))
        chances = np.empty((len(states), config.players))
        share_chances(values, np.ascontiguousarray(states["player"]), chances)
        return logits.astype(np.float64), chances


@torch.inference_mode()
def evaluate(checkpoint: Checkpoint, encoded: Encoded, board: Board) -> tuple[Floats, Floats]:
    """(log policy [moves], normalised within each decision; value [decisions, MAX_SEATS], shares of the win).

    As trained, in single precision. Values are by relative seat, the mover first; absent seats have 0.
    """
    batch = Batch.of(encoded)
    logits, values = checkpoint.network(batch, board)
    policy = log_policy(logits, batch.decision, len(batch.planes))
    return policy.double().numpy(), values.softmax(1).double().numpy()
