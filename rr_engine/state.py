"""Game states: making one, and the one-line state text of the trace format."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rr_engine.boards import Config, elimination_goal
from rr_engine.errors import ConfigError, StateTextError, shown
from rr_engine.kernels import cells, layout

PHASES = ("place", "move", "cap", "chain", "line", "lelim", "terr", "telim", "fe", "over")
_RECOVERY_SHOWN = frozenset((layout.LINE, layout.LELIM, layout.TERR, layout.TELIM))
_ACTIVE_SHOWN = frozenset((layout.MOVE, layout.CAP, layout.CHAIN))
_TEXT = re.compile(
    r"S(?P<S>[\d:,]*);M(?P<M>[\d:,]*);C(?P<C>[\d:,]*);H(?P<H>[\d,]+);E(?P<E>[\d,]+);T(?P<T>[\d,]+);"
    r"F(?P<F>[a-z]+);P(?P<P>\d|-);A(?P<A>\d+|-);R(?P<R>[01]);L(?P<L>\dx\d+|-)",
    re.ASCII,
)
_MOST_ROUNDS = 1_000_000
_MOST_DIGITS = 6  # of any number here: Python refuses to read very long ones
_FORM = "S<stacks>;M<markers>;C<collapsed>;H<hand>;E<elim>;T<terr>;F<phase>;P<player>;A<active>;R<0|1>;L<seat>x<k>|-"


def config_of(config: object) -> Config:
    """`config` itself, or the one of that key; raises ConfigError for anything else."""
    if isinstance(config, Config):
        return config
    if not isinstance(config, str):
        raise ConfigError(f"unknown config {shown(config)}: a `Config` or a key such as 'hex8_2p' is needed")
    return Config.parse(config)


def new_state(
    config: Config, *, pie: bool | None = None, rings: int | None = None, lps_rounds: int = 3
) -> NDArray[np.void]:
    """The start position (rules 3.3) as an array of one record.

    `pie` is on by default with two seats and refused with more; `rings` per seat default to the board's.
    """
    most = config.board.spec.rings_per_seat
    rings = most if rings is None else rings
    pie = config.players == 2 if pie is None else pie
    if not _is_bool(pie):
        raise ConfigError(f"pie rule {shown(pie)}: it is on or off, True or False")
    if pie and config.players != 2:
        raise ConfigError(f"the pie rule is for two players, {config.key} has {config.players}")
    if not is_whole(rings, 1, most):
        raise ConfigError(f"{shown(rings)} rings per seat: {config.key} takes 1 to {most}")
    if not is_whole(lps_rounds, 1, _MOST_ROUNDS):
        raise ConfigError(f"{shown(lps_rounds)} last-player-standing rounds: 1 to {_MOST_ROUNDS} can be counted")
    state = np.zeros(1, config.board.state_dtype)
    record = state[0]
    record["owner"][:] = -1
    record["cap"][:] = layout.NO_CAP
    record["kind"][config.board.cells :] = layout.COLLAPSED
    lines = int(config.board.geometry[0]["lines"])
    record["blocked"][:lines] = ~config.board.geometry[0]["inside"][:lines]
    record["hand"][: config.players] = rings
    record["out_turn"][:] = -1
    record["seats"] = config.players
    record["rings_per_seat"] = rings
    record["line_length"] = config.line_length
    record["elim_goal"] = elimination_goal(rings, config.players)
    record["terr_goal"] = config.terr_goal
    record["lps_rounds"] = lps_rounds
    record["active"] = -1
    record["lps_first"] = -1
    record["lps_seat"] = -1
    record["pie_open"] = pie
    record["winner"] = -1
    return state


def is_whole(value: object, least: int, most: int) -> bool:
    """Whether `value` is a whole number, of Python or numpy, in that range."""
    return isinstance(value, int | np.integer) and not _is_bool(value) and least <= int(value) <= most


def _is_bool(value: object) -> bool:
    return isinstance(value, bool | np.bool_)


def to_text(config: Config, state: NDArray[np.void]) -> str:
    """The state text of FORMAT version 1."""
    s = state[0]
    count = config.board.cells
    kind = s["kind"][:count]
    owner = s["owner"].tolist()
    stacks = ",".join(f"{cell}:{stack_digits(state, cell)}" for cell in np.flatnonzero(kind == layout.STACK).tolist())
    markers = ",".join(f"{cell}:{owner[cell]}" for cell in np.flatnonzero(kind == layout.MARKER).tolist())
    taken = ",".join(f"{cell}:{owner[cell]}" for cell in np.flatnonzero(kind == layout.COLLAPSED).tolist())
    seats = config.players
    hand, elim, terr = (",".join(map(str, s[name][:seats].tolist())) for name in ("hand", "elim", "terr"))
    phase = int(s["phase"])
    over = phase == layout.OVER
    player = "-" if over else int(s["player"])
    active = int(s["active"]) if phase in _ACTIVE_SHOWN and s["active"] >= 0 else "-"
    recovering = int(s["rec_turn"]) if phase in _RECOVERY_SHOWN else 0
    lps = "-" if over or s["lps_count"] == 0 else f"{s['lps_seat']}x{s['lps_count']}"
    return (
        f"S{stacks};M{markers};C{taken};H{hand};E{elim};T{terr};"
        f"F{PHASES[phase]};P{player};A{active};R{recovering};L{lps}"
    )


def stack_digits(state: NDArray[np.void], cell: int) -> str:
    """Owners of the rings on `cell`, bottom to top, one digit each."""
    rings, height = int(state[0]["rings"][cell]), int(state[0]["height"][cell])
    return "".join(str(rings >> (2 * index) & 3) for index in range(height - 1, -1, -1))


def from_text(config: Config, text: str, *, acted: bool = False) -> NDArray[np.void]:
    """The state that `text` describes; see `Game.from_text` for what a text cannot say."""
    match = _TEXT.fullmatch(text)
    if match is None:
        raise StateTextError(f"state text {shown(text)} has not the form {_FORM}")
    parts = match.groupdict()
    state = new_state(config, pie=False)
    record = state[0]
    _fill_cells(config, record, parts)
    _fill_counters(config, record, parts)
    _fill_turn(config, record, parts, acted=acted)
    if to_text(config, state) != text:
        raise StateTextError(f"state text {shown(text)}: it is written {to_text(config, state)}")
    return state


def _entries(config: Config, part: str, what: str) -> list[tuple[int, str]]:
    found: list[tuple[int, str]] = []
    for item in part.split(",") if part else ():
        cell, colon, rest = item.partition(":")
        if not (cell.isdigit() and colon and rest.isdigit()):
            raise StateTextError(f"{what} {shown(item)}: expected cell:owner")
        if len(cell) > _MOST_DIGITS or int(cell) >= config.board.cells:
            raise StateTextError(f"{what} {shown(item)}: {config.board_name} has cells 0 to {config.board.cells - 1}")
        if any(int(digit) >= config.players for digit in rest):
            raise StateTextError(f"{what} {shown(item)}: {config.key} has seats 0 to {config.players - 1}")
        found.append((int(cell), rest))
    if [cell for cell, _ in found] != sorted({cell for cell, _ in found}):
        raise StateTextError(f"{what}s {shown(part)}: cells must ascend, each once")
    return found


def _fill_cells(config: Config, record: Any, parts: dict[str, str]) -> None:
    tallest = _max_height(config)
    kinds: dict[int, str] = {}
    rings, heights = np.zeros((2, config.board.cells), np.int64)
    markers, territory = np.full((2, config.board.cells), -1, np.int64)
    for cell, owners in _entries(config, parts["S"], "stack"):
        if len(owners) > tallest:
            raise StateTextError(
                f"stack of {len(owners)} rings on {cell}: {config.board_name} stacks have 1 to {tallest} rings"
            )
        kinds[cell] = "stack"
        heights[cell] = len(owners)
        for digit in owners:
            rings[cell] = rings[cell] << layout.RING_BITS | int(digit)
    for part, what, owners_of in (("M", "marker", markers), ("C", "collapsed cell", territory)):
        for cell, owner in _entries(config, parts[part], what):
            if len(owner) != 1:
                raise StateTextError(f"{what} on {cell} of {shown(owner)}: one owner expected")
            if cell in kinds:
                raise StateTextError(f"cell {cell} is both {kinds[cell]} and {what}: it can be one only")
            kinds[cell] = what
            owners_of[cell] = int(owner)
    cells.set_up(config.board.geometry[0], record, rings, heights, markers, territory)


def _max_height(config: Config) -> int:
    """Longest ray + 1 (rules 3.2)."""
    extent = config.board.spec.extent
    return 2 * extent + 1 if config.board.is_hex else extent


def _seat_numbers(config: Config, part: str, what: str) -> list[int]:
    numbers = part.split(",")
    if len(numbers) != config.players or not all(number.isdigit() and len(number) < 6 for number in numbers):
        raise StateTextError(f"{what} {shown(part)}: {config.key} needs {config.players} numbers")
    return [int(number) for number in numbers]


def _fill_counters(config: Config, record: Any, parts: dict[str, str]) -> None:
    record["hand"][: config.players] = _seat_numbers(config, parts["H"], "hand")
    record["elim"][: config.players] = _seat_numbers(config, parts["E"], "elim")
    terr = _seat_numbers(config, parts["T"], "terr")
    counted = record["terr"][: config.players].tolist()
    if terr != counted:
        raise StateTextError(f"terr {parts['T']!r}: the collapsed cells of the text count {counted}")
    limit = config.board.spec.rings_per_seat
    held = [int(record["hand"][seat] + record["on_board"][seat]) for seat in range(config.players)]
    if max(held) > limit:
        raise StateTextError(f"hand and stacks hold {held} rings by colour: {config.board_name} has {limit} a seat")
    if sum(held) + int(record["elim"].sum()) > limit * config.players:
        raise StateTextError(f"hand, stacks and elim make more than the {limit * config.players} rings of {config.key}")


def _fill_turn(config: Config, record: Any, parts: dict[str, str], *, acted: bool) -> None:
    if parts["F"] not in PHASES[:-1]:
        raise StateTextError(f"phase {shown(parts['F'])}: a position to play on has one of {', '.join(PHASES[:-1])}")
    phase = PHASES.index(parts["F"])
    if parts["P"] == "-" or int(parts["P"]) >= config.players:
        raise StateTextError(f"player {parts['P']!r}: {config.key} has seats 0 to {config.players - 1}")
    record["phase"] = phase
    record["player"] = int(parts["P"])
    if parts["A"] != "-":
        if len(parts["A"]) > _MOST_DIGITS:
            raise StateTextError(f"active cell {shown(parts['A'])}: {config.board_name} has no such cell")
        _fill_active(record, phase, int(parts["A"]), parts)
    elif phase in (layout.CAP, layout.CHAIN):
        raise StateTextError(f"phase {parts['F']!r} needs the active stack in A")
    record["rec_turn"] = int(parts["R"])
    if record["rec_turn"] and phase not in _RECOVERY_SHOWN:
        raise StateTextError(f"R1 in phase {parts['F']!r}: a recovery slide shows in line, lelim, terr and telim only")
    implied = phase in (layout.CAP, layout.CHAIN, layout.LELIM, layout.TELIM) or record["active"] >= 0
    record["acted"] = acted or implied or bool(record["rec_turn"])
    if phase == layout.FE and record["acted"]:
        raise StateTextError("phase 'fe' after an action: forced elimination is only for a turn without one")
    if parts["L"] != "-":
        seat, _, rounds = parts["L"].partition("x")
        if int(seat) >= config.players or len(rounds) > _MOST_DIGITS or int(rounds) < 1:
            raise StateTextError(f"last player standing {shown(parts['L'])}: expected <seat>x<rounds>")
        record["lps_seat"] = int(seat)
        record["lps_count"] = int(rounds)


def _fill_active(record: Any, phase: int, active: int, parts: dict[str, str]) -> None:
    if phase not in _ACTIVE_SHOWN:
        raise StateTextError(f"active cell {active} in phase {parts['F']!r}: only move, cap and chain have one")
    if active >= len(record["owner"]) or record["height"][active] == 0 or record["owner"][active] != record["player"]:
        raise StateTextError(f"active cell {active}: no stack of seat {parts['P']} stands there")
    record["active"] = active
