"""The network: one family for every board and seat count.

A residual tower over the board's rectangle; legal moves are scored from the cells they name, so there is no dense
policy and no board-shaped weight: a network trained on one board runs on any other. The value is a share of the win per
seat.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rr_engine.boards import Board
from rr_engine.kernels.encode import MOVE_CELLS, MOVE_KINDS, NUMBERS, PER_SEAT, PLANE_SCALE, PLANES, PRESENT
from rr_engine.kernels.layout import MAX_SEATS
from rr_engine.nn.features import Encoded, grid
from rr_engine.settings import NetworkSettings


@dataclass(frozen=True)
class Batch:
    """`Encoded` as tensors, ready for a network."""

    planes: Tensor  # [decisions, PLANES, cells] uint8
    numbers: Tensor  # [decisions, NUMBERS]
    decision: Tensor  # [moves] which decision a move belongs to
    move_kinds: Tensor  # [moves]
    move_cells: Tensor  # [moves, MOVE_CELLS]
    move_amounts: Tensor  # [moves]

    @classmethod
    def of(cls, encoded: Encoded) -> Batch:
        """The same decisions as tensors; shares memory where it can."""
        counts = torch.from_numpy(np.diff(encoded.offsets))
        return cls(
            planes=torch.from_numpy(encoded.planes),
            numbers=torch.from_numpy(encoded.numbers),
            decision=torch.repeat_interleave(torch.arange(len(counts)), counts),
            move_kinds=torch.from_numpy(encoded.move_kinds).long(),
            move_cells=torch.from_numpy(encoded.move_cells).long(),
            move_amounts=torch.from_numpy(encoded.move_amounts),
        )


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions with a shortcut; cells outside the board stay zero."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor, inside: Tensor) -> Tensor:
        """[decisions, channels, rows, columns] in and out."""
        y = functional.relu(self.first_norm(self.first(x))) * inside
        return functional.relu(x + self.second_norm(self.second(y))) * inside


class MoveHead(nn.Module):
    """A logit per legal move, from the cells it names, its kind and the whole board."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.cells = nn.Conv2d(channels, MOVE_CELLS * channels, 1)
        self.kind = nn.Embedding(MOVE_KINDS, channels)
        self.amount = nn.Linear(1, channels, bias=False)
        self.board = nn.Linear(2 * channels, channels)
        self.out = nn.Linear(channels, 1)

    def forward(self, x: Tensor, pooled: Tensor, batch: Batch, index: Tensor) -> Tensor:
        """[moves] logits. `index` [cells + 1] maps cells to the flat grid, its last entry to the empty place behind."""
        decisions = len(x)
        seen = self.cells(x).flatten(2)  # [decisions, 3 * channels, places]
        seen = functional.pad(seen, (0, 1)).transpose(1, 2).reshape(decisions, -1, MOVE_CELLS, self.channels)
        places = index[batch.move_cells]  # [moves, 3]
        hidden = self.kind(batch.move_kinds) + self.amount(batch.move_amounts[:, None])
        hidden = hidden + self.board(pooled)[batch.decision]
        for part in range(MOVE_CELLS):
            hidden = hidden + seen[batch.decision, places[:, part], part]
        return self.out(functional.relu(hidden)).squeeze(1)


class Network(nn.Module):
    """Policy logits per legal move and value logits per relative seat."""

    scale: Tensor  # [1, PLANES, 1]

    def __init__(self, settings: NetworkSettings) -> None:
        super().__init__()
        channels = settings.channels
        self.register_buffer("scale", torch.from_numpy(1 / PLANE_SCALE)[None, :, None], persistent=False)
        self.stem = nn.Conv2d(PLANES, channels, 3, padding=1)
        self.numbers = nn.Linear(NUMBERS, channels)
        self.blocks = nn.ModuleList(ResidualBlock(channels) for _ in range(settings.blocks))
        self.moves = MoveHead(channels)
        self.value_hidden = nn.Linear(2 * channels + NUMBERS, 2 * channels)
        self.value_out = nn.Linear(2 * channels, MAX_SEATS)

    def forward(self, batch: Batch, board: Board) -> tuple[Tensor, Tensor]:
        """(policy logits [moves], value logits [decisions, MAX_SEATS], -inf for seats not in the game)."""
        rows, columns, cells = grid(board)
        index = torch.from_numpy(np.append(cells, rows * columns)).to(batch.planes.device)
        decisions = len(batch.planes)
        planes = batch.planes.new_zeros((decisions, PLANES, rows * columns), dtype=torch.float32)
        planes[:, :, index[:-1]] = batch.planes * self.scale
        planes = planes.reshape(decisions, PLANES, rows, columns)
        inside = planes[:, PLANES - 1 :]
        x = functional.relu(self.stem(planes) + self.numbers(batch.numbers)[:, :, None, None]) * inside
        for block in self.blocks:
            x = block(x, inside)
        pooled = torch.cat([x.sum((2, 3)) / board.cells, x.amax((2, 3))], 1)
        hidden = functional.relu(self.value_hidden(torch.cat([pooled, batch.numbers], 1)))
        present = batch.numbers[:, PRESENT : PER_SEAT * MAX_SEATS : PER_SEAT] > 0
        value = self.value_out(hidden).masked_fill(~present, -torch.inf)
        return self.moves(x, pooled, batch, index), value


def log_policy(logits: Tensor, decision: Tensor, decisions: int) -> Tensor:
    """[moves]: log-softmax of `logits` within each decision."""
    top = logits.new_full((decisions,), -torch.inf).scatter_reduce(0, decision, logits, "amax")
    shifted = logits - top[decision]
    total = logits.new_zeros(decisions).index_add(0, decision, shifted.exp())
    return shifted - total.log()[decision]
