"""Gumbel AlphaZero again, written plainly from the paper for tests: one game, objects, no batching.

Danihelka et al. 2022: algorithm 2 (sequential halving), equations 8 (sigma), 10 and 11 (completed values), 14 (inner
choice), 33 (mixed value).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from rr_engine.game import Game
from rr_engine.search import Evaluator
from rr_engine.search.gumbel import halving
from rr_engine.settings import SearchSettings


@dataclass
class Node:
    """A position that asks for a choice, or one whose winner is known."""

    game: Game
    is_root: bool
    moves: list[int] = field(default_factory=list)
    logits: list[float] = field(default_factory=list)
    value: list[float] = field(default_factory=list)  # by agent
    children: dict[int, Node] = field(default_factory=dict)
    visits: int = 0
    total: list[float] = field(default_factory=lambda: [0.0] * 4)

    @property
    def agent(self) -> int:
        return self.game.player ^ int(self.game.state[0]["swapped"])


def wins_within_turn(game: Game) -> list[bool]:
    """For each legal move, whether the mover can win with it before its turn ends, found by trying everything."""
    seat, turn, swapped = game.player, int(game.state[0]["turn"]), int(game.state[0]["swapped"])
    found: list[bool] = []
    for move in [int(move) for move in game.legal_moves()]:
        game.play(move)
        outcome = game.outcome()
        if outcome is not None:
            found.append(outcome.winner == seat)
        else:
            goes_on = game.player == seat and int(game.state[0]["turn"]) == turn
            found.append(goes_on and int(game.state[0]["swapped"]) == swapped and any(wins_within_turn(game)))
        game.undo()
    return found


def _is_won_by_turn(game: Game, above: Node, settings: SearchSettings) -> bool:
    """Whether the mover wins before its turn ends, where nothing above has answered that already."""
    if game.phase == "place" or game.config.board.cells > settings.win_cells:
        return False
    same_turn = above.game.state[0]["turn"] == game.state[0]["turn"]
    if same_turn and (above.game.phase != "place" or above.is_root):
        return False
    return any(wins_within_turn(game))


def _make(game: Game, evaluator: Evaluator, settings: SearchSettings, above: Node | None = None) -> Node:
    while not game.is_over and len(game.legal_moves()) == 1:
        game.play(int(game.legal_moves()[0]))
    node = Node(game, is_root=above is None)
    players, swapped = game.config.players, int(game.state[0]["swapped"])
    if game.is_over:
        outcome = game.outcome()
        assert outcome is not None
        node.value = [float(outcome.winner == agent ^ swapped) for agent in range(players)]
        return node
    if above is not None and _is_won_by_turn(game, above, settings):
        node.value = [float(agent == node.agent) for agent in range(players)]
        return node
    node.moves = [int(move) for move in game.legal_moves()]
    offsets = np.array([0, len(node.moves)])
    logits, values = evaluator.evaluate(game.config, game.state, np.array(node.moves, np.int64), offsets)
    node.logits = logits.tolist()
    node.value = [float(values[0, agent ^ swapped]) for agent in range(players)]
    return node


def _mixed_value(node: Node) -> float:
    agent = node.agent
    if not node.children:
        return node.value[agent]
    top = max(node.logits)
    priors = [math.exp(logit - top) for logit in node.logits]
    weight = sum(priors[index] for index in node.children)
    weighed = sum(priors[i] * child.total[agent] / child.visits for i, child in node.children.items()) / weight
    walks = sum(child.visits for child in node.children.values())
    return (node.value[agent] + walks * weighed) / (1 + walks)


def _scores(node: Node, settings: SearchSettings) -> list[float]:
    """Logits plus sigma of the completed values."""
    agent, otherwise = node.agent, _mixed_value(node)
    most = max((child.visits for child in node.children.values()), default=0)
    scale = (settings.c_visit + most) * settings.c_scale
    values = [
        node.children[i].total[agent] / node.children[i].visits if i in node.children else otherwise
        for i in range(len(node.moves))
    ]
    return [logit + scale * value for logit, value in zip(node.logits, values, strict=True)]


def softmax(scores: list[float]) -> list[float]:
    top = max(scores)
    shares = [math.exp(score - top) for score in scores]
    return [share / sum(shares) for share in shares]


def _visits(node: Node, index: int) -> int:
    return node.children[index].visits if index in node.children else 0


def _inner(node: Node, settings: SearchSettings) -> int:
    policy = softmax(_scores(node, settings))
    return max(range(len(policy)), key=lambda i: policy[i] - _visits(node, i) / node.visits)


def search_one(
    game: Game, evaluator: Evaluator, settings: SearchSettings, simulations: int, noise: list[float]
) -> tuple[Node, list[float], int]:
    """(root, improved policy, move chosen) of a game that asks for a choice."""
    root = _make(game.copy(), evaluator, settings)
    root.visits, root.total = 1, [*root.value]
    for wanted in halving(min(settings.considered, len(root.moves)), simulations):
        scores = [score + gumbel for score, gumbel in zip(_scores(root, settings), noise, strict=True)]
        index = min(range(len(scores)), key=lambda i: (abs(_visits(root, i) - wanted), -scores[i]))
        path, node = [root], root
        while index in node.children:
            node = node.children[index]
            path.append(node)
            if not node.moves:
                break
            index = _inner(node, settings)
        else:
            after = node.game.copy()
            after.play(node.moves[index])
            child = _make(after, evaluator, settings, node)
            child.total = [0.0] * len(child.value)
            node.children[index] = child
            path.append(child)
        for passed in path:
            passed.visits += 1
            passed.total = [sum(pair) for pair in zip(passed.total, path[-1].value, strict=True)]
    scores = _scores(root, settings)
    most = max(_visits(root, i) for i in range(len(scores)))
    best = max((i for i in range(len(scores)) if _visits(root, i) == most), key=lambda i: scores[i] + noise[i])
    return root, softmax(scores), root.moves[best]
