"""Who is champion: the gate's verdict on the newest candidate, written down as a pointer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rr_engine.arena.gate import judge
from rr_engine.boards import Config
from rr_engine.errors import DataError, VaultError
from rr_engine.players import Table
from rr_engine.players.stored import KIND as CHECKPOINT_KIND
from rr_engine.players.stored import champion_of, load, match_player
from rr_engine.settings import Settings
from rr_engine.stages import evaluations
from rr_engine.vault import Pointer, Vault

SCHEMA_VERSION = 1
_SIMULATIONS = 4  # of the game that shows that a champion plays


@dataclass(frozen=True)
class Crowned:
    """What was decided and why; `pointer` is the one that counts afterwards."""

    decision: str  # promoted or kept
    reason: str
    pointer: Pointer
    facts: Mapping[str, Any]


def decide(vault: Vault, config: Config, settings: Settings) -> Crowned:
    """Judge the newest evaluated candidate and move the pointer if it wins.

    The first checkpoint that loads becomes generation 0. A champion is proven if it won more than half (with more
    seats: more than its share; both times `gate.proven_share`) of its games against the heuristic, by the lower bound.
    """
    matches = evaluations.newest_matches(vault, config)
    results: Mapping[str, Mapping[str, Any]] = matches.facts["results"]
    candidate = vault.card(CHECKPOINT_KIND, config.key, matches.facts["candidate"])
    champion = champion_of(vault, config)
    load(vault, candidate)  # what does not load is never crowned
    proven = results[evaluations.HEURISTIC]["wilson_low"] > settings.gate.proven_share / config.players
    if champion is not None and champion.card.sha256 == candidate.sha256:
        return _told("kept", "the candidate is the champion already", champion.pointer)
    verdict = judge(
        results,
        champion_results=None if champion is None else _champion_results(vault, config, champion.card.sha256),
        seats=config.players,
        gate=settings.gate,
        min_distinct=settings.match.min_distinct,
    )
    if not verdict.promote:
        if champion is None:
            raise DataError(f"no champion of {config.key}, and the gate refuses a first one: {verdict.reason}")
        return _told("kept", verdict.reason, champion.pointer)
    pointer = vault.write_pointer(
        candidate, facts={"reason": verdict.reason, "proven": proven, "matches": matches.sha256}
    )
    return _told("promoted", verdict.reason, pointer)


def _told(decision: str, reason: str, pointer: Pointer) -> Crowned:
    facts = {
        "decision": decision,
        "reason": reason,
        "generation": pointer.number,
        "champion": pointer.sha256,
        "proven": pointer.facts["proven"],
    }
    return Crowned(decision, reason, pointer, facts)


def _champion_results(vault: Vault, config: Config, sha256: str) -> Mapping[str, Mapping[str, Any]]:
    results = evaluations.champion_results(vault, config, sha256)
    if results is None:
        raise DataError(f"champion {sha256[:12]} of {config.key} was never evaluated")
    return results


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
