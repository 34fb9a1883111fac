"""Regions: find, claim (rules 5.7). Cell sets are one word per row, filled by whole runs."""

from __future__ import annotations

import numpy as np

from rr_engine.kernels.bits import highest_bit, lowest_bit, popcount
from rr_engine.kernels.cells import collapse, lift_stack
from rr_engine.kernels.elimination import lowest_ring
from rr_engine.kernels.jit import entry, kernel
from rr_engine.kernels.layout import NONE_YET, REGION, RING_BITS, STACK
from rr_engine.kernels.moves import field_a, field_b, field_c, kind_of, pack


@kernel
def _runs_touching(free, seeds):
    """All runs of `free` that hold a bit of `seeds` (a subset of `free`)."""
    found = 0
    while seeds:
        pos = lowest_bit(seeds)
        start = highest_bit(~free & ((1 << pos) - 1)) + 1
        run = ((1 << (pos + lowest_bit(~(free >> pos)))) - 1) & ~((1 << start) - 1)
        found |= run
        seeds &= ~run
    return found


@kernel
def _fill(g, free, region, row, bit):
    """`region` becomes the component of `free` that holds `bit` of `row`, by alternate sweeps down and up."""
    rows = g["rows"]
    slant = g["hex"]
    for other in range(rows):
        region[other] = 0
    region[row] = _runs_touching(free[row], bit)
    low = row
    high = row
    sweep = 2  # both directions once, then as long as the other one found something
    downwards = True
    while sweep > 0:
        found = False
        if downwards:
            y = low + 1
            while y < rows and y <= high + 1:
                above = region[y - 1]
                seeds = (above | (above >> slant)) & free[y] & ~region[y]
                if seeds:
                    region[y] = region[y] | _runs_touching(free[y], seeds)
                    found = True
                    high = max(high, y)
                y += 1
        else:
            y = high - 1
            while y >= 0 and y >= low - 1:
                below = region[y + 1]
                seeds = (below | (below << slant)) & free[y] & ~region[y]
                if seeds:
                    region[y] = region[y] | _runs_touching(free[y], seeds)
                    found = True
                    low = min(low, y)
                y -= 1
        sweep = 1 if found else sweep - 1
        downwards = not downwards


@kernel
def _free_rows(g, s, border, free):
    """What is no barrier: pass 0 collapsed cells only, pass b + 1 also the markers of colour b."""
    for row in range(g["rows"]):
        open_cells = np.int64(g["inside"][row]) & ~np.int64(s["collapsed"][row])
        if border > 0:
            open_cells &= ~np.int64(s["marks"][border - 1, row])
        free[row] = open_cells


@kernel
def _controllers(g, s, region):
    """Seats that control a stack in `region`, as a mask."""
    mask = 0
    for seat in range(s["seats"]):
        for row in range(g["rows"]):
            if np.int64(s["tops"][seat, row]) & region[row]:
                mask |= 1 << seat
                break
    return mask


@kernel
def _can_pay(g, s, region):
    """Whether a stack outside `region` can pay for it (rules 5.7 "Claimable")."""
    seat = s["player"]
    for row in range(g["rows"]):
        outside = ~region[row]
        if s["rec_turn"] == 0:
            if np.int64(s["tops"][seat, row]) & outside:
                return True
            continue
        for controller in range(s["seats"]):
            tops = np.int64(s["tops"][controller, row]) & outside
            while tops:
                if lowest_ring(s, np.int64(g["cell_at"][row, lowest_bit(tops)]), seat) > 0:
                    return True
                tops &= tops - 1
    return False


@kernel
def _size(g, region):
    total = 0
    for row in range(g["rows"]):
        total += popcount(region[row])
    return total


@kernel
def _is_listed(g, s, scratch, out, first, n, lowest, size):
    """Whether the region in scratch already stands in `out[first:n]`, found through another border colour [C15]."""
    region = scratch["region"]
    other = scratch["other"]
    for index in range(first, n):
        move = out[index]
        if kind_of(move) == REGION and field_a(move) == lowest and field_c(move) == size:
            load_region(g, s, scratch["border"], other, lowest, field_b(move))
            same = True
            for row in range(g["rows"]):
                same = same and region[row] == other[row]
            if same:
                return True
    return False


