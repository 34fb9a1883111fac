"""The board as a picture: one SVG text of a few kilobytes, square and hex. `board.js` draws the same in a browser.

Whatever stands on a cell is a dot: a line of no length with round or square ends, so all dots of one colour and width
are one path. Seats have four colours of Okabe and Ito, which the colour-blind tell apart; what is no seat's is grey and
half transparent, for light pages and dark ones.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import groupby

from rr_engine.boards import Board
from rr_engine.game import Game
from rr_engine.kernels import layout
from rr_engine.state import stack_digits

SEAT_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7")
_ON_SEAT = ("#fff", "#000", "#000", "#000")  # what can be read on each
_GREY, _WARM, _BRIGHT, _LIGHT = "#888", "#d55e00", "#f0e442", "#fff"
_ACROSS, _DOWN = 20, 17  # from cell to cell; rows of hexagons are nearer
_CELL, _MARKER, _HOLE = 18, 10, 5  # widths of dots
_EDGE, _TARGET = 10, 8
_AROUND, _AROUND_EDGE, _AROUND_TARGET = 10, 3, 2  # radius and widths of a ring around a stack, over none of it
_INSIDE, _INSIDE_WIDTH = 7, 3  # of one on a stack
_END, _END_WIDTH = 9, 2  # of the one where the last move ended
_LOWEST, _NARROWER, _LEAST = 17, 3, 8  # width of a stack's lowest rings, of the next ones, and no less
_LEVELS = 5  # of heat
_WIDEST = 440  # pixels


def board_svg(
    game: Game,
    *,
    last: Sequence[int] = (),
    targets: Collection[int] = (),
    heat: Mapping[int, float] | None = None,
) -> str:
    """The position. `last`: cells of the last move in its order; `targets`: cells to choose from; `heat`: shares.

    A stack shows its rings as discs, the lowest the widest, neighbours of one colour as one, and its height. A marker
    is a small ring, territory fills its cell. Targets are dots and heat fills where a cell is empty, and both are rings
    around what stands on others.
    """
    place, tokens = game.board, on_cells(game)
    width, height = size(place)
    levels = _levels(heat or {})
    return "".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" fill="none" font-size="9" '
            'font-family="sans-serif" text-anchor="middle">',
            _cells(place),
            *_heat(place, levels, tokens),
            *_targets(place, [cell for cell in sorted(targets) if not tokens[cell]]),
            _way(place, last),
            *_pieces(place, tokens),
            _rings(place, last[-1:], _END, _GREY, _END_WIDTH),
            *_heat_rings(place, levels, tokens),
            *_target_rings(place, [cell for cell in sorted(targets) if tokens[cell]]),
            "</svg>",
        ]
    )


def framed(svg: str, place: Board) -> str:
    """A board's picture for pages that give it no frame: as large as is good to look at."""
    width, height = size(place)
    scale = min(2.0, _WIDEST / width)
    return svg.replace("<svg ", f'<svg width="{scale * width:.0f}" height="{scale * height:.0f}" ', 1)


def on_cells(game: Game) -> list[str]:
    """What is on each cell: `s011` a stack, seats from the lowest ring up; `m1` a marker; `c1` territory; else ``."""
    state = game.state
    kind, owner = state[0]["kind"].tolist(), state[0]["owner"].tolist()
    written = {layout.MARKER: "m", layout.COLLAPSED: "c"}
    return [
        f"s{stack_digits(state, cell)}"
        if kind[cell] == layout.STACK
        else (f"{written[kind[cell]]}{owner[cell]}" if kind[cell] in written else "")
        for cell in range(game.board.cells)
    ]


def size(place: Board) -> tuple[int, int]:
    """Width and height of the picture, in its own units."""
    extent = place.spec.extent
    if place.is_hex:
        return 2 * extent * _ACROSS + _ACROSS, 2 * extent * _DOWN + _ACROSS
    return extent * _ACROSS, extent * _ACROSS


def centre(place: Board, cell: int) -> tuple[int, int]:
    """The middle of a cell in the picture."""
    x, y = place.coordinates[cell]
    half = _ACROSS // 2
    if place.is_hex:
        extent = place.spec.extent
        return (x + extent) * _ACROSS + y * half + half, (y + extent) * _DOWN + half
    return x * _ACROSS + half, y * _ACROSS + half


def _cells(place: Board) -> str:
    """All cells: a dashed line per row."""
    rows = groupby((centre(place, cell) for cell in range(place.cells)), key=lambda middle: middle[1])
    lines: list[str] = []
    for y, middles in rows:
        across = [x for x, _ in middles]
        lines.append(f"M{across[0]} {y}h{across[-1] - across[0] + 1}")  # one longer, or the last dot is none
    return _path("".join(lines), _GREY, _CELL, place, pale=".25", dashes=f' stroke-dasharray="0 {_ACROSS}"')


