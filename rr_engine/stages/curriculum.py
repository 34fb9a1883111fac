"""The curriculum of a config: its state in the vault, moved on by each evaluation."""

from __future__ import annotations

import json

from rr_engine.boards import Config
from rr_engine.selfplay.curriculum import STAGES, CurriculumState, Evaluation, advance
from rr_engine.settings import CurriculumSettings
from rr_engine.stages import evaluations
from rr_engine.vault import Card, Vault

KIND = "curriculum"
SCHEMA_VERSION = 1


def curriculum_of(vault: Vault, config: Config) -> CurriculumState:
    """The state that counts now; the start before the first evaluation."""
    cards = vault.cards(KIND, config.key)
    return CurriculumState.from_facts(cards[-1].facts["state"]) if cards else CurriculumState()


def move_on(vault: Vault, config: Config, settings: CurriculumSettings) -> tuple[Card, CurriculumState]:
    """Take the newest evaluation into account; raises DataError if there is none."""
    card = evaluations.newest_matches(vault, config)
    pointer = vault.pointer(config.key)
    evaluation = Evaluation(
        candidate=card.facts["candidate"],
        seats=config.players,
        champion=-1 if pointer is None else pointer.number,
        promoted=pointer is not None and pointer.sha256 == card.facts["candidate"],
        results={
            name: (result["wins"], result["games"]) for name, result in card.facts["results"].items() if name in STAGES
        },
    )
    before = curriculum_of(vault, config)
    after = advance(before, evaluation, settings)
    facts = {"state": after.facts(), "changed": after != before}
    kept = vault.put(
        KIND,
        config.key,
        json.dumps(facts["state"], sort_keys=True).encode(),
        suffix=".json",
        producer="curriculum",
        rows=1,
        schema_version=SCHEMA_VERSION,
        parents=(card.sha256,),
        facts=facts,
    )
    return kept, after


def check_curriculum(state: CurriculumState, settings: CurriculumSettings) -> list[str]:
    """What is out of bounds in a state."""
    problems: list[str] = []
    if not settings.min_weight <= state.weight <= 1:
        problems.append(f"weight {state.weight:.3f} is not in {settings.min_weight:g}..1")
    if not 1 <= state.exploration <= settings.max_exploration:
        problems.append(f"exploration {state.exploration:.3f} is not in 1..{settings.max_exploration:g}")
    return problems
