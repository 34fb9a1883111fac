"""Wins within a turn: what plain trying finds is found, searches play it, and see it coming."""

from __future__ import annotations

import numpy as np
import pytest

from rr_engine.boards import Config
from rr_engine.game import Game
from rr_engine.players import Table, player
from rr_engine.search.gumbel import winning_moves
from tests.engine.positions import cell, position
from tests.engine.reference_search import wins_within_turn
from tests.engine.test_search import found_in


def claimable() -> Game:
    """Seat a wins with a stack that moves from the right edge into the corner: all but the corner is claimed."""
    return position(
        phase="place",
        stacks={(3, 3): "aaaaa"},
        markers={(6, 5): "a", (7, 6): "a", (6, 7): "b"},
        territory={(3, 0): "b"},
        hands=(10, 14),
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
                marked = winning_moves(config, game.state, moves, np.array([0, len(moves)]), np.array([256]))
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
    marked = winning_moves(Config.parse("square8_2p"), game.state, moves, np.array([0, len(moves)]), np.array([256]))
    assert [game.move_text(int(move)) for move in moves[marked]] == [f"M{cell(game, 7, 4)}-{cell(game, 7, 7)}"]
    assert marked.tolist() == wins_within_turn(game)


def test_a_turn_that_wins_is_played_whatever_the_evaluator_thinks():
    game = claimable()
    assert not found_in(game, 32, win_moves=0).won[0]
    while not game.is_over:
        found = found_in(game, 1, win_moves=256)
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
    assert not found_in(claimable(), 0, win_moves=256).won[0]


def test_a_longer_list_than_allowed_is_passed_over():
    game = claimable()
    assert not found_in(game, 1, win_moves=len(game.legal_moves()) - 1).won[0]
    assert found_in(game, 1, win_moves=len(game.legal_moves())).won[0]


def test_a_win_one_placement_away_is_worth_a_win():
    """The root's list is too long to be tried, but what is placed on the right edge is seen to win at one look."""
    game = claimable()
    moves = list(game.legal_moves())
    target = moves.index(game.parse(f"P{cell(game, 7, 4)}x3"))
    noise = np.where(np.arange(len(moves)) == target, 100.0, 0.0)
    for win_moves, worth in ((0, 0.5), (len(moves) - 1, 1.0)):
        found = found_in(game, 1, considered=1, win_moves=win_moves, noise=noise)
        assert found.visits[target] == 1
        assert found.values[0, 0] == pytest.approx((0.5 + worth) / 2)
