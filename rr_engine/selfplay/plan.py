"""The plan: how the compute for self-play is shared between the configs, and how each spends it. Pure: facts in, rows
out, each with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rr_engine.boards import Config, typical_decisions
from rr_engine.settings import PlanSettings, Settings

RESTS = "rests: "  # how the reason of a config without a share begins
_EVEN = 1e-12


@dataclass(frozen=True)
class ConfigFacts:
    """What is known of one config when the plan is made."""

    config: str
    games_age_hours: float | None = None  # since the newest; None: there are none
    generation_lag: int = 0  # champions since the newest game's
    samples_new: int = 0  # that no training has seen
    samples_wanted: int = 1  # that a training needs
    elo_half_width: float | None = None  # of the champion's rating interval; None: unrated
    elo_per_day: float = 0.0  # slope of the champions' ratings
    elo_per_day_error: float = 0.0  # its standard error
    curriculum_weight: float = 1.0
    exploration: float = 1.0
    opponent: str = "heuristic"  # of the curriculum
    quality: float | None = None  # of the newest dataset's games; None: not measured yet
    was_throttled: bool = False  # by the plan before
    blocked: int = 0  # datasets in a row, up to the newest, that a blocking check refuses
    blocked_by: str = ""  # why the newest is refused
    rests: str = ""  # why the config is to play nothing; empty: it plays
    plays: bool = False  # a run for its games is queued or under way
    due: str = ""  # what calls for games: a name, the same for the same cause; empty: nothing does
    was_granted: str = ""  # the cause that games were last granted for
    granted_at: str = ""  # when; UTC, ISO 8601
    at: str = ""  # when all this was so, likewise


@dataclass(frozen=True)
class PlanRow:
    """What one config gets."""

    config: str
    share: float  # of the compute
    games: int
    simulations: int  # per move, of a full search
    cheap_simulations: int  # per move, of a cheap search
    temperature: float
    exploration: float  # what the temperature was multiplied by
    opponent: str  # in part of a champion's games
    priority: float  # from 0 to 1, before floor and cap
    throttled: bool  # fewer games, each with more simulations
    grants: bool  # whether games may start now
    granted: str  # the cause that games were last granted for
    granted_at: str  # when; UTC, ISO 8601
    reason: str

    def facts(self) -> dict[str, Any]:
        """The same as JSON."""
        return asdict(self)


def _terms(facts: ConfigFacts, settings: Settings) -> dict[str, tuple[float, float]]:
    """name -> (term in [0, 1], weight)."""
    plan, age, width = settings.plan, facts.games_age_hours, facts.elo_half_width
    old = 1.0 if age is None else age / plan.stale_hours
    behind = facts.generation_lag / settings.dataset.max_generations
    speed = (facts.elo_per_day - facts.elo_per_day_error) / plan.fast_elo  # as far as it is certain
    missing = 1 - facts.samples_new / facts.samples_wanted
    return {
        "staleness": (_bounded(max(old, behind)), plan.weight_staleness),
        "velocity": (_bounded(speed), plan.weight_velocity),
        "curriculum": (_bounded(_weight(facts, settings)), plan.weight_curriculum),
        "deficit": (_bounded(missing), plan.weight_deficit),
        "uncertainty": (1.0 if width is None else _bounded(width / plan.uncertain_elo), plan.weight_uncertainty),
    }


def _bounded(term: float) -> float:
    return min(1.0, max(0.0, term))


def _weight(facts: ConfigFacts, settings: Settings) -> float:
    """The curriculum's weight, less the penalty for poor games."""
    poor = 0.0 if facts.quality is None else 1 - facts.quality
    return facts.curriculum_weight * (1 - settings.curriculum.quality_penalty * poor)


def make_plan(facts: Sequence[ConfigFacts], settings: Settings) -> list[PlanRow]:
    """A row per config. Shares of those that play sum to 1, each between `min_share` and `max_share`; who rests has 0.

    A config whose dataset is refused gets `blocked_factor` times the share it would have, again for each further one
    refused, up to `blocked_cap`; the others pay for it, down to the floor.
    """
    all_terms = [_terms(config, settings) for config in facts]
    total_weight = sum(weight for _, weight in all_terms[0].values()) or 1.0
    priorities = [sum(term * weight for term, weight in terms.values()) / total_weight for terms in all_terms]
    boosts = [_boost(config, settings) for config in facts]
    shares = _shares(priorities, boosts, [bool(config.rests) for config in facts], settings.plan)
    rows = zip(facts, all_terms, priorities, boosts, shares, strict=True)
    return [_row(*row, settings) for row in rows]


def _boost(facts: ConfigFacts, settings: Settings) -> float:
    return min(settings.plan.blocked_cap, settings.plan.blocked_factor**facts.blocked)


