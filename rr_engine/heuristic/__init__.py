"""The frozen heuristic: a documented one-ply evaluation, the yardstick that every rating hangs on.

fill_values(config, states, moves, offsets, values, first, end)    the value of each legal move, in points
policy(values, offsets, temperature)                               a distribution over the legal moves
HEURISTIC_HASH                                                     its code and weights: a change is a new anchor
"""

from rr_engine.heuristic.source import code_digest
from rr_engine.heuristic.values import HEURISTIC_HASH, fill_values, measure, policy

__all__ = ["HEURISTIC_HASH", "code_digest", "fill_values", "measure", "policy"]
