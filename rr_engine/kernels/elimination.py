"""Rings leaving the game, credited to the mover: payments, forced elimination, extraction (rules 5.5-5.8)."""

from __future__ import annotations

import numpy as np

from rr_engine.kernels.bits import lowest_bit
from rr_engine.kernels.cells import change_stack
from rr_engine.kernels.jit import kernel
from rr_engine.kernels.layout import RING_BITS
from rr_engine.kernels.moves import pack


@kernel
def list_controlled(g, s, kind, out, n):
    """Append a move of `kind` for every stack the mover controls."""
    seat = s["player"]
    for row in range(g["rows"]):
        tops = np.int64(s["tops"][seat, row])
        while tops:
            out[n] = pack(kind, np.int64(g["cell_at"][row, lowest_bit(tops)]))
            n += 1
            tops &= tops - 1
    return n


@kernel
def lowest_ring(s, cell, seat):
    """Index from the top of the lowest ring of `seat` in the stack on `cell`, -1 if it has none."""
    rings = s["rings"][cell]
    index = np.int64(s["height"][cell]) - 1
    while index >= 0 and (rings >> (RING_BITS * index)) & 3 != seat:
        index -= 1
    return index


@kernel
def list_extractions(g, s, kind, out, n):
    """Append a move of `kind` for every stack with a buried ring of the mover."""
    seat = s["player"]
    for row in range(g["rows"]):
        for controller in range(s["seats"]):
            tops = np.int64(s["tops"][controller, row])
            while tops:
                cell = np.int64(g["cell_at"][row, lowest_bit(tops)])
                tops &= tops - 1
                if lowest_ring(s, cell, seat) > 0:
                    out[n] = pack(kind, cell)
                    n += 1
    return n


@kernel
def remove_top(g, s, cell):
    """The top ring of the stack on `cell` is eliminated by the mover."""
    rings = s["rings"][cell]
    s["on_board"][rings & 3] -= 1
    s["elim"][s["player"]] += 1
    change_stack(g, s, cell, rings >> RING_BITS, np.int64(s["height"][cell]) - 1)


@kernel
def remove_cap(g, s, cell):
    """The whole cap of the stack on `cell` is eliminated by the mover."""
    cap = np.int64(s["cap"][cell])
    rings = s["rings"][cell]
    s["on_board"][rings & 3] -= cap
    s["elim"][s["player"]] += cap
    change_stack(g, s, cell, rings >> (RING_BITS * cap), np.int64(s["height"][cell]) - cap)


@kernel
def extract(g, s, cell):
    """The mover's lowest ring in the stack on `cell` is eliminated by the mover; the rest closes up."""
    seat = s["player"]
    shift = RING_BITS * lowest_ring(s, cell, seat)
    rings = s["rings"][cell]
    above = rings & ((1 << shift) - 1)
    below = rings >> (shift + RING_BITS)
    s["on_board"][seat] -= 1
    s["elim"][seat] += 1
    change_stack(g, s, cell, above | (below << shift), np.int64(s["height"][cell]) - 1)
