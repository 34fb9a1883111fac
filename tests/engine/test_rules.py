"""The worked positions of the rules, one by one, and what no recorded game can settle."""

import random

import pytest

from rr_engine import move
from rr_engine.batch import Batch
from rr_engine.boards import elimination_goal
from rr_engine.errors import ConfigError
from rr_engine.game import Game
from rr_engine.kernels import layout
from tests.engine.positions import at, cell, numbers, only, position, starting


class TestWorkedPositions:
    """One for every rule that is easily got wrong."""

    def test_marker_path(self):
        game = position(
            stacks={(0, 0): "ba", (7, 7): "b"}, markers={(1, 0): "a", (2, 0): "b", (3, 0): "b"}, hands=(5, 5)
        )
        assert "M0-1" not in game.legal_texts() and "M0-2" in game.legal_texts()
        other = game.copy()
        game.play("M0-4")
        assert [at(game, x, 0) for x in range(5)] == ["@a", "#a", "@a", "@a", "ba"]
        assert numbers(game, "terr") == [1, 0]
        other.play("M0-3")
        assert at(other, 3, 0) == "b" and numbers(other, "elim") == [1, 0]

    def test_claim_over_a_foreign_border(self):
        game = position(
            phase="terr",
            stacks={(4, 4): "a", (6, 6): "ba", (5, 2): "b"},
            markers={(1, 0): "b", (0, 1): "b", (1, 1): "a", (2, 2): "a", (7, 7): "a"},
        )
        claim = only(game, "T0-1-")
        assert game.legal_texts() == ["T-", claim]
        game.play(claim)
        assert [at(game, *place) for place in ((0, 0), (1, 0), (0, 1), (1, 1), (2, 2))] == ["#a"] * 5
        assert at(game, 7, 7) == "@a" and numbers(game, "terr") == [5, 0]
        game.play(f"E{cell(game, 6, 6)}")
        assert at(game, 6, 6) == "b" and numbers(game, "elim") == [1, 0] and game.player == 1

    def test_chain(self):
        game = position(stacks={(0, 0): "a", (2, 0): "bbab", (0, 5): "b"})
        assert starting(game, "C") == ["C0-2-3", "C0-2-4", "C0-2-5", "C0-2-6", "C0-2-7", "C0-40-48", "C0-40-56"]
        game.play("C0-2-3")
        assert (at(game, 3, 0), at(game, 2, 0)) == ("ba", "bba")
        assert (game.phase, game.legal_texts()) == ("chain", ["C3-2-0", "C3-2-1"])
        game.play("C3-2-1")
        assert [at(game, x, 0) for x in range(4)] == ["@a", "aba", "bb", "@a"] and game.player == 1

    def test_landing_on_a_marker(self):
        game = position(stacks={(0, 0): "a", (2, 0): "b", (5, 0): "b"}, markers={(3, 0): "b"})
        game.play("C0-2-3")
        assert (at(game, 3, 0), at(game, 2, 0)) == ("b", "")
        assert numbers(game, "elim") == [1, 0] and game.player == 1

    def test_dead_placement(self):
        game = position(phase="place", stacks={(1, 0): "bb", (0, 1): "bb", (1, 1): "bb"})
        assert starting(game, "P0x") == []
        assert starting(game, "P9x") == ["P9x1"]

    def test_recovery_by_a_line(self):
        game = position(
            phase="place",
            stacks={(4, 4): "ab", (6, 6): "aabb", (2, 2): "b"},
            markers={(0, 0): "a", (1, 0): "a", (2, 0): "a", (3, 1): "a", (7, 0): "b"},
            hands=(3, 5),
        )
        game.play("P-")
        assert game.legal_texts() == ["R-", "R11-3L@36", "R11-3L@54"]
        game.play("R11-3L@54")
        assert [at(game, x, 0) for x in range(4)] == ["#a"] * 4
        assert at(game, 6, 6) == "abb" and numbers(game, "elim") == [1, 0]

    def test_recovery_without_a_line(self):
        game = position(stacks={(4, 4): "ab", (2, 2): "ab"}, markers={(3, 3): "a"}, hands=(0, 5))
        slides = {text.split("@")[0] for text in starting(game, "R27-")}
        assert sorted(slide[-1] for slide in slides) == ["F"] * 6 + ["S"] * 2
        assert len(starting(game, "R27-")) == 2 * len(slides)
        itself, elsewhere = game.copy(), game.copy()
        itself.play("R27-36S@36")
        assert (at(itself, 4, 4), numbers(itself, "elim")) == ("", [2, 0])
        elsewhere.play("R27-36S@18")
        assert (at(elsewhere, 4, 4), at(elsewhere, 2, 2), numbers(elsewhere, "elim")) == ("a", "b", [2, 0])

    def test_forced_elimination_ends_it(self):
        game = position(
            seat="b",
            stacks={(0, 0): "baa", (7, 5): "b"},
            territory={(2, 0): "b", (0, 2): "b", (2, 2): "b"},
            hands=(0, 5),
        )
        game.play("M47-63")
        assert (game.player, game.phase, game.legal_texts()) == (0, "fe", ["F0"])
        game.play("F0")
        outcome = game.outcome()
        assert outcome is not None and (outcome.winner, outcome.end) == (1, "sole")
        assert (at(game, 0, 0), outcome.elim, outcome.out) == ("b", (2, 0), (1, None))

    def test_declining_a_region(self):
        game = position(
            seat="b",
            stacks={(0, 0): "aaa", (0, 7): "aaa", (6, 5): "b"},
            markers={(6, 0): "b", (7, 1): "b"},
            territory=dict.fromkeys([(3, 0), (0, 3), (3, 3), (0, 4), (3, 7), (3, 4)], "b"),
            hands=(0, 5),
        )
        game.play_all(["M46-54", "T-"])  # b could have claimed it too
        claim = only(game, "T7-1-")
        assert (game.player, game.phase, game.legal_texts()) == (0, "terr", ["T-", claim])
        declined = game.copy()
        declined.play("T-")
        assert (declined.phase, declined.legal_texts()) == ("fe", ["F0", "F56"])
        declined.play("F0")
        assert numbers(declined, "elim") == [3, 0]
        game.play_all([claim, "E0"])
        assert game.player == 1

    def test_last_player_standing_clock(self):
        game = position(stacks={(3, 3): "ba"}, hands=(0, 0))
        shown: list[str] = []
        for text in ("M27-43", "M43-45", "M45-47", "M47-63"):
            game.play(text)
            shown.append(game.to_text().rpartition("L")[2])
        assert shown == ["-", "0x1", "0x2", "-"]
        outcome = game.outcome()
        assert outcome is not None and (outcome.winner, outcome.end, outcome.turns) == (0, "last3", 8)

    def test_buried_colour(self):
        game = position(
            phase="terr",
            stacks={(1, 3): "ba", (6, 3): "a"},
            markers={(4, y): "a" for y in range(8)},
            hands=(5, 0),
        )
        assert [text.rpartition("-")[0] for text in game.legal_texts()] == ["T", "T0-32", "T5-24"]
        game.play_all([only(game, "T0-32"), "E30"])
        outcome = game.outcome()
        assert outcome is not None and (outcome.winner, outcome.end) == (0, "terr")
        assert (outcome.terr, outcome.elim) == ((40, 0), (3, 0))


