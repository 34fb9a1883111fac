"""The memory layout every kernel shares: state, geometry and scratch records, and the integer codes in them.

Bit maps. Every straight board line has one word per map; the cell at position `pos` of the line is bit `pos`. Positions
start at 1 and what lies outside the board is set in `blocked`, so a search for the first blocker always ends. Line
`0..rows-1` are the rows, and there bit `x + 1` (square) or `x + radius + 1` (hex) is column x in every row, so rows can
be combined with shifts. Rings of a stack are packed two bits each into one word, the top ring lowest.
"""

from __future__ import annotations

import numpy as np

# Codes are int64, not plain Python integers: Numba would compile every kernel anew for each literal it is called with.
NONE_YET = np.int64(0)  # moves listed so far

NO_MOVE = np.int64(-1)

# Kind of a cell (rules 1).
EMPTY, MARKER, STACK, COLLAPSED = (np.int64(code) for code in range(4))

# Phase of a turn (rules 4).
PLACE, MOVE, CAP, CHAIN, LINE, LELIM, TERR, TELIM, FE, OVER = (np.int64(code) for code in range(10))

# How a game ended (rules 6). NOT_OVER is 0.
(
    NOT_OVER,
    END_ELIM,
    END_TERR,
    END_SOLE,
    END_LAST3,
    END_STALE_TERR,
    END_STALE_ELIM,
    END_STALE_MARK,
    END_STALE_ACTOR,
) = (np.int64(code) for code in range(9))

# Kind of a move; the fields a, b, c, d that each uses stand beside it.
SKIP = np.int64(0)  # a phase
SWAP = np.int64(1)
PLACEMENT = np.int64(2)  # a cell, b number of rings
PLAIN = np.int64(3)  # a from, b to
CAPTURE = np.int64(4)  # a from, b stack jumped over, c to
SLIDE_FALLBACK = np.int64(5)  # a from, b to, c stack that pays
SLIDE_STRIKE = np.int64(6)  # a from, b stack struck, c stack that pays
SLIDE_LINE = np.int64(7)  # a from, b to, c stack that pays
SLIDE_WINDOW = np.int64(8)  # a from, b to, c first cell of the window, d axis + 16 * length
LINE_WHOLE = np.int64(9)  # a first cell, c length, d axis
LINE_WINDOW = np.int64(10)  # a first cell, c length, d axis
PAYMENT = np.int64(11)  # a stack
REGION = np.int64(12)  # a lowest cell, b pass (0, or border colour + 1), c size
FORCED = np.int64(13)  # a stack

SINGLE = np.int64(1)  # height and cap of one ring
FORWARD, BACKWARD = np.int64(1), np.int64(-1)  # along a line
MAX_SEATS = 4
MAX_ROWS = 25
NO_CAP = np.int64(127)  # in `cap` where no stack stands: never capturable
RING_BITS = np.int64(2)
ALTERNATE = np.int64(0x1555555555555555)  # one bit per ring of a full stack


def _record(*fields: tuple[str, type, tuple[int, ...]]) -> np.dtype[np.void]:
    """A packed record, widest items first, padded to 8 bytes."""
    ordered = sorted(fields, key=lambda field: -np.dtype(field[1]).itemsize)
    size = sum(np.dtype(kind).itemsize * int(np.prod(shape)) for _, kind, shape in ordered)
    padding = [("padding", np.uint8, (-size % 8,))] if size % 8 else []
    return np.dtype([(name, kind, shape) if shape else (name, kind) for name, kind, shape in [*ordered, *padding]])


def state_dtype(cells: int, lines: int, rows: int) -> np.dtype[np.void]:
    """One game: `cells` counts one dummy cell behind the last, which stands for everything outside the board."""
    i64 = np.int64
    return _record(
        ("rings", i64, (cells,)),
        ("blocked", np.int32, (lines,)),  # stack or collapsed or outside
        ("marks", np.int32, (MAX_SEATS, lines)),  # markers by colour
        ("tops", np.int32, (MAX_SEATS, rows)),  # stacks by controller
        ("collapsed", np.int32, (rows,)),
        ("hand", i64, (MAX_SEATS,)),
        ("elim", i64, (MAX_SEATS,)),
        ("terr", i64, (MAX_SEATS,)),
        ("markers", i64, (MAX_SEATS,)),
        ("on_board", i64, (MAX_SEATS,)),  # rings of the colour in stacks, buried ones counted
        ("stacks", i64, (MAX_SEATS,)),  # stacks controlled
        ("out_turn", i64, (MAX_SEATS,)),  # -1: not out
        # rules of this game
        ("seats", i64, ()),
        ("rings_per_seat", i64, ()),
        ("line_length", i64, ()),
        ("elim_goal", i64, ()),
        ("terr_goal", i64, ()),
        ("lps_rounds", i64, ()),
        # turn
        ("player", i64, ()),
        ("phase", i64, ()),
        ("active", i64, ()),
        ("acted", i64, ()),
        ("rec_turn", i64, ()),
        ("turn", i64, ()),
        # last player standing (rules 6.4)
        ("lps_first", i64, ()),
        ("lps_seen", i64, ()),
        ("lps_mask", i64, ()),
        ("lps_seat", i64, ()),
        ("lps_count", i64, ()),
        # pie rule (rules 5.9)
        ("pie_open", i64, ()),
        ("swapped", i64, ()),
        # result
        ("winner", i64, ()),
        ("end", i64, ()),
        ("hand_counts", i64, ()),
        ("kind", np.int8, (cells,)),
        ("owner", np.int8, (cells,)),  # of marker or territory; controller of a stack; else -1
        ("height", np.int8, (cells,)),
        ("cap", np.int8, (cells,)),
    )


def geometry_dtype(cells: int, lines: int, rows: int) -> np.dtype[np.void]:
    """A board's tables, read only. Sizes as in `state_dtype`."""
    del rows
    i64 = np.int64
    return _record(
        ("cells", i64, ()),
        ("rows", i64, ()),
        ("axes", i64, ()),
        ("lines", i64, ()),
        ("hex", i64, ()),
        ("border_grows", i64, ()),  # rules 5.7 (1)
        ("least_barrier", i64, ()),  # fewer barrier cells never cut anything off
        ("inside", np.int32, (lines,)),
        ("line_axis", i64, (lines,)),
        ("line_of", np.int16, (cells, 4)),
        ("pos_of", np.int16, (cells, 4)),
        ("cell_at", np.int16, (lines, 32)),  # the dummy cell where the line has none
    )


def scratch_dtype() -> np.dtype[np.void]:
    """Row words a kernel works in; one per worker, contents never outlive a call."""
    return _record(
        ("free", np.int64, (MAX_ROWS,)),
        ("left", np.int64, (MAX_ROWS,)),
        ("region", np.int64, (MAX_ROWS,)),
        ("other", np.int64, (MAX_ROWS,)),
        ("border", np.int64, (MAX_ROWS,)),
    )


SMALL = (65, 46, 9)  # square8 and hex8
LARGE = (470, 112, 25)  # square19 and hexagonal
SCRATCH = scratch_dtype()
