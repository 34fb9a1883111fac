"""Encoding for networks: planes over the cells, numbers about the whole game, and one row per legal move.

Everything is told from the mover's side: relative seat 0 is the mover, 1 the next seat in turn order, and so on; every
opponent has planes of its own, and seats that are not in the game are empty.
"""

from __future__ import annotations

import numpy as np

from rr_engine.kernels.jit import entry, kernel
from rr_engine.kernels.layout import (
    CAPTURE,
    COLLAPSED,
    LINE_WHOLE,
    LINE_WINDOW,
    MARKER,
    MAX_SEATS,
    NO_MOVE,
    PLACEMENT,
    REGION,
    RING_BITS,
    SKIP,
    STACK,
    SWAP,
)
from rr_engine.kernels.turn import advance

# Planes, one byte per cell. Each name with a 4 stands for relative seats 0..3.
_MARKER, _TERRITORY, _CONTROLS, _RINGS, _NEXT = 0, 4, 8, 12, 16  # _NEXT: whose ring lies under the cap
_HEIGHT, _CAP, _ACTIVE, _INSIDE = 20, 21, 22, 23
PLANES = 24
# Largest value of a plane, by which a network divides.
PLANE_SCALE = np.array([1] * 12 + [4] * 4 + [1] * 4 + [8, 4, 1, 1], np.float32)

# Numbers, float32. Per relative seat: hand, elim, terr, markers, stacks, rings on board, out, present, rounds alone.
PER_SEAT = 9
PRESENT = 7  # among them
_PHASE = PER_SEAT * MAX_SEATS  # 9, one hot
_PLAYERS = _PHASE + 9  # 3, one hot
_REST = _PLAYERS + 3  # long lines, recovery turn, acted, pie rule open, board size
NUMBERS = _REST + 5

MOVE_KINDS = 14
MOVE_CELLS = 3  # from or on, to, and the third cell of a capture, slide or line; `cells` where there is none


@kernel
def _encode_cell(g, s, cell, planes):
    mover, seats = s["player"], s["seats"]
    kind = s["kind"][cell]
    relative = (np.int64(s["owner"][cell]) - mover + seats) % seats
    planes[_INSIDE, cell] = 1
    if kind == MARKER:
        planes[_MARKER + relative, cell] = 1
    elif kind == COLLAPSED:
        planes[_TERRITORY + relative, cell] = 1
    elif kind == STACK:
        planes[_CONTROLS + relative, cell] = 1
        rings = s["rings"][cell]
        height = np.int64(s["height"][cell])
        cap = np.int64(s["cap"][cell])
        planes[_HEIGHT, cell] = height
        planes[_CAP, cell] = cap
        if height > cap:
            planes[_NEXT + (((rings >> (RING_BITS * cap)) & 3) - mover + seats) % seats, cell] = 1
        for index in range(height):
            planes[_RINGS + (((rings >> (RING_BITS * index)) & 3) - mover + seats) % seats, cell] += 1


@kernel
def _encode_numbers(g, s, numbers):
    mover, seats = s["player"], s["seats"]
    rings = np.float32(s["rings_per_seat"])
    for relative in range(seats):
        seat = (mover + relative) % seats
        base = relative * PER_SEAT
        numbers[base] = s["hand"][seat] / rings
        numbers[base + 1] = s["elim"][seat] / np.float32(s["elim_goal"])
        numbers[base + 2] = s["terr"][seat] / np.float32(s["terr_goal"])
        numbers[base + 3] = s["markers"][seat] / rings
        numbers[base + 4] = s["stacks"][seat] / rings
        numbers[base + 5] = s["on_board"][seat] / rings
        numbers[base + 6] = 1 if s["hand"][seat] + s["on_board"][seat] == 0 else 0
        numbers[base + PRESENT] = 1
        if s["lps_seat"] == seat:
            numbers[base + 8] = s["lps_count"] / np.float32(s["lps_rounds"])
    numbers[_PHASE + s["phase"]] = 1
    numbers[_PLAYERS + seats - 2] = 1
    numbers[_REST] = s["line_length"] - 3
    numbers[_REST + 1] = s["rec_turn"]
    numbers[_REST + 2] = s["acted"]
    numbers[_REST + 3] = s["pie_open"]
    numbers[_REST + 4] = g["cells"] / np.float32(469)


@kernel
def encode_state(g, s, planes, numbers):
    """Fill `planes` [PLANES, cells] and `numbers` [NUMBERS] (both zero before) with what the mover sees."""
    for cell in range(g["cells"]):
        _encode_cell(g, s, cell, planes)
    if s["active"] >= 0:
        planes[_ACTIVE, s["active"]] = 1
    _encode_numbers(g, s, numbers)


@kernel
def encode_move(g, move, cells):
    """Fill `cells` [MOVE_CELLS] with the cells a move names; returns (kind, amount)."""
    nowhere = g["cells"]
    kind = move & 15
    a = (move >> 4) & 0xFFF
    b = (move >> 16) & 0xFFF
    c = (move >> 28) & 0xFFF
    cells[0] = a
    cells[1] = nowhere
    cells[2] = nowhere
    amount = 0.0
    if kind == SKIP or kind == SWAP:
        cells[0] = nowhere
    elif kind == PLACEMENT:
        amount = b / 3.0
    elif kind == LINE_WHOLE or kind == LINE_WINDOW:
        axis = (move >> 40) & 15
        line = np.int64(g["line_of"][a, axis])
        cells[1] = g["cell_at"][line, np.int64(g["pos_of"][a, axis]) + c - 1]
        amount = c / 8.0
    elif kind == REGION:
        amount = c / np.float64(g["cells"])
    elif kind == CAPTURE:
        cells[1] = c
        cells[2] = b
    elif kind < LINE_WHOLE:  # plain moves and slides
        cells[1] = b
        if kind > CAPTURE:
            cells[2] = c
    return kind, amount


@entry
def encode_moves(g, moves, kinds, cells, amounts):
    """`encode_move` for every one of `moves`, a row each."""
    for index in range(len(moves)):
        kinds[index], amounts[index] = encode_move(g, moves[index], cells[index])


@entry
def encode_states(g, states, planes, numbers):
    """`encode_state` for every one of `states` (none of them over), a row each."""
    for index in range(len(states)):
        encode_state(g, states[index], planes[index], numbers[index])


@entry
def encode_game(g, s, scratch, out, played, wanted, planes, numbers, kinds, cells, amounts):
    """Replay `played` on `s` and encode the decisions that are `wanted`; returns (decisions, legal moves) encoded."""
    rows = 0
    moves = 0
    n = advance(g, s, scratch, NO_MOVE, out)
    for index in range(len(played)):
        if wanted[index]:
            encode_state(g, s, planes[rows], numbers[rows])
            for legal in range(n):
                kinds[moves], amounts[moves] = encode_move(g, out[legal], cells[moves])
                moves += 1
            rows += 1
        n = advance(g, s, scratch, played[index], out)
    return rows, moves
