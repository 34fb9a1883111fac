"""Recovery: marker slides of a seat that controls no stack (rules 5.5)."""

from __future__ import annotations

import numpy as np

from rr_engine.kernels.bits import highest_bit, lowest_bit
from rr_engine.kernels.cells import put_marker, take_marker
from rr_engine.kernels.elimination import extract, list_extractions, remove_top
from rr_engine.kernels.jit import kernel
from rr_engine.kernels.layout import (
    BACKWARD,
    EMPTY,
    FORWARD,
    SKIP,
    SLIDE_FALLBACK,
    SLIDE_LINE,
    SLIDE_STRIKE,
    SLIDE_WINDOW,
    STACK,
)
from rr_engine.kernels.lines import collapse_run
from rr_engine.kernels.moves import pack


@kernel
def is_eligible(s, seat):
    """Whether `seat` may recover: no stack controlled, a marker, a buried ring."""
    return s["stacks"][seat] == 0 and s["markers"][seat] > 0 and s["on_board"][seat] > 0


@kernel
def _run_through(g, s, cell, source, axis, seat):
    """(position of the first cell, length) of the own run through `cell` on `axis` once `source` slid there."""
    line = np.int64(g["line_of"][cell, axis])
    pos = np.int64(g["pos_of"][cell, axis])
    marks = np.int64(s["marks"][seat, line]) | (1 << pos)
    if g["line_of"][source, axis] == line:
        marks &= ~(1 << np.int64(g["pos_of"][source, axis]))
    above = lowest_bit(~(marks >> pos))
    first = highest_bit(~marks & ((1 << pos) - 1)) + 1
    return first, pos + above - first


@kernel
def slide_line(g, s, source, cell):
    """(axis, first cell, length) of the line a slide to `cell` forms: the longest, first axis on ties [C18]."""
    seat = s["player"]
    best_axis = 0
    best_first = 0
    best = 0
    for axis in range(g["axes"]):
        first, length = _run_through(g, s, cell, source, axis, seat)
        if length > best:
            best_axis = axis
            best_first = np.int64(g["cell_at"][np.int64(g["line_of"][cell, axis]), first])
            best = length
    return best_axis, best_first, best


@kernel
def _neighbour(g, cell, axis, step):
    """The neighbour one step along `axis`, or the dummy cell."""
    return np.int64(g["cell_at"][np.int64(g["line_of"][cell, axis]), np.int64(g["pos_of"][cell, axis]) + step])


@kernel
def _list_payers(g, s, kind, source, cell, out, n):
    """Append the slide `source` to `cell` once for every stack that can pay for it."""
    end = list_extractions(g, s, SKIP, out, n)
    for index in range(n, end):
        out[index] = pack(kind, source, cell, out[index] >> 4)
    return end


@kernel
def _list_windows(g, s, source, cell, out, n):
    """Append the free collapses of an over-long line: each window that holds the destination [C17]."""
    axis, first, length = slide_line(g, s, source, cell)
    window = s["line_length"]
    line = np.int64(g["line_of"][cell, axis])
    start = np.int64(g["pos_of"][first, axis])
    pos = np.int64(g["pos_of"][cell, axis])
    for low in range(max(start, pos - window + 1), min(pos, start + length - window) + 1):
        out[n] = pack(SLIDE_WINDOW, source, cell, np.int64(g["cell_at"][line, low]), axis | (window << 4))
        n += 1
    return n


@kernel
def _list_slide(g, s, wanted, source, cell, out, n):
    """Append the slides from `source` to its neighbour `cell`: line slides if those are `wanted`, else the others."""
    kind = s["kind"][cell]
    if wanted == SLIDE_LINE:
        if kind == EMPTY:
            run = slide_line(g, s, source, cell)[2]
            if run >= s["line_length"]:
                n = _list_payers(g, s, SLIDE_LINE, source, cell, out, n)
            if run > s["line_length"]:
                n = _list_windows(g, s, source, cell, out, n)
    elif kind == EMPTY:
        n = _list_payers(g, s, SLIDE_FALLBACK, source, cell, out, n)
    elif kind == STACK:
        n = _list_payers(g, s, SLIDE_STRIKE, source, cell, out, n)
    return n


@kernel
def _list_slides(g, s, wanted, out, n):
    seat = s["player"]
    for row in range(g["rows"]):
        marks = np.int64(s["marks"][seat, row])
        while marks:
            source = np.int64(g["cell_at"][row, lowest_bit(marks)])
            marks &= marks - 1
            for axis in range(g["axes"]):
                for step in (FORWARD, BACKWARD):
                    n = _list_slide(g, s, wanted, source, _neighbour(g, source, axis, step), out, n)
    return n


@kernel
def list_slides(g, s, out, n):
    """Append every recovery slide of the eligible mover; line slides exclude all others."""
    end = _list_slides(g, s, SLIDE_LINE, out, n)
    if end > n:
        return end
    return _list_slides(g, s, SLIDE_FALLBACK, out, n)


@kernel
def _slide(g, s, source, cell):
    take_marker(g, s, source)
    put_marker(g, s, cell, s["player"])
    s["acted"] = 1
    s["rec_turn"] = 1


@kernel
def slide_fallback(g, s, source, cell, payer):
    """The marker moves to an empty cell; one ring is extracted."""
    _slide(g, s, source, cell)
    extract(g, s, payer)


@kernel
def slide_strike(g, s, source, cell, payer):
    """The marker is spent on the top ring of the stack on `cell`; one ring is extracted [C20]."""
    take_marker(g, s, source)
    remove_top(g, s, cell)
    extract(g, s, payer)
    s["acted"] = 1
    s["rec_turn"] = 1


@kernel
def slide_whole(g, s, source, cell, payer):
    """The marker completes a line, all of it collapses; one ring is extracted."""
    axis, first, length = slide_line(g, s, source, cell)
    _slide(g, s, source, cell)
    collapse_run(g, s, first, length, axis, s["player"])
    extract(g, s, payer)


@kernel
def slide_window(g, s, source, cell, first, axis, length):
    """The marker completes an over-long line; `length` cells of it collapse, free."""
    _slide(g, s, source, cell)
    collapse_run(g, s, first, length, axis, s["player"])
