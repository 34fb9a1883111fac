"""Drawings of small positions, to the letter."""

import random

import pytest

from rr_engine.boards import CONFIGS
from rr_engine.game import Game
from rr_engine.render.text import LEGEND, draw
from tests.engine.play import play_out
from tests.engine.positions import position

SQUARE = """\
square8_2p  turn 0  a decides in phase chain

            0   1   2   3   4   5   6   7  x
   0 y0    @a   .  b3 >a2   .   .   .   .
   8 y1     .   .   .   .   .   .   .   .
  16 y2     .   .   .   .   .   .   .   .
  24 y3     .   .  #a  #b   .   .   .   .
  32 y4     .   .   .   .   .   .   .   .
  40 y5    b1   .   .   .   .   .   .   .
  48 y6     .   .   .   .   .   .   .   .
  56 y7     .   .   .   .   .   .   .  @b

bottom to top: 2=bab  3=ba
a: hand 5, eliminated 1 of 18, territory 1 of 33, markers 1, stacks 1
b: hand 4, eliminated 0 of 18, territory 1 of 33, markers 1, stacks 2
"""

HEX = """\
hex8_3p  turn 0  c decides in phase place

   0 y-4            .   .   .   .  a2           x 0..4
   5 y-3          .   .   .   .   .   .         x -1..4
  11 y-2        .   .   .   .   .   .   .       x -2..4
  18 y-1      .   .   .   .  @b   .   .   .     x -3..4
  26 y0    c1   .   .   .  #c   .   .   .   .   x -4..4
  35 y1       .   .   .  @a   .   .   .   .     x -4..3
  43 y2         .   .   .   .   .   .   .       x -4..2
  50 y3           .   .   .   .   .   .         x -4..1
  56 y4             .   .   .   .  b9           x -4..0

a: hand 5, eliminated 0 of 24, territory 0 of 21, markers 1, stacks 1
b: hand 5, eliminated 0 of 24, territory 0 of 21, markers 1, stacks 1
c: hand 5, eliminated 0 of 24, territory 1 of 21, markers 0, stacks 1
"""


def test_a_square_board():
    game = position(
        phase="chain",
        active=(3, 0),
        stacks={(2, 0): "bab", (3, 0): "ba", (0, 5): "b"},
        markers={(0, 0): "a", (7, 7): "b"},
        territory={(2, 3): "a", (3, 3): "b"},
        hands=(5, 4),
        elim=(1, 0),
    )
    assert draw(game) == SQUARE + LEGEND


def test_a_hex_board():
    game = position(
        "hex8_3p",
        phase="place",
        seat="c",
        stacks={(4, -4): "aa", (-4, 0): "c", (0, 4): "b" * 9},
        markers={(1, -1): "b", (-1, 1): "a"},
        territory={(0, 0): "c"},
    )
    assert draw(game) == HEX + LEGEND


def test_the_end_names_the_winner():
    game = position(phase="fe", stacks={(0, 0): "a"}, hands=(0, 0), elim=(2, 0))
    game.play("F0")
    assert draw(game).startswith("square8_2p  turn 0  over: a wins by stale-elim\n")


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.key)
def test_every_cell_of_every_board_is_drawn(config):
    game = Game(config)
    assert draw(game).removesuffix(LEGEND).count(" .") == config.board.cells
    rng = random.Random(0)
    for _ in range(30):
        game.play(int(rng.choice(game.legal_moves())))
    assert max(map(len, draw(game).splitlines())) <= 140
    if config.board.cells < 100:
        assert "over" in draw(play_out(game, rng))
