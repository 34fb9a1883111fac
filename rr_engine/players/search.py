"""Search as a player: whatever the evaluator, Gumbel AlphaZero decides."""

from __future__ import annotations

import numpy as np

from rr_engine.heuristic.source import code_digest
from rr_engine.players.positions import Choice, Float64Array, Int64Array, Positions, UInt64Array, mixed
from rr_engine.players.workers import over_cores
from rr_engine.search import CachedEvaluator, Evaluator, search
from rr_engine.settings import SearchSettings

_FEW = 16  # games not worth splitting
_DEPTH, _NOISE = 0, 1  # salts of what a position's seed decides: how much to search, and the noise
_PARTS = ("rr_engine.search.gumbel", "rr_engine.search.tree", "rr_engine.kernels.winning", __name__)


class SearchPlayer:
    """The move a search finds: at temperature 0 the best one, above with Gumbel noise of that scale at the root."""

    def __init__(
        self,
        evaluator: Evaluator,
        *,
        name: str,
        identity: str,
        settings: SearchSettings,
        simulations: int,
        cheap_simulations: int = 0,
        full_share: float = 1.0,
        games_per_call: int = 128,
    ) -> None:
        """`identity` tells evaluators apart: a hash. `simulations` 0 lets the evaluator's own policy decide.

        A random `full_share` of the decisions gets `simulations`, the others `cheap_simulations`, whose policy is not
        for learning (playout cap randomization, Wu 2019). A worker searches `games_per_call` games at a time, at most.
        """
        self.name = name
        options = f"{identity} {settings} {simulations} {cheap_simulations} {full_share}"
        self.digest = code_digest(*_PARTS, options=options)
        self._evaluator = CachedEvaluator(evaluator)
        self._settings = settings
        self._simulations = simulations
        self._cheap_simulations = cheap_simulations
        self._full_share = full_share
        self._games_per_call = games_per_call

    def choose(self, positions: Positions) -> Choice:
        """One legal move of each game; improved policies and the searches' values with it."""
        counts = np.diff(positions.offsets)
        full = _uniform(mixed(positions.seeds, _DEPTH)) < self._full_share
        choice = Choice(
            moves=positions.moves[positions.offsets[:-1]],
            policy=np.repeat(1 / counts, counts),
            recorded=full & (counts > 1),
            values=np.full((len(positions), positions.config.players), np.nan),
            move_values=np.full(len(positions.moves), np.nan),
        )
        simulations = np.where(full, self._simulations, self._cheap_simulations)
        self._search(positions, np.flatnonzero(counts > 1), simulations, choice)
        return choice

    def _search(self, positions: Positions, games: Int64Array, simulations: Int64Array, choice: Choice) -> None:
        """Search the positions of `games`, each with its `simulations`, and write what was found into `choice`."""

        def work(first: int, end: int) -> None:
            chosen = games[first:end]
            part = positions.take(chosen)
            noise = _gumbel(part) * np.repeat(part.temperature, np.diff(part.offsets))
            found = search(
                part.config,
                part.states,
                part.moves,
                part.offsets,
                evaluator=self._evaluator,
                settings=self._settings,
                simulations=simulations[chosen],
                noise=noise,
            )
            assert choice.policy is not None and choice.values is not None and choice.move_values is not None
            choice.moves[chosen] = found.moves
            choice.values[chosen] = found.values
            choice.policy[positions.rows(chosen)] = found.policy
            choice.move_values[positions.rows(chosen)] = found.edge_values

        parts = 2 * -(-len(games) // (2 * self._games_per_call))  # even, so that of two cores none waits for the other
        over_cores(work, len(games), share=max(_FEW, -(-len(games) // parts)) if parts else 1)


def _uniform(bits: UInt64Array) -> Float64Array:
    """Numbers in (0, 1) from random bits."""
    return ((bits >> np.uint64(11)).astype(np.float64) + 0.5) / 2.0**53


def _gumbel(positions: Positions) -> Float64Array:
    """[moves] samples of Gumbel(0, 1), decided by the seed of each position."""
    counts = np.diff(positions.offsets)
    place = np.arange(len(positions.moves)) - np.repeat(positions.offsets[:-1], counts)
    bits = mixed(np.repeat(mixed(positions.seeds, _NOISE), counts) + place.astype(np.uint64), _NOISE)
    return -np.log(-np.log(_uniform(bits)))
