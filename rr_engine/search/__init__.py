"""Gumbel AlphaZero search: `search` over many games at once, asking an `Evaluator`."""

from rr_engine.search.cache import CachedEvaluator
from rr_engine.search.evaluators import Evaluator, UniformEvaluator
from rr_engine.search.gumbel import Found, search

__all__ = ["CachedEvaluator", "Evaluator", "Found", "UniformEvaluator", "search"]
