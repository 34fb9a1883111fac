"""What every part of a config's loop waits for, by what the vault holds. Knows no runs: whether one is queued or has
failed is told by whoever has them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from rr_engine.boards import Config
from rr_engine.players.stored import KIND as CHECKPOINT_KIND
from rr_engine.settings import Settings
from rr_engine.stages import curriculum, dataset, evaluations, fleet, games, pauses
from rr_engine.vault import Card, Pointer, Vault

DUE = "due"  # nothing is missing: a run should follow


@dataclass(frozen=True)
class Wait:
    """What an asset of a config waits for."""

    asset: str
    waits_for: str
    since: str | None  # UTC; None: always


def waits_of(vault: Vault, config: Config, settings: Settings) -> list[Wait]:
    """A row per partitioned asset, in the order of the loop."""
    made = _newest(vault, games.KIND, config)
    data = _newest(vault, dataset.KIND, config)
    candidate = _newest(vault, CHECKPOINT_KIND, config)
    matches = _newest(vault, evaluations.MATCHES_KIND, config)
    state = _newest(vault, curriculum.KIND, config)
    judged = matches is not None and state is not None and matches.sha256 in state.parents
    pointer = vault.pointer(config.key)
    return [
        _games(vault, config, settings, made),
        _follows("npz_dataset", data, made, "new games", done=data is not None and _has_taken(vault, config, data)),
        _training(candidate, data, settings),
        _follows("elo", matches, candidate, "a new candidate", done=_is_rated(matches, candidate)),
        _follows("champion", state if judged else pointer, matches, "a new evaluation", done=judged),
        _follows("curriculum", state, matches, "a new evaluation", done=judged),
    ]


def _newest(vault: Vault, kind: str, config: Config) -> Card | None:
    cards = vault.cards(kind, config.key)
    return cards[-1] if cards else None


def _has_taken(vault: Vault, config: Config, data: Card) -> bool:
    return data.facts["games_made"] == sum(card.rows for card in games.own(vault.cards(games.KIND, config.key)))


def _is_rated(matches: Card | None, candidate: Card | None) -> bool:
    return matches is not None and candidate is not None and matches.facts["candidate"] == candidate.sha256


def _follows(asset: str, own: Card | Pointer | None, source: Card | None, what: str, *, done: bool) -> Wait:
    """An asset that is made whenever its source is new."""
    left = None if own is None else own.created
    if source is None:
        return Wait(asset, f"{what}, the first", None)
    return Wait(asset, what, left) if done else Wait(asset, DUE, source.created)


def _games(vault: Vault, config: Config, settings: Settings, made: Card | None) -> Wait:
    left = None if made is None else made.created
    plan = fleet.newest_plan_card(vault)
    if plan is None:
        return Wait("games_db", "the first plan", None)
    row = fleet.plan_rows(plan)[config.key]
    facts = fleet.facts_of(vault, config, settings, datetime.now(UTC), row)
    pause = pauses.pause_of(vault, config)
    if facts.rests:
        return Wait("games_db", facts.rests, plan.created if pause is None else pause.since)
    if facts.due == "":
        return Wait("games_db", "a dataset that takes the newest games", left)
    if row["granted"] == facts.due:
        return Wait("games_db", DUE, row["granted_at"])
    return Wait("games_db", "the plan's go-ahead", plan.created)


def _training(candidate: Card | None, data: Card | None, settings: Settings) -> Wait:
    left = None if candidate is None else candidate.created
    if data is None:
        return Wait("checkpoint", "a dataset, the first", None)
    if candidate is not None and candidate.facts["dataset"] == data.sha256:
        return Wait("checkpoint", "a new dataset", left)
    reasons = dataset.blocked(data, settings) or dataset.unready(data.facts, settings.dataset)
    return Wait("checkpoint", "; ".join(reasons) or DUE, data.created)
