"""Encoding for networks: planes over the cells, numbers about the whole game, and one row per legal move.

Everything is told from the mover's side: relative seat 0 is the mover, 1 the next seat in turn order, and so on; every
opponent has planes of its own, and seats that are not in the game are empty. A symmetry of the board (rules 8) acts on
an encoding as it acts on cells: planes move with them, and so do the cells of a move, but for the two ends of a line,
which stand in ascending order, and a region, of which any cell may be named.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rr_engine.kernels import measure as m
from rr_engine.kernels.bits import popcount
from rr_engine.kernels.jit import entry, kernel
from rr_engine.kernels.layout import (
    CAPTURE,
    COLLAPSED,
    EMPTY,
    LINE_WHOLE,
    LINE_WINDOW,
    MARKER,
    MAX_SEATS,
    NO_MOVE,
    PLACEMENT,
    PLAIN,
    REGION,
    RING_BITS,
    SKIP,
    SLIDE_WINDOW,
    SWAP,
)
from rr_engine.kernels.reach import stretch
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
_MEASURED = _REST + 5  # per relative seat: every feature of `kernels.measure`
NUMBERS = _MEASURED + m.FEATURES * MAX_SEATS
# What a feature is divided by, where a seat has 18 rings: twice its standard deviation in heuristic games, at least 1.
_USUAL_RINGS = 18.0
_USUAL = np.ones(m.FEATURES)
_USUAL[[m.ELIMINATED, m.CLOSURE, m.TERRITORY, m.LINE_POTENTIAL, m.CAP_HEIGHT]] = (10, 4, 3, 2, 4)
_USUAL[[m.STACK_HEIGHT, m.EXPANSION, m.MOBILITY, m.STACK_MOBILITY, m.HAND, m.MARKER]] = (5, 7, 24, 7, 10, 3)
_IS_SHARE = np.zeros(m.FEATURES, np.bool_)  # features that do not grow with the number of rings
_IS_SHARE[[m.VICTORY, m.NO_STACKS, m.SINGLE_STACK, m.RECOVERY_ELIGIBLE, m.FORCED_RISK, m.TEMPO]] = True
_IS_SHARE[[m.RING_THRESHOLD, m.TERRITORY_THRESHOLD, m.VICTORY_PROXIMITY]] = True
_IS_SHARE[[m.OPPONENT_VICTORY, m.TERRITORY_SAFETY]] = True
_USUAL[m.CHAIN_RISK] = np.inf  # left out: whose it is depends on the order of directions, which symmetries change

MOVE_KINDS = 14
MOVE_CELLS = 3  # from or on, to, and the third cell of a capture or slide; `cells` where there is none
MOVE_FACTS = 4  # size of what is placed, collapsed or claimed; own, then others' markers on the way; steps


class Desk(NamedTuple):
    """What encoding needs besides the game: a table to read and memory to work in."""

    centre: Any  # [cells + 1] `Board.centrality`
    rows: Any  # [MAX_ROWS] int64
    features: Any  # [MAX_SEATS, measure.FEATURES]


@kernel
def _relative(seat, mover, seats):
    return seat - mover if seat >= mover else seat - mover + seats


@kernel
def _encode_cells(g, s, planes):
    mover, seats = s["player"], s["seats"]
    for cell in range(g["cells"]):
        planes[cell, _INSIDE] = 1
        kind = s["kind"][cell]
        if kind == EMPTY:
            continue
        relative = _relative(np.int64(s["owner"][cell]), mover, seats)
        if kind == MARKER:
            planes[cell, _MARKER + relative] = 1
        elif kind == COLLAPSED:
            planes[cell, _TERRITORY + relative] = 1
        else:
            planes[cell, _CONTROLS + relative] = 1
            rings = s["rings"][cell]
            height = np.int64(s["height"][cell])
            cap = np.int64(s["cap"][cell])
            planes[cell, _HEIGHT] = height
            planes[cell, _CAP] = cap
            if height > cap:
                planes[cell, _NEXT + _relative(rings >> (RING_BITS * cap) & 3, mover, seats)] = 1
            for index in range(height):
                planes[cell, _RINGS + _relative(rings >> (RING_BITS * index) & 3, mover, seats)] += 1


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
def _encode_measures(g, s, desk, numbers):
    m.measure(g, s, desk.rows, desk.centre, desk.features)
    more_rings = s["rings_per_seat"] / _USUAL_RINGS
    for relative in range(s["seats"]):
        seat = (s["player"] + relative) % s["seats"]
        base = _MEASURED + relative * m.FEATURES
        for feature in range(m.FEATURES):
            usual = _USUAL[feature] if _IS_SHARE[feature] else _USUAL[feature] * more_rings
            numbers[base + feature] = desk.features[seat, feature] / usual


@kernel
def _encode_state(g, s, desk, planes, numbers):
    """Fill `planes` [cells + 1, PLANES] and `numbers` [NUMBERS] (both zero before) with what the mover sees."""
    _encode_cells(g, s, planes)
    if s["active"] >= 0:
        planes[s["active"], _ACTIVE] = 1
    _encode_numbers(g, s, numbers)
    _encode_measures(g, s, desk, numbers)


@kernel
def _encode_way(g, s, start, end, facts, row):
    """Add what a stack passes between two cells of a line: own and others' markers, and the steps."""
    line, between, steps = stretch(g, start, end)
    for seat in range(s["seats"]):
        passed = popcount(np.int64(s["marks"][seat, line]) & between)
        facts[row, 1 if seat == s["player"] else 2] += passed / 4.0
    facts[row, 3] += steps / 8.0


