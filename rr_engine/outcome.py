"""How a finished game came out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rr_engine.kernels import ending, layout

ENDS = ("", "elim", "terr", "sole", "last3", "stale-terr", "stale-elim", "stale-mark", "stale-actor")


@dataclass(frozen=True)
class Outcome:
    """Result of a game, one entry per seat where plural (trace format, field `res`).

    `elim` counts rings in hand too where a stalemate turned them in. `out` is the turn a seat ran out of rings, None if
    it never did.
    """

    winner: int
    end: str
    ranks: tuple[int, ...]
    terr: tuple[int, ...]
    elim: tuple[int, ...]
    markers: tuple[int, ...]
    out: tuple[int | None, ...]
    turns: int


def outcome_of(state: NDArray[np.void]) -> Outcome | None:
    """The outcome of a state, None while the game goes on."""
    s = state[0]
    if s["phase"] != layout.OVER:
        return None
    seats = int(s["seats"])
    ranks = np.zeros(seats, np.int64)
    ending.rank_seats(s, ranks)
    hands = s["hand"] if s["hand_counts"] else np.zeros_like(s["hand"])
    return Outcome(
        winner=int(s["winner"]),
        end=ENDS[int(s["end"])],
        ranks=tuple(ranks.tolist()),
        terr=tuple(s["terr"][:seats].tolist()),
        elim=tuple((s["elim"] + hands)[:seats].tolist()),
        markers=tuple(s["markers"][:seats].tolist()),
        out=tuple(None if turn < 0 else turn for turn in s["out_turn"][:seats].tolist()),
        turns=int(s["turn"]),
    )