class TestRecoveryLine:
    """Rules 5.5: a slide that completes several lines takes the longest, on ties the first axis."""

    @pytest.mark.parametrize(
        ("markers", "taken"),
        [
            ({(0, 4): "a", (1, 4): "a", (2, 4): "a", (3, 1): "a", (3, 2): "a", (3, 3): "a"}, [(0, 4), (1, 4), (2, 4)]),
            ({(0, 1): "a", (1, 2): "a", (2, 3): "a", (3, 1): "a", (3, 2): "a", (3, 3): "a"}, [(0, 1), (1, 2), (2, 3)]),
            ({(3, 1): "a", (3, 2): "a", (3, 3): "a", (2, 5): "a", (1, 6): "a", (0, 7): "a"}, [(3, 1), (3, 2), (3, 3)]),
        ],
    )
    def test_a_tie_on_the_square_board_goes_by_axis(self, markers, taken):
        game = position(stacks={(7, 0): "ab"}, markers={**markers, (4, 5): "a"}, hands=(0, 5))
        assert only(game, "R44-35L@") == "R44-35L@7"
        game.play("R44-35L@7")
        assert {place for place in markers if at(game, *place) == "#a"} == set(taken)

    @pytest.mark.parametrize(
        ("markers", "taken"),
        [
            (
                {(1, 0): "a", (2, 0): "a", (3, 0): "a", (1, -1): "a", (2, -2): "a", (3, -3): "a"},
                [(1, 0), (2, 0), (3, 0)],
            ),
            (
                {(1, -1): "a", (2, -2): "a", (3, -3): "a", (0, 1): "a", (0, 2): "a", (0, 3): "a"},
                [(1, -1), (2, -2), (3, -3)],
            ),
        ],
    )
    def test_a_tie_on_the_hex_board_goes_by_axis(self, markers, taken):
        game = position("hex8_2p", stacks={(0, -4): "ab"}, markers={**markers, (-1, 0): "a"}, hands=(0, 5))
        source, payer = cell(game, -1, 0), cell(game, 0, -4)
        game.play(only(game, f"R{source}-{cell(game, 0, 0)}L@{payer}"))
        assert {place for place in markers if at(game, *place) == "#a"} == set(taken)

    def test_a_longer_line_on_a_later_axis_wins(self):
        markers = {(0, 4): "a", (1, 4): "a", (2, 4): "a", (3, 0): "a", (3, 1): "a", (3, 2): "a", (3, 3): "a"}
        game = position(stacks={(7, 0): "ab"}, markers={**markers, (4, 5): "a"}, hands=(0, 5))
        assert starting(game, "R44-35L") == ["R44-35L:11.19.27.35", "R44-35L@7"]
        game.play("R44-35L@7")
        assert [place for place in markers if at(game, *place) == "#a"] == [(3, 0), (3, 1), (3, 2), (3, 3)]

    def test_a_marker_that_cannot_slide_recovers_nothing(self):
        game = position(
            seat="b",
            stacks={(7, 7): "ab"},
            markers={(0, 0): "a", (1, 0): "b", (0, 1): "b", (1, 1): "b"},
            hands=(0, 0),
        )
        game.play_all(["M63-61", "T-"])
        assert (game.player, game.state[0]["turn"]) == (1, 2)

    def test_the_old_cell_of_the_slid_marker_counts_as_empty(self):
        game = position(stacks={(7, 0): "ab"}, markers={(0, 4): "a", (1, 4): "a", (2, 4): "a"}, hands=(0, 5))
        assert starting(game, "R") and all("F@" in text for text in starting(game, "R") if text != "R-")


