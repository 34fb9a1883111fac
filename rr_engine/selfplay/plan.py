"""The plan: how the compute for self-play is shared between the configs. Pure: facts in, rows out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rr_engine.settings import PlanSettings, SelfplaySettings


@dataclass(frozen=True)
class ConfigFacts:
    """What is known of one config when the plan is made."""

    config: str
    games: int  # in the games database
    games_age_hours: float | None  # since the newest; None: there are none
    dataset_samples: int  # in the newest dataset
    samples_wanted: int  # that a training needs
    elo_half_width: float | None  # of the champion's rating interval; None: unrated
    elo_per_day: float  # slope of the champions' ratings
    curriculum_weight: float
    exploration: float
    opponent: str  # of the curriculum


@dataclass(frozen=True)
class PlanRow:
    """What one config gets."""

    config: str
    share: float  # of the compute
    games: int
    simulations: int  # per move; 0: no search
    temperature: float
    opponent: str  # in part of a champion's games
    priority: float  # from 0 to 1, before floor and cap
    reason: str

    def facts(self) -> dict[str, Any]:
        """The same as JSON."""
        return asdict(self)


_UNCERTAIN_ELO = 200.0  # half-width of an interval that counts as knowing nothing
_FAST_ELO = 100.0  # Elo per day that count as full speed


def _terms(facts: ConfigFacts, settings: PlanSettings) -> dict[str, tuple[float, float]]:
    """name -> (term in [0, 1], weight)."""
    age, width = facts.games_age_hours, facts.elo_half_width
    missing = 1 - facts.dataset_samples / facts.samples_wanted
    return {
        "staleness": (1.0 if age is None else min(1.0, age / settings.stale_hours), settings.weight_staleness),
        "velocity": (min(1.0, max(0.0, facts.elo_per_day / _FAST_ELO)), settings.weight_velocity),
        "curriculum": (min(1.0, facts.curriculum_weight), settings.weight_curriculum),
        "deficit": (min(1.0, max(0.0, missing)), settings.weight_deficit),
        "uncertainty": (1.0 if width is None else min(1.0, width / _UNCERTAIN_ELO), settings.weight_uncertainty),
    }


def make_plan(facts: Sequence[ConfigFacts], settings: PlanSettings, selfplay: SelfplaySettings) -> list[PlanRow]:
    """A row per config. Shares sum to 1, each between `min_share` and `max_share`."""
    all_terms = [_terms(config, settings) for config in facts]
    total_weight = sum(weight for _, weight in all_terms[0].values()) or 1.0
    priorities = [sum(term * weight for term, weight in terms.values()) / total_weight for terms in all_terms]
    shares = _shares(priorities, settings)
    return [
        PlanRow(
            config=config.config,
            share=share,
            games=max(1, round(settings.games * share)),
            simulations=0,
            temperature=selfplay.temperature * config.exploration,
            opponent=config.opponent,
            priority=priority,
            reason=_reason(terms),
        )
        for config, terms, priority, share in zip(facts, all_terms, priorities, shares, strict=True)
    ]


def _shares(priorities: Sequence[float], settings: PlanSettings) -> list[float]:
    """The floor for everyone, the rest by priority; what the cap cuts off goes to the others."""
    count = len(priorities)
    shares = [settings.min_share] * count
    left = 1 - sum(shares)
    open_rows = set(range(count))
    while left > 1e-12 and open_rows:
        total = sum(priorities[row] for row in open_rows)
        grants = {row: left * (priorities[row] / total if total else 1 / len(open_rows)) for row in open_rows}
        for row, grant in grants.items():
            taken = min(grant, settings.max_share - shares[row])
            shares[row] += taken
            left -= taken
        open_rows = {row for row in open_rows if shares[row] < settings.max_share - 1e-12}
    return shares


def _reason(terms: dict[str, tuple[float, float]]) -> str:
    """The terms that count, largest first."""
    ranked = sorted(((term * weight, name, term) for name, (term, weight) in terms.items()), reverse=True)
    return ", ".join(f"{name} {term:.2f}" for weighted, name, term in ranked if weighted > 0) or "floor"
