"""Making games, and what must hold of them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rr_engine.boards import Config
from rr_engine.errors import DataError
from rr_engine.records import shard
from rr_engine.records.record import GameRecord, check_replays
from rr_engine.selfplay.play import play_games
from rr_engine.settings import SelfplaySettings, Settings
from rr_engine.stages.champion import selfplay_agent
from rr_engine.vault import Card, Vault

if TYPE_CHECKING:
    import duckdb

KIND = "games"


@dataclass(frozen=True)
class GamesMade:
    """The shards of one run."""

    cards: tuple[Card, ...]
    facts: Mapping[str, Any]

    @property
    def version(self) -> str:
        """SHA-256 over the hashes of the shards."""
        return hashlib.sha256("".join(card.sha256 for card in self.cards).encode()).hexdigest()


def make_games(
    vault: Vault,
    config: Config,
    settings: Settings,
    *,
    batch: str,
    on_progress: Callable[[int, int], None] | None = None,
) -> GamesMade:
    """Play `settings.selfplay.games` games (at least 1) and keep them; a shard is durable before the next one starts.

    Seeds go on where the newest shard stopped. `batch` names the run in the cards, for the check that judges it.
    """
    agent, generation, parents = selfplay_agent(vault, config, settings)
    order = settings.selfplay
    first = max((card.facts["seeds"][1] for card in vault.cards(KIND, config.key)), default=order.seed)
    began = time.perf_counter()
    cards: list[Card] = []
    seeds = range(first, first + order.games)
    for records in play_games(
        config, agent, seeds=seeds, generation=generation, settings=order, on_progress=on_progress
    ):
        cards.append(_keep(vault, config, records, parents, batch))
    seconds = time.perf_counter() - began
    committed = sum(card.rows for card in cards)
    decisions = sum(card.facts["decisions"] for card in cards)
    return GamesMade(
        cards=tuple(cards),
        facts={
            "player": agent.name,
            "generation": generation,
            "games": committed,
            "decisions": decisions,
            "decisions_per_s": decisions / seconds,
            "produced_minus_committed": order.games - committed,
            "seconds": seconds,
            "games_per_hour": 3600 * committed / seconds,
            "wins_by_seat": [sum(card.facts["wins_by_seat"][s] for card in cards) for s in range(config.players)],
        },
    )


def _keep(vault: Vault, config: Config, records: Sequence[GameRecord], parents: tuple[str, ...], batch: str) -> Card:
    winners = [record.outcome.winner for record in records]
    return vault.put(
        KIND,
        config.key,
        shard.encode(records),
        suffix=".parquet",
        producer="games_db",
        rows=len(records),
        schema_version=shard.SCHEMA_VERSION,
        parents=parents,
        facts={
            "batch": batch,
            "seeds": [records[0].seed, records[-1].seed + 1],
            "generation": records[0].generation,
            "player": records[0].players[0],
            "decisions": sum(record.decisions for record in records),
            "distinct": len({record.digest for record in records}),
            "wins_by_seat": [winners.count(seat) for seat in range(config.players)],
        },
    )


def open_games(vault: Vault, cards: Sequence[Card]) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection with the views `games` and `decisions` over some shards (`records.shard`)."""
    return shard.open_views(vault.path(card) for card in cards)


def endings(vault: Vault, cards: Sequence[Card]) -> list[dict[str, Any]]:
    """How the games of some shards ended, most frequent first."""
    query = (
        'select "end", count(*), round(avg(decisions), 1), round(avg(turns), 1) from games group by 1 order by 2 desc'
    )
    names = ("ending", "games", "mean_decisions", "mean_turns")
    return [dict(zip(names, row, strict=True)) for row in open_games(vault, cards).execute(query).fetchall()]


def newest_batch(vault: Vault, config: Config) -> list[Card]:
    """The shards of the newest run; raises DataError if there is none."""
    cards = vault.cards(KIND, config.key)
    if not cards:
        raise DataError(f"no games of {config.key} yet: materialise games_db first")
    return [card for card in cards if card.facts["batch"] == cards[-1].facts["batch"]]


def check_replays_of(vault: Vault, cards: Sequence[Card]) -> tuple[dict[str, Any], list[str]]:
    """(facts, problems): replay every game of some shards to its recorded result."""
    problems: list[str] = []
    games = 0
    for card in cards:
        try:
            records = shard.decode(vault.path(card))
        except DataError as error:
            problems.append(f"shard {card.sha256[:12]}: {error}")
            continue
        games += len(records)
        for record in records:
            try:
                check_replays(record)
            except DataError as error:
                problems.append(str(error))
    return {"games": games, "wrong": len(problems)}, problems[:20]


def check_distinct(vault: Vault, cards: Sequence[Card], settings: SelfplaySettings) -> tuple[dict[str, Any], list[str]]:
    """(facts, problems): every game that was produced is stored, and enough of them differ in their moves."""
    digests = [record.digest for card in cards for record in shard.decode(vault.path(card))]
    produced = sum(card.facts["seeds"][1] - card.facts["seeds"][0] for card in cards)
    facts = {"produced": produced, "stored": len(digests), "distinct": len(set(digests))}
    problems: list[str] = []
    if produced != len(digests):
        problems.append(f"{produced} games were produced, {len(digests)} are stored")
    if facts["distinct"] < settings.min_distinct * len(digests):
        problems.append(f"only {facts['distinct']} of {len(digests)} games differ from each other")
    return facts, problems
