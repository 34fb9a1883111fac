"""Playing recorded moves again, checking each against the legal list."""

from __future__ import annotations

from rr_engine.kernels.jit import entry
from rr_engine.kernels.layout import NO_MOVE, NONE_YET
from rr_engine.kernels.turn import advance


@entry
def replay_moves(g, s, scratch, out, played, counts, phases, seats):
    """Play `played` on `s`; returns how many were legal in turn, which is all of them unless the record is wrong.

    Fills, per decision made, `counts` (legal moves there), `phases` and `seats` (who decided).
    """
    n = advance(g, s, scratch, NO_MOVE, out)
    for index in range(len(played)):
        move = played[index]
        found = False
        for other in range(n):
            found = found or out[other] == move
        if not found:
            return NONE_YET + index
        counts[index] = n
        phases[index] = s["phase"]
        seats[index] = s["player"]
        n = advance(g, s, scratch, move, out)
    return NONE_YET + len(played)
