"""What evaluations have shown, read from the vault: results of matches, and the ratings fitted to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from rr_engine.arena.gate import is_varied
from rr_engine.arena.rating import fit_ratings
from rr_engine.arena.regression import Level, Regression, judge_duels, measured
from rr_engine.boards import Config
from rr_engine.errors import DataError
from rr_engine.players import Player
from rr_engine.players.stored import SHOWN_DIGITS
from rr_engine.reading import parse_json
from rr_engine.selfplay.curriculum import ANCHORS
from rr_engine.settings import MatchSettings, RegressionSettings
from rr_engine.vault import Card, Vault, facts
from rr_engine.vault.backends import RECORD_BYTES

MATCHES_KIND = "matches"
RATINGS_KIND = "ratings"
HEURISTIC = "heuristic"
CHAMPION = "champion"
REMATCH = "champion-heuristic"  # the champion against the heuristic, where what is known of it no longer holds
_NORMAL_95 = 1.96  # standard errors from the middle of a 95 % interval to its end
_RECENT = 10  # champions, whose ratings tell how fast they become stronger
AGAIN = "champion-predecessor"  # the champion, once more, against the one before it


def champion_results(vault: Vault, config: Config, sha256: str) -> Mapping[str, Mapping[str, Any]] | None:
    """What the champion reached when it was a candidate, or since then in a rematch, by opponent; None if nothing."""
    for card in reversed(vault.cards(MATCHES_KIND, config.key)):
        results = card.facts["results"]
        if card.facts["champion"] == sha256 and REMATCH in results:
            return {HEURISTIC: results[REMATCH]}
        if card.facts["candidate"] == sha256:
            return results
    return None


def evaluation_of(vault: Vault, config: Config, sha256: str) -> Card | None:
    """The newest evaluation in which a checkpoint was the candidate; None if there is none."""
    cards = vault.cards(MATCHES_KIND, config.key)
    return next((card for card in reversed(cards) if card.facts["candidate"] == sha256), None)


def is_sound(card: Card, config: Config, settings: MatchSettings) -> bool:
    """Whether no match of an evaluation repeats itself."""
    results = card.facts["results"].values()
    return all(is_varied(result, seats=config.players, min_distinct=settings.min_distinct) for result in results)


def regression_of(vault: Vault, config: Config, sha256: str, settings: RegressionSettings) -> Regression | None:
    """How far a candidate fell behind its champion, given those evaluated before it; None if it never was evaluated."""
    cards = vault.cards(MATCHES_KIND, config.key)
    own = [index for index, card in enumerate(cards) if card.facts["candidate"] == sha256]
    if not own:
        return None
    until = cards[: own[-1] + 1]
    if CHAMPION not in until[-1].facts["results"]:
        return judge_duels([], settings)
    newest: dict[str, Mapping[str, Any] | None] = {}  # who is rated twice counts once, as last rated
    for card in until:
        newest.pop(card.facts["candidate"], None)
        newest[card.facts["candidate"]] = card.facts["results"].get(CHAMPION)
    return judge_duels([duel for duel in newest.values() if duel is not None], settings)


def predecessor_of(vault: Vault, config: Config) -> Card | None:
    """The checkpoint that was champion before the present one; not one that was rolled back. None if there is none."""
    pointers = vault.pointers(config.key)
    passed_over = {pointer.facts.get("rolled_back") for pointer in pointers} | {pointers[-1].sha256 if pointers else ""}
    before = [pointer for pointer in pointers if pointer.sha256 not in passed_over]
    return vault.card(before[-1].kind, config.key, before[-1].sha256) if before else None


def champion_regression(vault: Vault, config: Config, champion: str, settings: RegressionSettings) -> Regression:
    """How far the champion, met again since it was crowned, is below its predecessor.

    One fit over all games of the two against each other and against the anchors, without the match that crowned it: it
    was chosen for that result.
    """
    cards = vault.cards(MATCHES_KIND, config.key)
    again = [
        duel for card in cards if card.facts["champion"] == champion and (duel := card.facts["results"].get(AGAIN))
    ]
    if not again:
        return Regression(Level.NONE, "the champion has not met its predecessor again yet")
    new, old = again[-1]["a"]["digest"], again[-1]["b"]["digest"]
    results = [
        result
        for card in cards
        for name, result in card.facts["results"].items()
        if not (name == CHAMPION and card.facts["candidate"] == champion)
        and all(side["digest"] in (new, old) or side["name"] in ANCHORS for side in (result["a"], result["b"]))
    ]
    elo = {row["digest"]: row["elo"] for row in fit_ratings(results, seats=config.players)}
    games = sum(duel["games"] for duel in again if (duel["a"]["digest"], duel["b"]["digest"]) == (new, old))
    level = measured(elo[new] - elo[old], games, settings)
    told = (
        f"{elo[new] - elo[old]:+.0f} Elo against its predecessor {again[-1]['b']['name']}, met again in {games} games"
    )
    return Regression(level, f"{told}: {level.name.lower()}")


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
    return standing_in(newest_ratings(vault, config), sha256)


def newest_ratings(vault: Vault, config: Config) -> Sequence[Mapping[str, Any]]:
    """The rows of the newest ratings, none before the first."""
    cards = vault.cards(RATINGS_KIND, config.key)
    return ratings_in(vault, cards[-1]) if cards else []


def ratings_in(vault: Vault, card: Card) -> list[dict[str, Any]]:
    """The rows of stored ratings; raises DataError for anything else."""
    try:
        rows = parse_json(vault.get(card, RECORD_BYTES))
    except DataError as error:
        raise DataError(f"{card.name} holds no ratings: {error}") from error
    facts.check(RATINGS_KIND, {"rows": rows}, card.name)
    return facts.known({"rows": rows}, card.name)["rows"]


def standing_in(ratings: Sequence[Mapping[str, Any]], sha256: str) -> Mapping[str, Any] | None:
    """The row of a checkpoint among these, as `standing_of` chooses it."""
    rows = [row for row in ratings if is_of(row, sha256)]
    return max(rows, key=lambda row: row["games"], default=None)


def elo_facts(standing: Mapping[str, Any] | None) -> dict[str, float | None]:
    """A rating and its 95 % interval, in Elo, as they are told."""
    ends = {"elo": "elo", "elo_low": "low", "elo_high": "high"}
    return {name: None if standing is None else round(standing[end], 1) for name, end in ends.items()}


def is_of(row: Mapping[str, Any], sha256: str) -> bool:
    """Whether a rating row is one of this checkpoint, at whatever number of simulations."""
    return row["name"].startswith(f"checkpoint:{sha256[:SHOWN_DIGITS]}:")


@dataclass(frozen=True)
class Velocity:
    """How fast champions become stronger."""

    slope: float  # Elo a day
    error: float  # its standard error


def elo_per_day(vault: Vault, config: Config) -> Velocity | None:
    """The line through the newest champions' ratings over time, each as uncertain as its interval; None below two."""
    ratings = newest_ratings(vault, config)
    rated = [(at, row) for at in vault.pointers(config.key) if (row := standing_in(ratings, at.sha256)) is not None]
    newest = rated[-_RECENT:]
    days = [datetime.fromisoformat(pointer.created).timestamp() / 86400 for pointer, _ in newest]
    elos = [standing["elo"] for _, standing in newest]
    errors = [(standing["high"] - standing["low"]) / (2 * _NORMAL_95) for _, standing in newest]
    if len(set(days)) < 2:
        return None
    weights = 1 / np.maximum(np.array(errors), 1.0) ** 2
    off = np.array(days) - np.average(days, weights=weights)
    spread = float(np.sum(weights * off**2))
    return Velocity(float(np.sum(weights * off * np.array(elos))) / spread, spread**-0.5)
