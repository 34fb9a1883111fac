"""What is wrong is refused by one clear error that says what would be right, and nothing changes."""

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rr_engine.batch import Batch
from rr_engine.boards import CONFIGS, Board, Config, board
from rr_engine.errors import ConfigError, EngineError, IllegalMoveError, StateTextError
from rr_engine.game import Game
from tests.engine.play import play_out

START = "S;M;C;H18,18;E0,0;T0,0;Fplace;P0;A-;R0;L-"
MOVING = "S0:0,9:10;M3:1,5:0;C7:1;H5,5;E0,0;T0,1;Fmove;P0;A-;R0;L-"


def refuses(game: Game, move, says: str) -> None:
    before = (game.state.tobytes(), game.legal_moves().tolist(), game.moves_played)
    with pytest.raises(IllegalMoveError, match=says):
        game.play(move)
    assert (game.state.tobytes(), game.legal_moves().tolist(), game.moves_played) == before


class TestMoves:
    @pytest.mark.parametrize(
        "text", ["", " ", "X", "P", "P0", "P0x0", "P0x4", "p0x1", "P0x1 ", "P00x1", "P\u0663x1", "P-1x1"]
    )
    @pytest.mark.parametrize("key", ["hex8_2p", "square19_3p"])
    def test_malformed_text_names_the_form_and_the_choices(self, key, text):
        game = Game(key)
        refuses(game, text, r"malformed.*seat 0 in phase place may play P0x1 .*in all\)")

    @pytest.mark.parametrize(
        "text",
        ["M0", "M0-", "M0-1-2", "C0-1", "C0-1-2-3", "E", "E1x", "F-1", "L", "L1", "L1+", "R1-2", "R1-2X@3", "R1-2L:3"]
        + ["T1", "T1-2", "T1-2-xyz", "T1-2-1234567", "W1", "PP", "M1000-1", "E0001", "Ma-b", "M0 1", "\x00", "M0-1\n"],
    )
    def test_every_kind_of_move_has_one_form(self, text):
        refuses(Game("square8_2p"), text, "malformed")

    @pytest.mark.parametrize(
        "text", ["P64x1", "M0-64", "C0-1-99", "E64", "F999", "R0-1F@64", "R64-1L:1.2.3.4", "L64.65"]
    )
    def test_cells_beyond_the_board_name_its_range(self, text):
        refuses(Game("square8_2p"), text, f"move '{text}': square8 has cells 0 to 63; seat 0 in phase place may play")

    @pytest.mark.parametrize("text", ["L3.2.1.0", "L0.1.3.4", "L0.9.10", "L0.0.0", "L6.7.8.9+", "R0-1L:4.3"])
    def test_a_line_is_an_ascending_run(self, text):
        refuses(Game("square8_2p"), text, "no ascending run")

    @pytest.mark.parametrize(
        "text", ["M0-1", "C0-1-2", "E0", "F0", "C-", "R-", "T-", "W", "L0.1.2.3+", "T0-1-5feceb66"]
    )
    def test_well_formed_but_illegal_moves_name_the_choices(self, text):
        refuses(
            Game("square8_2p"), text, rf"move {text.replace('+', '.')} is not legal: seat 0 in phase place may play"
        )

    def test_a_short_list_of_choices_is_given_in_full(self):
        game = Game.from_text("square8_2p", MOVING)
        for text in [text for text in game.legal_texts() if text[0] == "C"]:
            refuses(game, text + "0", "may play")
        chain = Game.from_text(
            "square8_2p", "S2:110,3:01;M0:0;C;H5,5;E0,0;T0,0;Fchain;P0;A3;R0;L-".replace("3:01", "3:10")
        )
        refuses(chain, "C-", rf"may play {' '.join(chain.legal_texts())}$")

    @pytest.mark.parametrize("move", [-1, -2, 0, 1, 2**63 - 1, 2**70, -(2**63), 3.5, math.nan, None, True, np.int64(5)])
    def test_numbers_that_are_no_legal_move(self, move):
        refuses(Game("hex8_2p"), move, "is not legal: seat 0 in phase place may play")

    def test_what_only_equals_a_legal_move_is_none(self):
        game = Game("hex8_2p")
        for move in (float(game.legal_moves()[0]), game.legal_moves()[:1], 10**6000):
            refuses(game, move, "is not legal: seat 0 in phase place may play")

    @pytest.mark.parametrize(
        "text", ["x" * 10**5, "L" + ".".join(["1"] * 10**5), "L" + ".".join(["999"] * 10**5), "C1-2-" + "3" * 10**4]
    )
    def test_a_refusal_does_not_repeat_all_it_was_given(self, text):
        with pytest.raises(IllegalMoveError) as refusal:
            Game("square8_2p").play(text)
        assert len(str(refusal.value)) < 500

    def test_nothing_is_legal_when_the_game_is_over(self):
        game = play_out(Game("hex8_2p"), random.Random(1))
        for move in ("P0x1", "T0-1-5feceb66", "X", 2):
            refuses(game, move, "the game is over")

    def test_several_moves_stop_at_the_first_illegal_one(self):
        game = Game("square8_2p")
        with pytest.raises(IllegalMoveError, match="move M0-0 is not legal"):
            game.play_all(["P0x1", "M0-0", "M0-1"])
        assert game.legal_texts() == [text for text in game.legal_texts() if text[0] == "M"]
        assert len(game.moves_played) == 1

    def test_nothing_to_undo(self):
        game = Game("square8_2p")
        with pytest.raises(IllegalMoveError, match="nothing to undo"):
            game.undo()
        assert game.to_text() == START

    def test_only_legal_moves_have_a_text(self):
        game = Game("square8_2p")
        with pytest.raises(IllegalMoveError, match="move 3 is not legal"):
            game.move_text(3)

    def test_the_lists_handed_out_cannot_change_the_game(self):
        game = Game("square8_2p")
        with pytest.raises(ValueError, match="read-only"):
            game.legal_moves()[0] = 3
        game.state["player"] = 1
        assert game.player == 0

    @given(st.text(alphabet="PMCRLEFTW0123456789-x.:@+FS abcdef", max_size=14))
    @settings(max_examples=300, deadline=None)
    def test_any_text_is_played_or_refused(self, text):
        game = Game.from_text("square8_2p", MOVING)
        if text in game.legal_texts():
            game.play(text)
        else:
            refuses(game, text, "may play")