def _levels(heat: Mapping[int, float]) -> Mapping[int, Sequence[int]]:
    """Cells by how warm they are, from 0 to `_LEVELS` - 1."""
    levels: dict[int, list[int]] = {level: [] for level in range(_LEVELS)}
    for cell, share in sorted(heat.items()):
        levels[min(int(share * _LEVELS), _LEVELS - 1)].append(cell)
    return levels


def _heat(place: Board, levels: Mapping[int, Sequence[int]], tokens: Sequence[str]) -> list[str]:
    return [
        _path(_dots(place, (cell for cell in cells if not tokens[cell])), _WARM, _CELL, place, pale=_paleness(level))
        for level, cells in levels.items()
    ]


def _heat_rings(place: Board, levels: Mapping[int, Sequence[int]], tokens: Sequence[str]) -> list[str]:
    return [
        _rings(place, [cell for cell in cells if tokens[cell]], _INSIDE, _WARM, _INSIDE_WIDTH, pale=_paleness(level))
        for level, cells in levels.items()
    ]


def _paleness(level: int) -> str:
    return f".{15 * (level + 1)}"


def _targets(place: Board, cells: Sequence[int]) -> list[str]:
    """Bright dots with an edge in the colour of the text around."""
    dots = _dots(place, cells)
    return [_path(dots, "currentColor", _EDGE), _path(dots, _BRIGHT, _TARGET)]


def _target_rings(place: Board, cells: Sequence[int]) -> list[str]:
    return [
        _rings(place, cells, _AROUND, "currentColor", _AROUND_EDGE),
        _rings(place, cells, _AROUND, _BRIGHT, _AROUND_TARGET),
    ]


def _pieces(place: Board, tokens: Sequence[str]) -> list[str]:
    """Territory, markers and stacks, each seat's in its colour."""
    of: dict[str, list[int]] = defaultdict(list)
    for cell, token in enumerate(tokens):
        of[token].append(cell)
    seats = range(len(SEAT_COLOURS))
    taken = [_path(_dots(place, of[f"c{seat}"]), SEAT_COLOURS[seat], _CELL, place, pale=".5") for seat in seats]
    markers = [_path(_dots(place, of[f"m{seat}"]), SEAT_COLOURS[seat], _MARKER) for seat in seats]
    holes = _dots(place, (cell for cell, token in enumerate(tokens) if token[:1] == "m"))
    stacks = {cell: token[1:] for cell, token in enumerate(tokens) if token[:1] == "s"}
    return [*taken, *markers, _path(holes, _LIGHT, _HOLE), *_discs(place, stacks), *_heights(place, stacks)]


def _discs(place: Board, stacks: Mapping[int, str]) -> list[str]:
    """Discs of every stack, lowest rings first."""
    layers: dict[tuple[int, int], list[int]] = defaultdict(list)  # (how many colours are below, seat) -> cells
    for cell, digits in stacks.items():
        for depth, (digit, _) in enumerate(groupby(digits)):
            layers[depth, int(digit)].append(cell)
    return [
        _path(_dots(place, cells), SEAT_COLOURS[seat], max(_LOWEST - _NARROWER * depth, _LEAST))
        for (depth, seat), cells in sorted(layers.items())
    ]


def _heights(place: Board, stacks: Mapping[int, str]) -> list[str]:
    """A number on every stack."""
    shown: dict[str, list[str]] = defaultdict(list)  # colour -> numbers
    for cell, digits in stacks.items():
        x, y = centre(place, cell)
        shown[_ON_SEAT[int(digits[-1])]].append(f'<text x="{x}" y="{y + 3}">{len(digits)}</text>')
    return [f'<g fill="{colour}">{"".join(numbers)}</g>' for colour, numbers in sorted(shown.items())]


def _way(place: Board, last: Sequence[int]) -> str:
    """The way of the last move."""
    way = "L".join("{} {}".format(*centre(place, cell)) for cell in last)
    return _path(f"M{way}" if len(last) > 1 else "", _GREY, 2)


def _rings(place: Board, cells: Iterable[int], radius: int, colour: str, width: int, *, pale: str = "") -> str:
    """Rings around cells, if there are any."""
    circles = "".join('<circle cx="{}" cy="{}" r="{}"/>'.format(*centre(place, cell), radius) for cell in cells)
    return f'<g stroke="{colour}" stroke-width="{width}"{_opacity(pale)}>{circles}</g>' if circles else ""


def _dots(place: Board, cells: Iterable[int]) -> str:
    return "".join("M{} {}h0".format(*centre(place, cell)) for cell in cells)


def _path(line: str, colour: str, width: int, filling: Board | None = None, *, pale: str = "", dashes: str = "") -> str:
    """A path, if there is a line; dots on it fill the cells of the board `filling`, or are round."""
    if not line:
        return ""
    cap = "round" if filling is None or filling.is_hex else "square"
    stroke = f'stroke="{colour}" stroke-width="{width}" stroke-linecap="{cap}"{_opacity(pale)}{dashes}'
    return f'<path d="{line}" {stroke}/>'


def _opacity(pale: str) -> str:
    return f' stroke-opacity="{pale}"' if pale else ""
