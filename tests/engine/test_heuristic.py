"""The yardstick: what it measures, what it wants, and that nobody changes it by accident."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

from rr_engine.batch import Batch
from rr_engine.boards import Config
from rr_engine.game import Game
from rr_engine.heuristic import HEURISTIC_HASH, fill_values, measure, policy
from rr_engine.heuristic.evaluation import value_moves
from rr_engine.heuristic.source import code_of
from rr_engine.heuristic.weights import FEATURES, WEIGHTS, openings
from rr_engine.kernels.batch import advance_slice
from rr_engine.kernels.replay import replay_moves
from rr_engine.records.record import replayed
from tests.engine.positions import position

ROOT = Path(__file__).parents[2]
PINNED = "8296072e27378a519e271aa1c7103df66cffc5439e1a30735253a6780454f4d9"


def values_of(game: Game) -> dict[str, float]:
    moves = game.legal_moves()
    values = np.full(len(moves), np.nan)
    fill_values(game.config, game.state, moves, np.array([0, len(moves)]), values, 0, 1)
    return {game.move_text(int(move)): value for move, value in zip(moves, values.tolist(), strict=True)}


def best(game: Game) -> str:
    values = values_of(game)
    return max(values, key=lambda text: values[text])


def test_the_yardstick_is_frozen():
    assert HEURISTIC_HASH == PINNED, (
        "the heuristic changed: ratings from before and after do not compare. If that is wanted, it is a new anchor: "
        "measure it (`rr yardstick`), write that down in docs/experiments.md and pin the new hash here"
    )


def test_the_hash_sees_code_and_not_comments():
    assert code_of('"""One."""\nx = 1  # why\n') == code_of('"""Two,\nlonger."""\n\nx  =  1\n')
    assert code_of("x = 1") != code_of("x = 2")
    assert code_of('f("text")') != code_of('f("other")')


def test_every_feature_has_a_weight():
    assert len(FEATURES) == len(set(FEATURES)) == len(WEIGHTS) == 36
    assert np.all(WEIGHTS != 0)


ROW = {(x, 0): "a" for x in range(8)}

# feature, position, what seats a and b get
MEASURED: list[tuple[str, dict[str, Any], list[float]]] = [
    ("victory", {"stacks": {(0, 0): "a"}, "elim": (18, 0)}, [1, 0]),
    ("no_stacks", {"stacks": {(0, 0): "a"}}, [0, 1]),
    ("ring_threshold", {"stacks": {(0, 0): "a"}, "elim": (9, 0)}, [0.25, 0]),
    ("territory_threshold", {"stacks": {(4, 4): "a"}, "territory": ROW}, [(8 / 33) ** 2, 0]),
    ("victory_proximity", {"stacks": {(0, 0): "a"}, "elim": (9, 0)}, [0.0625, 0]),
    ("opponent_victory", {"stacks": {(0, 0): "a"}, "elim": (9, 0)}, [0, 0.0625]),
    ("eliminated", {"stacks": {(0, 0): "a"}, "elim": (9, 2)}, [9, 2]),
    ("stacks", {"stacks": {(0, 0): "a", (4, 4): "a", (7, 7): "b"}}, [2, 1]),
    ("single_stack", {"stacks": {(0, 0): "a", (4, 4): "a", (7, 7): "b"}}, [0, 1]),
    ("closure", {"stacks": {(4, 4): "a"}, "markers": {(1, 1): "a", (2, 2): "a", (7, 4): "b"}}, [2, 1]),
    ("closure", {"stacks": {(4, 4): "a"}, "markers": {(2, 3): "a"}, "territory": {(2, 2): "b"}}, [1, 0]),
    ("territory", {"stacks": {(4, 4): "a"}, "territory": ROW}, [8, 0]),
    ("territory_safety", {"stacks": {(4, 4): "a"}, "territory": {(0, 0): "a", (1, 0): "a", (2, 0): "b"}}, [1, 0]),
    ("vulnerable", {"stacks": {(0, 0): "bbaa", (3, 0): "bb", (3, 3): "b"}}, [0, 2]),
    ("vulnerable", {"stacks": {(0, 0): "aa", (3, 0): "b", (3, 3): "bbb"}}, [0, 1]),
    ("overtake", {"stacks": {(1, 1): "aa", (3, 1): "b", (3, 3): "bbb"}}, [1, 1]),
    ("opponent_threat", {"stacks": {(1, 1): "aa", (3, 1): "b", (3, 3): "bbb", (1, 3): "bb"}}, [2, 2]),
    ("chain_potential", {"stacks": {(1, 1): "aa", (3, 1): "b", (1, 3): "b"}}, [1, 0]),
    ("chain_risk", {"stacks": {(1, 1): "aa", (3, 1): "b", (1, 3): "b"}}, [0, 1]),
    ("recovery_eligible", {"seat": "b", "stacks": {(0, 0): "ab"}, "markers": {(4, 4): "a"}}, [1, 0]),
    ("line_potential", {"stacks": {(7, 7): "a"}, "markers": {(0, 1): "a", (1, 1): "a"}}, [1, 0]),
    ("four", {"stacks": {(7, 7): "a"}, "markers": {(0, 0): "a", (1, 0): "a", (3, 0): "a"}}, [1, 0]),
    ("line_connectivity", {"stacks": {(7, 7): "a"}, "markers": {(0, 0): "a", (1, 1): "a", (5, 0): "b"}}, [1, 0]),
    ("gap", {"stacks": {(7, 7): "a"}, "markers": {(0, 0): "a", (2, 0): "a", (3, 0): "b", (5, 2): "b"}}, [1, 1]),
    ("cap_height", {"stacks": {(0, 0): "abaa", (7, 7): "ab"}}, [2, 1]),
    ("stack_height", {"stacks": {(0, 0): "abaa", (7, 7): "ab"}}, [4, 2]),
    ("buried", {"stacks": {(0, 0): "abaa", (7, 7): "aab"}}, [2, 1]),
    ("buried_recovery", {"stacks": {(0, 0): "abaa", (7, 6): "aab"}}, [1, 0.5]),
    ("tempo", {"stacks": {(0, 0): "a"}}, [1, 0]),
    ("expansion", {"stacks": {(0, 0): "a", (7, 0): "b", (6, 0): "b"}}, [2, 3]),
    ("blocked", {"stacks": {(0, 0): "aaaaaaaa", (4, 4): "a", (7, 0): "b"}}, [1, 0]),
    ("forced_risk", {"seat": "b", "stacks": {(0, 0): "aaaaaaaa", (7, 1): "b"}}, [1, 0]),
    ("centre", {"stacks": {(3, 3): "a", (0, 5): "b"}}, [6 / 7, 0]),
    ("mobility", {"stacks": {(0, 0): "aaaaa", (7, 1): "b"}, "territory": {(7, 0): "a"}}, [8, 20]),
    ("stack_mobility", {"stacks": {(0, 0): "aaaaa", (7, 1): "b"}, "territory": {(7, 0): "a"}}, [3, 4]),
    ("hand", {"stacks": {(0, 0): "a"}, "hands": (3, 7)}, [3, 7]),
    ("adjacency", {"stacks": {(0, 0): "a", (1, 1): "a", (2, 0): "a", (5, 5): "b"}}, [2, 0]),
    ("marker", {"stacks": {(0, 0): "a"}, "markers": {(5, 5): "a", (6, 6): "b", (6, 2): "b"}}, [1, 2]),
]


@pytest.mark.parametrize(("feature", "where", "expected"), MEASURED)
def test_what_is_measured(feature: str, where: dict[str, Any], expected: list[float]):
    game = position(**where)
    assert measure(game.config, game.state)[feature] == pytest.approx(expected)


def test_every_feature_is_measured_above():
    assert {feature for feature, _, _ in MEASURED} == set(FEATURES)


def test_neighbours_on_hex_boards():
    hexes = position("hex8_2p", stacks={(0, 0): "a", (1, 0): "a", (-1, 1): "a", (4, 0): "b", (3, -1): "b"})
    assert measure(hexes.config, hexes.state)["adjacency"] == [2, 0]
    ring = {(1, 0): "a", (0, 1): "a", (-1, 1): "a", (-1, 0): "a", (0, -1): "a", (1, -1): "a"}
    closed = position("hex8_2p", stacks={(3, 0): "b", (4, -4): "a"}, markers=ring)
    assert measure(closed.config, closed.state)["closure"] == [12, 0]


def twins(key: str, decisions: int, phase: str = "") -> Iterator[tuple[Game, Game, int]]:
    """A game after some random decisions, in `phase` if one is given, and its image under every symmetry."""
    rng = np.random.default_rng(decisions)
    game = Game(key, pie=False)
    while len(game.moves_played) < decisions or phase not in ("", game.phase):
        game.play(int(rng.choice(game.legal_moves())))
    for number, image in enumerate(game.board.symmetries):
        text = mirrored(game.to_text(), image.tolist())
        yield game, Game.from_text(key, text, acted=bool(game.state[0]["acted"])), number


@pytest.mark.parametrize("key", ["hex8_2p", "square8_2p", "square8_3p"])
@pytest.mark.parametrize("decisions", [19, 24, 29, 35])
def test_mirrored_positions_measure_the_same(key: str, decisions: int):
    for game, twin, _ in twins(key, decisions):
        for feature, numbers in measure(game.config, game.state).items():
            assert numbers == pytest.approx(measure(twin.config, twin.state)[feature]), feature


@pytest.mark.parametrize(("key", "decisions"), [("hex8_2p", 24), ("square8_2p", 24), ("square8_2p", 29)])
def test_moves_of_mirrored_positions_are_worth_the_same(key: str, decisions: int):
    """Not placements, whose first trial takes the first direction; on hex8 half a turn only (rules 8, border rule)."""
    for game, twin, number in twins(key, decisions, "move"):
        if not game.board.is_hex or number in (0, 3):
            assert sorted(values_of(game).values()) == pytest.approx(sorted(values_of(twin).values()))


def mirrored(text: str, image: list[int]) -> str:
    parts = {part[0]: part[1:] for part in text.split(";")}
    for letter in "SMC":
        items = [item.split(":") for item in parts[letter].split(",") if item]
        moved = sorted((image[int(cell)], owner) for cell, owner in items)
        parts[letter] = ",".join(f"{cell}:{owner}" for cell, owner in moved)
    if parts["A"] != "-":
        parts["A"] = str(image[int(parts["A"])])
    return ";".join(letter + rest for letter, rest in parts.items())


def test_it_takes_a_win_and_sees_it_through_the_rest_of_the_turn():
    winning = position(stacks={(0, 0): "a", (7, 7): "b"}, markers={(3, 0): "b"}, elim=(17, 0))
    assert best(winning) == "M0-3"  # landing on a marker eliminates the eighteenth ring
    assert values_of(winning)["M0-3"] > 900
    line = {(0, 1): "a", (1, 2): "a", (2, 3): "a"}
    paying = position(stacks={(3, 4): "aa", (7, 0): "b"}, markers=line, elim=(17, 0))
    assert all(value > 900 for value in values_of(paying).values())  # any move leaves a line, whose payment wins


def test_a_placement_is_judged_by_the_best_move_after_it():
    game = position(phase="place", stacks={(7, 7): "b"}, markers={(3, 0): "b"}, elim=(17, 0))
    values = values_of(game)
    assert max(values.values()) > 900
    assert values["P0x1"] > 900  # then M0-3
    assert values["P58x1"] < 900


def test_values_of_placements_are_at_most_beam_deep_but_never_missing():
    game = Game("square8_3p")
    assert not np.isnan(list(values_of(game).values())).any()
    large = Game("hexagonal_2p")
    assert not np.isnan(list(values_of(large).values())).any()


def test_a_good_opening_is_taken_over_and_a_poor_one_is_not():
    poor, good = Game("hex8_2p"), Game("hex8_2p")
    corner = poor.board.cell_of[4, 0]
    poor.play_all([f"P{poor.board.cell_of[0, 0]}x3", f"M{poor.board.cell_of[0, 0]}-{corner}"])
    good.play_all([f"P{corner}x1", f"M{corner}-{good.board.cell_of[3, 0]}"])
    assert "W" in values_of(poor)
    assert best(poor) != "W"
    assert best(good) == "W"
    assert openings(good.board).max() > 0 > openings(good.board)[1].max()


def test_centrality_is_1_in_the_middle_and_0_at_the_edge():
    for key in ("hex8_2p", "square19_2p"):
        place = Game(key).board
        weights = place.centrality
        assert weights[place.cell_of[(0, 0) if place.is_hex else (9, 9)]] == 1
        assert weights.min() == weights[place.cells] == 0


def test_policy_is_a_softmax_in_each_game():
    offsets = np.array([0, 2, 5])
    shares = policy(np.array([0.0, 2.0, 1000.0, -1000.0, 1000.0]), offsets, np.array([1.0, 0.5]))
    assert shares == pytest.approx([1 / (1 + np.e), np.e / (1 + np.e), 0.5, 0, 0.5])
    assert policy(np.array([0.0, 2.0]), np.array([0, 2]), 1e-6) == pytest.approx([0, 1])


def digest_of_values() -> str:
    """A digest over the values of every decision of a few games."""
    digest = hashlib.sha256()
    for key in ("hex8_2p", "square8_4p"):
        rng = np.random.default_rng(5)
        game = Game(key)
        while not game.is_over and len(game.moves_played) < 30:
            if game.phase != "place":
                digest.update(np.round(list(values_of(game).values()), 6).tobytes())
            game.play(int(rng.choice(game.legal_moves())))
    late = position(phase="place", stacks={(0, 0): "aaaaaaa", (7, 7): "b"}, hands=(1, 1))
    digest.update(np.round(list(values_of(late).values()), 6).tobytes())
    return digest.hexdigest()


def test_compiled_and_plain_evaluation_agree():
    code = "from tests.engine import test_heuristic; print(test_heuristic.digest_of_values())"
    environ = os.environ | {"NUMBA_DISABLE_JIT": str(int(not numba.config.DISABLE_JIT))}
    other = subprocess.run([sys.executable, "-c", code], env=environ, cwd=ROOT, capture_output=True, text=True)
    assert other.stdout.strip() == digest_of_values(), other.stderr


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")
def test_arrays_that_may_be_written_and_others_share_what_is_compiled() -> None:
    config = Config.parse("hex8_2p")
    batch = Batch(config, 1)
    played = [batch.legal.moves[0], batch.legal.moves[1]]
    batch.step(batch.legal.moves[:1])
    for write in (True, False):
        listed = [array.copy() for array in (batch.legal.moves, batch.legal.offsets, np.array(played))]
        for array in listed:
            array.setflags(write=write)
        moves, offsets, played_before = listed
        fill_values(config, batch.states.copy(), moves, offsets, np.empty(len(moves)), 0, 1)
        replayed(config, played_before, pie=False)
    for entry in (value_moves, advance_slice, replay_moves):
        sizes_of_boards = {str(signature[0]) for signature in entry.signatures}
        assert len(entry.signatures) == len(sizes_of_boards) <= 2, entry
