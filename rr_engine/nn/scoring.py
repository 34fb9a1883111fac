"""What is left to compute from what a network says of a board, as kernels: moves' logits, seats' chances."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rr_engine.kernels.jit import entry


class MoveWeights(NamedTuple):
    """Weights of `network.MoveHead` that meet a move, not a cell."""

    kind: Any  # [MOVE_KINDS, channels]
    facts: Any  # [MOVE_FACTS, channels]
    out: Any  # [channels]
    bias: float


@entry
def score_moves(
    weights: Any,
    seen: Any,
    board: Any,
    offsets: Any,
    kinds: Any,
    cells: Any,
    facts: Any,
    places: Any,
    hidden: Any,
    logits: Any,
) -> None:
    """Fill `logits` [moves] as `MoveHead` computes them.

    `seen` [decisions, places, parts, channels] is what each place says in each part of a move; `board` [decisions,
    channels]; `places` [cells + 1] where in `seen` a cell is, -1 for none; the moves are ragged by `offsets`. `hidden`
    [channels] is memory to work in.
    """
    channels = weights.out.size
    for decision in range(offsets.size - 1):
        for move in range(offsets[decision], offsets[decision + 1]):
            kind = kinds[move]
            for channel in range(channels):
                hidden[channel] = weights.kind[kind, channel] + board[decision, channel]
            for fact in range(facts.shape[1]):
                size = facts[move, fact]
                if size != 0:
                    for channel in range(channels):
                        hidden[channel] += size * weights.facts[fact, channel]
            for part in range(cells.shape[1]):
                place = places[cells[move, part]]
                if place >= 0:
                    for channel in range(channels):
                        hidden[channel] += seen[decision, place, part, channel]
            logit = weights.bias
            for channel in range(channels):
                logit += max(hidden[channel], np.float32(0)) * weights.out[channel]
            logits[move] = logit


@entry
def share_chances(values: Any, movers: Any, chances: Any) -> None:
    """Fill `chances` [decisions, seats] with the softmax of `values` [decisions, MAX_SEATS], turned to begin at seat 0.

    The columns of `values` begin with who decides, `movers` [decisions]; absent seats have -inf.
    """
    seats = chances.shape[1]
    for row in range(movers.size):
        top, total = -np.inf, 0.0
        for relative in range(seats):
            top = max(top, np.float64(values[row, relative]))
        for relative in range(seats):
            chance = np.exp(np.float64(values[row, relative]) - top)
            chances[row, (movers[row] + relative) % seats] = chance
            total += chance
        for seat in range(seats):
            chances[row, seat] /= total
