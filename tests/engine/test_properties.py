"""Random games on all twelve configs keep every invariant of rules 7, and everything that should be inverse is."""

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rr_engine.boards import CONFIGS, Config
from rr_engine.game import Game
from rr_engine.kernels import layout
from rr_engine.records import trace
from tests.engine.invariants import Watch
from tests.engine.play import KINDS, WEIGHTS, Style, choose, play_out

CONFIG_KEYS = [config.key for config in CONFIGS]

styles = st.none() | st.lists(st.sampled_from(WEIGHTS), min_size=len(KINDS), max_size=len(KINDS)).map(
    lambda weights: dict(zip(KINDS, weights, strict=True))
)
# Few rings make hands run out, stacks vanish and stalemates happen; few rounds let a lone player win soon.
options = st.fixed_dictionaries(
    {}, optional={"rings": st.integers(1, 18), "lps_rounds": st.integers(1, 4), "pie": st.just(False)}
)


def random_games(*, small: int, large: int):
    """A test of (key, chosen options, seed, style), with so many examples on small and on large boards."""

    def decorate(test):
        def run(key):
            @settings(max_examples=large if Config.parse(key).board.cells > 100 else small, deadline=None)
            @given(options, st.integers(0, 2**32), styles)
            def on_one_board(chosen, seed, style):
                test(key, chosen, seed, style)

            on_one_board()

        run.__name__ = test.__name__
        return pytest.mark.parametrize("key", CONFIG_KEYS)(run)

    return decorate


@random_games(small=80, large=4)
def test_invariants_hold_after_every_decision(key: str, chosen: dict[str, int], seed: int, style: Style | None):
    rng = random.Random(seed)
    game = Game(key, **chosen)
    watch = Watch(game)
    while not game.is_over:
        watch.play(choose(game, rng, style))
    outcome = game.outcome()
    assert outcome is not None
    assert sorted(outcome.ranks)[0] == 1 == outcome.ranks[outcome.winner]
    assert all(sum(other < rank for other in outcome.ranks) == rank - 1 for rank in outcome.ranks)


@random_games(small=10, large=2)
def test_undo_restores_every_byte(key: str, chosen: dict[str, int], seed: int, style: Style | None):
    rng = random.Random(seed)
    game = Game(key, **chosen)
    past: list[tuple[bytes, list[int], int]] = []
    while not game.is_over:
        move = choose(game, rng, style)
        past.append((game.state.tobytes(), game.legal_moves().tolist(), move))
        game.play(move)
    for before, legal, move in reversed(past):
        assert game.undo() == move
        assert (game.state.tobytes(), game.legal_moves().tolist()) == (before, legal)
    assert game.moves_played == ()


@random_games(small=10, large=1)
def test_copies_are_independent(key: str, chosen: dict[str, int], seed: int, style: Style | None):
    rng = random.Random(seed)
    game = Game(key, **chosen)
    for _ in range(rng.randrange(60)):
        if not game.is_over:
            game.play(choose(game, rng, style))
    before, played = game.state.tobytes(), game.moves_played
    twin = game.copy()
    assert twin.state.tobytes() == before
    play_out(twin, rng, style)
    assert (game.state.tobytes(), game.moves_played) == (before, played)
    while game.moves_played:
        game.undo()
    while len(twin.moves_played) > len(played):
        twin.undo()
    assert (twin.state.tobytes(), twin.moves_played) == (before, played)


@random_games(small=6, large=1)
def test_moves_are_printed_and_parsed_inversely(key: str, chosen: dict[str, int], seed: int, style: Style | None):
    rng = random.Random(seed)
    game = Game(key, **chosen)
    sparse = game.board.cells > 100  # a thousand moves a decision: look at every tenth decision
    while not game.is_over:
        if not sparse or rng.random() < 0.1:
            legal = game.legal_moves().tolist()
            texts = [game.move_text(move) for move in legal]
            assert [game.parse(text) for text in texts] == legal
            assert game.legal_texts() == sorted(set(texts))
        game.play(choose(game, rng, style))


@random_games(small=10, large=1)
def test_a_text_gives_the_same_decision_back(key: str, chosen: dict[str, int], seed: int, style: Style | None):
    rng = random.Random(seed)
    game = Game(key, **chosen)
    while not game.is_over:
        read = Game.from_text(key, game.to_text(), acted=bool(game.state[0]["acted"]))
        assert read.to_text() == game.to_text()
        legal = [move for move in game.legal_moves().tolist() if move & 15 != layout.SWAP]  # no text knows the pie rule
        assert read.legal_moves().tolist() == legal
        game.play(choose(game, rng, style))


@random_games(small=10, large=1)
def test_a_stored_trace_restores_the_game(key: str, chosen: dict[str, int], seed: int, style: Style | None):
    game = play_out(Game(key, pie=chosen.get("pie")), random.Random(seed), style)
    record = json.loads(json.dumps(trace.record_of_game(game, name="stored", seed=seed)))
    assert trace.replay(record) == trace.Replay("stored", len(game.moves_played), "", tuple(game.moves_played))
    again = Game(key, pie=bool(record["swap"]))
    again.play_all(record["m"].split())
    assert again.state.tobytes() == game.state.tobytes()
    assert again.outcome() == game.outcome()
