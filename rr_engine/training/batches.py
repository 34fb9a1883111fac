"""Batches: some decisions of a window with their targets, each under a symmetry of the board."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rr_engine.kernels.layout import MAX_SEATS
from rr_engine.nn.network import NOBODY, Batch
from rr_engine.training import symmetry
from rr_engine.training.window import Window


@dataclass(frozen=True)
class Targets:
    """What a network should say of a batch, as tensors."""

    policy: Tensor  # [moves]
    has_policy: Tensor  # [decisions] float, 1 where there is a policy target
    value: Tensor  # [decisions, MAX_SEATS] by relative seat
    owner: Tensor  # [decisions, cells] int64: relative seat or NOBODY
    scores: Tensor  # [decisions, MAX_SEATS, SCORES] by relative seat
    present: Tensor  # [MAX_SEATS] bool: relative seats that are in the game


@dataclass(frozen=True)
class Sample:
    """A batch with its targets."""

    batch: Batch
    targets: Targets


def sample(
    window: Window,
    rows: NDArray[np.int64],
    *,
    turns: NDArray[np.int64] | None = None,
    root_value_share: float = 0.0,
    device: str = "cpu",
) -> Sample:
    """Decisions `rows` in their order, each under the symmetry `turns` names (an index into `symmetry.images`).

    The value target is the outcome, but for `root_value_share` of it the search's own value, where there is one.
    """
    turns = np.zeros(len(rows), np.int64) if turns is None else turns
    moves = symmetry.move_rows(window.encoded.offsets, rows)
    arrays = (
        window.policy[moves],
        window.has_policy[rows].astype(np.float32),
        _values(window, rows, root_value_share),
        _owners(window, rows, turns),
        _scores(window, rows),
        np.arange(MAX_SEATS) < window.config.players,
    )
    targets = Targets(*(_to(array, device) for array in arrays))
    encoded = symmetry.select(window.encoded, rows, window.config.board, turns=turns)
    return Sample(Batch.of(encoded, device), targets)


def _values(window: Window, rows: NDArray[np.int64], share: float) -> NDArray[np.float32]:
    weight = (share * window.has_root[rows, None]).astype(np.float32)
    outcome = window.value[rows]
    return (outcome + weight * (window.root_value[rows] - outcome)).astype(np.float32, copy=False)


def _owners(window: Window, rows: NDArray[np.int64], turns: NDArray[np.int64]) -> NDArray[np.int64]:
    table, players = symmetry.images(window.config.board), window.config.players
    owners = np.empty((len(rows), window.config.board.cells), np.int64)
    symmetry.mirror_owners(window.owner, window.game[rows], window.seats[rows], players, NOBODY, turns, table, owners)
    return owners


def _scores(window: Window, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    players = window.config.players
    turned = (window.seats[rows, None].astype(np.int64) + np.arange(players)) % players
    scores = np.zeros((len(rows), *window.scores.shape[1:]), np.float32)
    scores[:, :players] = window.scores[window.game[rows, None], turned]
    return scores


def _to(array: NDArray[Any], device: str) -> Tensor:
    return torch.from_numpy(array).to(device, non_blocking=True)
