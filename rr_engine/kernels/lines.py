"""Lines: find them and collapse them (rules 5.6). Knows nothing of payments."""

from __future__ import annotations

import numpy as np

from rr_engine.kernels.bits import lowest_bit
from rr_engine.kernels.cells import collapse
from rr_engine.kernels.jit import kernel
from rr_engine.kernels.layout import LINE_WHOLE, LINE_WINDOW
from rr_engine.kernels.moves import pack


@kernel
def has_line(g, s, seat):
    """Whether `seat` has a line, by whole words: `a & a>>1 & ...` for a length of 3 or 4."""
    if s["markers"][seat] < s["line_length"]:
        return False
    rest = s["line_length"] - 2
    found = 0
    for line in range(g["lines"]):
        pairs = np.int64(s["marks"][seat, line])
        pairs &= pairs >> 1
        found |= pairs & (pairs >> rest)
    return found != 0


@kernel
def list_lines(g, s, out, n):
    """Append every way to collapse one line of the mover to `out[n:]`; returns the new count."""
    seat = s["player"]
    if not has_line(g, s, seat):
        return n
    length = s["line_length"]
    for line in range(g["lines"]):
        marks = np.int64(s["marks"][seat, line])
        axis = g["line_axis"][line]
        while marks:
            start = lowest_bit(marks)
            run = lowest_bit(~(marks >> start))
            marks &= ~(((1 << run) - 1) << start)
            if run < length:
                continue
            out[n] = pack(LINE_WHOLE, np.int64(g["cell_at"][line, start]), 0, run, axis)
            n += 1
            if run > length:
                for first in range(start, start + run - length + 1):
                    out[n] = pack(LINE_WINDOW, np.int64(g["cell_at"][line, first]), 0, length, axis)
                    n += 1
    return n


@kernel
def collapse_run(g, s, first, count, axis, seat):
    """`count` markers from `first` on along `axis` become territory of `seat`."""
    line = np.int64(g["line_of"][first, axis])
    pos = np.int64(g["pos_of"][first, axis])
    for far in range(pos, pos + count):
        collapse(g, s, np.int64(g["cell_at"][line, far]), seat)
