"""Wins within a turn: what plain trying finds is found, searches play it, and see it coming."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from rr_engine.boards import Config
from rr_engine.game import Game
from rr_engine.players import Table, player
from rr_engine.search.gumbel import winning_moves
from tests.engine.positions import Where, cell, position
from tests.engine.reference_search import wins_within_turn
from tests.engine.test_search import found_in


def claimable(seat: str = "a", phase: str = "place", stacks: Mapping[Where, str] | None = None) -> Game:
    """Seat a wins with a stack that moves from the right edge into the corner: all but the corner is claimed."""
    return position(
        seat=seat,
        phase=phase,
        stacks={(3, 3): "aaaaa", **(stacks or {})},
        markers={(6, 5): "a", (7, 6): "a", (6, 7): "b"},
        territory={(3, 0): "b"},
        hands=(10, 14 - len(stacks or {})),
        elim=(3, 4),
    )


@pytest.mark.parametrize("key", ["square8_2p", "square8_3p", "square8_4p", "hex8_2p", "hex8_3p"])
def test_exactly_the_wins_that_plain_trying_finds_are_marked(key: str):
    config = Config.parse(key)
    rng = np.random.default_rng(3)
    asked = won = 0
    for seed in range(1, 7):
        table, heuristic = Table(config, np.array([seed], np.uint64)), player("heuristic", config)
        game = Game(key)
        while not game.is_over:
            moves = np.array(game.legal_moves(), np.int64)
            if game.phase != "place" or rng.random() < 0.15:
                marked = winning_moves(config, game.state, moves, np.array([0, len(moves)]), np.array([True]))
                assert [bool(mark) for mark in marked] == wins_within_turn(game), game.to_text()
                asked, won = asked + 1, won + bool(marked.any())
            chosen = heuristic.choose(table.positions(1.0)).moves
            game.play(int(chosen[0]) if len(moves) > 1 else int(moves[0]))
            table.step(chosen)
    assert asked > 50
    assert won > 0


def test_the_rest_of_a_turn_is_tried():
    game = claimable()
    game.play(f"P{cell(game, 7, 4)}x1")
    moves = np.array(game.legal_moves(), np.int64)
    marked = winning_moves(Config.parse("square8_2p"), game.state, moves, np.array([0, len(moves)]), np.array([True]))
    assert [game.move_text(int(move)) for move in moves[marked]] == [f"M{cell(game, 7, 4)}-{cell(game, 7, 7)}"]
    assert marked.tolist() == wins_within_turn(game)


def test_a_turn_that_wins_is_played_whatever_the_evaluator_thinks():
    game = claimable()
    assert not found_in(game, 32, win_cells=0).won[0]
    while not game.is_over:
        found = found_in(game, 1, win_cells=64)
        moves = list(game.legal_moves())
        if len(moves) > 1:
            assert found.won[0]
            np.testing.assert_array_equal(found.policy > 0, wins_within_turn(game))
            np.testing.assert_allclose(found.policy.sum(), 1)
            np.testing.assert_array_equal(found.values, [[1.0, 0.0]])
            np.testing.assert_array_equal(found.visits, 0)
        game.play(int(found.moves[0]) if len(moves) > 1 else moves[0])
        assert game.is_over or game.player == 0
    outcome = game.outcome()
    assert outcome is not None
    assert (outcome.winner, outcome.end) == (0, "terr")


def test_without_simulations_nothing_is_tried():
    assert not found_in(claimable(), 0, win_cells=64).won[0]


def test_boards_of_more_cells_than_allowed_are_passed_over():
    game = claimable()
    assert not found_in(game, 1, win_cells=game.board.cells - 1).won[0]
    assert found_in(game, 1, win_cells=game.board.cells).won[0]


class FavoursOneMove:
    """A move to be made where it is legal; everybody's chances are even."""

    def __init__(self, move: int) -> None:
        self.move = move

    def evaluate(self, config, states, moves, _offsets):
        return 100.0 * (moves == self.move), np.full((len(states), config.players), 1 / config.players)


def test_a_win_after_the_opponents_placement_is_seen_in_the_tree():
    """Seat b moves, seat a places on the right edge: then a turn begins that is not asked about, but known to win."""
    game = claimable(seat="b", phase="move", stacks={(0, 1): "b"})
    answer = game.copy()
    answer.play(f"M{cell(game, 0, 1)}-{cell(game, 1, 1)}")
    assert (answer.player, answer.phase) == (0, "place")
    evaluator = FavoursOneMove(answer.parse(f"P{cell(game, 7, 4)}x3"))
    noise = np.where(np.array(game.legal_moves()) == answer.moves_played[0], 100.0, 0.0)
    for win_cells, worth in ((0, 0.5), (64, 1.0)):
        found = found_in(game, 2, evaluator, considered=1, win_cells=win_cells, noise=noise)
        assert found.visits.max() == 2
        assert found.values[0, 0] == pytest.approx((0.5 + 0.5 + worth) / 3)
