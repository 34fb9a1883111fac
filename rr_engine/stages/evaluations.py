"""What evaluations have shown, read from the vault: results of matches, and the ratings fitted to them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rr_engine.arena.rating import fit_ratings
from rr_engine.boards import Config
from rr_engine.errors import DataError
from rr_engine.players import Player
from rr_engine.players.stored import SHOWN_DIGITS
from rr_engine.settings import GateSettings
from rr_engine.vault import Card, Vault

MATCHES_KIND = "matches"
RATINGS_KIND = "ratings"
HEURISTIC = "heuristic"
CHAMPION = "champion"
REMATCH = "champion-heuristic"  # the champion against the heuristic, where what is known of it no longer holds


def champion_results(vault: Vault, config: Config, sha256: str) -> Mapping[str, Mapping[str, Any]] | None:
    """What the champion reached when it was a candidate, or since then in a rematch, by opponent; None if nothing."""
    for card in reversed(vault.cards(MATCHES_KIND, config.key)):
        results = card.facts["results"]
        if card.facts["champion"] == sha256 and REMATCH in results:
            return {HEURISTIC: results[REMATCH]}
        if card.facts["candidate"] == sha256:
            return results
    return None


def is_far_behind(vault: Vault, config: Config, sha256: str, settings: GateSettings) -> bool | None:
    """Whether a candidate lost to its champion by `settings.restart_elo` or more; None if it was never evaluated.

    Too few games to tell, or no champion at that time, count as no.
    """
    for card in reversed(vault.cards(MATCHES_KIND, config.key)):
        if card.facts["candidate"] == sha256:
            duel = card.facts["results"].get(CHAMPION)
            return duel is not None and duel["games"] >= settings.restart_games and duel["elo"] <= -settings.restart_elo
    return None


def ratings_of(vault: Vault, config: Config) -> list[dict[str, Any]]:
    """One fit over all matches of a config: a row per player with Elo (random is 0) and 95 % interval."""
    return fit_ratings(all_results(vault, config), seats=config.players)


def all_results(vault: Vault, config: Config) -> list[Mapping[str, Any]]:
    """Every result of every evaluation of a config (each `MatchResult.to_json`), the oldest evaluation first."""
    return [result for card in vault.cards(MATCHES_KIND, config.key) for result in card.facts["results"].values()]


def is_between(result: Mapping[str, Any], a: Player, b: Player) -> bool:
    """Whether a result is one of these two, as they play now."""
    return (result["a"]["digest"], result["b"]["digest"]) == (a.digest, b.digest)


def newest_matches(vault: Vault, config: Config) -> Card:
    """The newest evaluation; raises DataError if there is none."""
    cards = vault.cards(MATCHES_KIND, config.key)
    if not cards:
        raise DataError(f"no evaluation of {config.key} yet: materialise elo first")
    return cards[-1]


def standing_of(vault: Vault, config: Config, sha256: str) -> Mapping[str, Any] | None:
    """The newest rating row of a checkpoint, None if it was never rated.

    It has several, if settings or code have changed how it plays; then the one with the most games.
    """
    cards = vault.cards(RATINGS_KIND, config.key)
    rows = [row for row in (cards[-1].facts["ratings"] if cards else []) if is_of(row, sha256)]
    return max(rows, key=lambda row: row["games"], default=None)


def is_of(row: Mapping[str, Any], sha256: str) -> bool:
    """Whether a rating row is one of this checkpoint, at whatever number of simulations."""
    return row["name"].startswith(f"checkpoint:{sha256[:SHOWN_DIGITS]}:")


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
