"""Symmetries of the board, acting on encoded decisions and on what becomes of cells. Knows no network.

A symmetry sends every cell to another, and with it planes, the cells of a move and owners; numbers, facts, the policy
and values stay. Every decision can be shown under all 8 or 12 of them, though two rules are not quite symmetric:

- On hex8 the border of a claim grows along skewed steps (rules 5.7, C12), which only 4 of the 12 symmetries keep. A
  position, its legal moves and their encoding map exactly under all 12; what differs is a few cells that some claims
  win. Three times as many images of every decision are worth more than that.
- A recovery slide that completes two over-long lines of one length takes the first axis (rules 5.5, C18): of such
  slides, hardly ever met, the windows offered differ.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rr_engine.boards import Board
from rr_engine.kernels.encode import MOVE_CELLS
from rr_engine.kernels.jit import entry
from rr_engine.kernels.layout import LINE_WHOLE, LINE_WINDOW
from rr_engine.nn.features import Encoded


@cache
def images(board: Board) -> NDArray[np.int16]:
    """[8 or 12, cells + 1]: where each symmetry sends a cell, the identity first; the place outside stays."""
    table = np.concatenate((board.symmetries, np.full((len(board.symmetries), 1), board.cells, np.int16)), 1)
    table.setflags(write=False)
    return table


def move_rows(offsets: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where the moves of decisions `rows` stand, in their order."""
    starts, counts = offsets[rows], offsets[rows + 1] - offsets[rows]
    ends = np.cumsum(counts)
    return np.repeat(starts - ends + counts, counts) + np.arange(counts.sum())


def select(
    encoded: Encoded, rows: NDArray[np.int64], board: Board, *, turns: NDArray[np.int64] | None = None
) -> Encoded:
    """Decisions `rows` with their moves, both in the order they had, each under the symmetry that `turns` names.

    `turns` are indices into `images`; without them decisions stay as they are.
    """
    turns = np.zeros(len(rows), np.int64) if turns is None else turns
    moves = move_rows(encoded.offsets, rows)
    counts = encoded.offsets[rows + 1] - encoded.offsets[rows]
    planes = np.empty((len(rows), *encoded.planes.shape[1:]), np.uint8)
    cells = np.empty((len(moves), MOVE_CELLS), np.int16)
    _mirror_planes(encoded.planes, rows, turns, images(board), planes)
    _mirror_moves(encoded.move_kinds, encoded.move_cells, encoded.offsets, rows, turns, images(board), cells)
    return Encoded(
        planes=planes,
        numbers=encoded.numbers[rows],
        offsets=np.concatenate(([0], np.cumsum(counts))),
        move_kinds=encoded.move_kinds[moves],
        move_cells=cells,
        move_facts=encoded.move_facts[moves],
    )


@entry
def _mirror_planes(planes: Any, rows: Any, turns: Any, table: Any, out: Any) -> None:
    """Fill `out` [rows, cells + 1, PLANES] with `rows` of `planes`, each under the symmetry of `table` in `turns`."""
    for index in range(rows.size):
        row, image = rows[index], table[turns[index]]
        for cell in range(image.size):
            place = image[cell]
            for plane in range(planes.shape[2]):
                out[index, place, plane] = planes[row, cell, plane]


@entry
def _mirror_moves(kinds: Any, cells: Any, offsets: Any, rows: Any, turns: Any, table: Any, out: Any) -> None:
    """Fill `out` [moves of rows, MOVE_CELLS] with the cells that the moves of `rows` name, mirrored.

    The two ends of a line stand in ascending order. Moves of a decision are `cells[offsets[i]:offsets[i + 1]]`.
    """
    at = 0
    for index in range(rows.size):
        image = table[turns[index]]
        for move in range(offsets[rows[index]], offsets[rows[index] + 1]):
            for part in range(cells.shape[1]):
                out[at, part] = image[cells[move, part]]
            is_line = kinds[move] == LINE_WHOLE or kinds[move] == LINE_WINDOW
            if is_line and out[at, 0] > out[at, 1]:
                first = out[at, 0]
                out[at, 0] = out[at, 1]
                out[at, 1] = first
            at += 1


@entry
def mirror_owners(
    owner: Any, games: Any, seats: Any, players: Any, nobody: Any, turns: Any, table: Any, out: Any
) -> None:
    """Fill `out` [rows, cells] with the owner of each cell relative to the mover, or `nobody`, mirrored.

    `owner` [G, cells] is by seat, -1 for none; `games` and `seats` say which game and whose decision a row is.
    """
    for index in range(games.size):
        game, mover, image = games[index], np.int64(seats[index]), table[turns[index]]
        for cell in range(owner.shape[1]):
            seat = np.int64(owner[game, cell])
            out[index, image[cell]] = nobody if seat < 0 else (seat - mover + players) % players
