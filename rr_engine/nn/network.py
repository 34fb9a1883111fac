"""The network: one family for every board and seat count.

A residual tower over the board's rectangle; legal moves are scored from the cells they name, so there is no dense
policy and no board-shaped weight: a network trained on one board runs on any other. The value is a share of the win per
seat. Two auxiliary heads, which only training asks, tell whose territory each cell becomes and how the game is scored
(as in KataGo, Wu 2019).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from rr_engine.boards import Board
from rr_engine.kernels.encode import MOVE_CELLS, MOVE_FACTS, MOVE_KINDS, NUMBERS, PER_SEAT, PLANE_SCALE, PLANES, PRESENT
from rr_engine.kernels.layout import MAX_SEATS
from rr_engine.nn.features import Encoded, grid
from rr_engine.settings import NetworkSettings

SCORES = 2  # per seat, at the end of the game: eliminated rings over the goal, territory over the goal
NOBODY = MAX_SEATS  # owner of a cell that is nobody's territory


@dataclass(frozen=True)
class Batch:
    """`Encoded` as tensors, ready for a network."""

    planes: Tensor  # [decisions, cells + 1, PLANES] uint8
    numbers: Tensor  # [decisions, NUMBERS]
    decision: Tensor  # [moves] which decision a move belongs to
    move_kinds: Tensor  # [moves]
    move_cells: Tensor  # [moves, MOVE_CELLS]
    move_facts: Tensor  # [moves, MOVE_FACTS]

    @classmethod
    def of(cls, encoded: Encoded, device: str | torch.device = "cpu") -> Batch:
        """The same decisions as tensors on `device`; shares memory where it can."""

        def put(array: NDArray[Any]) -> Tensor:
            return torch.from_numpy(array).to(device, non_blocking=True)

        return cls(
            planes=put(encoded.planes),
            numbers=put(encoded.numbers),
            decision=torch.repeat_interleave(put(np.diff(encoded.offsets)), output_size=len(encoded.move_kinds)),
            move_kinds=put(encoded.move_kinds).long(),  # wide only where they are used: narrow on their way
            move_cells=put(encoded.move_cells).long(),
            move_facts=put(encoded.move_facts),
        )


class Outputs(NamedTuple):
    """What a network says of a batch."""

    policy: Tensor  # [moves] logits
    value: Tensor  # [decisions, MAX_SEATS] logits by relative seat, -inf for seats not in the game
    owner: Tensor  # [decisions, cells, MAX_SEATS + 1] logits: whose territory it becomes, by relative seat or NOBODY
    scores: Tensor  # [decisions, MAX_SEATS, SCORES] by relative seat


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions with a shortcut; the whole board's mean and maximum bias the second one."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.first_norm: nn.Module = nn.BatchNorm2d(channels)
        self.board = nn.Linear(2 * channels, channels, bias=False)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.second_norm: nn.Module = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor, inside: Tensor) -> Tensor:
        """[decisions, channels, rows, columns] in and out."""
        y = functional.relu(self.first_norm(self.first(x)))
        y = y + self.board(pooled(y, inside))[:, :, None, None]
        return functional.relu(x + self.second_norm(self.second(y)))


def pooled(x: Tensor, inside: Tensor) -> Tensor:
    """[decisions, 2 * channels]: mean and maximum over the board's cells of what is nowhere negative.

    `inside` [1, 1, rows, columns] is 1 on the board's cells, else 0.
    """
    x = x * inside
    return torch.cat([x.sum((2, 3)) / inside.sum(), x.amax((2, 3))], 1)


class _Embedding(nn.Embedding):
    def reset_parameters(self) -> None:
        if not self.weight.is_meta:  # which has no values; to draw none of them imports torch's compiler, in a second
            super().reset_parameters()


class MoveHead(nn.Module):
    """A logit per legal move, from the cells it names, its kind and facts, and the whole board."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.cells = nn.Conv2d(channels, MOVE_CELLS * channels, 1)
        self.kind = _Embedding(MOVE_KINDS, channels)
        self.facts = nn.Linear(MOVE_FACTS, channels, bias=False)
        self.board = nn.Linear(2 * channels, channels)
        self.out = nn.Linear(channels, 1)

    def forward(self, x: Tensor, board: Tensor, batch: Batch, places: Tensor) -> Tensor:
        """[moves] logits. `board` is the pooled trunk; `places` [cells + 1] tells where in the rectangle a cell is."""
        seen = self.cells(x).permute(0, 2, 3, 1).reshape(-1, self.channels)  # a row per decision, place and part
        row = batch.decision * (x.shape[2] * x.shape[3])
        hidden = self.kind(batch.move_kinds) + self.facts(batch.move_facts.to(x.dtype))
        hidden = hidden + self.board(board)[batch.decision]
        nowhere = len(places) - 1
        for part in range(MOVE_CELLS):
            cell = batch.move_cells[:, part]
            named = (cell != nowhere).to(x.dtype)[:, None]
            hidden = torch.addcmul(hidden, seen[(row + places[cell]) * MOVE_CELLS + part], named)
        return self.out(functional.relu(hidden)).squeeze(1)


