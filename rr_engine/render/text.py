"""The board as text, square and hex."""

from __future__ import annotations

from rr_engine.game import Game
from rr_engine.kernels import layout
from rr_engine.state import stack_digits

SEAT_LETTERS = "abcd"
LEGEND = "a3 stack of a, 3 rings high (>a3 the one that must move)   @a marker   #a territory   . empty"
_WIDTH = 4  # of a cell; even, so that a hex row can be shifted by half a cell


def draw(game: Game) -> str:
    """The position: one line on the turn, the board, stacks of more than one colour in full, one line per seat.

    Rows show the number of their first cell; cells of a row are numbered on from it.
    """
    board = _hex_rows(game) if game.board.is_hex else _square_rows(game)
    return "\n".join([_headline(game), "", *board, "", *_mixed_stacks(game), *_seats(game), LEGEND])


def _headline(game: Game) -> str:
    turn = int(game.state[0]["turn"])
    outcome = game.outcome()
    if outcome is None:
        return f"{game.config.key}  turn {turn}  {SEAT_LETTERS[game.player or 0]} decides in phase {game.phase}"
    return f"{game.config.key}  turn {turn}  over: {SEAT_LETTERS[outcome.winner]} wins by {outcome.end}"


def _square_rows(game: Game) -> list[str]:
    side = game.board.spec.extent
    symbols = _symbols(game)
    head = " " * 9 + "".join(f"{x:>{_WIDTH}}" for x in range(side))
    rows = [f"{y * side:>4} y{y:<3}" + "".join(symbols[y * side : (y + 1) * side]) for y in range(side)]
    return [f"{head}  x", *rows]


def _hex_rows(game: Game) -> list[str]:
    radius = game.board.spec.extent
    symbols = _symbols(game)
    rows: list[str] = []
    first = 0
    for y in range(-radius, radius + 1):
        length = 2 * radius + 1 - abs(y)
        left = max(-radius, -radius - y)
        indent = " " * (abs(y) * _WIDTH // 2)
        cells = "".join(symbols[first : first + length])
        rows.append(f"{first:>4} y{y:<3}{indent}{cells}{indent}   x {left}..{left + length - 1}")
        first += length
    return rows


def _symbols(game: Game) -> list[str]:
    """What stands on each cell, `_WIDTH` wide."""
    state = game.state[0]
    kind, owner, height = (state[name].tolist() for name in ("kind", "owner", "height"))
    active = -1 if game.is_over else int(state["active"])
    symbols: list[str] = []
    for cell in range(game.board.cells):
        letter = SEAT_LETTERS[owner[cell]]
        if kind[cell] == layout.STACK:
            symbol = f"{'>' if cell == active else ''}{letter}{height[cell]}"
        elif kind[cell] == layout.MARKER:
            symbol = f"@{letter}"
        elif kind[cell] == layout.COLLAPSED:
            symbol = f"#{letter}"
        else:
            symbol = "."
        symbols.append(f"{symbol:>{_WIDTH}}")
    return symbols


def _mixed_stacks(game: Game) -> list[str]:
    """Stacks in which somebody's rings are buried, bottom to top."""
    state = game.state
    shown: list[str] = []
    for cell, (height, cap) in enumerate(zip(state[0]["height"].tolist(), state[0]["cap"].tolist(), strict=True)):
        if height > cap:
            rings = "".join(SEAT_LETTERS[int(digit)] for digit in stack_digits(state, cell))
            shown.append(f"{cell}={rings}")
    return [f"bottom to top: {'  '.join(shown)}"] if shown else []


def _seats(game: Game) -> list[str]:
    state = game.state[0]
    return [
        f"{SEAT_LETTERS[seat]}: hand {state['hand'][seat]}, eliminated {state['elim'][seat]} of {state['elim_goal']}, "
        f"territory {state['terr'][seat]} of {state['terr_goal']}, markers {state['markers'][seat]}, "
        f"stacks {state['stacks'][seat]}"
        for seat in range(game.config.players)
    ]
