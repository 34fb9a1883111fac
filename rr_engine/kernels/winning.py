"""Wins within a turn: everything the mover can do until its turn ends is tried (rules 4, 6)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rr_engine.kernels.jit import entry, kernel
from rr_engine.kernels.layout import OVER
from rr_engine.kernels.turn import advance_within_turn

_DEPTH = 24  # decisions of one turn that are followed
_LOOKS = np.int64(100_000)  # moves tried from one position, at most


class Room(NamedTuple):
    """What a worker needs to follow a turn; contents never outlive a call."""

    states: Any  # [depth + 1] states
    lists: Any  # [depth + 1, capacity] their legal moves
    counts: Any  # [depth + 1] how many
    tried: Any  # [depth + 1] how many of them have been tried


def make_room(state_dtype: np.dtype[np.void], capacity: int) -> Room:
    """Room for turns of a board whose lists of legal moves have at most `capacity` entries."""
    depth = _DEPTH + 1
    counts, tried = np.zeros((2, depth), np.int64)
    return Room(np.zeros(depth, state_dtype), np.empty((depth, capacity), np.int64), counts, tried)


@kernel
def has_win(g, scratch, room, looks):
    """(whether the mover of `room.states[0]` can win before its turn ends, looks left)."""
    seat = room.states[0]["player"]
    swapped = room.states[0]["swapped"]
    depth = 0
    room.tried[0] = 0
    while looks > 0:
        if room.tried[depth] == room.counts[depth]:
            if depth == 0:
                break
            depth -= 1
            continue
        move = room.lists[depth, room.tried[depth]]
        room.tried[depth] += 1
        looks -= 1
        following = depth + 1
        room.states[following] = room.states[depth]
        s = room.states[following]
        n = advance_within_turn(g, s, scratch, move, room.lists[following])
        if s["phase"] == OVER and s["winner"] == seat:
            return True, looks
        if n > 0 and s["swapped"] == swapped and following < room.counts.size - 1:
            depth = following
            room.counts[depth] = n
            room.tried[depth] = 0
    return False, looks


@entry
def mark_wins(g, states, moves, offsets, tried, scratch, room, wins):
    """Set `wins[move]` for legal moves with which the mover wins before its turn ends, whatever others do.

    Moves are ragged by `offsets`; only games that are `tried` are looked at.
    """
    for game in range(states.size):
        if not tried[game]:
            continue
        looks = _LOOKS
        for index in range(offsets[game], offsets[game + 1]):
            room.states[0] = states[game]
            room.lists[0, 0] = moves[index]
            room.counts[0] = 1
            wins[index], looks = has_win(g, scratch, room, looks)
