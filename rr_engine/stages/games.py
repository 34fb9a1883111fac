"""Making games, and what must hold of them."""

from __future__ import annotations

import hashlib
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rr_engine.boards import Config, typical_decisions
from rr_engine.errors import DataError
from rr_engine.players import Player, player
from rr_engine.players.stored import champion_of, selfplay_player
from rr_engine.progress import UNWATCHED, Task, Watch
from rr_engine.records import shard, views
from rr_engine.records.record import GameRecord, check_replays
from rr_engine.selfplay import quality
from rr_engine.selfplay.play import play_games
from rr_engine.selfplay.quality import Quality
from rr_engine.settings import QualitySettings, SelfplaySettings, Settings
from rr_engine.vault import CLAIM_KIND, Card, Claim, Vault

if TYPE_CHECKING:
    import duckdb

KIND = "games"
PRODUCER = "games_db"
IMPORTED = "imported"  # producer of shards, batch of claims and name of players where games came from elsewhere


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
    watch: Watch = UNWATCHED,
) -> GamesMade:
    """Play `settings.selfplay.games` games (at least 1) and keep them; a shard is durable before the next one starts.

    Their seeds are claimed in the vault first, behind all that were ever claimed, so no two runs make the same games,
    whoever started them and even at once. The claim holds what was ordered, and `batch`, a name for the run; shards
    name their claim. Raises DiskFullError, before anything is claimed, where there is no room.
    """
    vault.demand_room()
    agent, opponent, generation, parents = selfplay_agents(vault, config, settings)
    order = settings.selfplay
    ordered = {"batch": batch, "player": agent.name, "player_hash": agent.digest, "order": asdict(order)}
    claim = vault.claim(config.key, order.games, least=order.seed, facts=ordered)
    usual = usual_decisions(vault, config)
    made = {
        "claim": claim.number,
        "player": agent.name,
        "planned_share": order.full_share if parents else 1.0,  # the heuristic's every policy is for learning
        "usual_decisions": usual,
    }
    count = watch(Task("games", order.games, rate="decisions", expected=order.games * usual))
    began = time.perf_counter()
    played = play_games(
        config,
        agent,
        opponent=opponent,
        seeds=range(claim.start, claim.stop),
        generation=generation,
        settings=order,
        on_progress=count.reach,
    )
    cards = [keep(vault, config, records, made, parents=parents) for records in played]
    vault.index(CLAIM_KIND, config.key)
    facts = {
        "player": agent.name,
        "opponent": None if opponent is None else opponent.name,
        "generation": generation,
        "claim": claim.number,
        "produced_minus_committed": order.games - sum(card.rows for card in cards),
        "merkle_root": vault.index(KIND, config.key),
    }
    return GamesMade(cards=tuple(cards), facts=facts | _totals(cards, config, time.perf_counter() - began))


def _totals(cards: Sequence[Card], config: Config, seconds: float) -> dict[str, Any]:
    """What some shards hold together, and how fast they were made."""
    games = sum(card.rows for card in cards)
    decisions = sum(card.facts["decisions"] for card in cards)
    return {
        "games": games,
        "decisions": decisions,
        "decisions_per_s": decisions / seconds,
        "seconds": seconds,
        "games_per_hour": 3600 * games / seconds,
        **{name: sum(card.facts[name] for card in cards) for name in ("games_against_opponent", "wins_against_it")},
        "wins_by_seat": [sum(card.facts["wins_by_seat"][s] for card in cards) for s in range(config.players)],
        "quality": quality_of(cards).facts(),
    }


def rates(claims: Sequence[Claim], cards: Sequence[Card]) -> dict[int, float]:
    """Games an hour of every run that left games, by its claim: from the claim to its last shard."""
    kept: dict[int, list[Card]] = defaultdict(list)
    for card in cards:
        kept[card.facts["claim"]].append(card)
    found: dict[int, float] = {}
    for claim in claims:
        own = kept[claim.number]
        seconds = _seconds_between(claim.created, own[-1].created) if own else 0.0
        if seconds > 0:
            found[claim.number] = round(3600 * sum(card.rows for card in own) / seconds, 1)
    return found


def _seconds_between(sooner: str, later: str) -> float:
    return (datetime.fromisoformat(later) - datetime.fromisoformat(sooner)).total_seconds()


