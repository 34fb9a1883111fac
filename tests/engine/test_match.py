"""Matches: fair to seats, varied, repeatable, and counted for the right agent."""

from dataclasses import replace
from itertools import groupby

import numpy as np
import pytest
from rich.console import Console

from rr_engine.arena import MatchResult, match, play_match
from rr_engine.arena.yardstick import as_table, yardstick
from rr_engine.boards import Config
from rr_engine.game import Game
from rr_engine.kernels import layout
from rr_engine.players import Choice, Player, Positions, player
from rr_engine.settings import MatchSettings


def played(
    a: str, b: str, key: str, *, games: int, opening: int = 4, seed: int = 1, first_group: int = 0
) -> MatchResult:
    config = Config.parse(key)
    return play_match(
        player(a, config),
        player(b, config),
        config,
        games=games,
        opening_decisions=opening,
        seed=seed,
        first_group=first_group,
    )


class Swapper:
    """Takes the opponent's opening over whenever it may, else plays as another player does."""

    def __init__(self, inner: Player) -> None:
        self.inner, self.name, self.digest = inner, "swapper", "swapper"

    def choose(self, positions: Positions) -> Choice:
        moves = self.inner.choose(positions).moves.copy()
        swaps = np.flatnonzero(positions.moves & 15 == layout.SWAP)
        moves[np.searchsorted(positions.offsets, swaps, side="right") - 1] = positions.moves[swaps]
        return Choice(moves)


@pytest.mark.parametrize("key", ["hex8_2p", "square8_3p", "hex8_4p"])
def test_every_opening_is_played_from_every_seat(key: str):
    result = played("greedy", "random", key, games=22, opening=5)
    seats = result.seats
    assert result.games == -(-22 // seats) * seats
    openings: set[tuple[int, ...]] = set()
    for _, group in groupby(result.played, key=lambda game: game.group):
        games = list(group)
        assert [game.seat for game in games] == list(range(seats))
        assert len({game.moves[:5] for game in games}) == 1
        openings.add(games[0].moves[:5])
    assert len(openings) == result.games / seats


def test_the_counts_agree_with_each_other():
    result = played("greedy", "random", "square8_4p", games=40)
    assert result.wins == sum(result.wins_by_seat) == sum(k * count for k, count in enumerate(result.groups))
    assert sum(result.groups) == 10
    assert result.score == result.wins / 40
    assert result.interval.low < result.score < result.interval.high
    assert result.elo_interval.low < result.elo < result.elo_interval.high
    assert result.to_json()["groups"] == list(result.groups)


@pytest.mark.parametrize("agent", ["plain", "swapper"])
def test_stored_games_replay_and_count_for_the_agent_that_won(agent: str):
    config = Config.parse("hex8_2p")
    a: Player = player("random", config)
    a = Swapper(a) if agent == "swapper" else a
    result = play_match(a, player("greedy", config), config, games=20, opening_decisions=2, seed=4)
    swapped = 0
    for record in result.played:
        game = Game("hex8_2p")
        game.play_all(record.moves)
        outcome = game.outcome()
        assert outcome is not None
        assert outcome.winner == record.winner
        assert record.won == (game.agent_at(record.winner) == record.seat)
        swapped += game.is_swapped
    assert swapped == (10 if agent == "swapper" else 0)  # it holds the second seat in half of the games


def test_a_match_is_repeatable_and_can_go_on(monkeypatch: pytest.MonkeyPatch):
    whole = played("heuristic", "random", "hex8_2p", games=12)
    assert whole == played("heuristic", "random", "hex8_2p", games=12)
    parts = [played("heuristic", "random", "hex8_2p", games=6, first_group=group) for group in (0, 3)]
    assert parts[0].extended(parts[1]) == whole
    assert whole != played("heuristic", "random", "hex8_2p", games=12, seed=2)
    with pytest.raises(ValueError, match="different matches"):
        whole.extended(played("greedy", "random", "hex8_2p", games=2))
    monkeypatch.setattr(match, "_AT_ONCE", 4)
    assert whole == played("heuristic", "random", "hex8_2p", games=12)


def test_repeated_games_are_not_distinct():
    result = played("greedy", "greedy", "hex8_2p", games=4)
    twice = replace(result, played=result.played + result.played)
    assert twice.games == 8
    assert twice.distinct == result.distinct <= 4


def test_progress_tells_of_every_game_and_decision():
    config = Config.parse("hex8_3p")
    told: list[tuple[int, int]] = []
    agent = player("random", config)
    result = play_match(
        agent, agent, config, games=6, opening_decisions=0, seed=0, progress=lambda *now: told.append(now)
    )
    assert sum(ended for ended, _ in told) == 6
    assert sum(decisions for _, decisions in told) == sum(len(game.moves) for game in result.played)


@pytest.mark.parametrize(("key", "least"), [("hex8_2p", 0.96), ("square8_2p", 0.96), ("hex8_3p", 0.9)])
def test_the_heuristic_beats_random(key: str, least: float):
    assert played("heuristic", "random", key, games=90).score >= least


def test_the_heuristic_beats_greedy_and_some_monte_carlo():
    assert played("heuristic", "greedy", "square8_2p", games=60).score >= 0.85
    assert played("heuristic", "flat:4", "hex8_2p", games=20).score >= 0.7


def test_the_yardstick_makes_a_table():
    settings = MatchSettings(opening_decisions=2)
    configs = [Config.parse("hex8_2p"), Config.parse("square8_3p")]
    results = list(yardstick(configs, games=6, settings=settings, opponents=("random", "greedy")))
    assert [(result.config, result.b.name) for result in results] == [
        ("hex8_2p", "random"),
        ("hex8_2p", "greedy"),
        ("square8_3p", "random"),
        ("square8_3p", "greedy"),
    ]
    console = Console(width=160, record=True, file=None, quiet=True)
    console.print(as_table(results))
    assert as_table(results).row_count == 4
