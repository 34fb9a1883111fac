"""Random play for tests, biased at will: uniform play seldom recovers, strikes, declines or claims twice."""

import random

from rr_engine.game import Game
from rr_engine.kernels import layout

Style = dict[int, float]

# Chances of a kind of move against those of the others at the same decision, and all kinds there are.
WEIGHTS = (0.05, 1.0, 1.0, 8.0)
KINDS = (*range(1, 14), *(16 + int(phase) for phase in (layout.PLACE, layout.MOVE, layout.CAP, layout.TERR)))


def kind_of(move: int) -> int:
    """What a style weighs: the kind of a move, skips of different phases told apart."""
    kind = move & 15
    return 16 + (move >> 4 & 0xFFF) if kind == layout.SKIP else kind


def random_style(rng: random.Random) -> Style:
    return {kind: rng.choice(WEIGHTS) for kind in KINDS}


def choose(game: Game, rng: random.Random, style: Style | None = None) -> int:
    """A legal move: a kind by its weight in `style`, then one of that kind; uniform over all without style."""
    legal: list[int] = game.legal_moves().tolist()
    if style is None:
        return rng.choice(legal)
    by_kind: dict[int, list[int]] = {}
    for move in legal:
        by_kind.setdefault(kind_of(move), []).append(move)
    (kind,) = rng.choices(list(by_kind), [style[kind] for kind in by_kind])
    return rng.choice(by_kind[kind])


def play_out(game: Game, rng: random.Random, style: Style | None = None) -> Game:
    """Play `game` to its end and return it."""
    while not game.is_over:
        game.play(choose(game, rng, style))
    return game
