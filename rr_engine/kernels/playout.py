"""Whole games by uniform random play: the engine's benchmark and the leaf of flat Monte Carlo."""

from __future__ import annotations

import numpy as np

from rr_engine.kernels.jit import entry, kernel
from rr_engine.kernels.layout import NO_MOVE
from rr_engine.kernels.turn import advance


@kernel
def next_random(rng):
    """Step the xorshift generator in `rng[0]` (uint64, not 0); returns 32 random bits (Marsaglia 2003)."""
    word = rng[0]
    word ^= word << np.uint64(13)
    word ^= word >> np.uint64(7)
    word ^= word << np.uint64(17)
    rng[0] = word
    return np.int64(word >> np.uint64(32))


@kernel
def random_below(rng, bound):
    """A random number in 0..bound-1."""
    return (next_random(rng) * bound) >> 32


@kernel
def play_randomly(g, s, scratch, out, rng):
    """Play `s` to its end; returns the number of decisions made."""
    decisions = 0
    n = advance(g, s, scratch, NO_MOVE, out)
    while n > 0:
        decisions += 1
        n = advance(g, s, scratch, out[random_below(rng, n)], out)
    return decisions


@entry
def play_games(g, start, states, scratch, out, rng, games):
    """`games` random games from `start[0]` in `states[0]`; returns decisions made in all."""
    decisions = 0
    for _ in range(games):
        states[0] = start[0]
        decisions += play_randomly(g, states[0], scratch, out, rng)
    return decisions
