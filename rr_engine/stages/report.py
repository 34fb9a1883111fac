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
from rr_engine.render.leaderboard import Rows, Section, leaderboard_page, places_of_curves, with_curves
from rr_engine.selfplay.curriculum import ANCHORS
from rr_engine.settings import Settings
from rr_engine.stages import curves, dataset, evaluations, fleet, games, liveness
from rr_engine.stages.dataset import hours_since
from rr_engine.stages.rating import SEARCH_ANCHOR
from rr_engine.vault import Card, Claim, Vault

SCHEMA_VERSION = 7  # of the page
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
    rows, pages = fleet.standings(vault, now), kept_pages(vault)
    summaries, sections = [], []
    for row in watch(Task("configs", len(rows))).each(rows):
        config = Config.parse(row["config"])
        try:
            metrics = metrics_of(vault, config, now, pages=pages)
            next_action, health = next_action_of(vault, config, settings), health_of(vault, config, metrics, settings)
        except (VaultError, DataError) as error:
            summaries.append(_summary(row, None, None, f"cannot be read: {error}"))
            continue
        summaries.append(_summary(row, metrics, next_action, health))
        sections.append(Section(config.key, _told(metrics)))
    plan = fleet.newest_plan_card(vault)
    fleet_charts = [*([budget_chart(plan)] if plan else []), *_gpu_charts(pages, now)]
    page = leaderboard_page(
        summaries, sections, waits, workers, charts=fleet_charts, made_at=now.isoformat(timespec="seconds")
    )
    return page, rows


def with_all_curves(vault: Vault, page: str, watch: Watch = UNWATCHED) -> str:
    """A page with the curves of all configs drawn into it; takes up to some seconds a config."""
    count = watch(Task("configs", len(places_of_curves(page)), "curves"))

    def drawn(key: str) -> list[str]:
        found = curves.drawn(vault, Config.parse(key))
        count.add()
        return found

    return with_curves(page, drawn)


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


def _gpu_charts(pages: Sequence[Card], now: datetime) -> list[str]:
    """Use of the GPUs, when pages were made, where there are any."""
    known = [(-hours_since(card.created, now), use) for card in pages if (use := _gpu_use(card)) is not None]
    if len(known) < 2:
        return []
    return [chart("use of the GPUs", [Curve("use", *zip(*known, strict=True))], across="hours from now", up="share")]


def _gpu_use(page: Card) -> float | None:
    return page.facts.get("gpu_use")


def kept_pages(vault: Vault) -> list[Card]:
    """Pages that were kept, the newest last."""
    return [card for card in vault.cards(fleet.BOARD_KIND, fleet.ALL) if card.schema_version == SCHEMA_VERSION]


def newest_page(vault: Vault) -> str:
    """The newest page that was kept; raises DataError before the first."""
    if not (pages := kept_pages(vault)):
        raise DataError("no leaderboard is kept yet: materialise it; `rr report` writes a page of its own")
    return vault.get(pages[-1]).decode()


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


def _summary(
    row: Mapping[str, Any], metrics: Mapping[str, Any] | None, next_action: str | None, health: str
) -> dict[str, Any]:
    """A config in one line."""
    trend = promoted = None
    if metrics is not None and metrics["elo_per_day"] is not None:
        trend = f"{metrics['elo_per_day']:+,.0f} \N{PLUS-MINUS SIGN} {metrics['elo_per_day_error']:,.0f} Elo a day"
    if metrics is not None and metrics["promoted"] is not None:
        promoted = metrics["promoted"][:16].replace("T", " ")
    return {
        "config": row["config"],
        "strength": None if row["elo"] is None else f"{row['elo']:.0f} ({row['elo_low']:.0f} to {row['elo_high']:.0f})",
        "trend": trend,
        "last_promotion": promoted,
        "generation": None if row["generation"] < 0 else row["generation"],
        "next_action": next_action,
        "health": health,
        "share_of_the_plan": None if row["share"] is None else f"{row['share']:.1%}",
        "because_of": row["why"],
    }