def _row(
    facts: ConfigFacts,
    terms: dict[str, tuple[float, float]],
    priority: float,
    boost: float,
    share: float,
    settings: Settings,
) -> PlanRow:
    selfplay, quality = settings.selfplay, facts.quality
    limit = settings.quality.recover_at if facts.was_throttled else settings.quality.throttle_below
    throttled = quality is not None and quality < limit
    times = settings.quality.throttle_times if throttled else 1
    grants = share > 0 and not facts.plays and facts.due not in ("", facts.was_granted)
    return PlanRow(
        config=facts.config,
        share=share,
        games=max(1, round(settings.plan.games * share * _affordable(facts.config) / times)) if share else 0,
        simulations=selfplay.simulations * times,
        cheap_simulations=selfplay.cheap_simulations * times,
        temperature=selfplay.temperature * facts.exploration,
        exploration=facts.exploration,
        opponent=facts.opponent,
        priority=priority,
        throttled=throttled,
        grants=grants,
        granted=facts.due if grants else "" if facts.rests else facts.was_granted,
        granted_at=facts.at if grants else facts.granted_at,
        reason=_reason(facts, terms, boost, settings, throttled=throttled),
    )


def _affordable(key: str) -> float:
    """Games of a config for the compute of one of hex8_2p: what a game costs grows with its decisions and cells."""

    def cost(config: Config) -> int:
        return typical_decisions(config) * config.board.cells

    return cost(Config("hex8", 2)) / cost(Config.parse(key))


def highest_share(playing: int, settings: PlanSettings) -> float:
    """The cap on a share when so many configs play: `max_share`, or more where the shares could not sum to 1."""
    return max(settings.max_share, 1 / playing)


def _shares(
    priorities: Sequence[float], boosts: Sequence[float], resting: Sequence[bool], settings: PlanSettings
) -> list[float]:
    """[configs] shares of the compute: 0 at rest, boosted ones as they would be times their boost, others the rest."""
    playing = [row for row, rests in enumerate(resting) if not rests]
    shares = [0.0] * len(priorities)
    if not playing:
        return shares
    high = highest_share(len(playing), settings)
    floors = {row: settings.min_share for row in playing}
    usual = _filled(priorities, floors, high)
    extra = {row: min(high, usual[row] * boosts[row]) - usual[row] for row in playing if boosts[row] > 1}
    if (wanted := sum(extra.values())) > _EVEN:
        others = [row for row in playing if row not in extra]
        spare = sum(usual[row] for row in others) - settings.min_share * len(others)
        paid = min(1.0, spare / wanted)
        fixed = {row: usual[row] + paid * more for row, more in extra.items()}
        left = {row: settings.min_share for row in others}
        usual = {**fixed, **_filled(priorities, left, high, total=1 - sum(fixed.values()))}
    for row, share in usual.items():
        shares[row] = share
    return shares


def _filled(
    priorities: Sequence[float], floors: Mapping[int, float], high: float, *, total: float = 1.0
) -> dict[int, float]:
    """Row -> share, of rows with a floor: that for each, the rest of `total` by priority up to `high`.

    What that cuts off goes to the others.
    """
    shares = dict(floors)
    left = total - sum(shares.values())
    while left > _EVEN and (rows := [row for row, share in shares.items() if share < high - _EVEN]):
        whole = sum(priorities[row] for row in rows)
        grants = {row: left * (priorities[row] / whole if whole else 1 / len(rows)) for row in rows}
        for row, grant in grants.items():
            taken = min(grant, high - shares[row])
            shares[row] += taken
            left -= taken
    return shares


def _reason(
    facts: ConfigFacts, terms: dict[str, tuple[float, float]], boost: float, settings: Settings, *, throttled: bool
) -> str:
    """What moved the row: first what is out of the ordinary, then the terms that count, largest first."""
    if facts.rests:
        return RESTS + facts.rests
    told: list[str] = []
    if boost > 1:
        told.append(f"share x{boost:g}, {facts.blocked} refused in a row: {facts.blocked_by}")
    if throttled:
        times = settings.quality.throttle_times
        told.append(f"quality {facts.quality:.2f}: 1/{times} of the games at {times} times the simulations")
    if facts.quality is not None and facts.quality < 1:
        told.append(f"weight {_weight(facts, settings):.2f} at quality {facts.quality:.2f}")
    if facts.exploration > 1:
        told.append(f"temperature x{facts.exploration:.2f}")
    ranked = sorted(((term * weight, name, term) for name, (term, weight) in terms.items()), reverse=True)
    return ", ".join([*told, *(f"{name} {term:.2f}" for weighted, name, term in ranked if weighted > 0)]) or "floor"
