"""How games end and who stands where (rules 6), on positions made for it."""

from rr_engine import move
from rr_engine.batch import Batch
from rr_engine.boards import Config
from rr_engine.kernels import layout
from rr_engine.outcome import outcome_of
from rr_engine.state import new_state
from tests.engine.positions import numbers, position


def finished(key: str, winner: int, **fields: list[int]) -> tuple[int, ...]:
    """Ranks of a game that ended with these counters."""
    state = new_state(Config.parse(key))
    state["phase"], state["winner"], state["end"] = layout.OVER, winner, layout.END_ELIM
    for name, values in fields.items():
        state[name][0, : len(values)] = values
    outcome = outcome_of(state)
    assert outcome is not None
    return outcome.ranks


class TestLastPlayerStanding:
    """Rules 6.4, beyond the clock above."""

    def after_a_round_lost_its_first_seat(self, *, counted_for: int) -> tuple[int, int, int]:
        """(first seat, counted seat, count) at b's turn, c having begun the round and having no ring any more."""
        state = position("square8_3p", stacks={(0, 0): "a", (7, 7): "b"}, hands=(0, 0, 0)).state
        state["lps_first"], state["lps_seen"], state["lps_seat"], state["lps_count"] = 2, 0b101, counted_for, 1
        batch = Batch.from_states("square8_3p", state)
        batch.step([move.parse(batch.config.board, "M0-8")])
        after = batch.states[0]
        return int(after["lps_first"]), int(after["lps_seat"]), int(after["lps_count"])

    def test_the_next_seat_begins_a_round_and_the_count_stays(self):
        assert self.after_a_round_lost_its_first_seat(counted_for=0) == (1, 0, 1)

    def test_but_not_the_count_of_a_seat_that_went_out(self):
        assert self.after_a_round_lost_its_first_seat(counted_for=2) == (1, -1, 0)


class TestRanks:
    """Rules 6.6."""

    def test_never_out_beats_out_and_later_beats_earlier(self):
        assert finished("hex8_4p", 0, out_turn=[-1, 30, -1, 40]) == (1, 4, 2, 3)
        assert finished("hex8_3p", 2, out_turn=[7, -1, -1]) == (3, 2, 1)

    def test_a_tie_shares_a_rank_and_the_next_is_skipped(self):
        assert finished("hex8_4p", 3, terr=[5, 9, 9, 0]) == (4, 2, 2, 1)
        assert finished("hex8_4p", 0, terr=[0, 9, 5, 5]) == (1, 2, 3, 3)
        assert finished("hex8_4p", 1, out_turn=[8, -1, 8, 8]) == (2, 1, 2, 2)

    def test_territory_then_eliminated_then_markers_then_staying(self):
        assert finished("hex8_4p", 0, terr=[0, 1, 0, 0], elim=[0, 0, 9, 0]) == (1, 2, 3, 4)
        assert finished("hex8_4p", 0, elim=[0, 0, 1, 0], markers=[0, 9, 0, 3]) == (1, 3, 2, 4)
        assert finished("hex8_3p", 0, markers=[0, 1, 0], out_turn=[-1, 5, -1]) == (1, 2, 3)

    def test_hands_count_where_a_stalemate_turned_them_in(self):
        assert finished("hex8_3p", 0, elim=[0, 3, 1], hand=[0, 0, 9]) == (1, 2, 3)
        state = new_state(Config.parse("hex8_3p"))
        state["phase"], state["winner"], state["hand_counts"] = layout.OVER, 0, 1
        state["elim"][0, :3], state["hand"][0, :3] = [0, 3, 1], [0, 0, 9]
        outcome = outcome_of(state)
        assert outcome is not None and (outcome.ranks, outcome.elim) == ((1, 3, 2), (0, 3, 10))


