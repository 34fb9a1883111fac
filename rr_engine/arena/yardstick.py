"""How good the yardstick is: the heuristic against players that know less, and the tables that show matches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.table import Table

from rr_engine.arena.match import MatchResult, play_match, task_of
from rr_engine.boards import Config
from rr_engine.players import player
from rr_engine.progress import UNWATCHED, Watch
from rr_engine.settings import MatchSettings

YARDSTICK = "heuristic"
OPPONENTS = ("random", "greedy", "flat:50")
CONFIGS = ("hex8_2p", "square8_2p", "hex8_3p", "square8_4p")


def yardstick(
    configs: Sequence[Config],
    *,
    games: int,
    settings: MatchSettings,
    opponents: Sequence[str] = OPPONENTS,
    watch: Watch = UNWATCHED,
) -> Iterator[MatchResult]:
    """Matches of the heuristic against each opponent in each config, as they end."""
    for config in configs:
        for opponent in opponents:
            count = watch(task_of(f"{config.key}: {YARDSTICK} - {opponent}", config, games))
            yield play_match(
                player(YARDSTICK, config),
                player(opponent, config, by_hand=True),
                config,
                games=games,
                opening_decisions=settings.opening_decisions,
                seed=settings.seed,
                temperature=settings.temperature,
                progress=count.add,
            )


def as_table(results: Iterable[MatchResult]) -> Table:
    """Results as a table for people, a row per match."""
    table = Table("config", "player", "against")
    for name in ("games", "distinct", "won", "rate", "95 %", "chance", "Elo", "95 %", "won by seat"):
        table.add_column(name, justify="right")
    for result in results:
        table.add_row(
            result.config,
            result.a.name,
            result.b.name,
            str(result.games),
            str(result.distinct),
            str(result.wins),
            f"{result.score:.1%}",
            f"{result.interval.low:.1%} .. {result.interval.high:.1%}",
            f"{1 / result.seats:.1%}",
            f"{result.elo:+.0f}",
            f"{result.elo_interval.low:+.0f} .. {result.elo_interval.high:+.0f}",
            " ".join(map(str, result.wins_by_seat)),
        )
    return table
