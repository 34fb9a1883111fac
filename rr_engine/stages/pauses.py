"""Pauses: a config that is to play nothing, why, since when, and when crashes lead to it. The newest entry counts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import takewhile

from rr_engine.boards import Config
from rr_engine.settings import CrashSettings
from rr_engine.vault import Vault

KIND = "pause"
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Pause:
    """A pause that goes on."""

    since: str  # UTC, ISO 8601
    reason: str
    by: str  # who paused it: `crashes`, or `hand`


class End(StrEnum):
    """How a run ended for one asset of a config."""

    SUCCESS = "success"
    REFUSED = "refused"  # by a check: an answer
    STOPPED = "stopped"  # with the platform, or for want of room
    CRASHED = "crashed"


@dataclass(frozen=True)
class Ended:
    """A run of a config that has ended."""

    run: str
    at: float  # seconds since 1970
    end: End


class Budget(StrEnum):
    """What is to be done about the newest run."""

    NOTHING = "nothing"
    RETRY = "retry"
    PAUSE = "pause"


def crash_budget(ended: Sequence[Ended], settings: CrashSettings, now: float) -> Budget:
    """What the runs for one asset, newest first, call for: after a crash another try, each later than the one before.

    After `in_a_row` crashes the config is to pause. What was stopped does not count and is tried again at once.
    """
    failed = list(takewhile(lambda run: run.end in (End.CRASHED, End.STOPPED), ended))
    crashes = sum(run.end is End.CRASHED for run in failed)
    if crashes >= settings.in_a_row:
        return Budget.PAUSE
    wait = settings.first_wait_s * 2 ** (crashes - 1) if crashes else 0.0
    if failed and now - failed[0].at >= wait:
        return Budget.RETRY
    return Budget.NOTHING


def pause_of(vault: Vault, config: Config) -> Pause | None:
    """The pause of a config, None if there is none."""
    cards = vault.cards(KIND, config.key)
    if not cards or not cards[-1].facts["paused"]:
        return None
    return Pause(cards[-1].created, cards[-1].facts["reason"], cards[-1].facts["by"])


def pause(vault: Vault, config: Config, reason: str, *, by: str) -> None:
    """Let a config rest until it is resumed; the plan takes it from there."""
    _keep(vault, config, paused=True, reason=reason, by=by)


def resume(vault: Vault, config: Config, reason: str, *, by: str) -> None:
    """End the pause of a config; nothing happens if there is none."""
    if pause_of(vault, config) is not None:
        _keep(vault, config, paused=False, reason=reason, by=by)


def _keep(vault: Vault, config: Config, **facts: str | bool) -> None:
    numbered = {**facts, "number": len(vault.cards(KIND, config.key))}  # else the same words would be the same bytes
    vault.put(
        KIND,
        config.key,
        json.dumps(numbered, sort_keys=True).encode(),
        suffix=".json",
        producer="pause",
        rows=1,
        schema_version=SCHEMA_VERSION,
        facts=numbered,
    )
    vault.index(KIND, config.key)
