"""The arena: matches, ratings, the gate and the yardstick.

match      play_match(a, b, config, games=, opening_decisions=, seed=, temperature=0, first_group=0, progress=)
           task_of(name, config, games): it as work to count
           MatchResult: games distinct wins wins_by_seat groups forfeits forfeit_reasons score interval elo elo_interval
               to_json() extended(more)
           MatchResult.played: PlayedGame(group, seat, winner, won, moves, forfeit), complete but for forfeited games
score      wilson(wins, games), newcombe(wins, games, other_wins, other_games), elo_of(score, seats, games),
           expected_score(elo, seats); with n seats 0 Elo is a first place in 1 / n of the games
rating     fit_ratings(results as JSON, seats=): rows name digest elo low high games, random at 0
gate       sequential_test(groups, seats=, settings=) -> Ruling; judge(results, champion_results=, ...) -> Verdict
yardstick  yardstick(configs, games=, settings=) yields the heuristic's matches, as_table(results) shows any
"""

from rr_engine.arena.match import Contestant, MatchResult, PlayedGame, play_match, task_of
from rr_engine.arena.score import Interval, elo_of, expected_score, newcombe, wilson

__all__ = [
    "Contestant",
    "Interval",
    "MatchResult",
    "PlayedGame",
    "elo_of",
    "expected_score",
    "newcombe",
    "play_match",
    "task_of",
    "wilson",
]
