"""The legal decisions of the present phase (rules 4)."""

from __future__ import annotations

from rr_engine.kernels.elimination import list_controlled, list_extractions
from rr_engine.kernels.jit import kernel
from rr_engine.kernels.layout import (
    CAP,
    CHAIN,
    FE,
    FORCED,
    LELIM,
    LINE,
    MOVE,
    NONE_YET,
    PAYMENT,
    PLACE,
    SKIP,
    SWAP,
    TELIM,
    TERR,
)
from rr_engine.kernels.lines import list_lines
from rr_engine.kernels.movement import list_captures_from, list_moves, list_moves_from
from rr_engine.kernels.moves import pack
from rr_engine.kernels.placement import list_placements
from rr_engine.kernels.reach import has_mobile_stack
from rr_engine.kernels.recovery import is_eligible, list_slides
from rr_engine.kernels.territory import list_regions


@kernel
def _list_place(g, s, out):
    n = list_placements(g, s, out, NONE_YET)
    if n == 0:
        return NONE_YET
    seat = s["player"]
    if has_mobile_stack(g, s, seat) if s["stacks"][seat] > 0 else is_eligible(s, seat):
        out[n] = pack(SKIP, PLACE)
        n += 1
    if s["pie_open"] and seat == 1:
        out[n] = pack(SWAP)
        n += 1
    return n


@kernel
def _list_move(g, s, out):
    seat = s["player"]
    if s["active"] >= 0:
        return list_moves_from(g, s, s["active"], out, NONE_YET)
    if s["stacks"][seat] > 0:
        return list_moves(g, s, out, NONE_YET)
    if not is_eligible(s, seat):
        return NONE_YET
    n = list_slides(g, s, out, NONE_YET)
    if n > 0:
        out[n] = pack(SKIP, MOVE)
        n += 1
    return n


@kernel
def _list_captures(g, s, phase, out):
    cell = s["active"]
    if s["owner"][cell] != s["player"] or s["height"][cell] == 0:
        return NONE_YET
    n = list_captures_from(g, s, cell, out, NONE_YET)
    if n > 0 and phase == CAP:
        out[n] = pack(SKIP, CAP)
        n += 1
    return n


@kernel
def list_legal(g, s, scratch, out):
    """Fill `out` with the legal moves of the present phase; returns their number, 0 where it passes by itself.

    `out` holds at least `boards.Board.legal_capacity` codes. A lone skip is no decision and is not listed.
    """
    phase = s["phase"]
    if phase == PLACE:
        return _list_place(g, s, out)
    if phase == MOVE:
        return _list_move(g, s, out)
    if phase == CAP or phase == CHAIN:
        return _list_captures(g, s, phase, out)
    if phase == LINE:
        return list_lines(g, s, out, NONE_YET)
    if phase == TERR:
        n = list_regions(g, s, scratch, out, NONE_YET)
        if n > 0:
            out[n] = pack(SKIP, TERR)
            n += 1
        return n
    if phase == LELIM or (phase == TELIM and s["rec_turn"] == 0):
        return list_controlled(g, s, PAYMENT, out, NONE_YET)
    if phase == TELIM:
        return list_extractions(g, s, PAYMENT, out, NONE_YET)
    if phase == FE and s["acted"] == 0:
        return list_controlled(g, s, FORCED, out, NONE_YET)
    return NONE_YET
