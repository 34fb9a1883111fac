"""Random play inside the kernels is the game that the door plays, move for move."""

import numpy as np
import pytest

from rr_engine.boards import Config
from rr_engine.game import Game
from rr_engine.kernels import layout, playout
from rr_engine.state import new_state

WORD = 2**64 - 1


def played_inside(key: str, seed: int, games: int) -> tuple[bytes, int]:
    """The last state of so many games, and the decisions in all of them."""
    config = Config.parse(key)
    start = new_state(config)
    states, scratch = start.copy(), np.zeros(1, layout.SCRATCH)
    rng, out = np.array([seed], np.uint64), np.empty(config.legal_capacity, np.int64)
    decisions = playout.play_games(config.board.geometry[0], start, states, scratch[0], out, rng, games)
    return states.tobytes(), int(decisions)


def played_outside(key: str, word: int, games: int) -> tuple[bytes, int]:
    """The same through `Game`, with the generator in Python integers."""
    decisions, game = 0, Game(key)
    for _ in range(games):
        game = Game(key)
        while not game.is_over:
            word ^= word << 13 & WORD
            word ^= word >> 7
            word ^= word << 17 & WORD
            legal = game.legal_moves()
            game.play(int(legal[(word >> 32) * len(legal) >> 32]))
        decisions += len(game.moves_played)
    return game.state.tobytes(), decisions


@pytest.mark.parametrize("key", ["hex8_2p", "hex8_4p", "square8_3p"])
def test_inside_and_outside_play_the_same_games(key):
    assert played_inside(key, 2026, 3) == played_outside(key, 2026, 3)


def test_seeds_make_the_difference():
    assert played_inside("hex8_2p", 1, 1) == played_inside("hex8_2p", 1, 1) != played_inside("hex8_2p", 2, 1)
