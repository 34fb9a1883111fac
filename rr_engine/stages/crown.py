"""Who is champion: the gate's verdict on the newest candidate, written down as a pointer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rr_engine.arena.gate import judge
from rr_engine.arena.regression import Level
from rr_engine.boards import Config
from rr_engine.errors import DataError, VaultError
from rr_engine.players import Table
from rr_engine.players.stored import KIND as CHECKPOINT_KIND
from rr_engine.players.stored import Champion, champion_of, find_checkpoint, load, match_player
from rr_engine.settings import RegressionSettings, Settings
from rr_engine.stages import evaluations
from rr_engine.vault import POINTER_KIND, Card, Pointer, Vault

SCHEMA_VERSION = 1
ROLLED_BACK = "rolled back"
_SIMULATIONS = 4  # of the game that shows that a champion plays


@dataclass(frozen=True)
class Crowned:
    """What was decided and why; `pointer` is the one that counts afterwards."""

    decision: str  # promoted, kept or rolled back
    reason: str
    pointer: Pointer
    facts: Mapping[str, Any]


def decide(vault: Vault, config: Config, settings: Settings) -> Crowned:
    """Judge the newest evaluated candidate and move the pointer if it wins.

    A champion that is a critical regression gives way to the one before it, whatever the candidate is. The first
    checkpoint that loads becomes generation 0.
    """
    matches = evaluations.newest_matches(vault, config)
    results: Mapping[str, Mapping[str, Any]] = matches.facts["results"]
    candidate = vault.card(CHECKPOINT_KIND, config.key, matches.facts["candidate"])
    champion = champion_of(vault, config)
    load(vault, candidate)  # what does not load is never crowned
    if champion is not None and (crowned := _rolled_back(vault, config, champion, settings)) is not None:
        return crowned
    if champion is not None and champion.card.sha256 == candidate.sha256:
        return _told("kept", "the candidate is the champion already", champion.pointer)
    verdict = judge(
        results,
        champion_results=None
        if champion is None
        else evaluations.champion_results(vault, config, champion.card.sha256) or {},
        seats=config.players,
        gate=settings.gate,
        min_distinct=settings.match.min_distinct,
    )
    if not verdict.promote:
        if champion is None:
            raise DataError(f"no champion of {config.key}, and the gate refuses a first one: {verdict.reason}")
        return _told("kept", verdict.reason, champion.pointer)
    facts = {
        "reason": verdict.reason,
        "proven": _is_proven(results, config, settings),
        "matches": matches.sha256,
    }
    return _told("promoted", verdict.reason, _point(vault, candidate, facts))


def _is_proven(results: Mapping[str, Mapping[str, Any]], config: Config, settings: Settings) -> bool:
    """Whether it won more than half (with more seats: more than its share) of its games against the heuristic.

    By the lower bound, and times `gate.proven_share`. Who has not met the heuristic is not proven.
    """
    heuristic = results.get(evaluations.HEURISTIC)
    return heuristic is not None and heuristic["wilson_low"] > settings.gate.proven_share / config.players


def _rolled_back(vault: Vault, config: Config, champion: Champion, settings: Settings) -> Crowned | None:
    """The pointer back to the previous champion if the present one is a critical regression, else None."""
    regression = evaluations.champion_regression(vault, config, champion.card.sha256, settings.regression)
    before = evaluations.predecessor_of(vault, config)
    if regression.level < Level.CRITICAL or before is None:
        return None
    load(vault, before)
    proven = next(p for p in reversed(vault.pointers(config.key)) if p.sha256 == before.sha256).facts["proven"]
    facts = {"reason": regression.reason, "proven": proven, "rolled_back": champion.card.sha256}
    return _told(ROLLED_BACK, regression.reason, _point(vault, before, facts))


def crown_by_hand(vault: Vault, config: Config, digits: str, reason: str, settings: Settings) -> Pointer:
    """Point at the one checkpoint whose hash begins with `digits`, if it loads; raises PlayerError or DataError.

    The champion until then counts as rolled back. The new one is proven if its evaluation says so.
    """
    card = find_checkpoint(vault, config, digits)
    load(vault, card)
    known = evaluations.champion_results(vault, config, card.sha256) or {}
    champion = vault.pointer(config.key)
    facts = {"reason": f"by hand: {reason}", "proven": _is_proven(known, config, settings)}
    if champion is not None and champion.sha256 != card.sha256:
        facts["rolled_back"] = champion.sha256
    return _point(vault, card, facts)


def _point(vault: Vault, card: Card, facts: Mapping[str, Any]) -> Pointer:
    pointer = vault.write_pointer(card, facts=facts)
    vault.index(POINTER_KIND, card.config)
    return pointer


def _told(decision: str, reason: str, pointer: Pointer) -> Crowned:
    facts = {
        "decision": decision,
        "reason": reason,
        "generation": pointer.number,
        "champion": pointer.sha256,
        "proven": pointer.facts["proven"],
    }
    return Crowned(decision, reason, pointer, facts)


def check_champion(vault: Vault, config: Config) -> tuple[dict[str, Any], list[str]]:
    """(facts, problems): what the pointer names is whole, loads and plays a game to its end."""
    champion = champion_of(vault, config)
    if champion is None:
        return {}, ["there is no pointer"]
    try:
        agent = match_player(vault, champion.card, Settings(), simulations=_SIMULATIONS)
    except (DataError, VaultError) as error:
        return {"champion": champion.card.sha256}, [str(error)]
    table = Table(config, np.array([1], np.uint64))
    while len(table.running):
        table.step(agent.choose(table.positions(1.0)).moves)
    decisions = int(table.decisions[0])
    facts = {"champion": champion.card.sha256, "generation": champion.pointer.number, "decisions": decisions}
    return facts, [] if table.states["winner"][0] >= 0 else ["its game ended without a winner"]


def check_regression(vault: Vault, config: Config, settings: RegressionSettings) -> tuple[dict[str, Any], list[str]]:
    """(facts, problems): how far the champion is below its predecessor."""
    pointer = vault.pointer(config.key)
    if pointer is None:
        return {}, ["there is no pointer"]
    regression = evaluations.champion_regression(vault, config, pointer.sha256, settings)
    facts = {"champion": pointer.sha256, "level": regression.level.name.lower(), "reason": regression.reason}
    return facts, [regression.reason] if regression.level else []
