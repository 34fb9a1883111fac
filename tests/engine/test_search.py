"""The search: it follows the paper, finds solved wins, knows seats from agents, and repeats itself."""

from __future__ import annotations

import numpy as np
import pytest

from rr_engine.boards import CONFIGS, Config
from rr_engine.game import Game
from rr_engine.heuristic.evaluator import HeuristicEvaluator
from rr_engine.players import Table, player
from rr_engine.players.search import SearchPlayer
from rr_engine.search import CachedEvaluator, Evaluator, Found, UniformEvaluator, search
from rr_engine.search.gumbel import halving
from rr_engine.settings import SearchSettings
from tests.engine.positions import position
from tests.engine.reference_search import search_one


class Weighing:
    """An evaluator with opinions that depend on the position only: priors by the move's code, chances by the board."""

    def evaluate(self, config, states, moves, _offsets):
        markers = states["markers"][:, : config.players] + 1.0
        return np.sin(moves.astype(np.float64)), markers / markers.sum(1, keepdims=True)


def found_in(
    game: Game,
    simulations: int,
    evaluator: Evaluator | None = None,
    *,
    considered: int = 16,
    win_cells: int = 0,
    noise: np.ndarray | None = None,
) -> Found:
    moves = np.array(game.legal_moves(), np.int64)
    return search(
        Config.parse(game.config.key),
        game.state,
        moves,
        np.array([0, len(moves)]),
        evaluator=evaluator or UniformEvaluator(),
        settings=SearchSettings(considered=considered, win_cells=win_cells),
        simulations=np.array([simulations]),
        noise=np.zeros(len(moves)) if noise is None else noise,
    )


def test_sequential_halving_shares_the_budget_as_in_the_paper():
    assert halving(1, 4) == (0, 1, 2, 3)
    assert halving(2, 4) == (0, 0, 1, 1)
    assert halving(4, 8) == (0, 0, 0, 0, 1, 1, 2, 2)
    # 16 moves in 4 rounds of 8 simulations: a round visits every move left at least once, the budget ends the last one
    assert halving(16, 32) == (0,) * 16 + (1,) * 8 + (2,) * 4 + (3,) * 4
    # of 16 simulations for 16 moves none would be left to halve them
    assert halving(16, 16) == halving(8, 16) == (0,) * 8 + (1,) * 4 + (2,) * 2 + (3,) * 2
    assert halving(16, 1) == (0,)
    for considered in range(1, 20):
        for simulations in range(0, 70):
            assert len(halving(considered, simulations)) == simulations


def test_a_win_in_one_elimination_is_found():
    game = position("square8_2p", stacks={(0, 0): "a", (7, 7): "bb"}, markers={(3, 0): "b"}, elim=(17, 0), hands=(0, 3))
    found = found_in(game, 64)
    assert game.move_text(int(found.moves[0])) == "M0-3"  # lands on a marker: the 18th ring
    assert found.policy.argmax() == list(game.legal_moves()).index(int(found.moves[0]))


def test_a_forced_chain_is_found():
    """The capture brings no credit itself, but the chain it forces ends on the marker it left (rules 5.4, 5.2)."""
    game = position("square8_2p", stacks={(0, 0): "a", (2, 0): "bbab", (0, 5): "b"}, elim=(17, 0))
    played = []
    while not game.is_over and game.player == 0:
        move = int(found_in(game, 64).moves[0])
        played.append(game.move_text(move))
        game.play(move)
    assert played[0].startswith("C0-2-")
    assert played[1].endswith("-2-0")
    outcome = game.outcome()
    assert outcome is not None
    assert (outcome.winner, outcome.end) == (0, "elim")


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.key)
def test_policies_and_values_are_distributions(config: Config):
    table = Table(config, np.arange(1, 4, dtype=np.uint64))
    positions = table.positions(1.0)
    agent = SearchPlayer(Weighing(), name="w", identity="w", settings=SearchSettings(), simulations=12)
    for _ in range(6):
        choice = agent.choose(positions)
        assert choice.policy is not None and choice.values is not None
        np.testing.assert_allclose(np.add.reduceat(choice.policy, positions.offsets[:-1]), 1)
        np.testing.assert_allclose(choice.values.sum(1), 1)
        table.step(choice.moves)
        positions = table.positions(1.0)


def test_the_same_seed_gives_the_same_search():
    config = Config.parse("hex8_2p")
    positions = Table(config, np.arange(1, 40, dtype=np.uint64)).positions(1.0)
    agent = SearchPlayer(HeuristicEvaluator(), name="w", identity="w", settings=SearchSettings(), simulations=8)
    first, second = agent.choose(positions), agent.choose(positions)
    np.testing.assert_array_equal(first.moves, second.moves)
    np.testing.assert_array_equal(first.policy, second.policy)
    alone = agent.choose(positions.take(np.array([7])))
    assert alone.moves[0] == first.moves[7]
    np.testing.assert_array_equal(alone.values[0], first.values[7])


class Counted:
    """The heuristic, and how many positions it was asked about."""

    def __init__(self) -> None:
        self.asked = 0

    def evaluate(self, config, states, moves, offsets):
        self.asked += len(states)
        return HeuristicEvaluator().evaluate(config, states, moves, offsets)


