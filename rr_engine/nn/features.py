"""What a network sees, as arrays; the meaning of planes, numbers and move rows stands in `kernels.encode`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rr_engine.boards import Board, Config
from rr_engine.kernels.encode import MOVE_CELLS, NUMBERS, PLANES, encode_game, encode_moves, encode_states
from rr_engine.kernels.layout import MAX_SEATS, SCRATCH
from rr_engine.records.record import GameRecord
from rr_engine.state import new_state

FEATURE_VERSION = 1  # of `kernels.encode`: a network reads only what it was trained on


@dataclass(frozen=True)
class Encoded:
    """Encoded decisions of one config. Legal moves are ragged: decision i has rows `offsets[i]:offsets[i + 1]`."""

    planes: NDArray[np.uint8]  # [decisions, PLANES, cells]
    numbers: NDArray[np.float32]  # [decisions, NUMBERS]
    offsets: NDArray[np.int64]  # [decisions + 1]
    move_kinds: NDArray[np.uint8]  # [moves]
    move_cells: NDArray[np.int16]  # [moves, MOVE_CELLS]
    move_amounts: NDArray[np.float32]  # [moves]


def _room(board: Board, decisions: int, moves: int) -> tuple[Any, Any, tuple[Any, Any, Any]]:
    """Zeroed arrays for planes, numbers and (kinds, cells, amounts) of the moves."""
    rows = (np.zeros(moves, np.uint8), np.zeros((moves, MOVE_CELLS), np.int16), np.zeros(moves, np.float32))
    return np.zeros((decisions, PLANES, board.cells), np.uint8), np.zeros((decisions, NUMBERS), np.float32), rows


def encode(config: Config, states: NDArray[np.void], moves: NDArray[np.int64], offsets: NDArray[np.int64]) -> Encoded:
    """Encode `states`, none over, with their legal `moves` (ragged by `offsets`)."""
    planes, numbers, rows = _room(config.board, len(states), len(moves))
    encode_states(config.board.geometry[0], states, planes, numbers)
    encode_moves(config.board.geometry[0], moves, *rows)
    return Encoded(planes, numbers, offsets, *rows)


def encode_record(record: GameRecord, wanted: NDArray[np.bool_]) -> Encoded:
    """Replay a record that `records.check_replays` accepts and encode its `wanted` decisions."""
    config = record.config
    legal = record.legal[wanted]
    planes, numbers, rows = _room(config.board, len(legal), int(legal.sum()))
    out = np.empty(config.legal_capacity, np.int64)
    state, scratch = new_state(config, pie=record.pie), np.zeros(1, SCRATCH)[0]
    encode_game(config.board.geometry[0], state[0], scratch, out, record.moves, wanted, planes, numbers, *rows)
    return Encoded(planes, numbers, np.concatenate(([0], np.cumsum(legal, dtype=np.int64))), *rows)


def relative_seats(seats: NDArray[np.int8], values: NDArray[np.float32]) -> NDArray[np.float32]:
    """[decisions, MAX_SEATS]: `values` by seat, turned so that column 0 is who decides; 0 for absent seats."""
    players = len(values)
    turned = np.zeros((len(seats), MAX_SEATS), np.float32)
    turned[:, :players] = values[(seats[:, None] + np.arange(players)) % players]
    return turned


def grid(board: Board) -> tuple[int, int, NDArray[np.int64]]:
    """(rows, columns, index of each cell in the flat grid) of the rectangle a convolution runs over."""
    record = board.geometry[0]
    columns = board.rows
    rows, positions = record["line_of"][: board.cells, 0], record["pos_of"][: board.cells, 0]
    return board.rows, columns, rows.astype(np.int64) * columns + positions - 1
