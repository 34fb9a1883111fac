"""curriculum, selfplay_plan and leaderboard: what the next turn of the loop should be like, and the page that tells."""

import dagster as dg

from rr_assets import automation, liveness, metadata
from rr_assets.coordinator import PARTITION_TAG, under_way
from rr_assets.defs.dataset import npz_dataset
from rr_assets.defs.strength import champion, elo
from rr_assets.nodes import gpu_use, workers_of
from rr_assets.partitions import CONFIG_PARTITIONS
from rr_assets.resources import SettingsResource, VaultResource
from rr_engine import progress
from rr_engine.boards import CONFIGS, Config
from rr_engine.selfplay.plan import PlanRow
from rr_engine.stages import curriculum as curricula
from rr_engine.stages import fleet, report


@dg.asset(
    partitions_def=CONFIG_PARTITIONS,
    deps=[champion],
    pool="champion",
    group_name="steering",
    kinds={"json"},
    owners=["team:ringrift"],
    code_version=str(curricula.SCHEMA_VERSION),
    automation_condition=automation.ON_CHAMPION,
    freshness_policy=automation.FRESH,
)
def curriculum(
    context: dg.AssetExecutionContext, vault: VaultResource, settings: SettingsResource
) -> dg.MaterializeResult:
    """Stage, weight and exploration of the next self-play of a config, moved on by its newest evaluation."""
    loaded = settings.load()
    card, state = curricula.move_on(vault.open(loaded), Config.parse(context.partition_key), loaded)
    return dg.MaterializeResult(metadata=metadata.of_facts(state.facts()), data_version=dg.DataVersion(card.sha256))


@dg.asset_check(asset=curriculum, partitions_def=CONFIG_PARTITIONS, blocking=True)
def curriculum_is_bounded(
    context: dg.AssetCheckExecutionContext, vault: VaultResource, settings: SettingsResource
) -> dg.AssetCheckResult:
    """Weight and exploration lie in the ranges that the settings allow."""
    loaded = settings.load()
    state = curricula.curriculum_of(vault.open(loaded), Config.parse(context.partition_key))
    return metadata.judged(curricula.check_curriculum(state, loaded.curriculum), state.facts())


@dg.asset(
    deps=[npz_dataset, elo, curriculum],
    pool="plan",
    group_name="steering",
    kinds={"json"},
    owners=["team:ringrift"],
    code_version=str(fleet.SCHEMA_VERSION),
    automation_condition=automation.ON_FACTS,
    freshness_policy=automation.FRESH,
)
def selfplay_plan(
    context: dg.AssetExecutionContext, vault: VaultResource, settings: SettingsResource
) -> dg.MaterializeResult:
    """Twelve rows: share of compute, games, simulations, temperature and priority of each config, and the reason.

    A config that may play on gets an event of `selfplay_budget`, which starts its games.
    """
    loaded = settings.load()

    def grant(row: PlanRow) -> None:
        context.log_event(
            dg.AssetMaterialization(
                automation.SELFPLAY_BUDGET.key, partition=row.config, metadata=metadata.of_facts(row.facts())
            )
        )

    playing = {record.dagster_run.tags.get(PARTITION_TAG, "") for record in under_way(context.instance, "games_db")}
    planned = fleet.plan_fleet(
        vault.open(loaded).snapshot(),
        loaded,
        playing=playing,
        on_grant=grant,
        watch=progress.logged(context.log.info),
    )
    return dg.MaterializeResult(
        metadata={
            "plan": metadata.table([row.facts() for row in planned.rows]),
            **metadata.of_charts([f"plan/{planned.card.sha256}/0"], loaded),
            **metadata.of_facts({f"share_{row.config}": row.share for row in planned.rows}),
            **metadata.of_card(planned.card),
        },
        data_version=dg.DataVersion(planned.card.sha256),
    )


@dg.asset_check(asset=selfplay_plan, blocking=True)
def every_config_is_planned(vault: VaultResource, settings: SettingsResource) -> dg.AssetCheckResult:
    """Every config has a row, every share is between floor and cap, and the shares sum to 1."""
    loaded = settings.load()
    return metadata.judged(fleet.check_plan(fleet.newest_plan(vault.open(loaded)), loaded), {"configs": len(CONFIGS)})


@dg.asset(
    deps=[champion, selfplay_plan],
    pool="plan",
    group_name="steering",
    kinds={"html"},
    owners=["team:ringrift"],
    code_version=str(report.SCHEMA_VERSION),
    automation_condition=automation.WITH_PLAN,
    freshness_policy=automation.FRESH,
)
def leaderboard(
    context: dg.AssetExecutionContext, vault: VaultResource, settings: SettingsResource
) -> dg.MaterializeResult:
    """All configs on one page: champion, rating with interval, games, what comes next, and what waits for what."""
    loaded = settings.load()
    opened = vault.open(loaded).snapshot()
    nodes = workers_of(context.instance.run_launcher)  # asked once: an answer may take a second
    waits = liveness.table(context.instance, opened, loaded, CONFIGS, nodes, progress.logged(context.log.info))
    workers, used = liveness.nodes_table(nodes), gpu_use(nodes)
    card, rows = report.make_leaderboard(opened, loaded, waits, workers, used)
    return dg.MaterializeResult(
        metadata={
            "leaderboard": metadata.table(rows),
            "waits": metadata.table(waits),
            **({"workers": metadata.table(workers)} if workers else {}),
            **metadata.of_page("leaderboard", str(opened.path(card)), loaded),
            **metadata.of_facts({"gpu_use": used, **{f"elo_{row['config']}": row["elo"] for row in rows}}),
            **metadata.of_card(card),
        },
        data_version=dg.DataVersion(card.sha256),
    )
