"""A network on OpenVINO, the fastest runtime for it on a CPU: trunk and value there, the move head as a kernel.

In one run on one Zen 4 core it was 1.4 times as fast as torch in the same precision (docs/benchmarks.md).
"""

from __future__ import annotations

import os
import threading
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rr_engine.boards import Board
from rr_engine.kernels.encode import MOVE_CELLS, NUMBERS, PER_SEAT, PLANES, PRESENT
from rr_engine.kernels.layout import MAX_SEATS
from rr_engine.nn.features import Encoded, grid
from rr_engine.nn.network import Network
from rr_engine.nn.scoring import MoveWeights, score_moves

Float32s = NDArray[np.float32]

_PRECISIONS = {torch.bfloat16: "bf16", torch.float32: "f32"}


class _Trunk(nn.Module):
    """All of a network but what depends on single moves, with one board's shape written in."""

    def __init__(self, network: Network, board: Board) -> None:
        super().__init__()
        self.network = network
        self.board = board

    def forward(self, planes: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """`planes` [decisions, cells + 1, PLANES] uint8 -> (what cells say, what the board says, value logits)."""
        x, summary, hidden = self.network.trunk(planes, numbers, self.board)
        head = self.network.moves
        return head.cells(x).permute(0, 2, 3, 1), head.board(summary), self.network.value_out(hidden)


class OpenVinoNetwork:
    """A fused network for one board; threads may call it side by side, a core each."""

    def __init__(self, network: Network, board: Board, *, dtype: torch.dtype) -> None:
        """`dtype`, in which it computes, is one of `_PRECISIONS`."""
        import openvino

        example = (torch.zeros((1, board.cells + 1, PLANES), dtype=torch.uint8), torch.zeros((1, NUMBERS)))
        shapes = [openvino.PartialShape([-1, *array.shape[1:]]) for array in example]
        trunk = _Trunk(network, board).eval()
        trunk(*example)  # what is computed once per board is not to be traced
        model = openvino.convert_model(trunk, example_input=example, input=shapes)
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        options = {"INFERENCE_NUM_THREADS": cores, "NUM_STREAMS": cores, "INFERENCE_PRECISION_HINT": _PRECISIONS[dtype]}
        self._compiled = openvino.Core().compile_model(model, "CPU", options)
        self._requests = threading.local()
        _, _, _, places = grid(board)
        self._places = np.append(places, -1)
        head = network.moves
        self._weights = MoveWeights(
            kind=_array(head.kind.weight),
            facts=np.ascontiguousarray(_array(head.facts.weight).T),
            out=_array(head.out.weight)[0],
            bias=float(head.out.bias.detach()),
        )

    def __call__(self, encoded: Encoded) -> tuple[Float32s, Float32s]:
        """(policy logits [moves], value logits [decisions, MAX_SEATS], -inf for absent seats)."""
        if not hasattr(self._requests, "mine"):
            self._requests.mine = self._compiled.create_infer_request()
        request: Any = self._requests.mine
        request.infer({0: encoded.planes, 1: encoded.numbers}, share_inputs=True)
        seen, board, values = (request.get_output_tensor(index).data for index in range(3))
        decisions = len(encoded.planes)
        logits = np.empty(len(encoded.move_kinds), np.float32)
        score_moves(
            self._weights,
            seen.reshape(decisions, -1, MOVE_CELLS, len(self._weights.out)),
            board,
            encoded.offsets,
            encoded.move_kinds,
            encoded.move_cells,
            encoded.move_facts,
            self._places,
            np.empty_like(self._weights.out),
            logits,
        )
        present = encoded.numbers[:, PRESENT : PER_SEAT * MAX_SEATS : PER_SEAT] > 0
        return logits, np.where(present, values, -np.inf)


def _array(weight: Tensor) -> Float32s:
    return weight.detach().float().cpu().numpy()
