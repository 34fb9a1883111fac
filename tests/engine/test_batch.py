"""Many games at once are the same games as one by one, on any number of threads."""

import random

import numpy as np
import pytest

from rr_engine.batch import KEEP, Batch, LegalMoves
from rr_engine.boards import CONFIGS
from rr_engine.errors import ConfigError, IllegalMoveError
from rr_engine.game import Game
from rr_engine.kernels import layout

CONFIG_KEYS = [config.key for config in CONFIGS]
TOO_LONG = 100_000


def drawn(legal: LegalMoves, rng: np.random.Generator) -> np.ndarray:
    """A random legal move of every game, KEEP where there is none."""
    moves = [rng.choice(legal.of(game)) if count else KEEP for game, count in enumerate(legal.counts)]
    return np.array(moves, np.int64)


def played_out(batch: Batch, seed: int = 1, steps: int = TOO_LONG) -> Batch:
    rng = np.random.default_rng(seed)
    while steps and len(batch.legal.moves):
        batch.step(drawn(batch.legal, rng))
        steps -= 1
    return batch


def contents(batch: Batch) -> tuple[bytes, bytes, bytes]:
    return batch.states.tobytes(), batch.legal.moves.tobytes(), batch.legal.offsets.tobytes()


def starts_of(key: str, games: int) -> np.ndarray:
    """Positions from the middle of random games, each at another depth."""
    rng = random.Random(key)
    states = []
    for number in range(games):
        game = Game(key)
        for _ in range(number):
            game.play(int(rng.choice(game.legal_moves())))
        states.append(game.state)
    return np.concatenate(states)


@pytest.mark.parametrize("key", CONFIG_KEYS)
def test_a_batch_plays_as_single_games_do(key):
    batch, singles = Batch(key, 5, threads=2), [Game(key) for _ in range(5)]
    rng = np.random.default_rng(7)
    for _ in range(40 if batch.config.board.cells > 100 else TOO_LONG):
        if all(single.is_over for single in singles):
            break
        moves = drawn(batch.legal, rng)
        legal = batch.step(moves)
        for game, single in enumerate(singles):
            if not single.is_over:
                single.play(int(moves[game]))
            assert legal.of(game).tolist() == single.legal_moves().tolist()
            assert batch.states[game].tobytes() == single.state.tobytes()
            assert batch.text(game) == single.to_text()
            assert batch.outcome(game) == single.outcome()
            assert batch.players[game] == (-1 if single.is_over else single.player)
    assert batch.is_over.tolist() == [single.is_over for single in singles]
    for game, single in enumerate(singles):
        outcome = single.outcome()
        assert batch.winners[game] == (-1 if outcome is None else outcome.winner)
        assert tuple(batch.ranks[game]) == ((0,) * batch.config.players if outcome is None else outcome.ranks)


@pytest.mark.parametrize("key", ["hex8_2p", "square8_4p", "square19_3p"])
def test_threads_change_nothing(key):
    steps = 30 if key == "square19_3p" else TOO_LONG
    batches = [played_out(Batch(key, 33, threads=threads), steps=steps) for threads in (1, 2, 3)]
    assert contents(batches[0]) == contents(batches[1]) == contents(batches[2])


def test_finished_games_have_no_moves_and_stay():
    batch = played_out(Batch("hex8_2p", 4))
    assert batch.legal.offsets.tolist() == [0] * 5 and batch.legal.counts.tolist() == [0] * 4
    assert batch.is_over.all() and (batch.players == -1).all() and (batch.phases == layout.OVER).all()
    before = contents(batch)
    batch.step(np.full(4, KEEP))
    assert contents(batch) == before
    assert [sorted(ranks) for ranks in batch.ranks.tolist()] == [[1, 2]] * 4


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_some_games_step_and_the_others_keep_their_lists(threads):
    batch = Batch.from_states("square8_3p", starts_of("square8_3p", 12), threads=threads)
    before, states = batch.legal, batch.states.copy()
    chosen = [7, 2, 11]
    after = batch.step([before.of(game)[-1] for game in chosen], chosen)
    for game in range(12):
        kept = game not in chosen
        assert (batch.states[game].tobytes() == states[game].tobytes()) == kept
        assert not kept or after.of(game).tolist() == before.of(game).tolist()
        if not kept:
            single = Batch.from_states("square8_3p", states[game : game + 1])
            assert after.of(game).tolist() == single.step(before.of(game)[-1:]).moves.tolist()
    masked = Batch.from_states("square8_3p", states)
    masked.step([before.of(game)[-1] for game in sorted(chosen)], np.isin(np.arange(12), chosen))
    assert contents(masked) == contents(batch)