@entry
def load_region(g, s, free, region, lowest, border):
    """`region` becomes the component of pass `border` that holds the cell `lowest`."""
    _free_rows(g, s, border, free)
    _fill(g, free, region, np.int64(g["line_of"][lowest, 0]), 1 << np.int64(g["pos_of"][lowest, 0]))


@kernel
def _list_pass(g, s, scratch, border, present, out, first, n):
    """Append the claimable regions of one pass; `present` is K, the colours with a ring in any stack."""
    free = scratch["free"]
    left = scratch["left"]
    region = scratch["region"]
    _free_rows(g, s, border, free)
    for row in range(g["rows"]):
        left[row] = free[row]
    whole = True
    for row in range(g["rows"]):
        while left[row]:
            bit = lowest_bit(left[row])
            _fill(g, free, region, row, 1 << bit)
            rest = 0
            for other in range(row, g["rows"]):
                left[other] = left[other] & ~region[other]
                rest |= left[other]
            if whole and rest == 0:
                return n  # one component holds every stack: nobody could pay
            whole = False
            inside = _controllers(g, s, region)
            if border > 0:
                is_region = inside != present
            else:
                is_region = popcount(inside) == 1 and popcount(present) > 1
            if is_region and _can_pay(g, s, region):
                lowest = np.int64(g["cell_at"][row, bit])
                size = _size(g, region)
                if not _is_listed(g, s, scratch, out, first, n, lowest, size):
                    out[n] = pack(REGION, lowest, border, size)
                    n += 1
    return n


@kernel
def list_regions(g, s, scratch, out, n):
    """Append every region the mover may claim to `out[n:]`; returns the new count."""
    first = n
    present = NONE_YET
    collapsed = 0
    for seat in range(s["seats"]):
        if s["on_board"][seat] > 0:
            present |= 1 << seat
        collapsed += s["terr"][seat]
    if present == 0:
        return n
    for border in range(s["seats"] + 1):
        markers = 0 if border == 0 else s["markers"][border - 1]
        if (border == 0 or markers > 0) and markers + collapsed >= g["least_barrier"]:
            n = _list_pass(g, s, scratch, border, present, out, first, n)
    return n


@kernel
def _row_markers(s, row):
    marks = 0
    for seat in range(s["seats"]):
        marks |= np.int64(s["marks"][seat, row])
    return marks


@kernel
def _grow_border(g, s, region, border):
    """`border` takes in every marker outside `region` that steps of the 8 vectors connect to it [C12]."""
    rows = g["rows"]
    grown = True
    while grown:
        grown = False
        for row in range(rows):
            near = border[row]
            if row > 0:
                near |= border[row - 1]
            if row < rows - 1:
                near |= border[row + 1]
            near = (near | near << 1 | near >> 1) & _row_markers(s, row) & ~region[row]
            if near & ~border[row]:
                border[row] = border[row] | near
                grown = True


@kernel
def _border_of(g, s, region, border):
    """`border` becomes the markers that go with `region` (rules 5.7 (1))."""
    rows = g["rows"]
    slant = g["hex"]
    for row in range(rows):
        near = region[row] << 1 | region[row] >> 1
        if row > 0:
            near |= region[row - 1] | region[row - 1] >> slant
        if row < rows - 1:
            near |= region[row + 1] | region[row + 1] << slant
        border[row] = near & _row_markers(s, row) & ~region[row]
    if g["border_grows"]:
        _grow_border(g, s, region, border)


@kernel
def claim(g, s, scratch, lowest, border_pass):
    """The mover claims the region of pass `border_pass` whose lowest cell is `lowest` (rules 5.7 "Claim")."""
    seat = s["player"]
    region = scratch["region"]
    border = scratch["border"]
    load_region(g, s, scratch["free"], region, lowest, border_pass)
    _border_of(g, s, region, border)
    for row in range(g["rows"]):
        cells = region[row]
        while cells:
            cell = np.int64(g["cell_at"][row, lowest_bit(cells)])
            cells &= cells - 1
            if s["kind"][cell] == STACK:
                rings = s["rings"][cell]
                for _ in range(s["height"][cell]):
                    s["on_board"][rings & 3] -= 1
                    rings >>= RING_BITS
                s["elim"][seat] += np.int64(s["height"][cell])
                lift_stack(g, s, cell)
            collapse(g, s, cell, seat)
        cells = border[row]
        while cells:
            collapse(g, s, np.int64(g["cell_at"][row, lowest_bit(cells)]), seat)
            cells &= cells - 1
    s["acted"] = 1