def own(cards: Sequence[Card]) -> list[Card]:
    """The shards that games_db made: imported ones come when they come, and nothing waits for them."""
    return [card for card in cards if card.producer != IMPORTED]


def own_claims(vault: Vault, config: Config) -> list[Claim]:
    """The claims of runs of games_db, the newest last."""
    return [claim for claim in vault.claims(config.key) if claim.facts.get("batch") != IMPORTED]


def usual_decisions(vault: Vault, config: Config) -> float:
    """Mean length of the games of a config so far, at first that of random play."""
    cards = vault.cards(KIND, config.key)
    games = sum(card.rows for card in cards)
    return sum(card.facts["decisions"] for card in cards) / games if games else float(typical_decisions(config))


def quality_of(cards: Sequence[Card]) -> Quality:
    """Of some shards together, as measured when they were made; raises DataError where a term is missing."""
    return quality.pooled([Quality.from_facts(card.facts.get("quality", {})) for card in cards])


def unmeasured(card: Card) -> list[str]:
    """Why the quality of a shard is not known, if it is not: shards of older code were not measured."""
    try:
        quality_of([card])
    except DataError as error:
        return [f"shard {card.sha256[:12]}: {error}"]
    return []


def measure_again(vault: Vault, cards: Sequence[Card]) -> Quality:
    """Of some shards together, measured from their games now."""
    return quality.pooled([_measure(shard.decode(vault.path(card)), card.facts) for card in cards])


def _measure(records: Sequence[GameRecord], made: Mapping[str, Any]) -> Quality:
    return quality.measure(records, usual_decisions=made["usual_decisions"], planned_share=made["planned_share"])


def selfplay_agents(
    vault: Vault, config: Config, settings: Settings
) -> tuple[Player, Player | None, int, tuple[str, ...]]:
    """(who plays the next games, its opponent in part of them, their generation, hashes of the networks used).

    The champion plays once it is proven, the heuristic until then.
    """
    champion = champion_of(vault, config)
    generation = -1 if champion is None else champion.pointer.number
    if champion is None or not champion.is_proven:
        return player("heuristic", config), None, generation, ()
    agent = selfplay_player(vault, champion.card, settings)
    return agent, player(settings.selfplay.opponent, config), generation, (champion.card.sha256,)


def keep(
    vault: Vault,
    config: Config,
    records: Sequence[GameRecord],
    made: Mapping[str, Any],
    *,
    producer: str = PRODUCER,
    parents: tuple[str, ...] = (),
) -> Card:
    """Keep a shard; `made` are the facts of the whole run: `claim`, `player`, `planned_share`, `usual_decisions`."""
    agent = made["player"]
    winners = [record.outcome.winner for record in records]
    mixed = [record for record in records if agent in record.players and set(record.players) != {agent}]
    return vault.put(
        KIND,
        config.key,
        shard.encode(records),
        suffix=".parquet",
        producer=producer,
        rows=len(records),
        schema_version=shard.SCHEMA_VERSION,
        parents=parents,
        facts={
            **made,
            "seeds": [record.seed for record in records],
            "generation": records[0].generation,
            "games_against_opponent": len(mixed),
            "wins_against_it": sum(record.players[record.agent_at(record.outcome.winner)] == agent for record in mixed),
            "decisions": sum(record.decisions for record in records),
            "distinct": len({record.digest for record in records}),
            "wins_by_seat": [winners.count(seat) for seat in range(config.players)],
            "quality": _measure(records, made).facts(),
        },
    )


def all_shards(vault: Vault, config: Config) -> list[Card]:
    """Those of a config, whoever made them, the newest last; raises DataError where there are none."""
    cards = vault.cards(KIND, config.key)
    if not cards:
        raise DataError(
            f"no games of {config.key} in {vault.url}: make some (games_db) or import them (rr games import)"
        )
    return cards


