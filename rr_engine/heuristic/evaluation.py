"""The one-ply evaluation: features of every seat, and the value of each legal move by trying it on a copy.

Everything compiled stands in this file, because Numba's cache notices changes in the file of an entry only.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rr_engine.kernels import bits
from rr_engine.kernels.ending import check_end_of_turn
from rr_engine.kernels.jit import entry, kernel
from rr_engine.kernels.layout import (
    ALTERNATE,
    BACKWARD,
    CAP,
    FE,
    FORWARD,
    LELIM,
    LINE,
    NO_MOVE,
    NONE_YET,
    OVER,
    PLACE,
    PLACEMENT,
    RING_BITS,
    SWAP,
    TELIM,
    TERR,
)
from rr_engine.kernels.legal import list_legal
from rr_engine.kernels.moves import field_a, kind_of
from rr_engine.kernels.reach import passable_run
from rr_engine.kernels.recovery import is_eligible
from rr_engine.kernels.turn import apply_move

lowest_bit: Any = bits.lowest_bit  # intrinsics, whose types only Numba sees
popcount: Any = bits.popcount

# Columns of the features; their names and weights stand in `weights`, in this order.
VICTORY, NO_STACKS, RING_THRESHOLD, TERRITORY_THRESHOLD, VICTORY_PROXIMITY, ELIMINATED, STACKS, CLOSURE = range(8)
SINGLE_STACK, TERRITORY, VULNERABLE, OVERTAKE, RECOVERY_ELIGIBLE, LINE_POTENTIAL, CHAIN_RISK = range(8, 15)
CAP_HEIGHT, OPPONENT_THREAT, LINE_CONNECTIVITY, OPPONENT_VICTORY, BURIED_RECOVERY, CHAIN_POTENTIAL = range(15, 21)
STACK_HEIGHT, TERRITORY_SAFETY, TEMPO, EXPANSION, FOUR, BLOCKED, CENTRE, MOBILITY = range(21, 29)
STACK_MOBILITY, FORCED_RISK, HAND, BURIED, ADJACENCY, MARKER, GAP = range(29, 36)


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


@entry
def measure(g: Any, s: Any, hit: Any, centre: Any, f: Any) -> None:
    """Fill `f[seat, feature]` for every seat of the state; `centre` weighs cells, `hit` is a row map to work in."""
    seats = s["seats"]
    for seat in range(seats):
        for feature in range(f.shape[1]):
            f[seat, feature] = 0.0
    for row in range(g["rows"]):
        hit[row] = 0
    for seat in range(seats):
        _measure_stacks(g, s, hit, centre, f, seat)
    for seat in range(seats):
        _measure_neighbours(g, s, hit, f, seat)
        _measure_closure(g, s, f, seat)
        _measure_lines(g, s, f, seat)
        _measure_counters(s, f, seat)
    _measure_race(s, f)


@kernel
def _measure_stacks(g: Any, s: Any, hit: Any, centre: Any, f: Any, seat: int) -> None:
    for row in range(g["rows"]):
        tops = np.int64(s["tops"][seat, row])
        while tops:
            cell = np.int64(g["cell_at"][row, lowest_bit(tops)])
            tops &= tops - 1
            height = np.int64(s["height"][cell])
            cap = np.int64(s["cap"][cell])
            f[seat, CENTRE] += centre[cell]
            f[seat, CAP_HEIGHT] += cap
            f[seat, STACK_HEIGHT] += height
            if height > cap:
                _measure_buried(s, f, seat, cell, height, cap)
            _measure_reach(g, s, hit, f, seat, cell, height, cap)


@kernel
def _measure_buried(s: Any, f: Any, seat: int, cell: int, height: int, cap: int) -> None:
    """Rings under another colour's cap: lost for now; the topmost of them come back when the cap goes."""
    rings = s["rings"][cell]
    inside = ALTERNATE & ((1 << (RING_BITS * height)) - 1)
    for other in range(s["seats"]):
        if other != seat:
            unlike = rings ^ (other * ALTERNATE)
            f[other, BURIED] += popcount(~(unlike | unlike >> 1) & inside)
    f[rings >> (RING_BITS * cap) & 3, BURIED_RECOVERY] += 1.0 / cap


@kernel
def _measure_reach(g: Any, s: Any, hit: Any, f: Any, seat: int, cell: int, height: int, cap: int) -> None:
    """Moves of one stack, and the stacks it could capture."""
    moves = 0
    ways = 0
    hits = 0
    for axis in range(g["axes"]):
        line = np.int64(g["line_of"][cell, axis])
        pos = np.int64(g["pos_of"][cell, axis])
        blocked = np.int64(s["blocked"][line])
        for step in (FORWARD, BACKWARD):
            run = passable_run(blocked, pos, step)
            if run >= height:
                moves += run - height + 1
                ways += 1
            beyond = pos + step * (run + 1)
            target = np.int64(g["cell_at"][line, beyond])
            if s["cap"][target] > cap:
                continue
            room = passable_run(blocked, beyond, step)
            if room >= 1 and run + 1 + room >= height:
                moves += min(room, run + 2 + room - height)
                victim = np.int64(s["owner"][target])
                if victim != seat:
                    hits += 1
                    f[victim, OPPONENT_THREAT] += 1.0
                    row = np.int64(g["line_of"][target, 0])
                    bit = 1 << np.int64(g["pos_of"][target, 0])
                    if hits > 1:
                        f[victim, CHAIN_RISK] += 1.0
                    hit[row] |= bit
    f[seat, OVERTAKE] += hits > 0
    f[seat, CHAIN_POTENTIAL] += max(0, hits - 1)
    f[seat, MOBILITY] += moves
    f[seat, STACK_MOBILITY] += ways
    f[seat, BLOCKED] += moves == 0


