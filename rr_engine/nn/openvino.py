"""A network on OpenVINO, the fastest runtime for it on a CPU: trunk and value there, the move head as a kernel.

It is faster than torch in the same precision on every processor tried (docs/experiments.md).
"""

from __future__ import annotations

import sys
import threading
from functools import cache
from typing import Any, cast

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

# A batch is cut into parts of two sizes, for each of which the model is compiled: one for any size takes 1.2 to 1.4
# times as long (docs/experiments.md).
_MANY, _FEW = 32, 8
# One stream of one thread is computed by who asks, so each thread compiles its own: a twentieth of a second. Streams of
# a model that threads share are threads of their own, for which callers wait.
_IN_CALLERS_THREAD = {"NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": 1, "ENABLE_CPU_PINNING": False}
_CORE_LOCK = threading.Lock()
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
        openvino = _library()
        example = (torch.zeros((1, board.cells + 1, PLANES), dtype=torch.uint8), torch.zeros((1, NUMBERS)))
        self._shapes = [array.shape[1:] for array in example]
        trunk = _Trunk(network, board).eval()
        trunk(*example)  # what is computed once per board is not to be traced
        anysize = [openvino.PartialShape([-1, *shape]) for shape in self._shapes]
        with torch.no_grad():  # unchecked: to trace it once more would take as long as all the rest
            traced = torch.jit.trace(trunk, example, check_trace=False)
        self._model = openvino.convert_model(traced, example_input=example, input=anysize)
        self._options = _IN_CALLERS_THREAD | {"INFERENCE_PRECISION_HINT": _PRECISIONS[dtype]}
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
        if not hasattr(self._requests, "by_size"):
            self._requests.by_size = {size: self._request(size) for size in (_MANY, _FEW)}
        decisions = len(encoded.planes)
        logits = np.empty(len(encoded.move_kinds), np.float32)
        values = np.empty((decisions, MAX_SEATS), np.float32)
        hidden = np.empty_like(self._weights.out)
        first = 0
        while first < decisions:
            size = _MANY if decisions - first > _MANY - _FEW else _FEW
            end = min(first + size, decisions)
            request: Any = self._requests.by_size[size]
            asked = [_filled_up(array[first:end], size) for array in (encoded.planes, encoded.numbers)]
            request.infer(dict(enumerate(asked)), share_inputs=True)
            seen, board, value = (request.get_output_tensor(index).data for index in range(3))
            score_moves(
                self._weights,
                seen.reshape(size, -1, MOVE_CELLS, len(hidden)),
                board,
                encoded.offsets[first : end + 1],
                encoded.move_kinds,
                encoded.move_cells,
                encoded.move_facts,
                self._places,
                hidden,
                logits,
            )
            values[first:end] = value[: end - first]
            first = end
        present = encoded.numbers[:, PRESENT : PER_SEAT * MAX_SEATS : PER_SEAT] > 0
        return logits, np.where(present, values, -np.inf)

    def _request(self, size: int) -> Any:
        """The model compiled for `size` decisions and the thread that asks."""
        model = self._model.clone()
        model.reshape({index: [size, *shape] for index, shape in enumerate(self._shapes)})
        return _core().compile_model(model, "CPU", self._options).create_infer_request()


def _core() -> Any:
    """OpenVINO's core, the only one and never let go.

    Its CPU plugin lends the thread that loads it a stack for signals, and a core that another thread lets go takes that
    away: the next Ctrl-C would be a segmentation fault.
    """
    with _CORE_LOCK:  # threads that ask first at once would make two
        return _make_core()


@cache
def _make_core() -> Any:
    return _library().Core()


def _library() -> Any:
    """OpenVINO without its reports to its makers: each is a process, and where there is no network it never ends."""
    cast("dict[str, Any]", sys.modules).setdefault(
        "openvino_telemetry", None
    )  # so its import fails, which OpenVINO expects
    import openvino

    return openvino


def _filled_up(array: NDArray[Any], size: int) -> NDArray[Any]:
    """`array`, or a copy of `size` rows that ends with zeros."""
    if len(array) == size:
        return array
    filled = np.zeros((size, *array.shape[1:]), array.dtype)
    filled[: len(array)] = array
    return filled


def _array(weight: Tensor) -> Float32s:
    return weight.detach().float().cpu().numpy()
