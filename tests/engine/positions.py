"""Positions for tests, written by coordinates: seats are a, b, c, d, stacks bottom to top."""

from collections.abc import Mapping

from rr_engine.boards import Config
from rr_engine.game import Game
from rr_engine.kernels import layout
from rr_engine.state import stack_digits

SEATS = "abcd"
Where = tuple[int, int]


def position(
    key: str = "square8_2p",
    *,
    phase: str = "move",
    seat: str = "a",
    stacks: Mapping[Where, str] | None = None,
    markers: Mapping[Where, str] | None = None,
    territory: Mapping[Where, str] | None = None,
    hands: tuple[int, ...] | None = None,
    elim: tuple[int, ...] | None = None,
    active: Where | None = None,
    recovering: bool = False,
    acted: bool = False,
) -> Game:
    """The game whose text says this; hands are 5 each where nothing else is said."""
    config = Config.parse(key)
    cells = config.board.cell_of

    def entries(things: Mapping[Where, str] | None) -> str:
        found = {cells[place]: "".join(str(SEATS.index(owner)) for owner in owners) for place, owners in things.items()}
        return ",".join(f"{cell}:{found[cell]}" for cell in sorted(found))

    def numbers(each: tuple[int, ...]) -> str:
        return ",".join(map(str, each))

    owned = list((territory or {}).values())
    return Game.from_text(
        key,
        f"S{entries(stacks or {})};M{entries(markers or {})};C{entries(territory or {})};"
        f"H{numbers(hands or (5,) * config.players)};E{numbers(elim or (0,) * config.players)};"
        f"T{numbers(tuple(owned.count(SEATS[number]) for number in range(config.players)))};"
        f"F{phase};P{SEATS.index(seat)};A{'-' if active is None else cells[active]};R{int(recovering)};L-",
        acted=acted,
    )


def at(game: Game, x: int, y: int) -> str:
    """What stands at (x, y): a stack as its rings, `@a` a marker, `#a` territory, nothing where empty."""
    cell, state = game.board.cell_of[x, y], game.state
    kind, owner = int(state[0]["kind"][cell]), SEATS[int(state[0]["owner"][cell])]
    if kind == layout.STACK:
        return "".join(SEATS[int(digit)] for digit in stack_digits(state, cell))
    return {int(layout.MARKER): f"@{owner}", int(layout.COLLAPSED): f"#{owner}"}.get(kind, "")


def cell(game: Game, x: int, y: int) -> int:
    return game.board.cell_of[x, y]


def starting(game: Game, prefix: str) -> list[str]:
    """The legal moves whose text starts so."""
    return [text for text in game.legal_texts() if text.startswith(prefix)]


def only(game: Game, prefix: str) -> str:
    """The one legal move whose text starts so."""
    (text,) = starting(game, prefix)
    return text


def numbers(game: Game, name: str) -> list[int]:
    """A counter of every seat, such as `elim`."""
    return game.state[0][name][: game.config.players].tolist()
