"""Changing one cell: the only place that writes cells, bit maps and the counters that follow from them."""

from __future__ import annotations

import numpy as np

from rr_engine.kernels.bits import lowest_bit
from rr_engine.kernels.jit import entry, kernel
from rr_engine.kernels.layout import ALTERNATE, COLLAPSED, EMPTY, MARKER, NO_CAP, RING_BITS, STACK


@kernel
def cap_of(rings, height):
    """Length of the run of equal colours at the top of a stack (rules 1)."""
    same = rings ^ ((rings & 3) * ALTERNATE)
    return lowest_bit(same | (1 << (RING_BITS * height))) >> 1


@kernel
def lift_stack(g, s, cell):
    """Take the stack off `cell`, which becomes empty. Ring counts per colour do not change."""
    seat = np.int64(s["owner"][cell])
    s["kind"][cell] = EMPTY
    s["owner"][cell] = -1
    s["rings"][cell] = 0
    s["height"][cell] = 0
    s["cap"][cell] = NO_CAP
    s["stacks"][seat] -= 1
    for axis in range(g["axes"]):
        line = np.int64(g["line_of"][cell, axis])
        s["blocked"][line] = np.int64(s["blocked"][line]) & ~(1 << np.int64(g["pos_of"][cell, axis]))
    row = np.int64(g["line_of"][cell, 0])
    s["tops"][seat, row] = np.int64(s["tops"][seat, row]) & ~(1 << np.int64(g["pos_of"][cell, 0]))


@kernel
def drop_stack(g, s, cell, rings, height):
    """Put a stack of `height` >= 1 on the empty `cell`."""
    seat = rings & 3
    s["kind"][cell] = STACK
    s["owner"][cell] = seat
    s["rings"][cell] = rings
    s["height"][cell] = height
    s["cap"][cell] = cap_of(rings, height)
    s["stacks"][seat] += 1
    for axis in range(g["axes"]):
        line = np.int64(g["line_of"][cell, axis])
        s["blocked"][line] = np.int64(s["blocked"][line]) | (1 << np.int64(g["pos_of"][cell, axis]))
    row = np.int64(g["line_of"][cell, 0])
    s["tops"][seat, row] = np.int64(s["tops"][seat, row]) | (1 << np.int64(g["pos_of"][cell, 0]))


@kernel
def change_stack(g, s, cell, rings, height):
    """The stack on `cell` now is `rings`; with height 0 it vanishes."""
    if height == 0:
        lift_stack(g, s, cell)
        return
    before = np.int64(s["owner"][cell])
    seat = rings & 3
    s["rings"][cell] = rings
    s["height"][cell] = height
    s["cap"][cell] = cap_of(rings, height)
    if seat != before:
        s["owner"][cell] = seat
        s["stacks"][before] -= 1
        s["stacks"][seat] += 1
        row = np.int64(g["line_of"][cell, 0])
        bit = 1 << np.int64(g["pos_of"][cell, 0])
        s["tops"][before, row] = np.int64(s["tops"][before, row]) & ~bit
        s["tops"][seat, row] = np.int64(s["tops"][seat, row]) | bit


@kernel
def put_marker(g, s, cell, seat):
    """The empty `cell` gets a marker of `seat`."""
    s["kind"][cell] = MARKER
    s["owner"][cell] = seat
    s["markers"][seat] += 1
    for axis in range(g["axes"]):
        line = np.int64(g["line_of"][cell, axis])
        s["marks"][seat, line] = np.int64(s["marks"][seat, line]) | (1 << np.int64(g["pos_of"][cell, axis]))


@kernel
def take_marker(g, s, cell):
    """The marker on `cell` goes; the cell becomes empty."""
    seat = np.int64(s["owner"][cell])
    s["kind"][cell] = EMPTY
    s["owner"][cell] = -1
    s["markers"][seat] -= 1
    for axis in range(g["axes"]):
        line = np.int64(g["line_of"][cell, axis])
        s["marks"][seat, line] = np.int64(s["marks"][seat, line]) & ~(1 << np.int64(g["pos_of"][cell, axis]))


@kernel
def collapse(g, s, cell, seat):
    """An empty or marker `cell` becomes territory of `seat` for ever."""
    if s["kind"][cell] == MARKER:
        take_marker(g, s, cell)
    s["kind"][cell] = COLLAPSED
    s["owner"][cell] = seat
    s["terr"][seat] += 1
    for axis in range(g["axes"]):
        line = np.int64(g["line_of"][cell, axis])
        s["blocked"][line] = np.int64(s["blocked"][line]) | (1 << np.int64(g["pos_of"][cell, axis]))
    row = np.int64(g["line_of"][cell, 0])
    s["collapsed"][row] = np.int64(s["collapsed"][row]) | (1 << np.int64(g["pos_of"][cell, 0]))


@entry
def set_up(g, s, rings, heights, markers, territory):
    """Fill an empty board: per cell the packed rings and their number, the marker's seat or -1, the owner or -1."""
    for cell in range(g["cells"]):
        if heights[cell] > 0:
            drop_stack(g, s, cell, rings[cell], heights[cell])
            for index in range(heights[cell]):
                s["on_board"][(rings[cell] >> (RING_BITS * index)) & 3] += 1
        elif markers[cell] >= 0:
            put_marker(g, s, cell, markers[cell])
        elif territory[cell] >= 0:
            collapse(g, s, cell, territory[cell])