class TestConfigs:
    @pytest.mark.parametrize(
        "key", ["", "hex8", "hex8_", "hex8_5p", "hex8_1p", "hex9_2p", "HEX8_2p", "hex8_2p ", "_2p", "hex8-2p"]
    )
    def test_an_unknown_config_names_the_twelve(self, key):
        for build in (Game, Config.parse, lambda key: Game.from_text(key, START)):
            with pytest.raises(ConfigError, match=r"unknown config .*hex8_2p, .*hexagonal_4p"):
                build(key)

    @pytest.mark.parametrize("key", [None, 5, 2.5, b"hex8_2p", ("hex8", 2), "x" * 10**6])
    def test_what_is_no_key_is_refused_too(self, key):
        for build in (Game, lambda key: Game.from_text(key, START), lambda key: Batch(key, 2)):
            with pytest.raises(ConfigError, match="unknown config .*hex8_2p") as refusal:
                build(key)
            assert len(str(refusal.value)) < 400

    @pytest.mark.parametrize(
        "options",
        [
            {"rings": "3"},
            {"rings": 2.5},
            {"rings": 2.0},
            {"rings": True},
            {"rings": 10**6000},
            {"lps_rounds": 2**70},
            {"lps_rounds": "3"},
            {"lps_rounds": 1.5},
            {"pie": "no"},
            {"pie": 1},
        ],
    )
    def test_options_that_are_no_whole_numbers_or_too_large(self, options):
        for build in (Game, lambda key, **options: Batch(key, 2, **options)):
            with pytest.raises(ConfigError, match="rings per seat|last-player-standing rounds|pie rule"):
                build("hex8_2p", **options)
        assert Game("hex8_2p", rings=np.int64(3), lps_rounds=np.int8(2), pie=np.bool_(True)).state[0]["hand"][0] == 3

    def test_an_unknown_board_names_the_four(self):
        with pytest.raises(ConfigError, match="unknown board 'hex9': boards are hex8, square8, square19, hexagonal"):
            board("hex9")
        with pytest.raises(ConfigError, match="unknown board"):
            Config("hex9", 2)

    @pytest.mark.parametrize("players", [0, 1, 5, -2])
    def test_an_unknown_number_of_players(self, players):
        with pytest.raises(ConfigError, match="RingRift has 2, 3 or 4"):
            Config("hex8", players)

    def test_keys_parse_to_what_they_name(self):
        assert [Config.parse(config.key) for config in CONFIGS] == list(CONFIGS)
        assert all(isinstance(config.board, Board) and config.key in repr(Game(config)) for config in CONFIGS)
        assert repr(board("hex8")) == "Board(hex8)"


