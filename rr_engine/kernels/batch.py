"""Many games in one array: a worker advances its slice and lists what is legal there, one game behind the other."""

from __future__ import annotations

import numpy as np

from rr_engine.kernels.ending import rank_seats
from rr_engine.kernels.jit import entry
from rr_engine.kernels.layout import OVER
from rr_engine.kernels.turn import advance

KEEP = np.int64(-2)  # in place of a move: this game stays as it is


@entry
def advance_slice(g, states, moves, first, last, scratch, legal, offsets, capacity, out, used, counts):
    """Apply `moves[i]` to `states[i]` for games first..last-1; append their legal moves to `out[used:]`.

    Numbers of legal moves go to `counts`. A game to KEEP keeps the list it has in `legal` (see `offsets`). Stops where
    `out` could be too small for the next game, which any list of `capacity` must fit; returns (next game, room used).
    """
    for game in range(first, last):
        if moves[game] == KEEP:
            start = offsets[game]
            n = offsets[game + 1] - start
            if out.size - used < n:
                return game, used
            for index in range(n):
                out[used + index] = legal[start + index]
        else:
            if out.size - used < capacity:
                return game, used
            n = advance(g, states[game], scratch, moves[game], out[used:])
        counts[game] = n
        used += n
    return last, used


@entry
def first_illegal(moves, legal, offsets):
    """The first game whose move is neither KEEP nor in its list of `legal`, -1 if there is none."""
    for game in range(moves.size):
        move = moves[game]
        found = move == KEEP
        for index in range(offsets[game], offsets[game + 1]):
            found = found or legal[index] == move
        if not found:
            return game
    return -1


@entry
def rank_games(states, ranks):
    """Fill `ranks[game, :seats]` of every finished game; rows of other games stay as they are."""
    for game in range(states.size):
        if states[game]["phase"] == OVER:
            rank_seats(states[game], ranks[game])
