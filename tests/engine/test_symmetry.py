"""Symmetries: the image of an encoded position is the encoding of the position's image, on every board."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest

from rr_engine.boards import CONFIGS, Config
from rr_engine.game import Game
from rr_engine.kernels import layout
from rr_engine.nn.features import Encoded, encode
from rr_engine.nn.network import NOBODY
from rr_engine.training.batches import sample
from rr_engine.training.symmetry import images, select
from rr_engine.training.window import build_window
from tests.engine.games import make_records
from tests.engine.play import choose, random_style

SMALL = ("hex8", "square8")


def _mirrored(game: Game, image: list[int]) -> Game:
    """The same game with every cell where `image` sends it, written anew as text."""
    parts = game.to_text().split(";")
    for index in range(3):  # stacks, markers, collapsed cells
        entries = [entry.split(":") for entry in parts[index][1:].split(",") if entry]
        moved = sorted((image[int(cell)], rest) for cell, rest in entries)
        parts[index] = parts[index][0] + ",".join(f"{cell}:{rest}" for cell, rest in moved)
    if parts[8] != "A-":
        parts[8] = f"A{image[int(parts[8][1:])]}"
    return Game.from_text(game.config.key, ";".join(parts), acted=bool(game.state[0]["acted"]))


def _encoded(game: Game) -> Encoded:
    moves = game.legal_moves()
    return encode(game.config, game.state, moves, np.array([0, len(moves)]))


def _rows(encoded: Encoded) -> list[tuple[object, ...]]:
    """Every move as kind, cells and facts; of a region only what does not depend on which of its cells is named."""
    return [
        (kind, None if kind == layout.REGION else tuple(cells), tuple(facts))
        for kind, cells, facts in zip(
            encoded.move_kinds.tolist(), encoded.move_cells.tolist(), encoded.move_facts.tolist(), strict=True
        )
    ]


def _claimed(game: Game, move: int) -> set[int]:
    """Cells that a claim collapses."""
    after = game.copy()
    after.play(move)
    kinds = [position[0]["kind"][: game.board.cells] == layout.COLLAPSED for position in (game.state, after.state)]
    return set(np.flatnonzero(kinds[1] & ~kinds[0]).tolist())


def _compare(game: Game, turn: int) -> None:
    board = game.board
    there = _mirrored(game, images(board)[0].tolist())  # as text tells it: without the pie rule
    image = images(board)[turn]
    seen = select(_encoded(there), np.array([0]), board, turns=np.array([turn]))
    other = _mirrored(game, image.tolist())
    wanted = _encoded(other)
    np.testing.assert_array_equal(seen.planes, wanted.planes)
    np.testing.assert_array_equal(seen.numbers, wanted.numbers)
    assert Counter(_rows(seen)) == Counter(_rows(wanted))
    for row in np.flatnonzero(seen.move_kinds == layout.REGION).tolist():
        same = np.flatnonzero((wanted.move_facts == seen.move_facts[row]).all(1) & (wanted.move_kinds == layout.REGION))
        named = int(seen.move_cells[row, 0])
        assert any(named in _claimed(other, int(other.legal_moves()[index])) for index in same)


def _positions(config: Config, rng: random.Random, every: int) -> list[Game]:
    """Positions of a game played at random, with a taste of its own."""
    game, style, found = Game(config.key), random_style(rng), []
    while not game.is_over:
        if len(game.moves_played) % every == 0 or game.phase in ("line", "terr", "telim", "fe"):
            found.append(game.copy())
        game.play(choose(game, rng, style))
    return found


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.key)
def test_the_image_of_an_encoding_is_the_encoding_of_the_image(config: Config) -> None:
    rng = random.Random(config.key)
    small = config.board_name in SMALL
    positions = [position for _ in range(6 if small else 1) for position in _positions(config, rng, 5 if small else 25)]
    for position in rng.sample(positions, min(len(positions), 80 if small else 25)):
        _compare(position, rng.randrange(len(images(config.board))))


@pytest.mark.parametrize("key", ["hex8_2p", "square8_3p"])
def test_every_symmetry_holds_for_every_kind_of_move(key: str) -> None:
    rng = random.Random(key)
    config = Config.parse(key)
    kept: dict[int, Game] = {}
    while len(kept) < 13:  # kinds of moves, the swap left out
        for position in _positions(config, rng, 3):
            for kind in set((position.legal_moves() & 15).tolist()) - {int(layout.SWAP)}:
                kept.setdefault(kind, position)
    for position in kept.values():
        for turn in range(len(images(config.board))):
            _compare(position, turn)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.key)
def test_targets_move_with_their_decisions(config: Config) -> None:
    """Policy targets stay beside their moves, owners go with the cells, values and scores stay."""
    window = build_window(make_records(config.key, 1), max_samples=10**6)
    rng = np.random.default_rng(1)
    rows = rng.integers(window.samples, size=30)
    turns = rng.integers(len(images(config.board)), size=30)
    plain, turned = sample(window, rows), sample(window, rows, turns=turns)
    for name in ("policy", "has_policy", "value", "scores"):
        np.testing.assert_array_equal(getattr(plain.targets, name), getattr(turned.targets, name))
    np.testing.assert_array_equal(plain.batch.decision, turned.batch.decision)
    np.testing.assert_array_equal(plain.batch.move_kinds, turned.batch.move_kinds)
    table = images(config.board)
    for index, (row, turn) in enumerate(zip(rows, turns, strict=True)):
        owner = window.owner[window.game[row]].astype(int)
        relative = np.where(owner < 0, NOBODY, (owner - window.seats[row]) % config.players)
        np.testing.assert_array_equal(plain.targets.owner[index], relative)
        np.testing.assert_array_equal(turned.targets.owner[index].numpy()[table[turn][:-1]], relative)
        moves = np.flatnonzero(plain.batch.decision.numpy() == index)
        before, after = plain.batch.move_cells[moves].numpy(), turned.batch.move_cells[moves].numpy()
        np.testing.assert_array_equal(np.sort(table[turn][before], 1), np.sort(after, 1))


def test_the_identity_comes_first_and_outside_stays() -> None:
    for config in CONFIGS:
        table = images(config.board)
        assert len(table) == (12 if config.board.is_hex else 8)
        np.testing.assert_array_equal(table[0], np.arange(config.board.cells + 1))
        assert (table[:, -1] == config.board.cells).all()
        assert all(len(set(row.tolist())) == config.board.cells + 1 for row in table)
