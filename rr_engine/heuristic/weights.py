"""The frozen numbers of the yardstick: what every feature weighs, in points, and how an opening is judged.

A feature is a number per seat; a position is worth a seat's sum less that of its best opponent. About 50 points are one
nat of the odds to win. The weights began as a list handed down and were then fitted to the results of games between
players with different weights; docs/experiments.md has both and the matches that decided.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rr_engine.boards import Board

_TABLE = (
    ("victory", 1000.0),  # won, or at a threshold that wins when the turn ends
    ("no_stacks", 9.0),  # controls none: nothing to lose on the board
    ("ring_threshold", 105.0),  # square of eliminated rings over the threshold
    ("territory_threshold", 20.0),  # square of territory over the minimum that can win
    ("victory_proximity", 10.0),  # fourth power of the nearer of the two
    ("eliminated", 2.2),  # per eliminated ring
    ("stacks", 8.5),  # per stack controlled
    ("closure", 0.4),  # per neighbour of own markers that is one too or territory; per own marker at the edge
    ("single_stack", 6.5),  # controls exactly one
    ("territory", 0.8),  # per cell
    ("vulnerable", -2.4),  # per own stack that an opponent can capture
    ("overtake", 4.0),  # per own stack that can capture an opponent's
    ("recovery_eligible", 0.5),  # may slide markers
    ("line_potential", 0.3),  # per window of a line's length, free, at most two markers short
    ("chain_risk", 7.0),  # per further capture that an opponent's stack has against it
    ("cap_height", 1.6),  # per ring in own caps
    ("opponent_threat", 2.1),  # per line of attack on own stacks: it is mutual
    ("line_connectivity", 0.3),  # per pair of neighbouring markers
    ("opponent_victory", -110.0),  # `victory_proximity` of the nearest opponent
    ("buried_recovery", 0.3),  # per own ring right below an opponent's cap, over that cap's height
    ("chain_potential", 4.0),  # per further capture that an own stack has
    ("stack_height", 1.1),  # per ring in own stacks, any colour
    ("territory_safety", 1.6),  # more territory than all others together
    ("tempo", 5.0),  # is to move
    ("expansion", -1.0),  # per free cell beside own stacks
    ("four", 0.5),  # per free window of four cells with three markers
    ("blocked", 2.8),  # per own stack without a move
    ("centre", 0.3),  # per own stack in the middle of the board, less towards the edge
    ("mobility", -0.35),  # per move of own stacks
    ("stack_mobility", 0.1),  # per direction in which an own stack can move
    ("forced_risk", 3.3),  # all stacks blocked
    ("hand", 5.4),  # per ring in hand
    ("buried", 4.8),  # per own ring in opponents' stacks: still in play
    ("adjacency", -2.2),  # per pair of own stacks side by side
    ("marker", 3.6),  # per own marker
    ("gap", 0.4),  # per pair of markers with one free cell between
)
FEATURES = tuple(name for name, _ in _TABLE)
WEIGHTS = np.array([weight for _, weight in _TABLE])

BEAM = 64  # placements tried with every move after them; the others with one
SOFTNESS = 2.0  # points behind that make a move e times rarer at temperature 1

# The first turn under the pie rule: taken over when it is worth more than par. The two kinds of board differ in where a
# first stack stands well.
_OPENING_STRENGTH = 20.0  # one ring placed: the others are kept
_OPENING_CORNER = -8.0  # stack in a corner
_OPENING_CENTRE = {"square": 15.0, "hex": -15.0}  # stack in the middle, less towards the edge
_OPENING_PAR = {"square": 28.0, "hex": 10.0}


def openings(place: Board) -> NDArray[np.float64]:
    """[2, cells + 1]: points above par of the opponent's stack on a cell, of one ring and of more."""
    worth = _OPENING_CENTRE[place.spec.shape] * place.centrality - _OPENING_PAR[place.spec.shape]
    for cell, (x, y) in enumerate(place.coordinates):
        neighbours = sum((x + dx, y + dy) in place.cell_of for dx, dy in place.directions)
        worth[cell] += _OPENING_CORNER * (neighbours == 3)
    return np.array([worth + _OPENING_STRENGTH, worth])