def test_lists_handed_out_stay_as_they_were():
    batch = Batch("hex8_2p", 3)
    first = batch.legal
    copied = first.moves.copy()
    played_out(batch, steps=5)
    assert first.moves.tolist() == copied.tolist()
    for array in (first.moves, first.offsets, batch.states):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = array[1]


@pytest.mark.parametrize("threads", [1, 2])
def test_buffers_grow_beyond_their_first_size(threads):
    batch = Batch("hex8_2p", 300, threads=threads)  # 183 placements each, buffers begin with room for 5,678 moves
    assert batch.config.legal_capacity < 300 * 183 == len(batch.legal.moves)
    kept = batch.step([batch.legal.of(0)[0]], [0])  # all other lists are copied
    assert len(kept.moves) == 299 * 183 + kept.counts[0]


def test_positions_are_put_and_games_restarted():
    states = starts_of("hex8_3p", 9)
    batch, whole = Batch("hex8_3p", 6, threads=2), Batch.from_states("hex8_3p", states)
    batch.put([4, 0], states[[8, 3]])
    assert batch.legal.of(4).tolist() == whole.legal.of(8).tolist()
    assert batch.legal.of(0).tolist() == whole.legal.of(3).tolist()
    fresh = contents(Batch("hex8_3p", 6))
    assert contents(batch) != fresh
    batch.restart([0, 4])
    assert contents(batch) == fresh
    played_out(batch)
    batch.restart(batch.is_over)
    assert contents(batch) == fresh


def test_what_was_given_is_copied():
    states = starts_of("hex8_2p", 3)
    before = states.tobytes()
    played_out(Batch.from_states("hex8_2p", states))
    assert states.tobytes() == before


def test_options_are_those_of_a_game():
    batch = Batch("hex8_2p", 2, rings=5, lps_rounds=1, pie=False)
    assert batch.states[1].tobytes() == Game("hex8_2p", rings=5, lps_rounds=1, pie=False).state.tobytes()


class TestRefusals:
    @pytest.fixture
    def batch(self):
        return Batch("hex8_2p", 3)

    def refuse(self, batch, error, says, call):
        before = contents(batch)
        with pytest.raises(error, match=says):
            call()
        assert contents(batch) == before

    def test_one_illegal_move_among_legal_ones_plays_nothing(self, batch):
        moves = batch.legal.moves[batch.legal.offsets[:-1]].copy()
        moves[1] = 3
        says = r"move 3 in game 1 is not legal: seat 0 may play P0x1 .*\(183 in all\)"
        self.refuse(batch, IllegalMoveError, says, lambda: batch.step(moves))
        self.refuse(batch, IllegalMoveError, "move -1 in game 0", lambda: batch.step([-1], [0]))

    def test_a_finished_game_takes_no_move(self, batch):
        played_out(batch)
        self.refuse(batch, IllegalMoveError, "move 2 in game 2 .* the game is over", lambda: batch.step([2], [2]))

    @pytest.mark.parametrize("moves", [[], [2], [2] * 4, [[2] * 3], 2])
    def test_one_move_per_game(self, batch, moves):
        self.refuse(batch, IllegalMoveError, "a batch of 3 games needs one each", lambda: batch.step(moves))

    def test_as_many_moves_as_games(self, batch):
        self.refuse(batch, IllegalMoveError, "for 2 games: one each", lambda: batch.step([2], [0, 1]))
        self.refuse(batch, ConfigError, "2 states for 1 games", lambda: batch.put([0], batch.states[:2]))

    @pytest.mark.parametrize("games", [[3], [-1], [0, 0], [[0]]])
    def test_games_are_different_and_in_range(self, batch, games):
        self.refuse(batch, ConfigError, "different numbers from 0 to 2", lambda: batch.restart(games))

    @pytest.mark.parametrize("other", ["square8_2p", "hex8_3p", "hexagonal_2p"])
    def test_states_of_another_config(self, batch, other):
        state = Game(other).state
        self.refuse(batch, ConfigError, "no states of hex8_2p", lambda: batch.put([0], state))
        with pytest.raises(ConfigError, match="no states of hex8_2p"):
            Batch.from_states("hex8_2p", state)

    def test_no_games_and_no_threads(self):
        with pytest.raises(ConfigError, match="a batch of 0 games"):
            Batch("hex8_2p", 0)
        with pytest.raises(ConfigError, match="0 threads"):
            Batch("hex8_2p", 2, threads=0)
        with pytest.raises(ConfigError, match="no states"):
            Batch.from_states("hex8_2p", Game("hex8_2p").state[:0])
