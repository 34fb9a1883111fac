"""The one-ply evaluation: features of every seat, and the value of each legal move by trying it on a copy.

Everything compiled stands in this file, because Numba's cache notices changes in the file of an entry only.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rr_engine.kernels.bits import lowest_bit, popcount
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
    MOVE,
    OVER,
    PLACE,
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

(
    VICTORY,
    NO_STACKS,
    RING_THRESHOLD,
    TERRITORY_THRESHOLD,
    VICTORY_PROXIMITY,
    ELIMINATED,
    STACKS,
    CLOSURE,
    SINGLE_STACK,
    TERRITORY,
    VULNERABLE,
    OVERTAKE,
    RECOVERY_ELIGIBLE,
    LINE_POTENTIAL,
    CHAIN_RISK,
    CAP_HEIGHT,
    OPPONENT_THREAT,
    LINE_CONNECTIVITY,
    OPPONENT_VICTORY,
    BURIED_RECOVERY,
    CHAIN_POTENTIAL,
    STACK_HEIGHT,
    TERRITORY_SAFETY,
    TEMPO,
    EXPANSION,
    FOUR,
    BLOCKED,
    CENTRE,
    MOBILITY,
    STACK_MOBILITY,
    FORCED_RISK,
    HAND,
    BURIED,
    ADJACENCY,
    MARKER,
    GAP,
) = range(36)


@kernel
def measure(g: Any, s: Any, centre: Any, hit: Any, f: Any) -> None:
    """Fill `f[seat, feature]` for every seat of the state; `hit` is a row map to work in."""
    seats = s["seats"]
    for seat in range(seats):
        for feature in range(f.shape[1]):
            f[seat, feature] = 0.0
    for row in range(g["rows"]):
        hit[row] = 0
    for seat in range(seats):
        _measure_stacks(g, s, centre, hit, f, seat)
    for seat in range(seats):
        _measure_rows(g, s, hit, f, seat)
        _measure_lines(g, s, f, seat)
        _measure_counters(s, f, seat)
    _measure_race(s, f)


@kernel
def _measure_stacks(g: Any, s: Any, centre: Any, hit: Any, f: Any, seat: int) -> None:
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
def _measure_rows(g: Any, s: Any, hit: Any, f: Any, seat: int) -> None:
    """What neighbours what: stacks beside stacks and free cells, markers beside barriers and the edge."""
    slant = g["hex"]
    above_tops = 0
    above_marks = 0
    above_wall = 0
    above_free = 0
    adjacent = 0
    links = 0
    near = 0
    for row in range(g["rows"]):
        tops = np.int64(s["tops"][seat, row])
        marks = np.int64(s["marks"][seat, row])
        inside = np.int64(g["inside"][row])
        wall = marks | np.int64(s["collapsed"][row])
        free = inside & ~np.int64(s["blocked"][row])
        adjacent += popcount(tops & tops >> 1)
        adjacent += popcount(tops & (above_tops | above_tops >> 1))
        links += popcount(marks & wall >> 1) + popcount(marks >> 1 & wall)
        links += popcount(marks & (above_wall | above_wall >> 1)) + popcount(wall & (above_marks | above_marks >> 1))
        if not slant:
            adjacent += popcount(tops & above_tops << 1)
            links += popcount(marks & above_wall << 1) + popcount(wall & above_marks << 1)
        near += popcount((tops << 1 | tops >> 1 | above_tops | above_tops >> slant) & free)
        near += popcount((tops | tops << slant) & above_free)
        links += popcount(marks & ~(inside << 1 & inside >> 1))
        f[seat, VULNERABLE] += popcount(hit[row] & tops)
        above_tops = tops
        above_marks = marks
        above_wall = wall
        above_free = free
    f[seat, ADJACENCY] = adjacent
    f[seat, CLOSURE] = links
    f[seat, EXPANSION] = near


@kernel
def _measure_lines(g: Any, s: Any, f: Any, seat: int) -> None:
    """Markers of one colour in a row, and the cells that would complete a line."""
    if s["markers"][seat] < 2:
        return
    pairs_in_all = 0
    gaps = 0
    fours = 0
    chances = 0
    for line in range(g["lines"]):
        marks = np.int64(s["marks"][seat, line])
        if marks & (marks - 1) == 0:
            continue
        free = ~np.int64(s["blocked"][line])
        pairs = marks & marks >> 1
        split = marks & marks >> 2 & ~(marks >> 1) & free >> 1
        pairs_in_all += popcount(pairs)
        gaps += popcount(split)
        fours += popcount(pairs & pairs >> 2)
        if s["line_length"] == 3:
            chances += popcount(split) + popcount(pairs << 2 & free) + popcount(pairs >> 1 & free)
        else:
            triples = pairs & marks >> 2
            chances += popcount(triples << 3 & free) + popcount(triples >> 1 & free)
            chances += popcount(pairs & marks >> 3 & free >> 2) + popcount(marks & pairs >> 2 & free >> 1)
    f[seat, LINE_CONNECTIVITY] = pairs_in_all
    f[seat, GAP] = gaps
    f[seat, FOUR] = fours
    f[seat, LINE_POTENTIAL] = chances


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
        f[seat, RING_THRESHOLD] = rings
        f[seat, TERRITORY_THRESHOLD] = ground
        f[seat, VICTORY_PROXIMITY] = max(rings, ground) ** 2
        f[seat, TERRITORY_SAFETY] = (2 * s["terr"][seat] - total) / s["terr_goal"]
        won = rings == 1.0 or (ground == 1.0 and 2 * s["terr"][seat] > total)
        f[seat, VICTORY] = s["winner"] == seat if s["phase"] == OVER else won
    for seat in range(s["seats"]):
        for other in range(s["seats"]):
            if other != seat:
                f[seat, OPPONENT_VICTORY] = max(f[seat, OPPONENT_VICTORY], f[other, VICTORY_PROXIMITY])


@entry
def measure_entry(g: Any, s: Any, centre: Any, hit: Any, f: Any) -> None:
    measure(g, s, centre, hit, f)


@kernel
def _payer(s: Any, out: Any, n: int) -> int:
    """The choice that costs the smallest cap."""
    best = 0
    for index in range(1, n):
        if s["cap"][field_a(out[index])] < s["cap"][field_a(out[best])]:
            best = index
    return best


@kernel
def finish_turn(g: Any, s: Any, scratch: Any, out: Any) -> None:
    """Play the rest of the turn."""
    while True:
        phase = s["phase"]
        if phase == CAP:
            s["phase"] = LINE
            s["active"] = -1
            continue
        n = list_legal(g, s, scratch, out)
        if n == 0:
            s["active"] = -1
            if phase == LINE:
                s["phase"] = TERR
            elif phase == TERR:
                s["phase"] = FE
            elif phase == FE:
                break
            else:
                s["phase"] = LINE
            continue
        pick = 0
        if phase == LELIM or phase == TELIM or phase == FE:
            pick = _payer(s, out, n)
        apply_move(g, s, scratch, out[pick])
    check_end_of_turn(g, s)


@kernel
def judge_state(g: Any, s: Any, weights: Any, centre: Any, hit: Any, f: Any, seat: int) -> float:
    measure(g, s, centre, hit, f)
    own = 0.0
    best = -1e9
    for other in range(s["seats"]):
        total = 0.0
        for feature in range(f.shape[1]):
            total += weights[feature] * f[other, feature]
        if other == seat:
            own = total
        else:
            best = max(best, total)
    return own - best


@kernel
def value_leaf(g, s, scratch, weights, centre, hit, f, out, seat, mode):
    if mode > 0 and s["phase"] != MOVE and s["phase"] != PLACE:
        finish_turn(g, s, scratch, out)
        if s["phase"] != OVER:
            s["player"] = (s["player"] + 1) % s["seats"]
    return judge_state(g, s, weights, centre, hit, f, seat)


@entry
def value_moves(g, states, moves, offsets, weights, centre, values, spare, scratch, hit, f, out, out2, mode, first, end):
    for game in range(first, end):
        for index in range(offsets[game], offsets[game + 1]):
            seat = states[game]["player"]
            if kind_of(moves[index]) == SWAP:
                seat = 1 - seat
            spare[0] = states[game]
            s = spare[0]
            apply_move(g, s, scratch[0], moves[index])
            if mode < 2 or s["phase"] != MOVE:
                values[index] = value_leaf(g, s, scratch[0], weights, centre, hit, f, out, seat, mode)
                continue
            n = list_legal(g, s, scratch[0], out2)
            if n == 0:
                values[index] = value_leaf(g, s, scratch[0], weights, centre, hit, f, out, seat, mode)
                continue
            best = -1e9
            for k in range(n):
                spare[1] = s
                apply_move(g, spare[1], scratch[0], out2[k])
                best = max(best, value_leaf(g, spare[1], scratch[0], weights, centre, hit, f, out, seat, mode))
            values[index] = best
