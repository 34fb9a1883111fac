"""The turn: apply a decision, pass what needs none, hand over (rules 4).

place -> move -> (cap | chain) -> line (-> lelim) -> terr (-> telim) -> fe -> next seat. Every turn comes through `fe`;
there a seat that has acted, or controls no stack, has nothing to decide.
"""

from __future__ import annotations

from rr_engine.kernels.elimination import extract, remove_cap, remove_top
from rr_engine.kernels.ending import check_end_of_turn, is_out, note_out, tick_last_player_standing
from rr_engine.kernels.jit import entry, kernel
from rr_engine.kernels.layout import (
    CAP,
    CAPTURE,
    CHAIN,
    FE,
    FORCED,
    LELIM,
    LINE,
    LINE_WHOLE,
    LINE_WINDOW,
    MOVE,
    NO_MOVE,
    NONE_YET,
    OVER,
    PAYMENT,
    PLACE,
    PLACEMENT,
    PLAIN,
    REGION,
    SKIP,
    SLIDE_FALLBACK,
    SLIDE_LINE,
    SLIDE_STRIKE,
    SWAP,
    TELIM,
    TERR,
)
from rr_engine.kernels.legal import list_legal
from rr_engine.kernels.lines import collapse_run
from rr_engine.kernels.movement import capture, move_stack
from rr_engine.kernels.moves import field_a, field_b, field_c, field_d, kind_of
from rr_engine.kernels.placement import place
from rr_engine.kernels.recovery import slide_fallback, slide_strike, slide_whole, slide_window
from rr_engine.kernels.territory import claim


@kernel
def _end_turn(g, s):
    """Evaluate victory, else hand over to the next seat that is not out."""
    check_end_of_turn(g, s)
    if s["phase"] == OVER:
        return
    seats = s["seats"]
    if s["player"] == 1:
        s["pie_open"] = 0
    following = (s["player"] + 1) % seats
    for step in range(1, seats + 1):
        seat = (s["player"] + step) % seats
        if not is_out(s, seat):
            following = seat
            break
    s["turn"] += 1
    note_out(s)
    s["player"] = following
    s["phase"] = PLACE
    s["active"] = -1
    s["acted"] = 0
    s["rec_turn"] = 0
    tick_last_player_standing(g, s)


@kernel
def _leave_phase(s):
    """On to the next phase of the turn, nothing (more) being decided in this one."""
    phase = s["phase"]
    if phase == PLACE:
        s["phase"] = MOVE
        return
    s["active"] = -1
    if phase == LINE:
        s["phase"] = TERR
    elif phase == TERR:
        s["phase"] = FE
    else:
        s["phase"] = LINE


@kernel
def _apply_slide(g, s, move):
    source = field_a(move)
    cell = field_b(move)
    third = field_c(move)
    kind = kind_of(move)
    if kind == SLIDE_FALLBACK:
        slide_fallback(g, s, source, cell, third)
    elif kind == SLIDE_STRIKE:
        slide_strike(g, s, source, cell, third)
    elif kind == SLIDE_LINE:
        slide_whole(g, s, source, cell, third)
    else:
        slide_window(g, s, source, cell, third, field_d(move) & 15, field_d(move) >> 4)
    s["phase"] = LINE


@kernel
def _apply_line(g, s, move):
    seat = s["player"]
    collapse_run(g, s, field_a(move), field_c(move), field_d(move), seat)
    s["acted"] = 1
    if kind_of(move) == LINE_WHOLE and s["stacks"][seat] > 0:
        s["phase"] = LELIM


@kernel
def _apply_payment(g, s, cell):
    if s["phase"] == LELIM:
        remove_top(g, s, cell)
        s["phase"] = LINE
        return
    if s["rec_turn"]:
        extract(g, s, cell)
    else:
        remove_cap(g, s, cell)
    s["phase"] = TERR


@kernel
def apply_move(g, s, scratch, move):
    """Carry out one legal `move`; the state then stands in the phase it leads to, which may need no decision."""
    kind = kind_of(move)
    if s["player"] == 1:
        s["pie_open"] = 0
    if kind == PLACEMENT:
        place(g, s, field_a(move), field_b(move))
        s["phase"] = MOVE
    elif kind == PLAIN:
        move_stack(g, s, field_a(move), field_b(move))
        s["phase"] = CAP
    elif kind == CAPTURE:
        capture(g, s, field_a(move), field_b(move), field_c(move))
        s["phase"] = CHAIN
    elif kind == SKIP:
        _leave_phase(s)
    elif kind == LINE_WHOLE or kind == LINE_WINDOW:
        _apply_line(g, s, move)
    elif kind == PAYMENT:
        _apply_payment(g, s, field_a(move))
    elif kind == REGION:
        claim(g, s, scratch, field_a(move), field_b(move))
        s["phase"] = TELIM
    elif kind == FORCED:
        remove_cap(g, s, field_a(move))
        s["acted"] = 1
    elif kind == SWAP:
        s["swapped"] = 1
    else:
        _apply_slide(g, s, move)


@kernel
def _go_on(g, s, scratch, out, hands_over):
    """Pass every phase that needs no decision, up to the end of the turn, or beyond it if `hands_over`."""
    while s["phase"] != OVER:
        n = list_legal(g, s, scratch, out)
        if n > 0:
            return n
        if s["phase"] != FE:
            _leave_phase(s)
        elif hands_over:
            _end_turn(g, s)
        else:
            check_end_of_turn(g, s)
            return NONE_YET
    return NONE_YET


@kernel
def advance_within_turn(g, s, scratch, move, out):
    """As `advance`, but stops where the turn is over, before it is handed on: 0 then, too."""
    apply_move(g, s, scratch, move)
    return _go_on(g, s, scratch, out, False)


@entry
def advance(g, s, scratch, move, out):
    """Apply the legal `move` (or none, with NO_MOVE), then pass every phase that needs no decision.

    Returns the number of legal moves now in `out`, 0 when the game is over.
    """
    if move != NO_MOVE:
        apply_move(g, s, scratch, move)
    return _go_on(g, s, scratch, out, True)
