"""What the evaluation looks at and how much each part weighs: the frozen table of the yardstick.

A feature is measured for each seat; the sign stands in the weight. Units stand beside it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rr_engine.boards import Board

BEAM = 64  # placements tried with every move after them
SOFTNESS = 1.0  # points that temperature 1 makes a factor of e
OPENING = np.zeros(4)

_TABLE = (
    ("victory", 1000.0),  # a threshold is reached, or the game is won
    ("no_stacks", -50.0),
    ("ring_threshold", 50.0),
    ("territory_threshold", 50.0),
    ("victory_proximity", 20.0),
    ("eliminated", 12.0),
    ("stacks", 10.0),
    ("closure", 10.0),
    ("single_stack", -10.0),
    ("territory", 8.0),
    ("vulnerable", -8.0),
    ("overtake", 8.0),
    ("recovery_eligible", 8.0),
    ("line_potential", 7.0),
    ("chain_risk", -7.0),
    ("cap_height", 6.0),
    ("opponent_threat", -6.0),
    ("line_connectivity", 6.0),
    ("opponent_victory", -6.0),
    ("buried_recovery", 6.0),
    ("chain_potential", 6.0),
    ("stack_height", 5.0),
    ("territory_safety", 5.0),
    ("tempo", 5.0),
    ("expansion", 5.0),
    ("four", 5.0),
    ("blocked", -5.0),
    ("centre", 4.0),
    ("mobility", 4.0),
    ("stack_mobility", 4.0),
    ("forced_risk", -4.0),
    ("hand", 3.0),
    ("buried", -3.0),
    ("adjacency", 2.0),
    ("marker", 1.5),
    ("gap", 0.5),
)
FEATURES = tuple(name for name, _ in _TABLE)
WEIGHTS = np.array([weight for _, weight in _TABLE])


def centrality(place: Board) -> NDArray[np.float64]:
    """[cells + 1]: 1 in the middle of the board, 0 at its edge and outside."""
    half = place.spec.extent if place.is_hex else (place.spec.extent - 1) / 2
    middle = 0.0 if place.is_hex else half
    weights = np.zeros(place.cells + 1)
    for cell, (x, y) in enumerate(place.coordinates):
        off = (x - middle, y - middle, (x + y) if place.is_hex else 0)
        weights[cell] = 1 - max(map(abs, off)) / half
    return weights