def _told(metrics: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Numbers as rows of a table."""
    wins = {f"won against {name}": f"{result['score']:.1%}" for name, result in metrics["wins"].items()}
    numbers = {name: value for name, value in metrics.items() if name not in ("config", "wins", "champion")}
    return [
        {"number": name.replace("_", " "), "value": round(value, 3) if isinstance(value, float) else value}
        for name, value in {**numbers, **wins}.items()
    ]


def metrics_of(vault: Vault, config: Config, now: datetime, *, pages: Sequence[Card]) -> dict[str, Any]:
    """Every number of a config at `now`, by name; None where there is none yet. `pages` are those kept."""
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
        "duplicate_games": data.get("repeated_games"),
        "invalid_games": sum(refused["bad"] for refused in data.get("refused", ())) if data else None,
        "refused_games": data.get("refused_games"),
        "replay_ratio": data.get("replay_ratio"),
        "policy_accuracy": trained.get("policy_accuracy"),
        "validation_loss": trained.get("validation_loss"),
        "quality": (data.get("quality") or {}).get("score"),
        "turn_minutes": _turn_minutes(claims, shards),
        "device": trained.get("device"),
        "gpu_use": _gpu_use(pages[-1]) if pages else None,
    }


def _strength(vault: Vault, config: Config) -> dict[str, Any]:
    """The champion's rating with its interval, trend, last promotion, and share of wins against each anchor."""
    champion = champion_of(vault, config)
    sha256 = None if champion is None else champion.card.sha256
    velocity = evaluations.elo_per_day(vault, config)
    return {
        "champion": sha256,
        "generation": None if champion is None else champion.pointer.number,
        "promoted": None if champion is None else champion.pointer.created,
        **evaluations.elo_facts(None if sha256 is None else evaluations.standing_of(vault, config, sha256)),
        "elo_per_day": None if velocity is None else round(velocity.slope, 1),
        "elo_per_day_error": None if velocity is None else round(velocity.error, 1),
        "wins": {} if sha256 is None else _wins(vault, config, sha256),
    }


def _wins(vault: Vault, config: Config, sha256: str) -> dict[str, dict[str, float]]:
    """The champion's share of wins against each anchor, as last met, with its 95 % interval."""
    evaluated = evaluations.evaluation_of(vault, config, sha256)
    own = {} if evaluated is None else evaluated.facts["results"]
    met = {**own, **(evaluations.champion_results(vault, config, sha256) or {})}
    return {
        name: {"score": met[name]["score"], "low": met[name]["wilson_low"], "high": met[name]["wilson_high"]}
        for name in (*ANCHORS, SEARCH_ANCHOR)
        if name in met
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


def next_action_of(vault: Vault, config: Config, settings: Settings) -> str:
    """The first part of a config's loop that is due; where none is, what its games wait for."""
    waits = liveness.waits_of(vault, config, settings)
    due = [wait.asset for wait in waits if wait.waits_for == liveness.DUE]
    return due[0] if due else f"waits for {waits[0].waits_for}"


def health_of(vault: Vault, config: Config, metrics: Mapping[str, Any], settings: Settings) -> str:
    """What is not as it should be, in words, by what the loop itself stops for; `good` if nothing is."""
    wrong: list[str] = []
    if rests := fleet.why_rests(vault, config, settings):
        wrong.append(rests)
    if metrics["data_age_hours"] is None:
        wrong.append("no games")
    elif metrics["data_age_hours"] > settings.dataset.fresh_hours:
        wrong.append(f"its newest game is {metrics['data_age_hours']:.0f} h old")
    if metrics["champion"] is None:
        wrong.append("no champion")
    data = vault.cards(dataset.KIND, config.key)[-1:]
    wrong += [why for card in data for why in dataset.blocked(card, settings)]
    if metrics["refused_games"]:
        wrong.append(f"{metrics['refused_games']} games were left out: {data[0].facts['refused'][0]['why']}")
    return "; ".join(wrong) or "good"
