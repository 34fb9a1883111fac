"""All configs together: what is known of each, the plan made from it, and the leaderboard that shows it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from rr_engine.boards import CONFIGS, Config
from rr_engine.players.stored import Champion, champion_of
from rr_engine.render.leaderboard import leaderboard_page
from rr_engine.selfplay.plan import ConfigFacts, PlanRow, make_plan
from rr_engine.settings import DatasetSettings, SelfplaySettings, Settings
from rr_engine.stages import dataset, evaluations, games
from rr_engine.stages.curriculum import curriculum_of
from rr_engine.stages.dataset import hours_since
from rr_engine.vault import Card, Vault

ALL = "all"  # in place of a config
PLAN_KIND = "plan"
BOARD_KIND = "leaderboard"
SCHEMA_VERSION = 2


@dataclass(frozen=True)
class Planned:
    """A plan and where it is kept."""

    card: Card
    rows: tuple[PlanRow, ...]


def samples_wanted(config: Config, settings: DatasetSettings) -> int:
    """New samples that a training of `config` needs."""
    factor = {2: 1.0, 3: settings.new_samples_factor_3p, 4: settings.new_samples_factor_4p}[config.players]
    return max(1, round(settings.min_new_samples * factor))


def facts_of(vault: Vault, config: Config, settings: Settings, now: datetime) -> ConfigFacts:
    """What the vault says of one config at `now`."""
    shards = vault.cards(games.KIND, config.key)
    datasets = vault.cards(dataset.KIND, config.key)
    champion = champion_of(vault, config)
    standing = None if champion is None else evaluations.standing_of(vault, config, champion.card.sha256)
    curriculum = curriculum_of(vault, config)
    return ConfigFacts(
        config=config.key,
        games=sum(card.rows for card in shards),
        games_age_hours=hours_since(shards[-1].created, now) if shards else None,
        dataset_samples=datasets[-1].rows if datasets else 0,
        samples_wanted=samples_wanted(config, settings.dataset),
        elo_half_width=None if standing is None else (standing["high"] - standing["low"]) / 2,
        elo_per_day=evaluations.elo_per_day(vault, config),
        curriculum_weight=curriculum.weight,
        exploration=curriculum.exploration,
        opponent=curriculum.sparring_partner,
    )


def plan_fleet(vault: Vault, settings: Settings) -> Planned:
    """Plan the next self-play of all twelve configs and keep the plan."""
    now = datetime.now(UTC)
    facts = [facts_of(vault, config, settings, now) for config in CONFIGS]
    rows = tuple(make_plan(facts, settings.plan, settings.selfplay))
    table = [row.facts() for row in rows]
    card = vault.put(
        PLAN_KIND,
        ALL,
        json.dumps({"made": now.isoformat(), "rows": table}, sort_keys=True).encode(),
        suffix=".json",
        producer="selfplay_plan",
        rows=len(rows),
        schema_version=SCHEMA_VERSION,
        facts={"rows": table},
    )
    return Planned(card, rows)


def newest_plan(vault: Vault) -> Mapping[str, Mapping[str, Any]]:
    """The rows of the newest plan by config; empty before the first."""
    cards = [card for card in vault.cards(PLAN_KIND, ALL) if card.schema_version == SCHEMA_VERSION]
    return {row["config"]: row for row in cards[-1].facts["rows"]} if cards else {}


def selfplay_order(vault: Vault, config: Config, settings: Settings) -> SelfplaySettings:
    """The settings of the next self-play of a config: as the plan says, where the settings leave it to the plan."""
    row = newest_plan(vault).get(config.key)
    ordered = settings.selfplay
    if row is not None:
        ordered = replace(ordered, temperature=row["temperature"], opponent=row["opponent"])
    if ordered.games == 0:
        ordered = replace(ordered, games=ordered.unplanned_games if row is None else row["games"])
    return ordered


def check_plan(plan: Mapping[str, Mapping[str, Any]], settings: Settings) -> list[str]:
    """What is wrong with a plan: a config without a row, a share out of bounds, shares that do not sum to 1."""
    problems: list[str] = []
    if missing := sorted({config.key for config in CONFIGS} - set(plan)):
        problems.append(f"no row for {', '.join(missing)}")
    low, high = settings.plan.min_share, settings.plan.max_share
    problems += [
        f"share {row['share']:.3f} of {key} is not in {low:g}..{high:g}"
        for key, row in plan.items()
        if not low - 1e-9 <= row["share"] <= high + 1e-9
    ]
    if abs((total := sum(row["share"] for row in plan.values())) - 1) > 1e-6:
        problems.append(f"the shares sum to {total:.4f}, not to 1")
    return problems


def standings(vault: Vault, now: datetime) -> list[dict[str, Any]]:
    """A row per config: champion, strength, games, age, and what comes next and why."""
    plan = newest_plan(vault)
    rows: list[dict[str, Any]] = []
    for config in CONFIGS:
        champion = champion_of(vault, config)
        shards = vault.cards(games.KIND, config.key)
        standing = None if champion is None else evaluations.standing_of(vault, config, champion.card.sha256)
        row = plan.get(config.key)
        rows.append(
            {
                "config": config.key,
                "champion": "none" if champion is None else champion.card.sha256[:12],
                "generation": -1 if champion is None else champion.pointer.number,
                "proven": champion is not None and champion.is_proven,
                "elo": None if standing is None else round(standing["elo"], 1),
                "elo_low": None if standing is None else round(standing["low"], 1),
                "elo_high": None if standing is None else round(standing["high"], 1),
                "games": sum(card.rows for card in shards),
                "games_age_hours": round(hours_since(shards[-1].created, now), 2) if shards else None,
                "share": None if row is None else round(row["share"], 4),
                "why": "no plan yet" if row is None else row["reason"],
            }
        )
    return rows


def ratings_table(vault: Vault, config: Config) -> list[dict[str, Any]]:
    """A row per player of a config, strongest first; raises DataError before the first evaluation."""
    evaluations.newest_matches(vault, config)
    champion = champion_of(vault, config)
    return [
        {
            "player": row["name"],
            "elo": round(row["elo"]),
            "low": round(row["low"]),
            "high": round(row["high"]),
            "games": row["games"],
            "": _title(row, champion),
        }
        for row in evaluations.ratings_of(vault, config)
    ]


def _title(row: Mapping[str, Any], champion: Champion | None) -> str:
    """What a rating row says of its player."""
    if champion is None or not evaluations.is_of(row, champion.card.sha256):
        return ""
    return f"champion, generation {champion.pointer.number}"


def make_leaderboard(vault: Vault) -> tuple[Card, list[dict[str, Any]]]:
    """Write the page of all configs."""
    now = datetime.now(UTC)
    rows = standings(vault, now)
    page = leaderboard_page(rows, now.isoformat(timespec="seconds"))
    card = vault.put(
        BOARD_KIND,
        ALL,
        page.encode(),
        suffix=".html",
        producer="leaderboard",
        rows=len(rows),
        schema_version=SCHEMA_VERSION,
        facts={"rows": rows},
    )
    return card, rows
