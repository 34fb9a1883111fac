"""Symmetries of the board, acting on encoded decisions and their targets. Knows no network.

A symmetry sends every cell to another, and with it planes, the cells of a move and owners; numbers, facts, the policy
and values stay. All 8 or 12 symmetries are used on every board. On hex8 only 4 of the 12 are symmetries of the whole
game: the border of a claim grows along skewed steps (rules 8, C12), so a claim's consequences can differ between a
position and its image. Positions, legal moves and encodings map exactly under all 12, and what differs are a few
cells of some claims: three times as many images of every decision are worth more than that.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rr_engine.boards import Board
from rr_engine.kernels.jit import entry
from rr_engine.kernels.layout import LINE_WHOLE, LINE_WINDOW


@cache
def images(board: Board) -> NDArray[np.int16]:
    """[8 or 12, cells + 1]: where each symmetry sends a cell, the identity first; the place outside stays."""
    table = np.concatenate((board.symmetries, np.full((len(board.symmetries), 1), board.cells, np.int16)), 1)
    table.setflags(write=False)
    return table


@entry
def mirror_planes(planes: Any, rows: Any, turns: Any, table: Any, out: Any) -> None:
    """Fill `out` [rows, cells + 1, PLANES] with `rows` of `planes`, each under the symmetry of `table` in `turns`."""
    for index in range(rows.size):
        row, image = rows[index], table[turns[index]]
        for cell in range(image.size):
            place = image[cell]
            for plane in range(planes.shape[2]):
                out[index, place, plane] = planes[row, cell, plane]


@entry
def mirror_moves(kinds: Any, cells: Any, offsets: Any, rows: Any, turns: Any, table: Any, out: Any) -> None:
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