def test_a_cache_asks_once_and_answers_the_same():
    config = Config.parse("hex8_2p")
    table, dice = Table(config, np.arange(1, 9, dtype=np.uint64)), player("random", config)
    for _ in range(6):
        table.step(dice.choose(table.positions(1.0)).moves)
    positions = table.positions(0.0)
    counted = Counted()

    def ask(cached: CachedEvaluator, rows: list[int]) -> None:
        part = positions.take(np.array(rows))
        asked = (part.config, part.states, part.moves, part.offsets)
        for got, wanted in zip(cached.evaluate(*asked), HeuristicEvaluator().evaluate(*asked), strict=True):
            np.testing.assert_array_equal(got, wanted)

    large = CachedEvaluator(counted)
    for rows in ([3, 0, 5], [5, 3], [1, 5, 2, 3, 4]):
        ask(large, rows)
    assert counted.asked == 6  # of six positions
    small = CachedEvaluator(counted, room=1)  # each half has room for the answers of one call
    for row in (6, 7, 6, 5, 6):
        ask(small, [row])
    assert counted.asked == 6 + 4


def test_with_no_simulation_the_prior_decides():
    game = Game("hex8_2p")
    found = found_in(game, 0, Weighing())
    moves = np.array(game.legal_moves())
    assert found.moves[0] == moves[np.argmax(np.sin(moves.astype(float)))]
    shares = np.exp(np.sin(moves.astype(float)))
    np.testing.assert_allclose(found.policy, shares / shares.sum())


class FavoursOneAgent:
    """Who opened the game is sure to win, whichever seat it sits in."""

    def evaluate(self, _config, states, moves, _offsets):
        chances = np.zeros((len(states), 2))
        chances[np.arange(len(states)), states["swapped"]] = 1.0
        return np.zeros(len(moves)), chances


def test_a_swap_takes_the_seat_and_not_the_game():
    """With the opener sure to win, a swap changes nothing for the agents: the second one must not see a gain in it."""
    game = Game("hex8_2p")
    game.play("P30x1")
    while game.phase != "place" or game.player == 0:
        game.play(game.legal_texts()[0])
    assert "W" in game.legal_texts()
    found = found_in(game, 200, FavoursOneAgent(), considered=200)
    np.testing.assert_allclose(found.values[0], [1.0, 0.0])
    np.testing.assert_allclose(found.policy, found.policy[0])  # no move is better than another


class FavoursTheFirstSeat:
    """Seat 0 wins, whoever sits there."""

    def evaluate(self, _config, states, moves, _offsets):
        chances = np.zeros((len(states), 2))
        chances[:, 0] = 1.0
        return np.zeros(len(moves)), chances


def test_who_may_swap_into_the_better_seat_does():
    game = Game("hex8_2p")
    game.play("P30x1")
    while game.phase != "place" or game.player == 0:
        game.play(game.legal_texts()[0])
    found = found_in(game, 400, FavoursTheFirstSeat(), considered=200)
    assert game.move_text(int(found.moves[0])) == "W"


@pytest.mark.parametrize("win_cells", [0, 64])
@pytest.mark.parametrize(("key", "seed"), [("hex8_2p", 8), ("square8_3p", 5), ("hex8_4p", 8)])
def test_the_batched_tree_is_the_one_of_a_plain_search(key: str, seed: int, win_cells: int):
    """The golden trees: positions along a game, searched plainly and all at once, agree to the last visit."""
    config = Config.parse(key)
    rng = np.random.default_rng(seed)
    games = [Game(key) for _ in range(6)]
    for number, game in enumerate(games):
        while (
            len(game.moves_played) < 9 * number or len(game.legal_moves()) < 2 or found_in(game, 1, win_cells=64).won[0]
        ):
            game.play(int(rng.choice(game.legal_moves())))
    lists = [np.array(game.legal_moves(), np.int64) for game in games]
    offsets = np.concatenate(([0], np.cumsum([len(moves) for moves in lists])))
    noise = rng.gumbel(size=offsets[-1])
    settings = SearchSettings(considered=8, c_scale=0.5, win_cells=win_cells)
    found = search(
        config,
        np.concatenate([game.state for game in games]),
        np.concatenate(lists),
        offsets,
        evaluator=Weighing(),
        settings=settings,
        simulations=np.array([40, 1, 7, 40, 100, 40]),
        noise=noise,
    )
    assert not found.won.any()
    for number, (game, simulations) in enumerate(zip(games, (40, 1, 7, 40, 100, 40), strict=True)):
        own = slice(offsets[number], offsets[number + 1])
        root, policy, chosen = search_one(game, Weighing(), settings, simulations, noise[own].tolist())
        visits = [root.children[i].visits if i in root.children else 0 for i in range(len(root.moves))]
        assert found.visits[own].tolist() == visits
        assert found.moves[number] == chosen
        np.testing.assert_allclose(found.policy[own], policy)
        by_agent = np.array(root.total[: config.players]) / root.visits
        seats = [seat ^ int(game.state[0]["swapped"]) for seat in range(config.players)]
        np.testing.assert_allclose(found.values[number], by_agent[seats])
        mover = root.agent
        walked = [
            root.children[i].total[mover] / root.children[i].visits if n else np.nan for i, n in enumerate(visits)
        ]
        np.testing.assert_allclose(found.edge_values[own], walked)