BROKEN_TEXTS = [
    ("", "has not the form"),
    ("S;M;C", "has not the form"),
    (START + ";", "has not the form"),
    (START.replace("P0", "P12"), "has not the form"),
    (START.replace("A-", "A"), "has not the form"),
    (START.replace("S;", "S5;"), "stack '5': expected cell:owner"),
    (START.replace("S;", "S5:;"), "stack '5:': expected cell:owner"),
    (START.replace("S;", "S5:0,;"), "stack '': expected cell:owner"),
    (START.replace("S;", "S64:0;"), "square8 has cells 0 to 63"),
    (START.replace("S;", "S5:2;"), "square8_2p has seats 0 to 1"),
    (START.replace("S;", "S5:000000000;"), "square8 stacks have 1 to 8 rings"),
    (START.replace("S;", "S7:0,5:0;"), "cells must ascend, each once"),
    (START.replace("S;", "S5:0,5:0;"), "cells must ascend, each once"),
    (START.replace("S;", "S05:0;").replace("H18", "H17"), "it is written S5:0;"),
    (START.replace("M;", "M5:01;"), "one owner expected"),
    (START.replace("S;M;", "S5:0;M5:1;"), "cell 5 is both stack and marker"),
    (START.replace("M;C;", "M5:1;C5:1;"), "cell 5 is both marker and collapsed cell"),
    (START.replace("C;", "C5:1;"), r"the collapsed cells of the text count \[0, 1\]"),
    (START.replace("H18,18", "H18"), "hand '18': square8_2p needs 2 numbers"),
    (START.replace("E0,0", "E0,0,0"), "elim '0,0,0': square8_2p needs 2 numbers"),
    (START.replace("E0,0", "E0,"), "elim '0,': square8_2p needs 2 numbers"),
    (START.replace("H18", "H999999"), "needs 2 numbers"),
    (START.replace("H18", "H19"), "square8 has 18 a seat"),
    (START.replace("S;", "S5:0;"), r"hold \[19, 18\] rings by colour"),
    (START.replace("E0,0", "E1,0"), "more than the 36 rings of square8_2p"),
    (START.replace("place", "plays"), "phase 'plays': a position to play on has one of place, move"),
    (START.replace("place", "over"), "phase 'over'"),
    (START.replace("P0", "P2"), "player '2': square8_2p has seats 0 to 1"),
    (START.replace("P0", "P-"), "player '-'"),
    (START.replace("A-", "A5"), "active cell 5 in phase 'place': only move, cap and chain have one"),
    (MOVING.replace("A-", "A9"), None),
    (MOVING.replace("A-", "A1"), "active cell 1: no stack of seat 0 stands there"),
    (MOVING.replace("A-", "A5"), "active cell 5: no stack of seat 0 stands there"),
    (MOVING.replace("A-", "A64"), "active cell 64: no stack of seat 0 stands there"),
    (MOVING.replace("P0", "P1").replace("A-", "A0"), "active cell 0: no stack of seat 1 stands there"),
    (MOVING.replace("move", "chain"), "phase 'chain' needs the active stack in A"),
    (MOVING.replace("R0", "R1"), "R1 in phase 'move'"),
    (MOVING.replace("L-", "L2x1"), "expected <seat>x<rounds>"),
    (MOVING.replace("L-", "L0x0"), "expected <seat>x<rounds>"),
    (MOVING.replace("L-", "L0x9999999"), "expected <seat>x<rounds>"),
    (MOVING.replace("move", "line"), "nothing to decide in the phase it names"),
    (MOVING.replace("move", "terr"), "nothing to decide in the phase it names"),
    (START.replace("S;", f"S{'9' * 5000}:0;"), "square8 has cells 0 to 63"),
    (START.replace("M;", f"M{'0' * 5000}:0;"), "square8 has cells 0 to 63"),
    (START.replace("H18", "H" + "1" * 5000), "needs 2 numbers"),
    (MOVING.replace("A-", "A" + "9" * 5000), "square8 has no such cell"),
    (MOVING.replace("L-", "L0x" + "9" * 5000), "expected <seat>x<rounds>"),
    (MOVING.replace("S0", "S\u0660"), "has not the form"),
]


