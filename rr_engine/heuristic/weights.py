"""What the evaluation looks at and how much each part weighs: the frozen table of the yardstick.

A feature is measured for each seat; the sign stands in the weight. Units stand beside it.
"""

from __future__ import annotations

import numpy as np

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