class TestPieRule:
    """Rules 5.9."""

    def test_it_is_offered_once_to_seat_1_at_its_first_place(self):
        game = Game("square8_2p")
        offered = 0
        while len(game.moves_played) < 60 and not game.is_over:
            texts = game.legal_texts()
            offered += "W" in texts
            assert ("W" in texts) == (game.player == 1 and game.phase == "place" and game.state[0]["turn"] == 1)
            game.play(texts[0])
        assert offered == 1

    def test_a_swap_changes_the_agents_and_nothing_else(self):
        game = Game("square8_2p")
        game.play_all(["P0x2", "M0-2"])
        assert not game.is_swapped and [game.agent_at(seat) for seat in (0, 1)] == [0, 1]
        before, legal = game.to_text(), game.legal_texts()
        game.play("W")
        assert game.is_swapped and [game.agent_at(seat) for seat in (0, 1)] == [1, 0]
        assert game.to_text() == before and game.legal_texts() == [text for text in legal if text != "W"]
        assert (game.player, game.phase) == (1, "place")
        game.undo()
        assert not game.is_swapped and game.legal_texts() == legal

    @pytest.mark.parametrize("config", ["hex8_3p", "square8_4p"])
    def test_only_two_players_have_it(self, config):
        game = Game(config)
        for _ in range(30):
            assert "W" not in game.legal_texts()
            game.play(game.legal_texts()[-1])
        with pytest.raises(ConfigError, match="the pie rule is for two players"):
            Game(config, pie=True)

    def test_it_can_be_switched_off(self):
        game = Game("hex8_2p", pie=False)
        game.play_all(["P30x1", "M30-31"])
        assert game.player == 1 and "W" not in game.legal_texts()

    def test_it_is_not_offered_where_nothing_can_be_placed(self):
        state = position(stacks={(0, 0): "a", (7, 7): "b"}, hands=(5, 0)).state
        state["pie_open"] = 1
        batch = Batch.from_states("square8_2p", state)
        batch.step([move.parse(batch.config.board, "M0-1")])
        assert (batch.players[0], batch.phases[0]) == (1, layout.MOVE)
        assert int(layout.SWAP) not in batch.legal.moves
        batch.step([move.parse(batch.config.board, "M63-62")])
        assert batch.states[0]["pie_open"] == 0


