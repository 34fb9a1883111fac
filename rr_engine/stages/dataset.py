"""From games to the newest training window, which holds no game that does not replay."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from rr_engine.boards import Config
from rr_engine.errors import DataError
from rr_engine.players.stored import KIND as CHECKPOINT_KIND
from rr_engine.players.stored import champion_of
from rr_engine.progress import UNWATCHED, Watch
from rr_engine.records.record import GameRecord
from rr_engine.selfplay.quality import Quality
from rr_engine.settings import DatasetSettings, QualitySettings, Settings
from rr_engine.stages import games
from rr_engine.training.window import (
    SCHEMA_VERSION,
    Window,
    build_window,
    check_window,
    load_window,
    save_window,
    window_size,
)
from rr_engine.vault import Card, Vault

KIND = "dataset"


@dataclass(frozen=True)
class DatasetMade:
    """The dataset of one run."""

    card: Card
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class Training:
    """A training that has not ended."""

    since: str | None  # UTC, ISO 8601 with microseconds; None: it is queued


def hours_since(created: str, now: datetime) -> float:
    """Hours from a card's time of creation to `now`."""
    return (now - datetime.fromisoformat(created)).total_seconds() / 3600


def samples_wanted(config: Config, settings: DatasetSettings) -> int:
    """New samples that a training of `config` needs."""
    factor = {2: 1.0, 3: settings.new_samples_factor_3p, 4: settings.new_samples_factor_4p}[config.players]
    return max(1, round(settings.min_new_samples * factor))


def make_dataset(
    vault: Vault,
    config: Config,
    settings: Settings,
    *,
    training: Training | None = None,
    watch: Watch = UNWATCHED,
) -> DatasetMade:
    """Build the window from the newest games that are young enough, in hours and generations.

    Every game is replayed first, whatever checks have said of it: a run may have been stopped before its check, and a
    check that failed does not take its games away. A shard with a bad game is left out as a whole and named in the
    facts. What the checks will judge is measured here and stands on the card, for the plan to read. `training` is one
    that is queued or under way. Raises DataError if no game is left.
    """
    vault.demand_room()
    limits = settings.dataset
    shards = vault.cards(games.KIND, config.key)
    if not shards:
        raise DataError(f"no games of {config.key} yet: materialise games_db first")
    now = datetime.now(UTC)
    newest = max(card.facts["generation"] for card in shards)
    usable = [
        card
        for card in reversed(shards)
        if hours_since(card.created, now) <= limits.max_age_hours
        and newest - card.facts["generation"] <= limits.max_generations
    ]
    if not usable:
        raise DataError(
            f"no games of {config.key} are young enough: the newest are {hours_since(shards[-1].created, now):.1f} "
            f"hours old, {limits.max_age_hours:g} are allowed; make new ones"
        )
    chosen = _Chosen(vault)
    limit = window_size(config, sum(card.facts["decisions"] for card in shards), limits)
    window = build_window(chosen.records(usable), max_samples=limit, silent_share=limits.silent_share, watch=watch)
    made = _samples_made(window, shards, chosen)
    facts = {
        **_facts(window, shards, chosen, now),
        **_readiness(vault, config, limits, window, made, training),
    }
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
    vault.index(KIND, config.key)
    return DatasetMade(card, facts)


@dataclass
class _Chosen:
    """Shards as a window takes games from them, and those refused on the way."""

    vault: Vault
    used: list[Card] = field(default_factory=list[Card])
    refused: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    repeated: int = 0  # games whose moves were those of one before

    def records(self, cards: list[Card]) -> Iterator[GameRecord]:
        """Games of `cards` that differ in their moves, of whole shards; raises DataError if all are refused."""
        known: set[str] = set()
        for card in cards:
            records, problems = games.read_shard(self.vault, card)
            bad = len(problems) if records else card.rows
            problems += games.unmeasured(card)
            if problems:
                self.refused.append({"shard": card.sha256, "games": card.rows, "bad": bad, "why": problems[0]})
                continue
            self.used.append(card)
            for record in records:
                if record.digest in known:
                    self.repeated += 1
                else:
                    known.add(record.digest)
                    yield record
        if not self.used:
            first = self.refused[0]["why"]
            raise DataError(f"all {len(self.refused)} shards are refused, the newest because of {first}; make new ones")


def _readiness(
    vault: Vault, config: Config, settings: DatasetSettings, window: Window, made: int, training: Training | None
) -> dict[str, Any]:
    """What a training needs to know: how many of the samples made are new, and how often samples were seen."""
    seen = sum(card.facts["samples_trained"] for card in vault.cards(CHECKPOINT_KIND, config.key))
    champion = champion_of(vault, config)
    generation = -1 if champion is None else champion.pointer.number
    return {
        "samples_made": made,
        "samples_new": max(0, made - _samples_taken(vault, config, made, training)),
        "samples_wanted": samples_wanted(config, settings),
        "replay_ratio": round(seen / made, 4),
        "replay_ratio_next": round((seen + window.samples) / made, 4),  # after one more pass
        "generation_lag": generation - int(window.generation.max()),
    }


