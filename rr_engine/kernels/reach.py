"""How far a stack sees along the lines of the board (rules 5.1 "Reach tests"). Reads the state, changes nothing."""

from __future__ import annotations

import numpy as np

from rr_engine.kernels.bits import highest_bit, lowest_bit
from rr_engine.kernels.jit import kernel
from rr_engine.kernels.layout import BACKWARD, FORWARD


@kernel
def passable_run(blocked, pos, step):
    """Number of passable cells from position `pos` of a line in direction `step` (+1 or -1)."""
    if step > 0:
        return lowest_bit(blocked >> (pos + 1))
    return pos - 1 - highest_bit(blocked & ((1 << pos) - 1))


@kernel
def stretch(g, start, end):
    """Of two cells in a line: (line, its positions strictly between them as bits, steps from one to the other)."""
    axis = 0
    while g["line_of"][start, axis] != g["line_of"][end, axis]:
        axis += 1
    first, last = np.int64(g["pos_of"][start, axis]), np.int64(g["pos_of"][end, axis])
    low, high = min(first, last), max(first, last)
    return np.int64(g["line_of"][start, axis]), (1 << high) - (2 << low), high - low


@kernel
def capture_room(g, s, line, pos, step, cap):
    """Passable cells behind the stack at `pos` of `line`, if an attacker with `cap` may jump it, else 0."""
    target = np.int64(g["cell_at"][line, pos])
    if s["cap"][target] > cap:
        return 0
    return passable_run(np.int64(s["blocked"][line]), pos, step)


@kernel
def can_capture(g, s, cell, height, cap):
    """Whether a stack of `height` and `cap` on `cell` has a capture (rules 5.3)."""
    for axis in range(g["axes"]):
        line = np.int64(g["line_of"][cell, axis])
        pos = np.int64(g["pos_of"][cell, axis])
        blocked = np.int64(s["blocked"][line])
        for step in (FORWARD, BACKWARD):
            jump = passable_run(blocked, pos, step) + 1
            room = capture_room(g, s, line, pos + step * jump, step, cap)
            if room >= 1 and jump + room >= height:
                return True
    return False


@kernel
def can_act(g, s, cell, height, cap):
    """Whether a stack of `height` and `cap` on `cell` has a plain move or a capture (rules 5.1)."""
    for axis in range(g["axes"]):
        line = np.int64(g["line_of"][cell, axis])
        pos = np.int64(g["pos_of"][cell, axis])
        blocked = np.int64(s["blocked"][line])
        if passable_run(blocked, pos, FORWARD) >= height or passable_run(blocked, pos, BACKWARD) >= height:
            return True
    return can_capture(g, s, cell, height, cap)


@kernel
def has_mobile_stack(g, s, seat):
    """Whether some stack of `seat` has a plain move or a capture."""
    if s["stacks"][seat] == 0:
        return False
    for row in range(g["rows"]):
        tops = np.int64(s["tops"][seat, row])
        while tops:
            cell = np.int64(g["cell_at"][row, lowest_bit(tops)])
            if can_act(g, s, cell, np.int64(s["height"][cell]), np.int64(s["cap"][cell])):
                return True
            tops &= tops - 1
    return False
