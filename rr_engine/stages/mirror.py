"""The second vault: what `mirror.to` names holds all that the first one does."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rr_engine.players.stored import KIND as CHECKPOINT_KIND
from rr_engine.progress import UNWATCHED, Watch
from rr_engine.settings import Settings
from rr_engine.stages import candidate, curriculum, dataset, evaluations, games
from rr_engine.vault import Vault
from rr_engine.vault.mirror import mirror

# What is made from what is copied in this order; other kinds follow.
ORDER = (
    games.KIND,
    dataset.KIND,
    candidate.STATE_KIND,
    CHECKPOINT_KIND,
    evaluations.MATCHES_KIND,
    evaluations.RATINGS_KIND,
    curriculum.KIND,
)
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class SecondVault:
    """What became of the second vault."""

    facts: Mapping[str, Any]
    problems: tuple[str, ...]  # why it does not hold all; empty if it does, or if there is none to be


def keep_second(vault: Vault, settings: Settings, *, watch: Watch = UNWATCHED) -> SecondVault:
    """Copy what is missing into the vault that `mirror.to` names; without one nothing happens, and the facts say so."""
    if not settings.mirror.to:
        return SecondVault({"second_vault": "there is none: mirror.to names no vault"}, ())
    return keep(vault, Vault.open(settings.mirror.to, settings=settings.vault), watch=watch)


def keep(
    vault: Vault,
    second: Vault,
    *,
    lists: bool = False,
    on_folder: Callable[[str, int], None] | None = None,
    watch: Watch = UNWATCHED,
) -> SecondVault:
    """Copy what is missing in `second`; raises VaultError."""
    began = time.perf_counter()
    done = mirror(vault, second, order=ORDER, lists=lists, on_folder=on_folder, watch=watch)
    facts = {"second_vault": second.url, **done.facts(), "seconds": round(time.perf_counter() - began, 3)}
    conflicts = (f"{name} has other bytes in {second.url}; nothing was overwritten" for name in done.conflicts)
    return SecondVault(facts, (*conflicts, *done.problems))