class TestOverrides:
    CLOCK = ("M27-43", "M43-45", "M45-47", "M47-63")

    @pytest.mark.parametrize(
        ("key", "rings", "goal"), [("hex8_2p", 6, 6), ("square8_3p", 6, 8), ("hexagonal_4p", 96, 160)]
    )
    def test_rings_set_hands_and_the_goal(self, key, rings, goal):
        game = Game(key, rings=rings)
        assert numbers(game, "hand") == [rings] * game.config.players
        assert game.state[0]["elim_goal"] == goal

    @pytest.mark.parametrize("rings", [4, 8])
    def test_the_game_ends_at_that_goal(self, rings):
        """At the end of that turn and not before, at another number than with the usual rings."""
        goal, ends = elimination_goal(rings, 2), []
        for seed in range(40):
            game, rng = Game("hex8_2p", rings=rings), random.Random(seed)
            turn = -1
            while not game.is_over:
                if game.state[0]["turn"] != turn:
                    assert max(numbers(game, "elim")) < goal
                turn = game.state[0]["turn"]
                game.play(rng.choice(game.legal_texts()))
            outcome = game.outcome()
            assert outcome is not None
            ends.append(outcome.end)
            assert (outcome.end == "elim") == (numbers(game, "elim")[outcome.winner] >= goal)
        assert goal < game.config.elim_goal and ends.count("elim") > 5

    @pytest.mark.parametrize(("rounds", "moves"), [(1, 2), (2, 3), (3, 4)])
    def test_rounds_until_the_last_player_stands(self, rounds, moves):
        state = position(stacks={(3, 3): "ba"}, hands=(0, 0)).state
        state["lps_rounds"] = rounds
        batch = Batch.from_states("square8_2p", state)
        for text in self.CLOCK[:moves]:
            assert not batch.is_over[0]
            batch.step([move.parse(batch.config.board, text)])
        outcome = batch.outcome(0)
        assert outcome is not None and outcome.end == "last3"

    @pytest.mark.parametrize("options", [{"rings": 0}, {"rings": 19}, {"lps_rounds": 0}])
    def test_values_out_of_range_are_refused(self, options):
        with pytest.raises(ConfigError):
            Game("hex8_2p", **options)