def open_games(vault: Vault, cards: Sequence[Card], *, watch: Watch = UNWATCHED) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection with the views `games`, `decisions` and `chains` over some shards (`records.views`).

    Every shard is hashed, and copied first where the vault is distant.
    """
    return views.open_views(vault.path(card) for card in watch(Task("shards", len(cards))).each(cards))


def endings(vault: Vault, cards: Sequence[Card]) -> list[dict[str, Any]]:
    """How the games of some shards ended, most frequent first."""
    query = (
        'select "end", count(*), round(avg(decisions), 1), round(avg(turns), 1) from games group by 1 order by 2 desc'
    )
    names = ("ending", "games", "mean_decisions", "mean_turns")
    return [dict(zip(names, row, strict=True)) for row in open_games(vault, cards).execute(query).fetchall()]


def newest_batch(vault: Vault, config: Config) -> list[Card]:
    """The shards of the newest run that left any; raises DataError if there is none."""
    return shards_of(vault, claim_to_judge(vault, config))


def claim_to_judge(vault: Vault, config: Config, batch: str = "") -> Claim:
    """The newest claim of the run `batch`; where it made none, the newest that left a shard, whosever it is.

    Raises DataError if there is none.
    """
    claims = vault.claims(config.key)
    own = [claim for claim in claims if claim.facts["batch"] == batch]
    kept = {card.facts["claim"] for card in vault.cards(KIND, config.key)}
    found = own or [claim for claim in claims if claim.number in kept]
    if not found:
        raise DataError(f"no games of {config.key} yet: materialise games_db first")
    return found[-1]


def shards_of(vault: Vault, claim: Claim) -> list[Card]:
    """The shards made under a claim, the first one first."""
    return [card for card in vault.cards(KIND, claim.config) if card.facts["claim"] == claim.number]


def read_shard(vault: Vault, card: Card) -> tuple[list[GameRecord], list[str]]:
    """(games, problems) of a shard: every game is of the right config and replays to its recorded result.

    Raises VaultError if the bytes are not those of the card. Takes about 0.3 s per thousand games of a small board.
    """
    try:
        records = shard.decode(vault.path(card))
    except DataError as error:
        return [], [f"shard {card.sha256[:12]}: {error}"]
    problems: list[str] = []
    if len(records) != card.rows:
        problems.append(f"shard {card.sha256[:12]}: {len(records)} games, its card says {card.rows}")
    for record in records:
        if record.config.key != card.config:
            problems.append(f"shard {card.sha256[:12]}: a game of {record.config.key} among those of {card.config}")
            continue
        try:
            check_replays(record)
        except DataError as error:
            problems.append(str(error))
    return records, problems


def check_replays_of(vault: Vault, cards: Sequence[Card]) -> tuple[dict[str, Any], list[str]]:
    """(facts, problems): replay every game of some shards to its recorded result."""
    problems: list[str] = []
    games = 0
    for card in cards:
        records, found = read_shard(vault, card)
        games += len(records)
        problems += found
    return {"games": games, "wrong": len(problems)}, problems[:20]


def check_distinct(vault: Vault, claim: Claim, settings: SelfplaySettings) -> tuple[dict[str, Any], list[str]]:
    """(facts, problems): every game ordered under a claim is stored, once, and enough of them differ in their moves."""
    records = [record for card in shards_of(vault, claim) for record in shard.decode(vault.path(card))]
    digests = [record.digest for record in records]
    produced = claim.stop - claim.start
    facts = {"claim": claim.number, "produced": produced, "stored": len(digests), "distinct": len(set(digests))}
    problems: list[str] = []
    if produced != len(digests):
        problems.append(f"{produced} games were produced, {len(digests)} are stored")
    if len({record.seed for record in records} & set(range(claim.start, claim.stop))) != len(records):
        problems.append(f"the stored games are not one for each seed from {claim.start} to {claim.stop}")
    if facts["distinct"] < settings.min_distinct * len(digests):
        problems.append(f"only {facts['distinct']} of {len(digests)} games differ from each other")
    return facts, problems


def check_quality(cards: Sequence[Card], settings: QualitySettings) -> tuple[dict[str, Any], list[str]]:
    """(facts, problems): the quality of some shards; a problem where it calls for fewer games with more simulations."""
    try:
        measured = quality_of(cards)
    except DataError as error:
        return {}, [str(error)]
    low = measured.score < settings.throttle_below
    told = f"quality {measured.score:.2f} is below {settings.throttle_below:g}, most of all {measured.weakest}"
    return measured.facts(), [told] if low else []
