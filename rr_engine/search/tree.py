"""Search trees of many games side by side, and the walk through them: everything compiled stands in this file.

A tree has a node per position that asks for a choice; positions with one legal move are passed. Node 0 is the root. An
edge is a legal move of a node; all edges of all games lie in one arena, those of a node in a row. Values are chances to
win per agent, which differs from the seat once the pie rule has been used (rules 5.9): an agent keeps its number.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rr_engine.kernels.jit import entry, kernel
from rr_engine.kernels.layout import PLACE
from rr_engine.kernels.turn import advance
from rr_engine.kernels.winning import has_win

UNSEEN = np.int32(-1)  # child of an edge not walked yet
_LOOKS = np.int64(2_000)  # moves tried from a node, at most, to see whether its turn wins
_NOBODY = np.int64(-1)


class Tree(NamedTuple):
    """The trees of [games], with room for [nodes] nodes each, and the arena of [edges]."""

    states: Any  # [games, nodes] state records
    parent: Any  # [games, nodes] int32
    agent: Any  # [games, nodes] int8: who decides; -1 where the winner is known
    first: Any  # [games, nodes] int64: its first edge
    count: Any  # [games, nodes] int32: its edges
    visits: Any  # [games, nodes] int32, its own evaluation counted
    value: Any  # [games, nodes, agents] as evaluated
    total: Any  # [games, nodes, agents] sum of the values of all visits
    used: Any  # [games] int32: nodes in use
    done: Any  # [games] int32: simulations done
    leaf: Any  # [games] int32: node that waits for its evaluation, -1: none
    budget: Any  # [games] int32: simulations to do
    rounds: Any  # [games, simulations] int32: visits that a root edge must have to be walked (sequential halving)
    noise: Any  # [root edges]
    move: Any  # [edges]
    logit: Any  # [edges], 0 for the largest of a node
    prior: Any  # [edges] exp(logit)
    child: Any  # [edges] int32


class Worker(NamedTuple):
    """What a walk works with."""

    scratch: Any
    room: Any  # to follow turns in
    tries: bool  # whether turns are tried, those of the roots before the walk


class Scale(NamedTuple):
    """How values weigh against logits: (c_visit + most visits of a sibling) * c_scale * value."""

    c_visit: float
    c_scale: float


@kernel
def _agent_of(s: Any) -> int:
    """Who sits in the seat to move; agents change places with the pie rule, which two seats only have."""
    return s["player"] ^ s["swapped"]


@kernel
def _mixed_value(tree: Any, game: int, node: int, agent: int) -> float:
    """What an edge never walked counts for: `v_mix` of Danihelka et al. 2022, appendix D."""
    first, count = tree.first[game, node], tree.count[game, node]
    own = tree.value[game, node, agent]
    weight, weighed, walks = 0.0, 0.0, 0.0
    for edge in range(first, first + count):
        child = tree.child[edge]
        if child != UNSEEN and tree.visits[game, child] > 0:
            share = tree.prior[edge] + 1e-12
            weight += share
            weighed += share * tree.total[game, child, agent] / tree.visits[game, child]
            walks += tree.visits[game, child]
    if walks == 0:
        return own
    return (own + walks * weighed / weight) / (1 + walks)


@kernel
def _value_of(tree: Any, game: int, edge: int, agent: int, otherwise: float) -> float:
    """The mean value of an edge for an agent, or `otherwise` where it was never walked."""
    child = tree.child[edge]
    if child == UNSEEN or tree.visits[game, child] == 0:
        return otherwise
    return tree.total[game, child, agent] / tree.visits[game, child]


@kernel
def _visits_of(tree: Any, game: int, edge: int) -> int:
    child = tree.child[edge]
    return 0 if child == UNSEEN else tree.visits[game, child]


@kernel
def _weight(tree: Any, game: int, node: int, scale: Any) -> float:
    """What one point of value is worth in logits at a node."""
    most = 0
    for edge in range(tree.first[game, node], tree.first[game, node] + tree.count[game, node]):
        most = max(most, _visits_of(tree, game, edge))
    return (scale.c_visit + most) * scale.c_scale


@kernel
def _choose_root(tree: Any, game: int, wanted: int, scale: Any) -> int:
    """The root edge of the best noise, prior and value among those with `wanted` visits, or the nearest number."""
    agent = tree.agent[game, 0]
    otherwise = _mixed_value(tree, game, 0, agent)
    weight = _weight(tree, game, 0, scale)
    best, best_score, nearest = tree.first[game, 0], -np.inf, 1 << 30
    for index in range(tree.count[game, 0]):
        edge = tree.first[game, 0] + index
        off = abs(_visits_of(tree, game, edge) - wanted)
        score = tree.noise[edge] + tree.logit[edge] + weight * _value_of(tree, game, edge, agent, otherwise)
        if off < nearest or (off == nearest and score > best_score):
            best, best_score, nearest = edge, score, off
    return best


@kernel
def _share_of(tree: Any, game: int, edge: int, agent: int, weight: float, top: float, as_unseen: float) -> float:
    """An edge in the improved policy, up to a factor; `as_unseen` times its prior where it was never walked."""
    if tree.child[edge] == UNSEEN:
        return as_unseen * tree.prior[edge]
    return np.exp(tree.logit[edge] + weight * _value_of(tree, game, edge, agent, 0.0) - top)


@kernel
def _choose_inner(tree: Any, game: int, node: int, scale: Any) -> int:
    """The edge whose share of visits falls furthest behind the improved policy (the paper's section 5)."""
    agent = tree.agent[game, node]
    otherwise = _mixed_value(tree, game, node, agent)
    weight = _weight(tree, game, node, scale)
    first, end = tree.first[game, node], tree.first[game, node] + tree.count[game, node]
    top = -np.inf
    for edge in range(first, end):
        top = max(top, tree.logit[edge] + weight * _value_of(tree, game, edge, agent, otherwise))
    as_unseen = np.exp(weight * otherwise - top)  # of all edges never walked: one exponential serves them
    total = 0.0
    for edge in range(first, end):
        total += _share_of(tree, game, edge, agent, weight, top, as_unseen)
    best, best_score = first, -np.inf
    for edge in range(first, end):
        share = _share_of(tree, game, edge, agent, weight, top, as_unseen) / total
        score = share - _visits_of(tree, game, edge) / tree.visits[game, node]
        if score > best_score:
            best, best_score = edge, score
    return best


@kernel
def _back_up(tree: Any, game: int, node: int) -> None:
    """Add the value of `node` to it and to all above."""
    agents = tree.value.shape[2]
    above = node
    while above >= 0:
        tree.visits[game, above] += 1
        for agent in range(agents):
            tree.total[game, above, agent] += tree.value[game, node, agent]
        above = tree.parent[game, above]


@kernel
def _wins_by_turn(g: Any, tree: Any, game: int, node: int, state: Any, out: Any, n: int, worker: Any) -> bool:
    """Whether the mover of a new position, past its placement, wins before its turn ends.

    What comes later in a turn that was asked, or that the root began, is not asked: the answer would be no.
    """
    above = tree.states[game, node]
    if not worker.tries or state["phase"] == PLACE:
        return False
    if above["turn"] == state["turn"] and (above["phase"] != PLACE or node == 0):
        return False
    worker.room.states[0] = state
    worker.room.lists[0, :n] = out[:n]
    worker.room.counts[0] = n
    return has_win(g, worker.scratch, worker.room, _LOOKS)[0]


@kernel
def _grow(g: Any, tree: Any, game: int, node: int, edge: int, worker: Any, used: int, capacity: int) -> int:
    """Make the child of an edge; its edges stand in the arena from `used` on. Returns how many there are.

    Where the game is over, or the mover wins before its turn ends, the child has none, and its value is known.
    """
    child = tree.used[game]
    tree.used[game] += 1
    tree.child[edge] = child
    state = tree.states[game, child]
    tree.states[game, child] = tree.states[game, node]
    out = tree.move[used : used + capacity]
    n = advance(g, state, worker.scratch, tree.move[edge], out)
    while n == 1:
        n = advance(g, state, worker.scratch, out[0], out)
    winner = state["winner"] if n == 0 else _NOBODY
    if n > 0 and _wins_by_turn(g, tree, game, node, state, out, n, worker):
        n, winner = 0, state["player"]
    tree.parent[game, child] = node
    tree.first[game, child] = used
    tree.count[game, child] = n
    tree.visits[game, child] = 0
    tree.agent[game, child] = _NOBODY if n == 0 else _agent_of(state)
    for agent in range(tree.value.shape[2]):
        tree.value[game, child, agent] = 0.0
        tree.total[game, child, agent] = 0.0
    for index in range(used, used + n):
        tree.child[index] = UNSEEN
    if n == 0:
        tree.value[game, child, winner ^ state["swapped"]] = 1.0
    return n


@entry
def walk(g: Any, tree: Any, first: int, worker: Any, used: int, capacity: int, scale: Any) -> tuple[int, int]:
    """Simulate in games from `first` on, each until a new position waits in `tree.leaf` or its budget is spent.

    Stops where the arena, in use up to `used`, could be too small for a list of `capacity` moves; returns (next game,
    room used).
    """
    for game in range(first, tree.used.size):
        while tree.done[game] < tree.budget[game] and tree.leaf[game] < 0:
            if tree.move.size - used < capacity:
                return game, used
            node, child = np.int64(0), np.int64(0)
            edge = _choose_root(tree, game, tree.rounds[game, tree.done[game]], scale)
            while tree.child[edge] != UNSEEN:
                child = np.int64(tree.child[edge])
                if tree.count[game, child] == 0:
                    break
                node = child
                edge = _choose_inner(tree, game, node, scale)
            if tree.child[edge] == UNSEEN:
                used += _grow(g, tree, game, node, edge, worker, used, capacity)
                child = np.int64(tree.child[edge])
            tree.done[game] += 1
            if tree.count[game, child] == 0:
                _back_up(tree, game, child)
            else:
                tree.leaf[game] = child
    return tree.used.size, used


@entry
def list_leaves(tree: Any, games: Any, offsets: Any, states: Any, moves: Any) -> None:
    """Fill `states` and legal `moves` (ragged by `offsets`) of the leaves that wait in `games`."""
    for row in range(games.size):
        game = games[row]
        node = np.int64(tree.leaf[game])
        first = tree.first[game, node]
        states[row] = tree.states[game, node]
        for index in range(tree.count[game, node]):
            moves[offsets[row] + index] = tree.move[first + index]


@entry
def take_values(tree: Any, games: Any, values: Any, logits: Any, offsets: Any) -> None:
    """Give the waiting leaf of every one of `games` its evaluation (values by seat), and back it up."""
    for row in range(games.size):
        game = games[row]
        node = np.int64(tree.leaf[game])
        swapped = tree.states[game, node]["swapped"]
        for agent in range(tree.value.shape[2]):
            tree.value[game, node, agent] = values[row, agent ^ swapped]
        own = logits[offsets[row] : offsets[row + 1]]
        top = own.max()
        for index in range(own.size):
            edge = tree.first[game, node] + index
            tree.logit[edge] = own[index] - top
            tree.prior[edge] = np.exp(tree.logit[edge])
        tree.leaf[game] = -1
        _back_up(tree, game, node)


@entry
def settle(tree: Any, scale: Any, policy: Any, chosen: Any, values: Any, visits: Any, edge_values: Any) -> None:
    """Fill, for every game, `policy`, `visits` and `edge_values` of the root's edges, the move `chosen`, and `values`.

    The improved policy is the softmax of prior logits and completed values; the move is the best by noise, prior and
    value among those with the most visits. Values are by seat, those of edges the mover's, NaN where none was walked.
    A root that was never evaluated is passed over.
    """
    for game in range(tree.used.size):
        if tree.visits[game, 0] == 0:
            continue
        agent = tree.agent[game, 0]
        otherwise = _mixed_value(tree, game, 0, agent)
        weight = _weight(tree, game, 0, scale)
        first, count = tree.first[game, 0], tree.count[game, 0]
        most = 0
        top = -np.inf
        for edge in range(first, first + count):
            visits[edge] = _visits_of(tree, game, edge)
            most = max(most, visits[edge])
            edge_values[edge] = _value_of(tree, game, edge, agent, np.nan)
            policy[edge] = tree.logit[edge] + weight * _value_of(tree, game, edge, agent, otherwise)
            top = max(top, policy[edge])
        total, best, best_score = 0.0, first, -np.inf
        for edge in range(first, first + count):
            score = policy[edge] + tree.noise[edge]
            if visits[edge] == most and score > best_score:
                best, best_score = edge, score
            policy[edge] = np.exp(policy[edge] - top)
            total += policy[edge]
        for edge in range(first, first + count):
            policy[edge] /= total
        chosen[game] = tree.move[best]
        swapped = tree.states[game, 0]["swapped"]
        for agent in range(tree.value.shape[2]):
            values[game, agent ^ swapped] = tree.total[game, 0, agent] / tree.visits[game, 0]
