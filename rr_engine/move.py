"""Moves as text: the strings of trace format version 1, and back.

A move is an int (see `kernels.layout`). Its text depends on the board and, for a region, on the state, because the text
names the region by a digest of its cells; everything else parses without a state.
"""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from rr_engine.boards import Board, region_digest
from rr_engine.errors import IllegalMoveError, shown
from rr_engine.kernels import layout, moves, territory

_SKIPS = {int(layout.PLACE): "P-", int(layout.MOVE): "R-", int(layout.CAP): "C-", int(layout.TERR): "T-"}
_SLIDES = {int(layout.SLIDE_FALLBACK): "F", int(layout.SLIDE_STRIKE): "S", int(layout.SLIDE_LINE): "L"}
_SLIDE_KINDS = {letter: kind for kind, letter in _SLIDES.items()}

_FORMS = (
    (re.compile(r"P(\d{1,3})x([123])"), layout.PLACEMENT),
    (re.compile(r"M(\d{1,3})-(\d{1,3})"), layout.PLAIN),
    (re.compile(r"C(\d{1,3})-(\d{1,3})-(\d{1,3})"), layout.CAPTURE),
    (re.compile(r"E(\d{1,3})"), layout.PAYMENT),
    (re.compile(r"F(\d{1,3})"), layout.FORCED),
)
_SLIDE = re.compile(r"R(\d{1,3})-(\d{1,3})([FSL])@(\d{1,3})")
_SLIDE_WINDOW = re.compile(r"R(\d{1,3})-(\d{1,3})L:(\d{1,3}(?:\.\d{1,3})+)")
_LINE = re.compile(r"L(\d{1,3}(?:\.\d{1,3})+)(\+?)")
_REGION = re.compile(r"T(\d{1,3})-(\d{1,3})-([0-9a-f]{8})")

GRAMMAR = (
    "P12x3  P-  W  M3-19  C3-11-19  C-  R5-6F@20  R5-6S@20  R5-6L@20  R5-6L:6.7.8.9  R-  "
    "L8.9.10.11+  L8.9.10.11  E7  T5-4-1a2b3c4d  T-  F7"
)


def is_region_text(text: str) -> bool:
    """Whether `text` has the form of a region claim, which only a state can resolve."""
    return _REGION.fullmatch(text) is not None


def region_cells(place: Board, state: NDArray[np.void], lowest: int, border: int) -> list[int]:
    """Ascending cells of the region of pass `border` that holds `lowest` (rules 5.7)."""
    scratch = np.zeros(1, layout.SCRATCH)[0]
    geometry = place.geometry[0]
    territory.load_region(geometry, state[0], scratch["free"], scratch["region"], lowest, border)
    return [
        int(geometry["cell_at"][row, position])
        for row in range(place.rows)
        for position in range(32)
        if int(scratch["region"][row]) >> position & 1
    ]


def cells_of(place: Board, state: NDArray[np.void], move: int) -> list[int]:
    """The cells of a legal `move` in `state` in its order, where it ends last; of a line or region all, ascending."""
    kind, a, b, c = move & 15, move >> 4 & 0xFFF, move >> 16 & 0xFFF, move >> 28 & 0xFFF
    match kind:
        case layout.SKIP | layout.SWAP:
            return []
        case layout.PLACEMENT | layout.PAYMENT | layout.FORCED:
            return [a]
        case layout.CAPTURE:
            return [a, b, c]
        case layout.LINE_WHOLE | layout.LINE_WINDOW:
            return sorted(_run(place, move))
        case layout.REGION:
            return region_cells(place, state, a, b)
        case _:
            return [a, b]


def to_text(place: Board, state: NDArray[np.void], move: int) -> str:
    """The string of a legal `move` in `state`."""
    if move & 15 == layout.REGION:
        lowest, border, size = move >> 4 & 0xFFF, move >> 16 & 0xFFF, move >> 28 & 0xFFF
        return f"T{lowest}-{size}-{region_digest(region_cells(place, state, lowest, border))}"
    return plain_text(place, move)


