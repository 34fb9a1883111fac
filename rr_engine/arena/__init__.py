"""The arena: matches, ratings and the gate.

play_match(a, b, config, games=, opening_decisions=, seed=, temperature=0, first_group=0, progress=) -> MatchResult
MatchResult        .games .distinct .wins .wins_by_seat .groups .score .interval .elo .elo_interval .to_json()
                   .played: PlayedGame(group, seat, winner, won, moves), complete games; .extended(more)
expected_score(elo, seats), elo_of(score, seats, games), wilson(wins, games)
"""

from rr_engine.arena.match import Contestant, MatchResult, PlayedGame, play_match
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
    "wilson",
]
