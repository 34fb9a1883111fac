"""What a network sees, as arrays; the meaning of planes, numbers and move rows stands in `kernels.encode`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rr_engine.boards import Board, Config
from rr_engine.kernels.encode import MOVE_CELLS, MOVE_FACTS, NUMBERS, PLANES, Desk, encode_positions
from rr_engine.kernels.layout import MAX_ROWS, MAX_SEATS
from rr_engine.kernels.measure import FEATURES

FEATURE_VERSION = 3  # of `kernels.encode`: a network reads only what it was trained on


@dataclass(frozen=True)
class Encoded:
    """Encoded decisions of one config. Legal moves are ragged: decision i has rows `offsets[i]:offsets[i + 1]`."""

    planes: NDArray[np.uint8]  # [decisions, cells + 1, PLANES], the last place is outside and empty
    numbers: NDArray[np.float32]  # [decisions, NUMBERS]
    offsets: NDArray[np.int64]  # [decisions + 1]
    move_kinds: NDArray[np.uint8]  # [moves]
    move_cells: NDArray[np.int16]  # [moves, MOVE_CELLS]
    move_facts: NDArray[np.float32]  # [moves, MOVE_FACTS]


def _room(board: Board, offsets: NDArray[np.int64]) -> Encoded:
    """Zeroed arrays for decisions with legal moves as `offsets` say."""
    decisions, moves = len(offsets) - 1, int(offsets[-1])
    return Encoded(
        planes=np.zeros((decisions, board.cells + 1, PLANES), np.uint8),
        numbers=np.zeros((decisions, NUMBERS), np.float32),
        offsets=offsets,
        move_kinds=np.zeros(moves, np.uint8),
        move_cells=np.zeros((moves, MOVE_CELLS), np.int16),
        move_facts=np.zeros((moves, MOVE_FACTS), np.float32),
    )


def _arrays(room: Encoded) -> tuple[NDArray[Any], ...]:
    return room.planes, room.numbers, room.move_kinds, room.move_cells, room.move_facts


def encode(config: Config, states: NDArray[np.void], moves: NDArray[np.int64], offsets: NDArray[np.int64]) -> Encoded:
    """Encode `states`, none over, with their legal `moves` (ragged by `offsets`)."""
    room = _room(config.board, offsets)
    encode_positions(config.board.geometry[0], states, moves, offsets, desk(config.board), *_arrays(room))
    return room


def desk(board: Board) -> Desk:
    """What the encoding kernels work with; not for two threads at once."""
    return Desk(board.centrality, np.zeros(MAX_ROWS, np.int64), np.zeros((MAX_SEATS, FEATURES)))


def relative_seats(seats: NDArray[np.int8], values: NDArray[np.float32]) -> NDArray[np.float32]:
    """[decisions, MAX_SEATS]: `values` by seat, turned so that column 0 is who decides; 0 for absent seats."""
    players = len(values)
    turned = np.zeros((len(seats), MAX_SEATS), np.float32)
    turned[:, :players] = values[(seats[:, None] + np.arange(players)) % players]
    return turned


@cache
def grid(board: Board) -> tuple[int, int, NDArray[np.int64], NDArray[np.int64]]:
    """The rectangle a convolution runs over: (rows, columns, cell at each place, place of each cell).

    Places go row by row; `cells` stands at a place outside the board.
    """
    record = board.geometry[0]
    rows, columns = board.rows, board.rows
    row, position = record["line_of"][: board.cells, 0], record["pos_of"][: board.cells, 0]
    places = row.astype(np.int64) * columns + position - 1
    cells = np.full(rows * columns, board.cells, np.int64)
    cells[places] = np.arange(board.cells)
    return rows, columns, cells, places
