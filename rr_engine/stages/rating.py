"""Matches of a candidate, and the ratings of everyone who ever played."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rr_engine.arena import MatchResult, PlayedGame, play_match
from rr_engine.arena.gate import Ruling, sequential_test
from rr_engine.arena.rating import fit_ratings
from rr_engine.boards import Config
from rr_engine.errors import DataError
from rr_engine.players import Player, player
from rr_engine.settings import MatchSettings, Settings
from rr_engine.stages.candidate import newest_candidate
from rr_engine.stages.champion import champion_of, network_player
from rr_engine.vault import Card, Vault

MATCHES_KIND = "matches"
RATINGS_KIND = "ratings"
SCHEMA_VERSION = 1
ANCHORS = ("random", "greedy", "heuristic")  # frozen; `random` is 0 Elo
CHAMPION = "champion"


@dataclass(frozen=True)
class Rated:
    """The two artefacts of one evaluation."""

    matches_card: Card
    ratings_card: Card
    summary: list[dict[str, Any]]  # a row per match
    ratings: list[dict[str, Any]]  # a row per player, strongest first


def rate_candidate(
    vault: Vault, config: Config, settings: Settings, *, on_result: Callable[[str], None] | None = None
) -> Rated:
    """Play the newest candidate against every anchor and the champion, then fit all ratings of the config anew.

    Against the champion pairs are played until the sequential test of the gate has decided, or `gate.max_pairs`.
    """
    card = newest_candidate(vault, config)
    candidate = network_player(vault, card)
    results: dict[str, MatchResult] = {}
    for name in ANCHORS:
        results[name] = _match(candidate, player(name, config), config, settings.match, 0)
        _tell(on_result, name, results[name])
    champion = champion_of(vault, config)
    if champion is not None and champion.card.sha256 != card.sha256:
        opponent = network_player(vault, champion.card)
        result = _match(candidate, opponent, config, settings.match, 0)
        while _is_open(result, settings):
            more = _match(candidate, opponent, config, settings.match, len(result.played) // config.players)
            result = result.extended(more)
        results[CHAMPION] = result
        _tell(on_result, CHAMPION, result)
    matches_card = _keep_matches(vault, config, card, champion.card.sha256 if champion else None, results)
    ratings = ratings_of(vault, config)
    ratings_card = vault.put(
        RATINGS_KIND,
        config.key,
        json.dumps(ratings, sort_keys=True).encode(),
        suffix=".json",
        producer="elo",
        rows=len(ratings),
        schema_version=SCHEMA_VERSION,
        parents=(matches_card.sha256,),
        facts={"ratings": ratings},
    )
    return Rated(matches_card, ratings_card, [_row(name, result) for name, result in results.items()], ratings)


def _match(a: Player, b: Player, config: Config, settings: MatchSettings, first_group: int) -> MatchResult:
    return play_match(
        a,
        b,
        config,
        games=settings.pairs * config.players,
        opening_decisions=settings.opening_decisions,
        seed=settings.seed,
        temperature=settings.temperature,
        first_group=first_group,
    )


def _is_open(result: MatchResult, settings: Settings) -> bool:
    """Whether more pairs could still decide."""
    ruling = sequential_test(result.groups, seats=result.seats, settings=settings.gate)
    return ruling == Ruling.OPEN and sum(result.groups) < settings.gate.max_pairs


def _tell(on_result: Callable[[str], None] | None, name: str, result: MatchResult) -> None:
    if on_result is not None:
        on_result(f"against {name}: {result.wins} of {result.games} won, {result.distinct} distinct")


def _row(name: str, result: MatchResult) -> dict[str, Any]:
    """A match as one table row."""
    return {
        "opponent": name,
        "wins": result.wins,
        "games": result.games,
        "distinct": result.distinct,
        "score": round(result.score, 4),
        "wilson_low": round(result.interval.low, 4),
        "wilson_high": round(result.interval.high, 4),
    }


def _keep_matches(
    vault: Vault, config: Config, candidate: Card, champion: str | None, results: Mapping[str, MatchResult]
) -> Card:
    games = {name: [_game_facts(game) for game in result.played] for name, result in results.items()}
    return vault.put(
        MATCHES_KIND,
        config.key,
        gzip.compress(json.dumps(games).encode(), mtime=0),
        suffix=".json.gz",
        producer="elo",
        rows=sum(result.games for result in results.values()),
        schema_version=SCHEMA_VERSION,
        parents=(candidate.sha256,) if champion in (None, candidate.sha256) else (candidate.sha256, champion),
        facts={
            "candidate": candidate.sha256,
            "champion": champion,
            "results": {name: result.to_json() for name, result in results.items()},
        },
    )


def _game_facts(game: PlayedGame) -> dict[str, Any]:
    """A played game as JSON."""
    return {"group": game.group, "seat": game.seat, "winner": game.winner, "won": game.won, "moves": list(game.moves)}


def ratings_of(vault: Vault, config: Config) -> list[dict[str, Any]]:
    """One fit over all matches of a config: a row per player with Elo (random is 0) and 95 % interval."""
    results = [result for card in vault.cards(MATCHES_KIND, config.key) for result in card.facts["results"].values()]
    return fit_ratings(results, seats=config.players)


def newest_matches(vault: Vault, config: Config) -> Card:
    """The newest evaluation; raises DataError if there is none."""
    cards = vault.cards(MATCHES_KIND, config.key)
    if not cards:
        raise DataError(f"no evaluation of {config.key} yet: materialise elo first")
    return cards[-1]


def check_rating(vault: Vault, config: Config, settings: MatchSettings) -> tuple[dict[str, Any], list[str]]:
    """(facts, problems) of the newest evaluation: its artefacts are whole and its games differ from each other."""
    card = newest_matches(vault, config)
    ratings = vault.cards(RATINGS_KIND, config.key)
    problems: list[str] = []
    if not ratings or card.sha256 not in ratings[-1].parents:
        problems.append("the newest ratings were not made from the newest matches")
    else:
        vault.get(ratings[-1])
    games = json.loads(gzip.decompress(vault.get(card)))
    for name, result in card.facts["results"].items():
        distinct = len({tuple(game["moves"]) for game in games[name]})
        if len(games[name]) != result["games"] or distinct != result["distinct"]:
            problems.append(f"{name}: the stored games are not those of the result")
        if distinct < settings.min_distinct * result["games"]:
            problems.append(f"{name}: only {distinct} of {result['games']} games differ from each other")
    if missing := [name for name in ANCHORS if name not in games]:
        problems.append(f"no match against {', '.join(missing)}")
    return {"candidate": card.facts["candidate"], "games": card.rows}, problems


def standing_of(vault: Vault, config: Config, sha256: str) -> Mapping[str, Any] | None:
    """The newest rating row of a checkpoint, None if it was never rated."""
    cards = vault.cards(RATINGS_KIND, config.key)
    rows = cards[-1].facts["ratings"] if cards else []
    return next((row for row in rows if row["name"] == rated_name(sha256)), None)


def rated_name(sha256: str) -> str:
    """The name under which a checkpoint is rated."""
    return f"checkpoint:{sha256[:12]}"


def elo_per_day(vault: Vault, config: Config) -> float:
    """Slope of the champions' ratings over time, 0 with fewer than two rated champions."""
    points: list[tuple[float, float]] = []
    for pointer in vault.pointers(config.key):
        standing = standing_of(vault, config, pointer.sha256)
        if standing is not None:
            points.append((datetime.fromisoformat(pointer.created).timestamp() / 86400, standing["elo"]))
    if len(points) < 2:
        return 0.0
    mean_day = sum(day for day, _ in points) / len(points)
    mean_elo = sum(elo for _, elo in points) / len(points)
    spread = sum((day - mean_day) ** 2 for day, _ in points)
    return sum((day - mean_day) * (elo - mean_elo) for day, elo in points) / spread if spread else 0.0
