"""The one-ply evaluation: the value of each legal move, by trying it on a copy and weighing what every seat then has.

What is compiled stands in this file or among the kernels: Numba's cache notices changes in the file of an entry only.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rr_engine.kernels.ending import check_end_of_turn
from rr_engine.kernels.jit import entry, kernel
from rr_engine.kernels.layout import (
    CAP,
    FE,
    LELIM,
    LINE,
    NO_MOVE,
    NONE_YET,
    OVER,
    PLACE,
    PLACEMENT,
    SWAP,
    TELIM,
    TERR,
)
from rr_engine.kernels.legal import list_legal
from rr_engine.kernels.measure import measure
from rr_engine.kernels.moves import field_a, kind_of
from rr_engine.kernels.turn import apply_move

ONE, ALL = np.int64(1), np.int64(1 << 30)


class Desk(NamedTuple):
    """What a worker needs besides the game: the tables it reads and the memory it works in."""

    weights: Any  # [features]
    centre: Any  # [cells + 1] 1 in the middle of the board, 0 at its edge
    openings: Any  # [2, cells + 1] points above par of a first stack, of one ring and of more
    spare: Any  # [2] states
    scratch: Any  # [1] `layout.SCRATCH`
    lists: Any  # [2, legal capacity] moves
    probes: Any  # [legal capacity] values
    features: Any  # [MAX_SEATS, features]


@kernel
def _finish_turn(g: Any, s: Any, scratch: Any, out: Any) -> None:
    """Play on to the end of the turn: no optional capture, every line whole, every region, the cheapest payments."""
    phase = s["phase"]
    while phase != OVER:
        n = NONE_YET if phase == CAP else list_legal(g, s, scratch, out)
        if n > 0:
            pays = phase in (LELIM, TELIM, FE)
            apply_move(g, s, scratch, out[_cheapest(s, out, n) if pays else 0])
        elif phase == LINE:
            s["phase"] = TERR
        elif phase == TERR:
            s["phase"] = FE
        elif phase == FE:
            break
        else:
            s["active"] = -1
            s["phase"] = LINE
        phase = s["phase"]
    check_end_of_turn(g, s)
    s["player"] = (s["player"] + 1) % s["seats"]


@kernel
def _cheapest(s: Any, out: Any, n: int) -> int:
    """Index of the payment from the smallest cap."""
    best = 0
    for index in range(1, n):
        if s["cap"][field_a(out[index])] < s["cap"][field_a(out[best])]:
            best = index
    return best


@kernel
def _worth(g: Any, s: Any, desk: Any, seat: int) -> float:
    """What the position is worth to `seat`: its weighted features less those of its best opponent."""
    measure(g, s, desk.scratch[0]["other"], desk.centre, desk.features)
    own = 0.0
    best = -np.inf
    for other in range(s["seats"]):
        total = 0.0
        for feature in range(len(desk.weights)):
            total += desk.weights[feature] * desk.features[other, feature]
        if other == seat:
            own = total
        else:
            best = max(best, total)
    return own - best


@kernel
def _worth_after(g: Any, desk: Any, spare: int, move: int) -> float:
    """What `move` is worth to the mover of `desk.spare[spare]`, which is used up, once its turn has ended."""
    s = desk.spare[spare]
    seat = np.int64(s["player"])
    if move != NO_MOVE:
        apply_move(g, s, desk.scratch[0], move)
    _finish_turn(g, s, desk.scratch[0], desk.lists[1])
    return _worth(g, s, desk, seat)


@kernel
def _worth_opened(g: Any, s: Any, desk: Any, move: int, tries: int) -> float:
    """What `move`, which ends the placement of `s`, is worth by the best of the first `tries` moves after it."""
    desk.spare[0] = s
    apply_move(g, desk.spare[0], desk.scratch[0], move)
    n = list_legal(g, desk.spare[0], desk.scratch[0], desk.lists[0])
    if n == 0:
        return _worth_after(g, desk, np.int64(0), NO_MOVE)
    best = -np.inf
    for index in range(min(n, tries)):
        desk.spare[1] = desk.spare[0]
        best = max(best, _worth_after(g, desk, np.int64(1), desk.lists[0][index]))
    return best


@kernel
def _value_placements(g: Any, s: Any, desk: Any, beam: int, legal: Any, values: Any) -> None:
    """Values of the decisions of phase `place`, each by the best move after it.

    Every placement is first tried with one move only; the `beam` best of them then with all. A swap, listed last, is
    better than all of them as far as the opening is above par.
    """
    probes = desk.probes[: len(legal)]
    for index in range(len(legal)):
        placed = kind_of(legal[index]) == PLACEMENT
        if kind_of(legal[index]) != SWAP:
            values[index] = _worth_opened(g, s, desk, legal[index], ONE if placed else ALL)
        probes[index] = values[index] if placed else -np.inf
    for _ in range(min(beam, len(legal))):
        index = np.argmax(probes)
        if probes[index] == -np.inf:
            break
        probes[index] = -np.inf
        values[index] = _worth_opened(g, s, desk, legal[index], ALL)
    if kind_of(legal[len(legal) - 1]) == SWAP:
        values[-1] = np.max(values[:-1]) + _opening_worth(g, s, desk)


@kernel
def _opening_worth(g: Any, s: Any, desk: Any) -> float:
    """Points above par of the first seat's opening."""
    total = 0.0
    for cell in range(g["cells"]):
        if s["height"][cell] > 0:
            total += desk.openings[1 if s["height"][cell] > 1 else 0, cell]
    return total


@entry
def value_moves(
    g: Any, states: Any, moves: Any, offsets: Any, desk: Any, beam: int, values: Any, first: int, end: int
) -> None:
    """Fill `values` for the legal moves of games `first` to `end`."""
    for game in range(first, end):
        legal = moves[offsets[game] : offsets[game + 1]]
        own = values[offsets[game] : offsets[game + 1]]
        if states[game]["phase"] == PLACE:
            _value_placements(g, states[game], desk, beam, legal, own)
        else:
            for index in range(len(legal)):
                desk.spare[0] = states[game]
                own[index] = _worth_after(g, desk, np.int64(0), legal[index])


@entry
def total_seats(g: Any, states: Any, desk: Any, totals: Any) -> None:
    """Fill `totals` [states, seats] with the weighted features of every seat."""
    for index in range(len(states)):
        measure(g, states[index], desk.scratch[0]["other"], desk.centre, desk.features)
        for seat in range(states[index]["seats"]):
            totals[index, seat] = 0.0
            for feature in range(len(desk.weights)):
                totals[index, seat] += desk.weights[feature] * desk.features[seat, feature]
