"""A network on a GPU: tower and value as CUDA graphs, which are launched at once, the moves as torch does them."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rr_engine.boards import Board
from rr_engine.kernels.encode import NUMBERS, PLANES
from rr_engine.nn.features import Encoded
from rr_engine.nn.network import Batch, Network

_STEP = 128  # decisions by which the sizes of graphs differ
_WARM_UP = 3  # runs before a graph is captured, in which libraries choose their algorithms
_one_at_a_time = threading.Lock()  # a capture stands no other work beside it, and one batch fills the GPU


class _Graph:
    """The trunk for batches of one size: fill `planes` and `numbers`, `replay`, read `outputs`."""

    def __init__(self, network: Network, board: Board, size: int, device: str, pool: Any) -> None:
        self.planes = torch.zeros((size, board.cells + 1, PLANES), dtype=torch.uint8, device=device)
        self.numbers = torch.zeros((size, NUMBERS), device=device)
        side = torch.cuda.Stream(device)
        side.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(side):
            for _ in range(_WARM_UP):
                network.trunk(self.planes, self.numbers, board)
        torch.cuda.current_stream(device).wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
            self.outputs = network.trunk(self.planes, self.numbers, board)
        self.replay = graph.replay


class GpuNetwork:
    """A fused network for one board; threads may call it, one after the other."""

    def __init__(self, network: Network, board: Board, device: str, dtype: torch.dtype) -> None:
        self._network: Any = network.to(device, dtype)
        self._network.to(memory_format=torch.channels_last)
        self._board, self._device = board, device
        self._pool = torch.cuda.graph_pool_handle()
        self._graphs: dict[int, _Graph] = {}

    @torch.inference_mode()
    def __call__(self, encoded: Encoded) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(policy logits [moves], value logits [decisions, MAX_SEATS], -inf for absent seats)."""
        with _one_at_a_time:
            batch = Batch.of(encoded, self._device)
            logits, values = self._network.heads(*self._trunk(batch), batch, self._board)
            return logits.float().cpu().numpy(), values.float().cpu().numpy()

    def _trunk(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        decisions = len(batch.planes)
        size = -(-decisions // _STEP) * _STEP
        if size not in self._graphs:
            self._graphs[size] = _Graph(self._network, self._board, size, self._device, self._pool)
        graph = self._graphs[size]
        graph.planes[:decisions] = batch.planes
        graph.numbers[:decisions] = batch.numbers
        graph.replay()
        x, summary, hidden = (output[:decisions] for output in graph.outputs)
        return x, summary, hidden