@kernel
def _measure_neighbours(g: Any, s: Any, hit: Any, f: Any, seat: int) -> None:
    """What lies beside own stacks: others of them (on squares in 8 directions), and free cells (in 4)."""
    last = g["rows"] - 1
    slant = g["hex"]
    above = 0
    for row in range(last + 1):
        tops = np.int64(s["tops"][seat, row])
        below = np.int64(s["tops"][seat, row + 1]) if row < last else 0
        free = np.int64(g["inside"][row]) & ~np.int64(s["blocked"][row])
        near = tops << 1 | tops >> 1 | above | above >> slant | below | below << slant
        pairs = popcount(tops & tops >> 1) + popcount(tops & above) + popcount(tops & above >> 1)
        if not slant:
            pairs += popcount(tops & above << 1)
        f[seat, ADJACENCY] += pairs
        f[seat, EXPANSION] += popcount(near & free)
        f[seat, VULNERABLE] += popcount(hit[row] & tops)
        above = tops


@kernel
def _measure_closure(g: Any, s: Any, f: Any, seat: int) -> None:
    """How own markers continue barriers: once for each neighbour that is one too or territory, and at the edge."""
    last = g["rows"] - 1
    slant = g["hex"]
    links = 0
    above_marks = 0
    above_wall = 0
    for row in range(last + 1):
        marks = np.int64(s["marks"][seat, row])
        inside = np.int64(g["inside"][row])
        wall = marks | np.int64(s["collapsed"][row])
        links += popcount(marks & wall >> 1) + popcount(marks >> 1 & wall)
        links += popcount(marks & above_wall) + popcount(wall & above_marks)
        links += popcount(marks & above_wall >> 1) + popcount(wall & above_marks >> 1)
        if not slant:
            links += popcount(marks & above_wall << 1) + popcount(wall & above_marks << 1)
        inner = inside << 1 & inside >> 1 if 0 < row < last else 0
        links += popcount(marks & ~inner)
        above_marks = marks
        above_wall = wall
    f[seat, CLOSURE] = links


@kernel
def _measure_lines(g: Any, s: Any, f: Any, seat: int) -> None:
    """Markers of one colour in a row, and windows that could become lines."""
    if s["markers"][seat] < 2:
        return
    short = s["line_length"] == 3
    pairs = 0
    gaps = 0
    chances = 0
    fours = 0
    for line in range(g["lines"]):
        first = np.int64(s["marks"][seat, line])
        if first & (first - 1) == 0:
            continue
        free = ~np.int64(s["blocked"][line])
        free &= free >> 1 & free >> 2  # windows of three cells, by their first
        second, third, fourth = first >> 1, first >> 2, first >> 3
        together = first & second
        pairs += popcount(together)
        gaps += popcount(first & third & ~second & free)
        if short:
            chances += popcount((together | first & third | second & third) & free)
        free &= free >> 1
        apart = third & fourth
        if not short:
            chances += popcount((together | apart | (first | second) & (third | fourth)) & free)
        fours += popcount((together & (third | fourth) | apart & (first | second)) & free)
    f[seat, LINE_CONNECTIVITY] = pairs
    f[seat, GAP] = gaps
    f[seat, LINE_POTENTIAL] = chances
    f[seat, FOUR] = fours


@kernel
def _measure_counters(s: Any, f: Any, seat: int) -> None:
    stacks = s["stacks"][seat]
    f[seat, STACKS] = stacks
    f[seat, NO_STACKS] = stacks == 0
    f[seat, SINGLE_STACK] = stacks == 1
    f[seat, RECOVERY_ELIGIBLE] = is_eligible(s, seat)
    f[seat, FORCED_RISK] = stacks > 0 and f[seat, BLOCKED] == stacks
    f[seat, ELIMINATED] = s["elim"][seat]
    f[seat, TERRITORY] = s["terr"][seat]
    f[seat, HAND] = s["hand"][seat]
    f[seat, MARKER] = s["markers"][seat]
    f[seat, TEMPO] = s["player"] == seat


@kernel
def _measure_race(s: Any, f: Any) -> None:
    """How near every seat is to winning, and who leads in territory."""
    total = 0
    for seat in range(s["seats"]):
        total += s["terr"][seat]
    for seat in range(s["seats"]):
        rings = min(1.0, s["elim"][seat] / s["elim_goal"])
        ground = min(1.0, s["terr"][seat] / s["terr_goal"])
        leads = 2 * s["terr"][seat] > total
        f[seat, RING_THRESHOLD] = rings**2
        f[seat, TERRITORY_THRESHOLD] = ground**2
        f[seat, VICTORY_PROXIMITY] = max(rings, ground) ** 4
        f[seat, TERRITORY_SAFETY] = leads
        won = rings == 1.0 or (ground == 1.0 and leads)
        f[seat, VICTORY] = s["winner"] == seat if s["phase"] == OVER else won
    for seat in range(s["seats"]):
        for other in range(s["seats"]):
            if other != seat:
                f[seat, OPPONENT_VICTORY] = max(f[seat, OPPONENT_VICTORY], f[other, VICTORY_PROXIMITY])


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