class TestStalemate:
    """Rules 6.5: the last stack goes by forced elimination, and nobody can place."""

    def ended(self, key="square8_2p", **changes):
        given = {"phase": "fe", "stacks": {(0, 0): "a"}, "hands": (0,) * Config.parse(key).players, **changes}
        game = position(key, **given)
        game.play("F0")
        outcome = game.outcome()
        assert outcome is not None
        return outcome

    def test_unique_highest_territory_comes_first(self):
        outcome = self.ended(territory={(5, 5): "b", (6, 5): "b", (7, 5): "a"}, elim=(9, 0))
        assert (outcome.end, outcome.winner) == ("stale-terr", 1)

    def test_then_unique_highest_elimination(self):
        outcome = self.ended(territory={(5, 5): "b", (7, 5): "a"}, elim=(3, 9))
        assert (outcome.end, outcome.winner) == ("stale-elim", 1)

    def test_every_rung_is_open_to_all_seats_again(self):
        outcome = self.ended("square8_3p", territory={(5, 5): "a", (7, 5): "b"}, elim=(2, 4, 9))
        assert (outcome.end, outcome.winner, outcome.elim) == ("stale-elim", 2, (3, 4, 9))

    def test_then_unique_highest_number_of_markers(self):
        outcome = self.ended(markers={(5, 5): "b"}, elim=(2, 3))
        assert (outcome.end, outcome.winner, outcome.markers) == ("stale-mark", 1, (0, 1))

    def test_last_the_seat_whose_turn_ended(self):
        outcome = self.ended(markers={(5, 5): "b", (6, 6): "a"}, elim=(2, 3))
        assert (outcome.end, outcome.winner) == ("stale-actor", 0)

    def test_rings_in_hand_count_as_eliminated(self):
        walls = [(x, y) for y in range(8) for x in range(8) if (x, y) not in {(0, 0), (7, 7)}]
        territory = {place: "ab"[index % 2] for index, place in enumerate(walls)}
        outcome = self.ended(territory=territory, markers={(7, 7): "a"}, hands=(2, 5), elim=(3, 0))
        assert (outcome.end, outcome.winner, outcome.elim) == ("stale-elim", 0, (6, 5))
        outcome = self.ended(territory=territory, markers={(7, 7): "a"}, hands=(2, 5), elim=(2, 0))
        assert (outcome.end, outcome.winner, outcome.elim) == ("stale-mark", 0, (5, 5))

    def test_a_seat_that_can_still_place_plays_on(self):
        game = position(phase="fe", stacks={(0, 0): "a"}, territory={(3, 3): "a"}, hands=(0, 5))
        game.play("F0")
        assert (game.is_over, game.player, game.phase) == (False, 1, "place")


class TestTerritoryVictory:
    """Rules 6.2."""

    def played(self, *counts):
        """A forced elimination with so much territory per seat on square8 with three seats."""
        places = [(x, y) for y in range(7, 0, -1) for x in range(8)]
        owners = [owner for owner, count in zip("abc", counts, strict=True) for _ in range(count)]
        game = position(
            "square8_3p",
            phase="fe",
            stacks={(0, 0): "aa", (5, 0): "b", (7, 0): "c"},
            territory=dict(zip(places, owners, strict=False)),
        )
        game.play("F0")
        return game

    def test_the_minimum_and_more_than_all_others(self):
        outcome = self.played(22, 10, 11).outcome()
        assert outcome is not None and (outcome.end, outcome.winner) == ("terr", 0)

    def test_not_with_half_of_all_territory(self):
        assert not self.played(22, 11, 11).is_over

    def test_not_below_the_minimum(self):
        assert not self.played(21, 0, 0).is_over

    def test_any_seat_can_win_it_at_the_end_of_any_turn(self):
        outcome = self.played(0, 30, 0).outcome()
        assert outcome is not None and outcome.winner == 1


def test_elimination_is_checked_before_everything_else():
    territory = {(x, y): "b" for y in range(4, 8) for x in range(8)} | {(7, 3): "b"}
    game = position(phase="fe", stacks={(0, 0): "a"}, territory=territory, elim=(17, 0), hands=(0, 0))
    game.play("F0")
    outcome = game.outcome()
    assert outcome is not None and (outcome.end, outcome.winner, outcome.terr) == ("elim", 0, (0, 33))


def test_one_seat_moves_on_when_all_others_are_out_or_pass():
    """b, buried for good, passes in silence; c is out and left out."""
    game = position("square8_3p", stacks={(3, 3): "ba"}, hands=(0, 0, 0))
    seen: list[tuple[int | None, int]] = []
    for text in ("M27-43", "M43-45", "M45-47"):
        seen.append((game.player, int(game.state[0]["turn"])))
        game.play(text)
    assert seen == [(0, 0), (0, 2), (0, 4)]
    assert numbers(game, "out_turn") == [-1, -1, 1]
