"""All configs together: what is known of each, the plan made from it, and the leaderboard that shows it."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import takewhile
from typing import Any

from rr_engine.boards import CONFIGS, Config
from rr_engine.errors import DataError, VaultError
from rr_engine.nn.features import FEATURE_VERSION
from rr_engine.players.stored import KIND as CHECKPOINT_KIND
from rr_engine.players.stored import Champion, champion_of
from rr_engine.progress import UNWATCHED, Task, Watch
from rr_engine.selfplay.idle import Choice, choose, memory_gb
from rr_engine.selfplay.plan import RESTS, ConfigFacts, PlanRow, highest_share, make_plan
from rr_engine.settings import SelfplaySettings, Settings
from rr_engine.stages import dataset, evaluations, games, pauses
from rr_engine.stages.curriculum import curriculum_of
from rr_engine.stages.dataset import hours_since
from rr_engine.stages.evaluations import Velocity
from rr_engine.vault import Card, Vault
from rr_engine.vault.facts import known

ALL = "all"  # in place of a config
PLAN_KIND = "plan"
BOARD_KIND = "leaderboard"
SCHEMA_VERSION = 4


@dataclass(frozen=True)
class Planned:
    """A plan and where it is kept."""

    card: Card
    rows: tuple[PlanRow, ...]


def facts_of(
    vault: Vault,
    config: Config,
    settings: Settings,
    now: datetime,
    before: Mapping[str, Any],
    *,
    plays: bool = False,
) -> ConfigFacts:
    """What the vault says of one config at `now`; `before` is its row in the newest plan, empty without one.

    `plays` says that a run for its games is queued or under way.
    """
    shards = vault.cards(games.KIND, config.key)
    datasets = vault.cards(dataset.KIND, config.key)
    champion = champion_of(vault, config)
    standing = None if champion is None else evaluations.standing_of(vault, config, champion.card.sha256)
    curriculum = curriculum_of(vault, config)
    velocity = evaluations.elo_per_day(vault, config) or Velocity(0.0, 0.0)
    refused = list(takewhile(bool, (dataset.blocked(card, settings) for card in reversed(datasets))))
    newest = max((card.facts["generation"] for card in shards), default=-1)
    return ConfigFacts(
        config=config.key,
        games_age_hours=hours_since(shards[-1].created, now) if shards else None,
        generation_lag=max(0, -1 - newest if champion is None else champion.pointer.number - newest),
        samples_new=datasets[-1].facts.get("samples_new", 0) if datasets else 0,
        samples_wanted=dataset.samples_wanted(config, settings.dataset),
        elo_half_width=None if standing is None else (standing["high"] - standing["low"]) / 2,
        elo_per_day=velocity.slope,
        elo_per_day_error=velocity.error,
        curriculum_weight=curriculum.weight,
        exploration=curriculum.exploration,
        opponent=curriculum.sparring_partner,
        quality=_quality(vault, config, datasets),
        was_throttled=bool(before.get("throttled")),
        blocked=len(refused),
        blocked_by=refused[0][0] if refused else "",
        rests=why_rests(vault, config, settings),
        plays=plays,
        due=_due(games.own(shards), datasets, settings, now),
        was_granted=""
        if not plays and _came_to_nothing(before, games.own(shards), settings, now)
        else before.get("granted", ""),
        granted_at=before.get("granted_at", ""),
        at=now.isoformat(timespec="microseconds"),
    )


def _quality(vault: Vault, config: Config, datasets: Sequence[Card]) -> float | None:
    """The score of the newest dataset's games; of the newest training's input, where that measured it later."""
    trained = vault.cards(CHECKPOINT_KIND, config.key)[-1:]
    measured = [(card.created, card.facts.get("quality")) for card in datasets[-1:]]
    measured += [(card.created, card.facts.get("input_quality")) for card in trained]
    measured = [(created, quality) for created, quality in measured if quality]
    return max(measured)[1]["score"] if measured else None


def _facts_or_rest(
    vault: Vault, config: Config, settings: Settings, now: datetime, before: Mapping[str, Any], *, plays: bool
) -> ConfigFacts:
    """As `facts_of`; a config whose cards are damaged rests, and the others go on."""
    try:
        return facts_of(vault, config, settings, now, before, plays=plays)
    except (VaultError, DataError) as error:
        return ConfigFacts(config.key, rests=f"what is known of it cannot be read: {error}")


def why_rests(vault: Vault, config: Config, settings: Settings) -> str:
    """Why a config is to play nothing now; empty if it plays."""
    capacity = vault.capacity()
    if not capacity.allows_more:
        return capacity.reason
    pause = pauses.pause_of(vault, config)
    if pause is not None:
        return f"paused since {pause.since}: {pause.reason}"
    target = settings.plan.target_win_rate
    champion = champion_of(vault, config)
    known = None if champion is None else evaluations.champion_results(vault, config, champion.card.sha256)
    result = (known or {}).get(evaluations.HEURISTIC)
    if target < 1 and result is not None and result["wilson_low"] >= target:
        return f"target met: {result['score']:.1%} against the heuristic, {result['wilson_low']:.1%} by the lower bound"
    return ""


def _due(shards: Sequence[Card], datasets: Sequence[Card], settings: Settings, now: datetime) -> str:
    """What calls for new games: a name for the cause, the same as long as it is the same; empty if nothing does.

    The first games; a dataset that has taken all there are; games that no dataset took for `stuck_hours`, because their
    check refused them or a run was lost.
    """
    if not shards:
        return "start"
    if datasets and datasets[-1].facts["games_made"] == sum(card.rows for card in shards):
        return datasets[-1].sha256
    if hours_since(shards[-1].created, now) >= settings.plan.stuck_hours:
        return f"stuck {shards[-1].sha256}"
    return ""


def _came_to_nothing(before: Mapping[str, Any], shards: Sequence[Card], settings: Settings, now: datetime) -> bool:
    """Whether games were granted `stuck_hours` ago or earlier and left nothing: their run was stopped, or lost."""
    granted_at = before.get("granted_at", "")
    if not granted_at or (shards and shards[-1].created > granted_at):
        return False
    return hours_since(granted_at, now) >= settings.plan.stuck_hours


def plan_fleet(
    vault: Vault,
    settings: Settings,
    *,
    playing: Collection[str] = (),
    on_grant: Callable[[PlanRow], None] | None = None,
    watch: Watch = UNWATCHED,
) -> Planned:
    """Plan the next self-play of all twelve configs and keep the plan; `on_grant` hears of each that may start games.

    It hears before the plan is kept: should this run die in between, the next one grants again. `playing` are the
    configs whose games are queued or under way.
    """
    now = datetime.now(UTC)
    before = newest_plan(vault)
    facts = [
        _facts_or_rest(vault, config, settings, now, before.get(config.key, {}), plays=config.key in playing)
        for config in watch(Task("configs", len(CONFIGS))).each(CONFIGS)
    ]
    rows = tuple(make_plan(facts, settings))
    for row in rows:
        if row.grants and on_grant is not None:
            on_grant(row)
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
    vault.index(PLAN_KIND, ALL)
    return Planned(card, rows)


def newest_plan_card(vault: Vault) -> Card | None:
    """The newest plan that this code understands, None before the first."""
    cards = [card for card in vault.cards(PLAN_KIND, ALL) if card.schema_version == SCHEMA_VERSION]
    return cards[-1] if cards else None


def newest_plan(vault: Vault) -> Mapping[str, Mapping[str, Any]]:
    """The rows of the newest plan by config; empty before the first."""
    card = newest_plan_card(vault)
    return {} if card is None else plan_rows(card)


def plan_rows(card: Card) -> Mapping[str, Mapping[str, Any]]:
    """The rows of a plan by config; asking for one that it lacks raises DataError."""
    return known({row["config"]: row for row in card.facts["rows"]}, card.place)


def selfplay_order(vault: Vault, config: Config, settings: Settings) -> SelfplaySettings:
    """The settings of the next self-play of a config: as the plan says, where the settings leave it to the plan.

    A config at rest that is asked for games by hand makes `unplanned_games`.
    """
    row = newest_plan(vault).get(config.key)
    ordered = settings.selfplay
    if row is not None:
        times = settings.quality.throttle_times if row["throttled"] else 1
        ordered = replace(
            ordered,
            opponent=row["opponent"],
            temperature=ordered.temperature * row["exploration"],
            simulations=ordered.simulations * times,
            cheap_simulations=ordered.cheap_simulations * times,
        )
    if ordered.games == 0:
        granted = 0 if row is None else min(row["games"], settings.plan.games)
        ordered = replace(ordered, games=granted or ordered.unplanned_games)
    return ordered


def choose_for_gpu(
    vault: Vault, settings: Settings, *, free_gb: float, playing: Mapping[str, int] | None = None
) -> Choice | None:
    """What a GPU with so much free memory should play by the newest plan; None if all rest, by the plan or since.

    `playing` counts the runs by config that make its games already.
    """
    awake = [config for config in CONFIGS if not _rests_now(vault, config, settings)]
    champions = {config.key: champion_of(vault, config) for config in awake}
    usable = [
        key
        for key, champion in champions.items()
        if champion is not None and champion.is_proven and champion.card.schema_version == FEATURE_VERSION
    ]
    games_at_once = settings.selfplay.games_at_once
    needs = {config.key: memory_gb(config, settings.network, games_at_once) for config in CONFIGS}
    plan = [row for key, row in newest_plan(vault).items() if key in champions]
    return choose(plan, free_gb=free_gb, needs_gb=needs, usable=usable, playing=playing)


def _rests_now(vault: Vault, config: Config, settings: Settings) -> bool:
    try:
        return bool(why_rests(vault, config, settings))
    except (VaultError, DataError):
        return True


def check_plan(plan: Mapping[str, Mapping[str, Any]], settings: Settings) -> list[str]:
    """What is wrong with a plan: a config without a row, a share out of bounds, shares that do not sum to 1."""
    problems: list[str] = []
    if missing := sorted({config.key for config in CONFIGS} - set(plan)):
        problems.append(f"no row for {', '.join(missing)}")
    playing = {key: row["share"] for key, row in plan.items() if row["share"] or not row["reason"].startswith(RESTS)}
    low, high = settings.plan.min_share, highest_share(max(1, len(playing)), settings.plan)
    problems += [
        f"share {share:.3f} of {key} is not in {low:g}..{high:g}"
        for key, share in playing.items()
        if not low - 1e-9 <= share <= high + 1e-9
    ]
    if playing and abs((total := sum(playing.values())) - 1) > 1e-6:
        problems.append(f"the shares sum to {total:.4f}, not to 1")
    return problems


def standings(vault: Vault, now: datetime) -> list[dict[str, Any]]:
    """A row per config: champion, strength, games, age, and what comes next and why."""
    plan = newest_plan(vault)
    return [_standing_row(vault, config, plan.get(config.key), now) for config in CONFIGS]


def _standing_row(vault: Vault, config: Config, planned: Mapping[str, Any] | None, now: datetime) -> dict[str, Any]:
    row: dict[str, Any] = {
        "config": config.key,
        "champion": "none",
        "generation": -1,
        "proven": False,
        **dict.fromkeys(("elo", "elo_low", "elo_high", "games", "games_age_hours")),
        "share": None if planned is None else round(planned["share"], 4),
        "why": "no plan yet" if planned is None else planned["reason"],
    }
    try:
        return row | _what_it_has(vault, config, now)
    except (VaultError, DataError) as error:
        return row | {"why": f"what is known of it cannot be read: {error}"}


def _what_it_has(vault: Vault, config: Config, now: datetime) -> dict[str, Any]:
    """Champion, strength and games of a config, as far as there are any."""
    shards = vault.cards(games.KIND, config.key)
    found: dict[str, Any] = {"games": sum(card.rows for card in shards)}
    if shards:
        found["games_age_hours"] = round(hours_since(shards[-1].created, now), 2)
    champion = champion_of(vault, config)
    if champion is None:
        return found
    sha256, number = champion.card.sha256, champion.pointer.number
    found |= {"champion": sha256[:12], "generation": number, "proven": champion.is_proven}
    return found | evaluations.elo_facts(evaluations.standing_of(vault, config, sha256))


def ratings_table(vault: Vault, config: Config) -> list[dict[str, Any]]:
    """A row per player of a config, strongest first, as last rated; raises DataError before the first evaluation."""
    rows = evaluations.newest_ratings(vault, config)
    if not rows:
        raise DataError(f"no ratings of {config.key} yet: materialise elo first")
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
        for row in rows
    ]


def _title(row: Mapping[str, Any], champion: Champion | None) -> str:
    """What a rating row says of its player."""
    if champion is None or not evaluations.is_of(row, champion.card.sha256):
        return ""
    return f"champion, generation {champion.pointer.number}"
