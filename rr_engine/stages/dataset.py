"""From games to the newest training window, which holds no game that does not replay."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from rr_engine.boards import Config
from rr_engine.errors import DataError
from rr_engine.records.record import GameRecord
from rr_engine.settings import DatasetSettings
from rr_engine.stages import games
from rr_engine.training.window import SCHEMA_VERSION, Window, build_window, load_window, save_window, window_size
from rr_engine.vault import Card, Vault

KIND = "dataset"


@dataclass(frozen=True)
class DatasetMade:
    """The dataset of one run."""

    card: Card
    facts: Mapping[str, Any]


def hours_since(created: str, now: datetime) -> float:
    """Hours from a card's time of creation to `now`."""
    return (now - datetime.fromisoformat(created)).total_seconds() / 3600


def make_dataset(vault: Vault, config: Config, settings: DatasetSettings) -> DatasetMade:
    """Build the window from the newest games that are young enough, in hours and generations.

    Every game is replayed first, whatever checks have said of it: a run may have been stopped before its check, and a
    check that failed does not take its games away. A shard with a bad game is left out as a whole and named in the
    facts. Raises DataError if no game is left.
    """
    shards = vault.cards(games.KIND, config.key)
    if not shards:
        raise DataError(f"no games of {config.key} yet: materialise games_db first")
    now = datetime.now(UTC)
    newest = max(card.facts["generation"] for card in shards)
    usable = [
        card
        for card in reversed(shards)
        if hours_since(card.created, now) <= settings.max_age_hours
        and newest - card.facts["generation"] <= settings.max_generations
    ]
    if not usable:
        raise DataError(
            f"no games of {config.key} are young enough: the newest are {hours_since(shards[-1].created, now):.1f} "
            f"hours old, {settings.max_age_hours:g} are allowed; make new ones"
        )
    chosen = _Chosen(vault)
    limit = window_size(config, sum(card.facts["decisions"] for card in shards), settings)
    window = build_window(chosen.records(usable), max_samples=limit, silent_share=settings.silent_share)
    facts = _facts(window, shards, chosen, now)
    card = vault.put(
        KIND,
        config.key,
        save_window(window),
        suffix=".npz",
        producer="npz_dataset",
        rows=window.samples,
        schema_version=SCHEMA_VERSION,
        parents=tuple(shard_card.sha256 for shard_card in chosen.used),
        facts=facts,
    )
    return DatasetMade(card, facts)


@dataclass
class _Chosen:
    """Shards as a window takes games from them, and those refused on the way."""

    vault: Vault
    used: list[Card] = field(default_factory=list[Card])
    refused: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])

    def records(self, cards: list[Card]) -> Iterator[GameRecord]:
        """Games of `cards` that differ in their moves, of whole shards; raises DataError if all are refused."""
        known: set[str] = set()
        for card in cards:
            records, problems = games.read_shard(self.vault, card)
            if problems:
                self.refused.append(
                    {"shard": card.sha256, "games": card.rows, "bad": len(problems), "why": problems[0]}
                )
                continue
            self.used.append(card)
            for record in records:
                if record.digest not in known:
                    known.add(record.digest)
                    yield record
        if not self.used:
            first = self.refused[0]["why"]
            raise DataError(f"all {len(self.refused)} shards are refused, the newest because of {first}; make new ones")


def _facts(window: Window, shards: list[Card], chosen: _Chosen, now: datetime) -> dict[str, Any]:
    wins = window.value[:, 0]
    return {
        "games": len(window.games),
        "games_made": sum(card.rows for card in shards),  # in the database when this was built
        "refused_shards": len(chosen.refused),
        "refused_games": sum(shard["games"] for shard in chosen.refused),
        "refused": chosen.refused,
        "samples": window.samples,
        "policy_samples": int(window.has_policy.sum()),
        "legal_moves": len(window.policy),
        "generations": [int(window.generation.min()), int(window.generation.max())],
        "oldest_hours": hours_since(chosen.used[-1].created, now),
        "samples_by_seat": np.bincount(window.seats, minlength=window.config.players).tolist(),
        "win_share_of_mover": float(wins.mean()),
    }


def newest_dataset(vault: Vault, config: Config) -> Card:
    """The newest dataset; raises DataError if there is none."""
    cards = vault.cards(KIND, config.key)
    if not cards:
        raise DataError(f"no dataset of {config.key} yet: materialise npz_dataset first")
    return cards[-1]


def load_dataset(vault: Vault, card: Card) -> Window:
    """The window of a card, verified; raises VaultError or DataError."""
    return load_window(vault.path(card))


def check_dataset(vault: Vault, card: Card) -> list[str]:
    """What is wrong with a dataset: schema, types, ranges, targets; empty when nothing is."""
    try:
        window = load_dataset(vault, card)
    except DataError as error:
        return [str(error)]
    if window.samples != card.rows:
        return [f"{window.samples} samples, its card says {card.rows}"]
    return []
