"""The curriculum of a config: its state in the vault, moved on by each evaluation."""

from __future__ import annotations

import json

from rr_engine.boards import Config
from rr_engine.selfplay.curriculum import STAGES, CurriculumState, Evaluation, advance
from rr_engine.settings import CurriculumSettings, Settings
from rr_engine.stages import evaluations
from rr_engine.vault import Card, Vault

KIND = "curriculum"
SCHEMA_VERSION = 1


def curriculum_of(vault: Vault, config: Config) -> CurriculumState:
    """The state that counts now; the start before the first evaluation."""
    cards = vault.cards(KIND, config.key)
    return CurriculumState.from_facts(cards[-1].facts["state"]) if cards else CurriculumState()


def move_on(vault: Vault, config: Config, settings: Settings) -> tuple[Card, CurriculumState]:
    """Take every evaluation into account that was not yet; raises DataError if there was never one."""
    card = evaluations.newest_matches(vault, config)
    before = after = curriculum_of(vault, config)
    for news in _not_seen(vault, config):
        if evaluations.is_sound(news, config, settings.match):
            after = advance(after, _evaluation(vault, config, news), settings.curriculum)
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
    vault.index(KIND, config.key)
    return kept, after


def _not_seen(vault: Vault, config: Config) -> list[Card]:
    """The newest evaluation of each candidate since the last one that a state rests on, the oldest first."""
    cards = vault.cards(evaluations.MATCHES_KIND, config.key)
    seen = {parent for state in vault.cards(KIND, config.key)[-1:] for parent in state.parents}
    known = [index for index, card in enumerate(cards) if card.sha256 in seen]
    news = cards[known[-1] + 1 :] if known else cards
    newest = {card.facts["candidate"]: card for card in news}
    return [card for card in news if card is newest[card.facts["candidate"]]]


def _evaluation(vault: Vault, config: Config, card: Card) -> Evaluation:
    pointers, candidate = vault.pointers(config.key), card.facts["candidate"]
    cards = vault.cards(evaluations.MATCHES_KIND, config.key)
    own = {other.sha256 for other in cards if other.facts["candidate"] == candidate}
    results = {name: (result["wins"], result["games"]) for name, result in card.facts["results"].items()}
    return Evaluation(
        candidate=candidate,
        seats=config.players,
        champion=pointers[-1].number if pointers else -1,
        promoted=any(pointer.facts.get("matches") in own for pointer in pointers),
        results={name: result for name, result in results.items() if name in STAGES},
    )


def check_curriculum(state: CurriculumState, settings: CurriculumSettings) -> list[str]:
    """What is out of bounds in a state."""
    problems: list[str] = []
    if not settings.min_weight <= state.weight <= 1:
        problems.append(f"weight {state.weight:.3f} is not in {settings.min_weight:g}..1")
    if not 1 <= state.exploration <= settings.max_exploration:
        problems.append(f"exploration {state.exploration:.3f} is not in 1..{settings.max_exploration:g}")
    return problems