@kernel
def _farther_end(g, first, axis, length, cell):
    """The end of a window that lies farther from its `cell`; the place outside for the one in the middle."""
    line = np.int64(g["line_of"][first, axis])
    begin = np.int64(g["pos_of"][first, axis])
    before = np.int64(g["pos_of"][cell, axis]) - begin
    after = length - 1 - before
    if before == after:
        return np.int64(g["cells"])
    return np.int64(g["cell_at"][line, begin if before > after else begin + length - 1])


@kernel
def _encode_moves(g, s, moves, begin, end, kinds, cells, facts):
    """Fill rows `begin` to `end` of `kinds`, `cells` and `facts` (zero before) with the legal moves of a state.

    The moves begin at row 0 of `moves`. One call for all of them: a call a move took ten times as long.
    """
    nowhere = g["cells"]
    for row in range(begin, end):
        move = moves[row - begin]
        kind = move & 15
        a = (move >> 4) & 0xFFF
        b = (move >> 16) & 0xFFF
        c = (move >> 28) & 0xFFF
        d = (move >> 40) & 0xFFF
        kinds[row] = kind
        cells[row, 0] = a
        cells[row, 1] = nowhere
        cells[row, 2] = nowhere
        if kind == PLACEMENT:
            facts[row, 0] = b / 3.0
        elif kind == PLAIN:
            cells[row, 1] = b
            _encode_way(g, s, a, b, facts, row)
        elif kind == CAPTURE:
            cells[row, 1] = c
            cells[row, 2] = b
            _encode_way(g, s, a, b, facts, row)
            _encode_way(g, s, b, c, facts, row)
        elif kind == SKIP or kind == SWAP:
            cells[row, 0] = nowhere
        elif kind == LINE_WHOLE or kind == LINE_WINDOW:
            line = np.int64(g["line_of"][a, d])
            last = np.int64(g["cell_at"][line, np.int64(g["pos_of"][a, d]) + c - 1])
            cells[row, 0] = min(a, last)
            cells[row, 1] = max(a, last)
            facts[row, 0] = c / 8.0
        elif kind == REGION:
            facts[row, 0] = c / np.float64(g["cells"])
        elif kind < LINE_WHOLE:  # slides
            cells[row, 1] = b
            cells[row, 2] = _farther_end(g, c, d & 15, d >> 4, b) if kind == SLIDE_WINDOW else c


@entry
def encode_positions(g, states, moves, offsets, desk, planes, numbers, kinds, cells, facts):
    """Encode `states` (none of them over) and their legal `moves`, ragged by `offsets`, a row each."""
    for index in range(len(states)):
        _encode_state(g, states[index], desk, planes[index], numbers[index])
        begin, end = offsets[index], offsets[index + 1]
        _encode_moves(g, states[index], moves[begin:end], begin, end, kinds, cells, facts)


@entry
def encode_game(g, s, scratch, out, played, wanted, desk, planes, numbers, kinds, cells, facts):
    """Replay `played` on `s` and encode the decisions that are `wanted`; returns (decisions, legal moves) encoded."""
    rows = 0
    moves = 0
    n = advance(g, s, scratch, NO_MOVE, out)
    for index in range(len(played)):
        if wanted[index]:
            _encode_state(g, s, desk, planes[rows], numbers[rows])
            _encode_moves(g, s, out, moves, moves + n, kinds, cells, facts)
            moves += n
            rows += 1
        n = advance(g, s, scratch, played[index], out)
    return rows, moves
