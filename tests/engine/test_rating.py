"""Ratings: synthetic players of known strength are found, and the intervals keep their promise."""

from typing import Any

import numpy as np
import pytest

from rr_engine.arena.rating import Tally, fit, fit_ratings
from rr_engine.arena.score import elo_of, expected_score, newcombe, wilson
from rr_engine.errors import DataError

TRUTH = {"random": 0.0, "greedy": 280.0, "heuristic": 900.0, "first": 700.0, "second": 950.0, "third": 1100.0}


def season(rng: np.random.Generator, seats: int, games: int = 100) -> list[Tally]:
    """Every player against the anchors, and each generation against the one before it."""
    pairs = [(a, b) for a in TRUTH for b in ("random", "greedy", "heuristic") if a != b and a != "random"]
    pairs += [("second", "first"), ("third", "second")] * 3
    return [
        Tally(a, b, seats, games, int(rng.binomial(games, expected_score(TRUTH[a] - TRUTH[b], seats))))
        for a, b in pairs
    ]


@pytest.mark.parametrize("seats", [2, 3, 4])
def test_95_percent_intervals_cover_the_truth(seats: int):
    rng = np.random.default_rng(seats)
    covered = dict.fromkeys(TRUTH, 0)
    for _ in range(200):
        for name, rating in fit(season(rng, seats), pinned="random").items():
            covered[name] += rating.interval.low <= TRUTH[name] <= rating.interval.high
    assert covered.pop("random") == 200
    assert all(0.9 <= count / 200 <= 0.99 for count in covered.values()), covered


def test_two_players_agree_with_their_score():
    (found,) = [fit([Tally("a", "random", 2, 1000, 750)], pinned="random")["a"]]
    assert found.elo == pytest.approx(elo_of(0.75, 2, 1000), abs=1)
    assert found.interval.low < found.elo < found.interval.high


def test_a_perfect_record_stays_finite_and_more_games_raise_it():
    few = fit([Tally("a", "random", 2, 20, 20)], pinned="random")["a"]
    many = fit([Tally("a", "random", 2, 400, 400)], pinned="random")["a"]
    assert 0 < few.elo < many.elo < 2000
    assert 800 < many.interval.low < many.elo < many.interval.high < np.inf


def test_results_split_in_two_rate_like_one():
    whole = fit([Tally("a", "random", 3, 200, 120)], pinned="random")["a"]
    split = fit([Tally("a", "random", 3, 100, 70), Tally("a", "random", 3, 100, 50)], pinned="random")["a"]
    assert split.elo == pytest.approx(whole.elo)


def result(a: str, b: str, wins: int, games: int) -> dict[str, Any]:
    return {"a": {"name": a, "digest": f"hash of {a}"}, "b": {"name": b, "digest": f"hash of {b}"}} | {
        "wins": wins,
        "games": games,
    }


def test_rows_come_strongest_first_with_random_at_0():
    rows = fit_ratings([result("greedy", "random", 160, 200), result("heuristic", "greedy", 190, 200)], seats=2)
    assert [row["name"] for row in rows] == ["heuristic", "greedy", "random"]
    assert rows[-1] == {"name": "random", "digest": "hash of random", "elo": 0, "low": 0, "high": 0, "games": 200}
    assert rows[1]["low"] < rows[1]["elo"] < rows[1]["high"]


def test_players_that_nothing_ties_to_random_are_refused():
    with pytest.raises(DataError, match="hash of lone"):
        fit_ratings([result("greedy", "random", 5, 10), result("lone", "island", 5, 10)], seats=2)
    with pytest.raises(DataError, match="random has played no game"):
        fit_ratings([result("lone", "island", 5, 10)], seats=2)


@pytest.mark.parametrize("seats", [2, 3, 4])
def test_elo_and_score_are_inverse_and_chance_is_0(seats: int):
    assert elo_of(1 / seats, seats, 1000) == pytest.approx(0)
    assert elo_of(expected_score(123, seats), seats, 1000) == pytest.approx(123)
    assert np.isfinite([elo_of(0, seats, 100), elo_of(1, seats, 100)]).all()


def test_intervals_of_rates():
    assert wilson(0, 10).low == 0
    assert wilson(98, 100) == pytest.approx((0.930, 0.994), abs=1e-3)
    assert newcombe(56, 70, 48, 80) == pytest.approx((0.0524, 0.3339), abs=1e-3)  # the paper's example
