"""What a position holds for every seat, as numbers: what the heuristic weighs and a network is told."""

from __future__ import annotations

import numpy as np

from rr_engine.kernels.bits import lowest_bit, popcount
from rr_engine.kernels.jit import entry, kernel
from rr_engine.kernels.layout import ALTERNATE, BACKWARD, FORWARD, OVER, RING_BITS
from rr_engine.kernels.reach import passable_run
from rr_engine.kernels.recovery import is_eligible

# Columns of the features; `heuristic.weights` says in words what they are.
VICTORY, NO_STACKS, RING_THRESHOLD, TERRITORY_THRESHOLD, VICTORY_PROXIMITY, ELIMINATED, STACKS, CLOSURE = range(8)
SINGLE_STACK, TERRITORY, VULNERABLE, OVERTAKE, RECOVERY_ELIGIBLE, LINE_POTENTIAL, CHAIN_RISK = range(8, 15)
CAP_HEIGHT, OPPONENT_THREAT, LINE_CONNECTIVITY, OPPONENT_VICTORY, BURIED_RECOVERY, CHAIN_POTENTIAL = range(15, 21)
STACK_HEIGHT, TERRITORY_SAFETY, TEMPO, EXPANSION, FOUR, BLOCKED, CENTRE, MOBILITY = range(21, 29)
STACK_MOBILITY, FORCED_RISK, HAND, BURIED, ADJACENCY, MARKER, GAP = range(29, 36)
FEATURES = 36


@entry
def measure(g, s, hit, centre, f):
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
def _measure_stacks(g, s, hit, centre, f, seat):
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
def _measure_buried(s, f, seat, cell, height, cap):
    """Rings under another colour's cap: lost for now; the topmost of them come back when the cap goes."""
    rings = s["rings"][cell]
    inside = ALTERNATE & ((1 << (RING_BITS * height)) - 1)
    for other in range(s["seats"]):
        if other != seat:
            unlike = rings ^ (other * ALTERNATE)
            f[other, BURIED] += popcount(~(unlike | unlike >> 1) & inside)
    f[rings >> (RING_BITS * cap) & 3, BURIED_RECOVERY] += 1.0 / cap


@kernel
def _measure_reach(g, s, hit, f, seat, cell, height, cap):
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
def _measure_neighbours(g, s, hit, f, seat):
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
def _measure_closure(g, s, f, seat):
    """How own markers continue barriers: once for each neighbour that is one too or territory, and at the edge."""
    last = g["rows"] - 1
    slant = g["hex"]
    links = 0
    above_marks = 0
    above_wall = 0
    for row in range(last + 1):
        marks = np.int64(s["marks"][seat, row])
        inside = np.int64(g["inside"][row])
        inner = inside << 1 & inside >> 1 if 0 < row < last else 0
        wall = marks | np.int64(s["collapsed"][row])
        links += popcount(marks & wall >> 1) + popcount(marks >> 1 & wall)
        links += popcount(marks & above_wall) + popcount(wall & above_marks)
        links += popcount(marks & above_wall >> 1) + popcount(wall & above_marks >> 1)
        if not slant:
            links += popcount(marks & above_wall << 1) + popcount(wall & above_marks << 1)
        links += popcount(marks & ~inner)
        above_marks = marks
        above_wall = wall
    f[seat, CLOSURE] = links


@kernel
def _measure_lines(g, s, f, seat):
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
def _measure_counters(s, f, seat):
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
def _measure_race(s, f):
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