class TestStateTexts:
    @pytest.mark.parametrize(("text", "says"), BROKEN_TEXTS)
    def test_a_broken_text_says_what_is_wrong(self, text, says):
        if says is None:
            assert Game.from_text("square8_2p", text).to_text() == text
            return
        with pytest.raises(StateTextError, match=says) as refusal:
            Game.from_text("square8_2p", text)
        assert len(str(refusal.value)) < 400

    def test_forced_elimination_is_not_for_a_turn_that_acted(self):
        text = MOVING.replace("move", "fe")
        assert Game.from_text("square8_2p", text).legal_texts() == ["F0", "F9"]
        with pytest.raises(StateTextError, match="forced elimination is only for a turn without one"):
            Game.from_text("square8_2p", text, acted=True)

    def test_the_board_of_the_text_must_be_the_one_of_the_config(self):
        with pytest.raises(StateTextError, match="hex8_3p needs 3 numbers"):
            Game.from_text("hex8_3p", START)

    @given(st.data())
    @settings(max_examples=300, deadline=None)
    def test_a_text_with_one_piece_changed_is_read_as_written_or_refused(self, data):
        text = data.draw(st.sampled_from([START, MOVING, MOVING.replace("move", "fe")]))
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 3)))
        piece = data.draw(st.text(alphabet="SMCHETFPARL0123456789:,;-xplacmovi", max_size=4))
        changed = text[:start] + piece + text[end:]
        try:
            game = Game.from_text("square8_2p", changed)
        except StateTextError:
            return
        assert game.to_text() == changed
        play_out(game, random.Random(0))


class TestBatches:
    @pytest.mark.parametrize(
        "moves", [[2**70, 1], [2**63, 1], [1.5, 2.0], ["P0x1", "P0x2"], [None, 1], [[1], [1, 2]], 5]
    )
    def test_moves_that_are_no_numbers(self, moves):
        batch = Batch("hex8_2p", 2)
        before = batch.states.tobytes()
        with pytest.raises(IllegalMoveError, match="moves"):
            batch.step(moves)
        assert batch.states.tobytes() == before

    @pytest.mark.parametrize("games", [[0.5], ["0"], [2**70], [[0], [0, 1]], None, [0, 0], [2], [-1]])
    def test_games_that_are_no_numbers_of_games(self, games):
        batch = Batch("hex8_2p", 2)
        for use in (batch.restart, lambda games: batch.step([int(batch.legal.of(0)[0])], games)):
            if games is None and use is not batch.restart:
                continue
            with pytest.raises(ConfigError, match="different numbers from 0 to 1 are needed"):
                use(games)

    @pytest.mark.parametrize("game", [-1, 2, 0.5, "0", None])
    def test_one_game_is_asked_for_by_its_number(self, game):
        batch = Batch("hex8_2p", 2)
        for ask in (batch.outcome, batch.text):
            with pytest.raises(ConfigError, match="a number from 0 to 1 is needed"):
                ask(game)

    @pytest.mark.parametrize("states", [None, [], "x", [[1], [1, 2]], np.zeros(2)])
    def test_states_that_are_none(self, states):
        with pytest.raises(ConfigError, match="no states of hex8_2p"):
            Batch.from_states("hex8_2p", states)

    def test_sizes_are_whole_numbers(self):
        for games, threads in (("2", 1), (2.5, 1), (0, 1), (2, 0), (2, "1"), (2, 1.5)):
            with pytest.raises(ConfigError, match="a whole number of at least 1"):
                Batch("hex8_2p", games, threads=threads)


def test_every_refusal_here_is_one_of_the_family():
    assert all(issubclass(kind, EngineError) for kind in (ConfigError, IllegalMoveError, StateTextError))