def _samples_made(window: Window, shards: list[Card], chosen: _Chosen) -> int:
    """Samples that all games would give, about; refused shards count as not made."""
    refused = {shard["shard"] for shard in chosen.refused}
    decisions = sum(card.facts["decisions"] for card in shards if card.sha256 not in refused)
    # Forced and silent decisions are no samples.
    return max(1, round(decisions * window.samples / int(window.decisions.sum())))


def _samples_taken(vault: Vault, config: Config, made: int, training: Training | None) -> int:
    """Samples there were for the newest training; one that is queued will find those `made`."""
    if training is not None and training.since is None:
        return made
    datasets, trained = vault.cards(KIND, config.key), vault.cards(CHECKPOINT_KIND, config.key)
    if training is not None:
        taken = [card for card in datasets if card.created <= str(training.since)]
    else:
        taken = [vault.card(KIND, config.key, trained[-1].facts["dataset"])] if trained else []
    return taken[-1].facts.get("samples_made", 0) if taken else 0


def _facts(window: Window, shards: list[Card], chosen: _Chosen, now: datetime) -> dict[str, Any]:
    wins = window.value[:, 0]
    return {
        "problems": check_window(window),
        "quality": games.quality_of(chosen.used).facts(),
        "newest_hours": hours_since(chosen.used[0].created, now),
        "games": len(window.games),
        "games_made": sum(card.rows for card in games.own(shards)),  # by games_db before this was built
        "repeated_games": chosen.repeated,
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


def check_dataset(vault: Vault, card: Card, settings: DatasetSettings) -> list[str]:
    """What is wrong with a stored dataset: schema, types, ranges, targets, seats; empty when nothing is."""
    try:
        window = load_dataset(vault, card)
    except DataError as error:
        return [str(error)]
    if window.samples != card.rows:
        return [f"{window.samples} samples, its card says {card.rows}"]
    return unsound(card.facts, settings)


def unsound(facts: Mapping[str, Any], settings: DatasetSettings) -> list[str]:
    """What the schema or the ranges of a dataset break, and seats that decide too seldom, by its facts."""
    if missing := _missing(facts, "problems", "samples_by_seat"):
        return missing
    seats = facts["samples_by_seat"]
    even = sum(seats) / len(seats)
    return [
        *facts["problems"],
        *(
            f"seat {seat} has {samples} of {sum(seats)} samples, needs {settings.min_seat_share * even:.0f}"
            for seat, samples in enumerate(seats)
            if samples < settings.min_seat_share * even
        ),
    ]


def stale(facts: Mapping[str, Any], settings: DatasetSettings) -> list[str]:
    """Why a dataset is too old to train on, in hours and champions, by its facts."""
    problems = _missing(facts, "newest_hours", "generation_lag")
    if problems:
        return problems
    if facts["newest_hours"] > settings.fresh_hours:
        problems.append(f"its newest game is {facts['newest_hours']:.1f} h old, {settings.fresh_hours:g} are allowed")
    if facts["generation_lag"] > settings.max_generations:
        problems.append(f"its games are {facts['generation_lag']} champions behind, not {settings.max_generations}")
    return problems


def poor(facts: Mapping[str, Any], settings: QualitySettings) -> list[str]:
    """Why the games of a dataset are not good enough to train on, by its facts."""
    try:
        quality = Quality.from_facts(facts.get("quality", {}))
    except DataError as error:
        return [str(error)]
    if quality.score >= settings.gate:
        return []
    return [f"quality {quality.score:.2f} is below {settings.gate:g}, most of all {quality.weakest}"]


def blocked(card: Card, settings: Settings) -> list[str]:
    """Why nothing may train on a dataset: what its blocking checks say of its facts."""
    return [
        *unsound(card.facts, settings.dataset),
        *stale(card.facts, settings.dataset),
        *poor(card.facts, settings.quality),
    ]


def unready(facts: Mapping[str, Any], settings: DatasetSettings) -> list[str]:
    """Why a training has to wait for more games, by the facts of its dataset; waiting is no fault."""
    reasons = _missing(facts, "samples_new", "samples_wanted", "replay_ratio", "replay_ratio_next")
    if reasons:
        return reasons
    if facts["samples_new"] < facts["samples_wanted"]:
        reasons.append(f"{facts['samples_new']} new samples of {facts['samples_wanted']}")
    if facts["replay_ratio_next"] > settings.max_replay_ratio:
        reasons.append(
            f"samples were seen {facts['replay_ratio']:.1f} times, one more pass would exceed "
            f"{settings.max_replay_ratio:g}"
        )
    return reasons


def _missing(facts: Mapping[str, Any], *names: str) -> list[str]:
    """A problem per fact that was not measured, as on cards of older code."""
    return [f"{name} was not measured" for name in names if name not in facts]
