"""What the configs have come to: their numbers, how these went by generation, and the page that shows it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from statistics import median
from typing import Any

from rr_engine.boards import Config
from rr_engine.errors import DataError, VaultError, shown
from rr_engine.players.stored import KIND as CHECKPOINT_KIND
from rr_engine.players.stored import champion_of
from rr_engine.progress import UNWATCHED, Task, Watch
from rr_engine.render.charts import Bar, Curve, bar_chart, chart
from rr_engine.render.leaderboard import Rows, Section, leaderboard_page, with_curves
from rr_engine.settings import Settings
from rr_engine.stages import curves, dataset, evaluations, fleet, games
from rr_engine.stages.dataset import hours_since
from rr_engine.vault import Card, Claim, Vault

SCHEMA_VERSION = 6  # of the page
_PAGES = 200  # the newest, whose use of GPUs is shown
_TURNS = 5  # the newest, whose median is the time of a turn


def report_page(
    vault: Vault,
    settings: Settings,
    now: datetime,
    *,
    waits: Rows = (),
    workers: Rows = (),
    watch: Watch = UNWATCHED,
) -> tuple[str, list[dict[str, Any]]]:
    """The page of all configs, its curves left out, and its table.

    `waits` has a row per config and asset, `workers` one each, if known.
    """
    rows = fleet.standings(vault, now)
    summaries, sections = [], []
    for row in watch(Task("configs", len(rows))).each(rows):
        config = Config.parse(row["config"])
        try:
            metrics = metrics_of(vault, config, now)
        except (VaultError, DataError) as error:
            summaries.append(_summary(row, None, f"cannot be read: {error}"))
            continue
        summaries.append(_summary(row, metrics, health_of(metrics, settings)))
        sections.append(Section(config.key, _told(metrics)))
    plan = fleet.newest_plan_card(vault)
    fleet_charts = [*([budget_chart(plan)] if plan else []), *_gpu_charts(vault)]
    page = leaderboard_page(
        summaries, sections, waits, workers, charts=fleet_charts, made_at=now.isoformat(timespec="seconds")
    )
    return page, rows


def with_all_curves(vault: Vault, page: str) -> str:
    """A page with the curves of all configs drawn into it; takes up to some seconds a config."""
    return with_curves(page, lambda key: curves.drawn(vault, Config.parse(key)))


def budget_chart(plan: Card) -> str:
    """How a plan shares the compute, and why."""
    rows = fleet.plan_rows(plan).values()
    return bar_chart([Bar(row["config"], row["share"], row["reason"]) for row in rows])


def find_budget_chart(vault: Vault, sha256: str) -> str:
    """That of a plan; raises DataError where there is no such plan."""
    for card in vault.cards(fleet.PLAN_KIND, fleet.ALL):
        if card.sha256 == sha256:
            return budget_chart(card)
    raise DataError(f"no plan {shown(sha256)} is kept: pages tell which there are")


def _gpu_charts(vault: Vault) -> list[str]:
    """Use of the GPUs, as the newest pages were made, where there are any."""
    known = [use for card in _boards(vault)[-_PAGES:] if (use := card.facts.get("gpu_use")) is not None]
    if len(known) < 2:
        return []
    return [chart("use of the GPUs", [Curve("use", list(range(len(known))), known)], across="page", up="share")]


def _boards(vault: Vault) -> list[Card]:
    return [card for card in vault.cards(fleet.BOARD_KIND, fleet.ALL) if card.schema_version == SCHEMA_VERSION]


def newest_page(vault: Vault) -> str:
    """The newest page that was kept; raises DataError before the first."""
    if not (boards := _boards(vault)):
        raise DataError("there is no leaderboard yet: materialise it, or let `rr report` write one")
    return vault.get(boards[-1]).decode()


def make_leaderboard(
    vault: Vault, settings: Settings, waits: Rows, workers: Rows = (), gpu_use: float | None = None
) -> tuple[Card, list[dict[str, Any]]]:
    """Write the page into the vault; returns its card and its table. `gpu_use` is that of now, from 0 to 1."""
    page, rows = report_page(vault, settings, datetime.now(UTC), waits=waits, workers=workers)
    card = vault.put(
        fleet.BOARD_KIND,
        fleet.ALL,
        page.encode(),
        suffix=".html",
        producer="leaderboard",
        rows=len(rows),
        schema_version=SCHEMA_VERSION,
        facts={"rows": rows, "gpu_use": gpu_use},
    )
    vault.index(fleet.BOARD_KIND, fleet.ALL)
    return card, rows


def _summary(row: Mapping[str, Any], metrics: Mapping[str, Any] | None, health: str) -> dict[str, Any]:
    """A config in one line."""
    trend = None if metrics is None or metrics["champion"] is None else metrics["elo_per_day"]
    promoted = None if metrics is None or metrics["promoted"] is None else metrics["promoted"][:16].replace("T", " ")
    return {
        "config": row["config"],
        "strength": None if row["elo"] is None else f"{row['elo']:.0f} ({row['elo_low']:.0f} to {row['elo_high']:.0f})",
        "trend": None if trend is None else f"{trend:+,.0f} Elo a day",
        "last_promotion": promoted,
        "generation": None if row["generation"] < 0 else row["generation"],
        "share_of_the_plan": None if row["share"] is None else f"{row['share']:.1%}",
        "next_action": row["why"],
        "health": health,
    }


def _told(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Numbers as rows of a table."""
    wins = {f"won against {name}": f"{result['score']:.1%}" for name, result in metrics["wins"].items()}
    numbers = {name: value for name, value in metrics.items() if name not in ("config", "wins", "champion")}
    return [
        {"number": name.replace("_", " "), "value": round(value, 3) if isinstance(value, float) else value}
        for name, value in {**numbers, **wins}.items()
    ]


