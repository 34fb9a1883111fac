"""Placing rings (rules 5.1)."""

from __future__ import annotations

import numpy as np

from rr_engine.kernels.bits import lowest_bit
from rr_engine.kernels.cells import change_stack, drop_stack
from rr_engine.kernels.jit import kernel
from rr_engine.kernels.layout import BACKWARD, FORWARD, PLACEMENT, RING_BITS, SINGLE, STACK
from rr_engine.kernels.moves import pack
from rr_engine.kernels.reach import can_act, can_capture, passable_run


@kernel
def _farthest_run(g, s, cell, enough):
    """Longest run of passable cells next to `cell`; stops looking at `enough`."""
    best = 0
    for axis in range(g["axes"]):
        blocked = np.int64(s["blocked"][np.int64(g["line_of"][cell, axis])])
        pos = np.int64(g["pos_of"][cell, axis])
        best = max(best, passable_run(blocked, pos, FORWARD), passable_run(blocked, pos, BACKWARD))
        if best >= enough:
            return best
    return best


@kernel
def _may_top(g, s, cell, seat):
    """Whether one ring of `seat` may go on the stack at `cell`."""
    cap = np.int64(s["cap"][cell]) + 1 if s["owner"][cell] == seat else SINGLE
    return can_act(g, s, cell, np.int64(s["height"][cell]) + 1, cap)


@kernel
def _row_marks(s, row):
    marks = np.int64(s["marks"][0, row])
    for seat in range(1, s["seats"]):
        marks |= np.int64(s["marks"][seat, row])
    return marks


@kernel
def _row_stacks(s, row):
    tops = np.int64(s["tops"][0, row])
    for seat in range(1, s["seats"]):
        tops |= np.int64(s["tops"][seat, row])
    return tops


@kernel
def _wide(passable, enough):
    """Cells of a row that see `enough` passable cells to one side, by whole words."""
    right = passable >> 1
    left = passable << 1
    for _ in range(1, enough):
        right &= right >> 1
        left &= left << 1
    return right | left


@kernel
def list_placements(g, s, out, n):
    """Append every legal placement of the mover to `out[n:]`; returns the new count."""
    seat = s["player"]
    most = min(3, s["hand"][seat])
    if most == 0:
        return n
    for row in range(g["rows"]):
        passable = np.int64(g["inside"][row]) & ~np.int64(s["blocked"][row])
        free = passable & ~_row_marks(s, row)
        wide = _wide(passable, most)
        easy = free & wide
        while easy:
            move = pack(PLACEMENT, np.int64(g["cell_at"][row, lowest_bit(easy)]))
            easy &= easy - 1
            for rings in range(1, most + 1):
                out[n] = move + (rings << 16)
                n += 1
        hard = free & ~wide
        while hard:
            cell = np.int64(g["cell_at"][row, lowest_bit(hard)])
            hard &= hard - 1
            run = _farthest_run(g, s, cell, most)
            for rings in range(1, most + 1):
                if run >= rings or can_capture(g, s, cell, rings, rings):
                    out[n] = pack(PLACEMENT, cell, rings)
                    n += 1
                elif rings == 1:
                    break
        stacks = _row_stacks(s, row)
        while stacks:
            cell = np.int64(g["cell_at"][row, lowest_bit(stacks)])
            stacks &= stacks - 1
            if _may_top(g, s, cell, seat):
                out[n] = pack(PLACEMENT, cell, SINGLE)
                n += 1
    return n


@kernel
def has_placement(g, s, seat):
    """Whether `seat` has a legal one-ring placement."""
    if s["hand"][seat] == 0:
        return False
    for row in range(g["rows"]):
        free = np.int64(g["inside"][row]) & ~np.int64(s["blocked"][row]) & ~_row_marks(s, row)
        while free:
            if can_act(g, s, np.int64(g["cell_at"][row, lowest_bit(free)]), SINGLE, SINGLE):
                return True
            free &= free - 1
        stacks = _row_stacks(s, row)
        while stacks:
            if _may_top(g, s, np.int64(g["cell_at"][row, lowest_bit(stacks)]), seat):
                return True
            stacks &= stacks - 1
    return False


@kernel
def place(g, s, cell, count):
    """The mover puts `count` rings on `cell`, which becomes the stack that must move."""
    seat = s["player"]
    rings = s["rings"][cell]
    for _ in range(count):
        rings = (rings << RING_BITS) | seat
    if s["kind"][cell] == STACK:
        change_stack(g, s, cell, rings, np.int64(s["height"][cell]) + count)
    else:
        drop_stack(g, s, cell, rings, count)
    s["hand"][seat] -= count
    s["on_board"][seat] += count
    s["active"] = cell
    s["acted"] = 1
