"""Players: they choose legal moves for many games at once, the same ones whoever sits beside them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from rr_engine.boards import Config
from rr_engine.errors import DataError, IllegalMoveError, PlayerError
from rr_engine.game import Game
from rr_engine.heuristic import HEURISTIC_HASH
from rr_engine.players import KINDS, Positions, Table, best_moves, mixed, player
from tests.engine.positions import position

HEX = Config.parse("hex8_2p")
NAMES = ("random", "greedy", "flat:2", "heuristic", "heuristic:0.5", "search:heuristic:4", "search:uniform:8")


def positions_of(games: Sequence[Game], *, seed: int = 1, temperature: float = 0.0) -> Positions:
    legal = [game.legal_moves() for game in games]
    return Positions(
        config=games[0].config,
        states=np.concatenate([game.state for game in games]),
        moves=np.concatenate(legal),
        offsets=np.cumsum([0, *map(len, legal)]),
        seeds=mixed(np.arange(len(games), dtype=np.uint64), seed),
        temperature=np.full(len(games), temperature),
    )


def chosen(name: str, game: Game, *, seed: int = 1) -> str:
    """What the player called `name` plays."""
    return game.move_text(int(player(name, game.config).choose(positions_of([game], seed=seed)).moves[0]))


def middle(config: Config, games: int, decisions: int = 25) -> Positions:
    """Positions after some random decisions."""
    table = Table(config, mixed(np.arange(games, dtype=np.uint64), 3))
    for _ in range(decisions):
        table.step(player("random", config).choose(table.positions()).moves)
    return table.positions()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("key", ["hex8_2p", "square8_3p"])
def test_a_choice_is_legal_repeatable_and_alone_or_among_others_the_same(name: str, key: str):
    positions = middle(Config.parse(key), 24)
    agent = player(name, positions.config)
    choice = agent.choose(positions)
    for game, move in enumerate(choice.moves):
        assert move in positions.moves[positions.offsets[game] : positions.offsets[game + 1]]
    some = np.array([7, 2, 19])
    apart = agent.choose(positions.take(some))
    assert np.array_equal(apart.moves, choice.moves[some])
    assert np.array_equal(agent.choose(positions).moves, choice.moves)
    if choice.policy is not None:
        assert np.add.reduceat(choice.policy, positions.offsets[:-1]) == pytest.approx(np.ones(24))


def test_players_are_told_apart():
    made = [player(name, HEX) for name in (*NAMES, "flat:50")]
    assert [agent.name for agent in made] == [*NAMES, "flat:50"]
    assert len({agent.digest for agent in made}) == len(made)
    assert all(len(agent.digest) == 64 for agent in made)
    assert player("heuristic", HEX).digest == player("heuristic", Config.parse("square19_4p")).digest
    assert HEURISTIC_HASH not in {agent.digest for agent in made}  # the player adds how it is played


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("deep thought", "players are random, greedy, flat:PLAYOUTS, heuristic"),
        ("random:3", "takes no option"),
        ("greedy:x", "takes no option"),
        ("flat", "flat:50"),
        ("flat:0", "flat:50"),
        ("flat:many", "flat:50"),
        ("heuristic:hot", "heuristic:0.5"),
        ("heuristic:0", "heuristic:0.5"),
        ("heuristic:-1", "heuristic:0.5"),
        ("search", "search:heuristic:64"),
        ("search:heuristic", "search:heuristic:64"),
        ("search:heuristic:0", "search:heuristic:64"),
        ("search:hope:9", "heuristic or uniform"),
        ("champion:many", "champion:32"),
        ("checkpoint", "8 to 64 hexadecimal digits"),
        ("checkpoint:123", "8 to 64 hexadecimal digits"),
        ("checkpoint:0123456789abcdeg", "8 to 64 hexadecimal digits"),
        ("checkpoint:01234567:8:9", "checkpoint:HASH:SIMULATIONS"),
        ("file", "file:PATH"),
        ("file:there/is/none.safetensors:8", "none.safetensors cannot be read: No such file"),
    ],
)
def test_an_unknown_player_is_refused_with_the_names_there_are(name: str, reason: str):
    with pytest.raises(PlayerError, match=reason):
        player(name, HEX, by_hand=True)


@pytest.mark.parametrize("name", ["external:python -c pass", "external", "file:network.safetensors", "file:"])
def test_only_a_command_line_names_programs_and_files(name: str):
    with pytest.raises(DataError, match="only a command line may name .* may name random, greedy"):
        player(name, HEX)


def test_anchors_are_frozen_whatever_the_settings(monkeypatch: pytest.MonkeyPatch):
    names = ("random", "greedy", "heuristic", "search:heuristic:64")
    before = [player(name, HEX).digest for name in names]
    monkeypatch.setenv("RR_SEARCH__CONSIDERED", "2")
    monkeypatch.setenv("RR_MATCH__SIMULATIONS", "2")
    assert [player(name, HEX).digest for name in names] == before


def test_every_kind_shows_how_it_is_written():
    assert all(form.startswith(kind) for kind, (_, form) in KINDS.items())


def test_random_is_uniform():
    game = Game("hex8_2p")
    moves = player("random", HEX).choose(positions_of([game] * 2000)).moves
    counts = np.array([np.sum(moves == move) for move in game.legal_moves()])
    expected = 2000 / len(counts)
    assert ((counts - expected) ** 2 / expected).sum() < 1.5 * len(counts)
    assert counts.max() < 6 * expected


def test_greedy_takes_territory_and_credit():
    game = position(stacks={(0, 0): "a", (7, 7): "b"}, markers={(1, 0): "a", (3, 0): "b"})
    assert chosen("greedy", game) == "M0-3"  # (1, 0) collapses and the ring is eliminated


def test_flat_monte_carlo_finds_a_win():
    """Landing on the marker eliminates the eighteenth ring; after anything else the opponent may do the same."""
    markers = {(3, 0): "b", (7, 5): "b", (5, 5): "a", (6, 7): "b"}
    game = position(stacks={(0, 0): "a", (7, 7): "b"}, markers=markers, elim=(17, 17), hands=(0, 0))
    assert chosen("flat:40", game) == "M0-3"


def test_flat_monte_carlo_knows_that_a_swap_moves_its_agent():
    game = Game("hex8_2p")
    game.play_all(["P30x1", "M30-31"])
    assert "W" in game.legal_texts()
    positions = positions_of([game])
    states = positions.states.copy()
    for seat in (0, 1):
        states["elim"][0] = [17, 0, 0, 0] if seat == 0 else [0, 17, 0, 0]
        move = player("flat:20", HEX).choose(replace(positions, states=states)).moves[0]
        assert (game.move_text(int(move)) == "W") == (seat == 0)


def test_the_heuristic_explores_with_the_temperature_asked_for():
    game = Game("hex8_2p", pie=False)
    games = [game] * 300
    cold = player("heuristic", HEX).choose(positions_of(games))
    warm = player("heuristic", HEX).choose(positions_of(games, temperature=1.0))
    named = player("heuristic:1", HEX).choose(positions_of(games))
    assert np.array_equal(warm.moves, named.moves)
    assert len(set(warm.moves.tolist())) > len(set(cold.moves.tolist()))
    assert warm.policy is not None
    first = dict(zip(game.legal_moves().tolist(), warm.policy.tolist(), strict=False))
    likeliest = max(first, key=lambda move: first[move])
    assert np.mean(warm.moves == likeliest) == pytest.approx(first[likeliest], abs=0.1)
    hot = player("heuristic:1", HEX).choose(positions_of([game], temperature=5.0)).policy
    assert hot is not None
    assert hot.max() < first[likeliest]


def test_ties_are_broken_by_the_seed():
    positions = positions_of([Game("hex8_2p")] * 200)
    values = np.tile(np.where(np.arange(positions.offsets[1]) % 50 == 0, 1.0, 0.0), 200)
    picked = best_moves(positions, values).tolist()
    legal = Game("hex8_2p").legal_moves()
    assert set(picked) == set(legal[::50].tolist())


def test_a_table_plays_the_same_games_for_the_same_seeds_and_refuses_illegal_moves():
    tables = [Table(HEX, np.array([5, 6, 7], np.uint64)) for _ in range(2)]
    for table in tables:
        while len(table.running):
            table.step(player("random", HEX).choose(table.positions()).moves)
    assert tables[0].histories == tables[1].histories
    assert len({tuple(history) for history in tables[0].histories}) == 3
    assert (tables[0].states["winner"] >= 0).all()
    fresh = Table(HEX, np.array([5], np.uint64))
    before = fresh.states.tobytes()
    with pytest.raises(IllegalMoveError):
        fresh.step(np.array([12345]))
    assert fresh.states.tobytes() == before
    assert fresh.histories == [[]]