@lru_cache(maxsize=1 << 18)
def plain_text(place: Board, move: int) -> str:
    """The string of a move that claims no region, which needs no state."""
    kind, a, b, c = move & 15, move >> 4 & 0xFFF, move >> 16 & 0xFFF, move >> 28 & 0xFFF
    match kind:
        case layout.SKIP:
            return _SKIPS[a]
        case layout.SWAP:
            return "W"
        case layout.PLACEMENT:
            return f"P{a}x{b}"
        case layout.PLAIN:
            return f"M{a}-{b}"
        case layout.CAPTURE:
            return f"C{a}-{b}-{c}"
        case layout.SLIDE_WINDOW:
            return f"R{a}-{b}L:{_joined(_run(place, move))}"
        case layout.LINE_WHOLE:
            return f"L{_joined(_run(place, move))}+"
        case layout.LINE_WINDOW:
            return f"L{_joined(_run(place, move))}"
        case layout.PAYMENT:
            return f"E{a}"
        case layout.FORCED:
            return f"F{a}"
        case _:
            return f"R{a}-{b}{_SLIDES[kind]}@{c}"


def _joined(cells: list[int]) -> str:
    return ".".join(map(str, sorted(cells)))


def _run(place: Board, move: int) -> list[int]:
    """The cells a line decision collapses, along the axis."""
    if move & 15 == layout.SLIDE_WINDOW:
        first, axis, length = move >> 28 & 0xFFF, move >> 40 & 15, move >> 44 & 0xFF
    else:
        first, axis, length = move >> 4 & 0xFFF, move >> 40 & 0xFFF, move >> 28 & 0xFFF
    geometry = place.geometry[0]
    line, position = int(geometry["line_of"][first, axis]), int(geometry["pos_of"][first, axis])
    return [int(geometry["cell_at"][line, position + step]) for step in range(length)]


def parse(place: Board, text: str) -> int:
    """The move that `text` writes, legal or not; raises IllegalMoveError for malformed text and for regions."""
    move = _parse(place, text)
    if plain_text(place, move) != text:
        raise IllegalMoveError(f"move {shown(text)} is malformed; it is written {plain_text(place, move)}")
    return move


def _parse(place: Board, text: str) -> int:
    """The move that `text` writes, numbers in any form Python reads."""
    for phase, skip in _SKIPS.items():
        if text == skip:
            return int(moves.pack(layout.SKIP, phase))
    if text == "W":
        return int(moves.pack(layout.SWAP))
    for form, kind in _FORMS:
        if match := form.fullmatch(text):
            numbers = [int(number) for number in match.groups()]
            _require_cells(place, text, numbers[:1] if kind == layout.PLACEMENT else numbers)
            return int(moves.pack(kind, *numbers))
    if match := _SLIDE.fullmatch(text):
        source, cell, letter, payer = match.groups()
        numbers = [int(source), int(cell), int(payer)]
        _require_cells(place, text, numbers)
        return int(moves.pack(_SLIDE_KINDS[letter], *numbers))
    if match := _SLIDE_WINDOW.fullmatch(text):
        source, cell, cells = match.groups()
        _require_cells(place, text, [int(source), int(cell)])
        first, axis, length = _parse_run(place, text, cells)
        return int(moves.pack(layout.SLIDE_WINDOW, int(source), int(cell), first, axis | length << 4))
    if match := _LINE.fullmatch(text):
        cells, plus = match.groups()
        first, axis, length = _parse_run(place, text, cells)
        return int(moves.pack(layout.LINE_WHOLE if plus else layout.LINE_WINDOW, first, 0, length, axis))
    raise IllegalMoveError(f"move {shown(text)} is malformed; moves look like {GRAMMAR}")


def _require_cells(place: Board, text: str, cells: list[int]) -> None:
    if max(cells) >= place.cells:
        raise IllegalMoveError(f"move {shown(text)}: {place.name} has cells 0 to {place.cells - 1}")


def _parse_run(place: Board, text: str, joined: str) -> tuple[int, int, int]:
    """(first cell, axis, length) of consecutive cells of one line, written in ascending order."""
    cells = [int(cell) for cell in joined.split(".")]
    _require_cells(place, text, cells)
    geometry = place.geometry[0]
    for axis in range(len(place.axes)):
        lines = {int(geometry["line_of"][cell, axis]) for cell in cells}
        positions = sorted((int(geometry["pos_of"][cell, axis]), cell) for cell in cells)
        low, first = positions[0]
        if len(lines) == 1 and [position for position, _ in positions] == list(range(low, low + len(cells))):
            if cells != sorted(cells):
                break
            return first, axis, len(cells)
    raise IllegalMoveError(f"move {shown(text)}: its cells are no ascending run of neighbours on one line")
