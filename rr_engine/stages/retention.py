"""What may go from the vault, and what must stay because a stage still reads it.

Games, checkpoints, matches, ratings, curricula, pauses, pointers and claims always stay: a checkpoint may be crowned by
hand or met in a match years later, ratings rest on all matches, seeds are counted by claims.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta

from rr_engine.boards import CONFIGS, Config
from rr_engine.players.stored import KIND as CHECKPOINT_KIND
from rr_engine.progress import UNWATCHED, Task, Watch
from rr_engine.settings import RetentionSettings
from rr_engine.stages import dataset
from rr_engine.stages.candidate import STATE_KIND
from rr_engine.stages.fleet import ALL, BOARD_KIND, PLAN_KIND
from rr_engine.vault import Card, Vault
from rr_engine.vault.sweep import Removal, Sweep, remove


def removable(vault: Vault, settings: RetentionSettings, now: datetime, *, watch: Watch = UNWATCHED) -> list[Removal]:
    """Everything that nothing needs at `now`; raises VaultError where a card that tells is damaged."""
    before = now - timedelta(hours=settings.grace_hours)
    sweep = Sweep(vault, before=before.timestamp())
    count = watch(Task("configs", len(CONFIGS), "looked through"))
    found = [*sweep.leftovers(), *sweep.nodes(), *sweep.orphans()]
    for kind, kept in ((PLAN_KIND, settings.plans), (BOARD_KIND, settings.pages)):
        found += sweep.superseded(_all_but_newest(vault.cards(kind, ALL), kept), f"not among the newest {kept}")
    for config in count.each(CONFIGS):
        found += sweep.superseded(_idle_states(vault, config), "no training goes on from it")
        why = f"its bytes: it is not among the newest {settings.datasets} of {config.key}, and its card stays"
        found += sweep.retired(_old_datasets(vault, config, settings.datasets, before), why)
    return found


def clear(
    vault: Vault,
    settings: RetentionSettings,
    now: datetime,
    *,
    on_removed: Callable[[Removal], None],
    watch: Watch = UNWATCHED,
) -> None:
    """Remove everything that nothing needs at `now`; `on_removed` hears of each when it is gone."""
    before = now - timedelta(hours=settings.grace_hours)
    found = removable(vault, settings, now, watch=watch)
    remove(vault, found, before=before.timestamp(), on_removed=on_removed, watch=watch)


def _all_but_newest(cards: list[Card], kept: int) -> list[Card]:
    """The older ones of each schema: code of another version reads the newest of its own."""
    by_schema: defaultdict[int, list[Card]] = defaultdict(list)
    for card in cards:
        by_schema[card.schema_version].append(card)
    return [card for same in by_schema.values() for card in same[:-kept]]


def _idle_states(vault: Vault, config: Config) -> list[Card]:
    """States of trainings that no run goes on from.

    A run trains on the newest dataset and goes on from the state that most steps were made for (`stages.candidate`). It
    has ended once there is a checkpoint of the same dataset and start.
    """
    data = vault.cards(dataset.KIND, config.key)[-1:]
    ended = {_run_of(card) for card in vault.cards(CHECKPOINT_KIND, config.key)}
    best: dict[tuple[object, ...], Card] = {}
    states = vault.cards(STATE_KIND, config.key)
    for card in states:
        run = (*_run_of(card), card.facts["settings"], card.schema_version)
        goes_on = any(card.facts["dataset"] == newest.sha256 for newest in data) and _run_of(card) not in ended
        if goes_on and (run not in best or best[run].facts["step"] < card.facts["step"]):
            best[run] = card
    needed = {card.sha256 for card in best.values()}
    return [card for card in states if card.sha256 not in needed]


def _run_of(card: Card) -> tuple[object, object]:
    """What a training started from, by a state or the checkpoint of it."""
    return card.facts["dataset"], card.facts["started_from"]


def _old_datasets(vault: Vault, config: Config, kept: int, before: datetime) -> list[Card]:
    """Datasets that are not among the newest, and that no check will read.

    A check reads the dataset of the newest candidate; so it will that of a training under way, which keeps states.
    """
    candidates = vault.cards(CHECKPOINT_KIND, config.key)[-1:]
    states = [c for c in vault.cards(STATE_KIND, config.key) if datetime.fromisoformat(c.created) >= before]
    needed = {card.facts["dataset"] for card in (*candidates, *states)}
    return [card for card in vault.cards(dataset.KIND, config.key)[:-kept] if card.sha256 not in needed]
