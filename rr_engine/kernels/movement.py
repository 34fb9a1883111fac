"""Moving a stack, with or without capture (rules 5.2-5.4)."""

from __future__ import annotations

import numpy as np

from rr_engine.kernels.bits import lowest_bit
from rr_engine.kernels.cells import change_stack, collapse, drop_stack, lift_stack, put_marker, take_marker
from rr_engine.kernels.jit import kernel
from rr_engine.kernels.layout import BACKWARD, CAPTURE, FORWARD, MARKER, PLAIN, RING_BITS
from rr_engine.kernels.moves import pack
from rr_engine.kernels.reach import capture_room, passable_run, stretch


@kernel
def _list_captures_along(g, s, line, pos, step, cell, run, out, n):
    """Append the captures of the stack on `cell` in one direction, `run` passable cells before the first stack."""
    jump = run + 1
    room = capture_room(g, s, line, pos + step * jump, step, np.int64(s["cap"][cell]))
    if room == 0:
        return n
    target = np.int64(g["cell_at"][line, pos + step * jump])
    for far in range(max(jump + 1, np.int64(s["height"][cell])), jump + room + 1):
        out[n] = pack(CAPTURE, cell, target, np.int64(g["cell_at"][line, pos + step * far]))
        n += 1
    return n


@kernel
def list_captures_from(g, s, cell, out, n):
    """Append every capture of the stack on `cell` to `out[n:]`; returns the new count."""
    for axis in range(g["axes"]):
        line = np.int64(g["line_of"][cell, axis])
        pos = np.int64(g["pos_of"][cell, axis])
        blocked = np.int64(s["blocked"][line])
        n = _list_captures_along(g, s, line, pos, FORWARD, cell, passable_run(blocked, pos, FORWARD), out, n)
        n = _list_captures_along(g, s, line, pos, BACKWARD, cell, passable_run(blocked, pos, BACKWARD), out, n)
    return n


@kernel
def _list_moves_along(g, s, line, pos, step, cell, out, n):
    run = passable_run(np.int64(s["blocked"][line]), pos, step)
    for far in range(np.int64(s["height"][cell]), run + 1):
        out[n] = pack(PLAIN, cell, np.int64(g["cell_at"][line, pos + step * far]))
        n += 1
    return _list_captures_along(g, s, line, pos, step, cell, run, out, n)


@kernel
def list_moves_from(g, s, cell, out, n):
    """Append every plain move and capture of the stack on `cell` to `out[n:]`; returns the new count."""
    for axis in range(g["axes"]):
        line = np.int64(g["line_of"][cell, axis])
        pos = np.int64(g["pos_of"][cell, axis])
        n = _list_moves_along(g, s, line, pos, FORWARD, cell, out, n)
        n = _list_moves_along(g, s, line, pos, BACKWARD, cell, out, n)
    return n


@kernel
def list_moves(g, s, out, n):
    """Append the plain moves and captures of every stack of the mover."""
    seat = s["player"]
    for row in range(g["rows"]):
        tops = np.int64(s["tops"][seat, row])
        while tops:
            n = list_moves_from(g, s, np.int64(g["cell_at"][row, lowest_bit(tops)]), out, n)
            tops &= tops - 1
    return n


@kernel
def _pass_over(g, s, start, end, seat):
    """Markers strictly between two cells of a line: own ones collapse, others turn (rules 5.2 (2))."""
    line, between, _ = stretch(g, start, end)
    own = np.int64(s["marks"][seat, line]) & between
    for other in range(s["seats"]):
        if other != seat:
            turned = np.int64(s["marks"][other, line]) & between
            while turned:
                cell = np.int64(g["cell_at"][line, lowest_bit(turned)])
                turned &= turned - 1
                take_marker(g, s, cell)
                put_marker(g, s, cell, seat)
    while own:
        collapse(g, s, np.int64(g["cell_at"][line, lowest_bit(own)]), seat)
        own &= own - 1


@kernel
def _land(g, s, cell, rings, height, seat):
    """Put the moving stack on `cell`; a marker there costs its top ring (rules 5.2 (3), (4))."""
    if s["kind"][cell] == MARKER:
        take_marker(g, s, cell)
        s["on_board"][rings & 3] -= 1
        s["elim"][seat] += 1
        rings >>= RING_BITS
        height -= 1
    if height > 0:
        drop_stack(g, s, cell, rings, height)


@kernel
def move_stack(g, s, start, end):
    """A plain move of the mover's stack (rules 5.2)."""
    seat = s["player"]
    rings = s["rings"][start]
    height = np.int64(s["height"][start])
    lift_stack(g, s, start)
    put_marker(g, s, start, seat)
    _pass_over(g, s, start, end, seat)
    _land(g, s, end, rings, height, seat)
    s["active"] = end
    s["acted"] = 1


@kernel
def capture(g, s, start, target, end):
    """One capture segment of the mover's stack (rules 5.3)."""
    seat = s["player"]
    rings = s["rings"][start]
    height = np.int64(s["height"][start])
    lift_stack(g, s, start)
    put_marker(g, s, start, seat)
    _pass_over(g, s, start, target, seat)
    _pass_over(g, s, target, end, seat)
    taken = s["rings"][target] & 3
    change_stack(g, s, target, s["rings"][target] >> RING_BITS, np.int64(s["height"][target]) - 1)
    _land(g, s, end, rings | (taken << (RING_BITS * height)), height + 1, seat)
    s["active"] = end
    s["acted"] = 1