class Network(nn.Module):
    """Policy, value and auxiliary heads on one trunk."""

    scale: Tensor  # [PLANES]

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        channels = settings.channels
        self.register_buffer("scale", torch.from_numpy(1 / PLANE_SCALE), persistent=False)
        self.stem = nn.Conv2d(PLANES, channels, 3, padding=1)
        self.numbers = nn.Linear(NUMBERS, channels)
        self.blocks: Any = nn.ModuleList(ResidualBlock(channels) for _ in range(settings.blocks))
        self.moves = MoveHead(channels)
        self.value_hidden = nn.Linear(2 * channels + NUMBERS, 2 * channels)
        self.value_out = nn.Linear(2 * channels, MAX_SEATS)
        self.owner = nn.Conv2d(channels, MAX_SEATS + 1, 1)
        self.scores = nn.Linear(2 * channels, MAX_SEATS * SCORES)

    def forward(self, batch: Batch, board: Board) -> tuple[Tensor, Tensor]:
        """Policy and value as in `Outputs`."""
        x, summary, hidden = self.trunk(batch.planes, batch.numbers, board)
        return self.heads(x, summary, hidden, batch, board)

    def outputs(self, batch: Batch, board: Board) -> Outputs:
        """All heads."""
        x, summary, hidden = self.trunk(batch.planes, batch.numbers, board)
        policy, value = self.heads(x, summary, hidden, batch, board)
        places = _grid(board, x.device)[1][:-1]
        owner = self.owner(x).flatten(2)[:, :, places].transpose(1, 2)
        return Outputs(policy, value, owner, self.scores(hidden).reshape(-1, MAX_SEATS, SCORES))

    def trunk(self, planes: Tensor, numbers: Tensor, board: Board) -> tuple[Tensor, Tensor, Tensor]:
        """(planes of the last block, their summary, hidden layer of the value), for `Batch.planes` and `numbers`."""
        rows, columns, _, _ = grid(board)
        cells, _, inside = _grid(board, planes.device)
        dtype = self.scale.dtype
        inside, numbers = inside.to(dtype), numbers.to(dtype)
        x = planes.index_select(1, cells).to(dtype) * self.scale
        x = x.reshape(-1, rows, columns, PLANES).permute(0, 3, 1, 2)
        x = functional.relu(self.stem(x) + self.numbers(numbers)[:, :, None, None])
        for block in self.blocks:
            x = block(x, inside)
        summary = pooled(x, inside)
        return x, summary, functional.relu(self.value_hidden(torch.cat([summary, numbers], 1)))

    def heads(self, x: Tensor, summary: Tensor, hidden: Tensor, batch: Batch, board: Board) -> tuple[Tensor, Tensor]:
        """Policy and value as in `Outputs`, from what `trunk` says of the batch."""
        present = batch.numbers[:, PRESENT : PER_SEAT * MAX_SEATS : PER_SEAT] > 0
        value = self.value_out(hidden).masked_fill(~present, -torch.inf)
        return self.moves(x, summary, batch, _grid(board, x.device)[1]), value

    @torch.no_grad()
    def fused(self) -> Network:
        """This network, in evaluation mode, with its norms folded into the convolutions: the same outputs, faster."""
        network = Network(NetworkSettings(channels=self.moves.channels, blocks=len(self.blocks)))
        network.load_state_dict(self.state_dict())
        network.eval()
        for block in network.blocks:
            block.first = fuse_conv_bn_eval(block.first, block.first_norm)
            block.second = fuse_conv_bn_eval(block.second, block.second_norm)
            block.first_norm = block.second_norm = nn.Identity()
        return network


@cache
def _grid(board: Board, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """(`grid`'s cell at each place, place of each cell and 0 for none, 1 at places on the board) on a device."""
    rows, columns, cells, places = grid(board)
    inside = (cells < board.cells).astype(np.float32).reshape(1, 1, rows, columns)
    with torch.inference_mode(False):  # kept, so they must serve training too, whoever asks first
        return (
            torch.from_numpy(cells).to(device),
            torch.from_numpy(np.append(places, 0)).to(device),
            torch.from_numpy(inside).to(device),
        )


def log_policy(logits: Tensor, decision: Tensor, decisions: int) -> Tensor:
    """[moves]: log-softmax of `logits` within each decision."""
    top = logits.new_full((decisions,), -torch.inf).scatter_reduce(0, decision, logits, "amax")
    shifted = logits - top[decision]
    total = logits.new_zeros(decisions).index_add(0, decision, shifted.exp())
    return shifted - total.log()[decision]
