"""Gumbel AlphaZero search (Danihelka et al. 2022) over many games at once, with one evaluation call a step for all.

At the root edges are drawn without replacement by Gumbel noise and thinned out by sequential halving; below, visits
follow the improved policy without noise. The improved policy, from completed values, is what a network learns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from rr_engine.boards import Config
from rr_engine.kernels.layout import SCRATCH
from rr_engine.kernels.winning import make_room, mark_wins
from rr_engine.search import tree as trees
from rr_engine.search.evaluators import Evaluator
from rr_engine.settings import SearchSettings

Int64Array = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
_MORE_EDGES = 1.5  # room of the arena at first: so many times the edges that nodes would have if all were like roots


@dataclass(frozen=True)
class Found:
    """What a search found, of [games]."""

    moves: Int64Array  # [games] the move to play
    policy: Floats  # [legal moves of all games] improved policy, sums to 1 in each game
    values: Floats  # [games, seats] chance to win of each seat
    visits: Int64Array  # [legal moves of all games] simulations that went each way
    edge_values: Floats  # [legal moves of all games] the mover's chance to win after each, NaN where none went
    won: Bools  # [games] whether the mover wins before its turn ends: known, not estimated


@cache
def halving(considered: int, simulations: int) -> tuple[int, ...]:
    """For each simulation, how many visits the root edge to walk must have: `considered` edges, halved in equal rounds.

    The budget is shared out as in the paper's algorithm 2; the last two edges share what is left. No more than
    half as many edges as simulations are considered, or two, so that the halving comes to its end: the best of many
    single looks is the luckiest (docs/experiments.md).
    """
    considered = min(considered, max(2, simulations // 2))
    if considered <= 1:
        return tuple(range(simulations))
    rounds = math.ceil(math.log2(considered))
    visits = [0] * considered
    wanted: list[int] = []
    left = considered
    while len(wanted) < simulations:
        for _ in range(max(1, simulations // (rounds * left))):
            wanted += visits[:left]
            for edge in range(left):
                visits[edge] += 1
        left = max(2, left // 2)
    return tuple(wanted[:simulations])


def winning_moves(
    config: Config, states: NDArray[np.void], moves: Int64Array, offsets: Int64Array, tried: Bools
) -> Bools:
    """[moves] whether the mover can win with it before its turn ends, whatever it decides later in the turn.

    Only games that are `tried` [games] are looked at: no move of the others is known to win.
    """
    wins = np.zeros(len(moves), bool)
    room = make_room(states.dtype, config.legal_capacity)
    mark_wins(config.board.geometry[0], states, moves, offsets, tried, np.zeros(1, SCRATCH)[0], room, wins)
    return wins


def search(
    config: Config,
    states: NDArray[np.void],
    moves: Int64Array,
    offsets: Int64Array,
    *,
    evaluator: Evaluator,
    settings: SearchSettings,
    simulations: Int64Array,
    noise: Floats,
) -> Found:
    """Search every one of `states` (none over) with its legal `moves` (ragged by `offsets`).

    `simulations` [games] is the budget of each, at least 1; `noise` [moves] is added to the root's logits: Gumbel(0, 1)
    samples to explore, zeros for the strongest play. The same arguments give the same result.

    On boards of up to `settings.win_cells` who can win before its turn ends does, unless it has no simulation: no
    evaluator is asked then, the policy is even among all moves that lead there, and the visits are none.
    """
    tries = config.board.cells <= settings.win_cells
    wins = winning_moves(config, states, moves, offsets, (simulations > 0) & tries)
    won = np.logical_or.reduceat(wins, offsets[:-1])
    tree = _plant(config, states, moves, offsets, settings, np.where(won, 0, simulations), noise)
    tree.leaf[won] = -1
    scale = trees.Scale(settings.c_visit, settings.c_scale)
    geometry = config.board.geometry[0]
    worker = trees.Worker(np.zeros(1, SCRATCH)[0], make_room(states.dtype, config.legal_capacity), tries)
    used = len(moves)
    while len(waiting := np.flatnonzero(tree.leaf >= 0)):
        bounds = np.append(0, np.cumsum(tree.count[waiting, tree.leaf[waiting]], dtype=np.int64))
        asked, choices = np.empty(len(waiting), states.dtype), np.empty(bounds[-1], np.int64)
        trees.list_leaves(tree, waiting, bounds, asked, choices)
        logits, values = evaluator.evaluate(config, asked, choices, bounds)
        trees.take_values(tree, waiting, values, logits, bounds)
        game = 0
        while game < len(states):
            game, used = trees.walk(geometry, tree, game, worker, used, config.legal_capacity, scale)
            if game < len(states):
                tree = _with_more_room(tree)
    found = Found(
        moves=np.empty(len(states), np.int64),
        policy=np.empty(len(moves)),
        values=np.empty((len(states), config.players)),
        visits=np.empty(len(moves), np.int64),
        edge_values=np.empty(len(moves)),
        won=won,
    )
    trees.settle(tree, scale, found.policy, found.moves, found.values, found.visits, found.edge_values)
    _take_wins(found, states, moves, offsets, noise, wins)
    return found


def _take_wins(
    found: Found,
    states: NDArray[np.void],
    moves: Int64Array,
    offsets: Int64Array,
    noise: Floats,
    wins: Bools,
) -> None:
    """Write down for games that `wins` decide: one of them, all alike, and who wins."""
    for game in np.flatnonzero(found.won).tolist():
        own = slice(offsets[game], offsets[game + 1])
        found.moves[game] = moves[own][np.where(wins[own], noise[own], -np.inf).argmax()]
        found.policy[own] = wins[own] / np.count_nonzero(wins[own])
        found.values[game] = np.arange(found.values.shape[1]) == states["player"][game]
        found.visits[own] = 0
        found.edge_values[own] = np.where(wins[own], 1.0, np.nan)


def _plant(
    config: Config,
    states: NDArray[np.void],
    moves: Int64Array,
    offsets: Int64Array,
    settings: SearchSettings,
    simulations: Int64Array,
    noise: Floats,
) -> trees.Tree:
    """Trees of one node each, which waits to be evaluated."""
    games, counts, most = len(states), np.diff(offsets), int(simulations.max())
    nodes = most + 1
    room = config.legal_capacity + int(_MORE_EDGES * nodes * len(moves))  # memory that is not touched costs nothing
    rounds = np.zeros((games, most), np.int32)
    for game, (legal, budget) in enumerate(zip(counts.tolist(), simulations.tolist(), strict=True)):
        rounds[game, :budget] = halving(min(settings.considered, legal), budget)
    shape = (games, nodes)
    tree = trees.Tree(
        states=np.empty(shape, states.dtype),
        parent=np.full(shape, -1, np.int32),
        agent=np.zeros(shape, np.int8),
        first=np.zeros(shape, np.int64),
        count=np.zeros(shape, np.int32),
        visits=np.zeros(shape, np.int32),
        value=np.zeros((*shape, config.players)),
        total=np.zeros((*shape, config.players)),
        used=np.ones(games, np.int32),
        done=np.zeros(games, np.int32),
        leaf=np.zeros(games, np.int32),
        budget=simulations.astype(np.int32),
        rounds=rounds,
        noise=noise,
        move=np.empty(room, np.int64),
        logit=np.empty(room),
        prior=np.empty(room),
        child=np.empty(room, np.int32),
    )
    tree.states[:, 0] = states
    tree.agent[:, 0] = states["player"] ^ states["swapped"]
    tree.first[:, 0] = offsets[:-1]
    tree.count[:, 0] = counts
    tree.move[: len(moves)] = moves
    tree.child[: len(moves)] = trees.UNSEEN
    return tree


def _with_more_room(tree: trees.Tree) -> trees.Tree:
    """The same trees, their arena twice as large."""
    return tree._replace(
        move=np.concatenate((tree.move, np.empty_like(tree.move))),
        logit=np.concatenate((tree.logit, np.empty_like(tree.logit))),
        prior=np.concatenate((tree.prior, np.empty_like(tree.prior))),
        child=np.concatenate((tree.child, np.empty_like(tree.child))),
    )