def metrics_of(vault: Vault, config: Config, now: datetime) -> dict[str, Any]:
    """Every number of a config at `now`, by name; None where there is none yet."""
    shards, claims = vault.cards(games.KIND, config.key), games.own_claims(vault, config)
    datasets, networks = vault.cards(dataset.KIND, config.key), vault.cards(CHECKPOINT_KIND, config.key)
    data = datasets[-1].facts if datasets else {}
    trained = networks[-1].facts if networks else {}
    return {
        "config": config.key,
        **_strength(vault, config),
        "games": sum(card.rows for card in shards),
        "games_per_hour": next(reversed(games.rates(claims, shards).values()), None),
        "data_age_hours": round(hours_since(shards[-1].created, now), 2) if shards else None,
        "generation_lag": data.get("generation_lag"),
        "lost_games": _lost(claims, shards),
        "duplicate_games": sum(card.rows - card.facts["distinct"] for card in shards),
        "invalid_games": sum(refused["bad"] for refused in data.get("refused", [])),
        "replay_ratio": data.get("replay_ratio"),
        "policy_accuracy": trained.get("policy_accuracy"),
        "validation_loss": trained.get("validation_loss"),
        "quality": (data.get("quality") or {}).get("score"),
        "turn_minutes": _turn_minutes(claims, shards),
        "device": trained.get("device"),
        "gpu_use": next((card.facts.get("gpu_use") for card in reversed(_boards(vault))), None),
    }


def _strength(vault: Vault, config: Config) -> dict[str, Any]:
    """The champion's rating with its interval, trend, last promotion, and share of wins against each anchor."""
    found: dict[str, Any] = dict.fromkeys(("champion", "generation", "promoted", "elo", "elo_low", "elo_high"))
    found["elo_per_day"] = round(evaluations.elo_per_day(vault, config).slope, 1)
    champion = champion_of(vault, config)
    if champion is None:
        return found | {"wins": {}}
    sha256 = champion.card.sha256
    found |= {"champion": sha256, "generation": champion.pointer.number, "promoted": champion.pointer.created}
    standing = evaluations.standing_of(vault, config, sha256)
    if standing is not None:
        found |= {f"elo{end}": standing[name] for end, name in (("", "elo"), ("_low", "low"), ("_high", "high"))}
    results = evaluations.champion_results(vault, config, sha256) or {}
    return found | {
        "wins": {
            name: {"score": result["score"], "low": result["wilson_low"], "high": result["wilson_high"]}
            for name, result in results.items()
        }
    }


def _lost(claims: Sequence[Claim], shards: Sequence[Card]) -> int:
    """Games that runs had claimed and never stored; the newest run may still be at it."""
    stored: Counter[int] = Counter()
    for card in shards:
        stored[card.facts["claim"]] += card.rows
    return sum(claim.stop - claim.start - stored[claim.number] for claim in claims[:-1])


def _turn_minutes(claims: Sequence[Claim], shards: Sequence[Card]) -> float | None:
    """From one run for games to the next, the median of the newest that left some."""
    kept = {card.facts["claim"] for card in shards}
    began = [datetime.fromisoformat(claim.created).timestamp() for claim in claims if claim.number in kept]
    turns = [(later - sooner) / 60 for sooner, later in zip(began, began[1:], strict=False)]
    return round(median(turns[-_TURNS:]), 2) if turns else None


def health_of(metrics: Mapping[str, Any], settings: Settings) -> str:
    """What is not as it should be, in words; `good` if nothing is."""
    wrong: list[str] = []
    if metrics["data_age_hours"] is None:
        wrong.append("no games")
    elif metrics["data_age_hours"] > settings.dataset.max_age_hours:
        wrong.append(f"games are {metrics['data_age_hours']:.0f} h old")
    if metrics["champion"] is None:
        wrong.append("no champion")
    if metrics["invalid_games"]:
        wrong.append(f"{metrics['invalid_games']} games were refused")
    if metrics["quality"] is not None and metrics["quality"] < settings.quality.gate:
        wrong.append(f"quality {metrics['quality']:.2f}")
    return "; ".join(wrong) or "good"
