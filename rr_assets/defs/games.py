"""games_db: self-play, and the check that its games are what they claim."""

from dataclasses import replace

import dagster as dg

from rr_assets import automation, metadata
from rr_assets.partitions import CONFIG_PARTITIONS
from rr_assets.resources import SettingsResource, VaultResource
from rr_engine import progress
from rr_engine.boards import Config
from rr_engine.records.shard import SCHEMA_VERSION
from rr_engine.stages import fleet, games, highlights


@dg.asset(
    partitions_def=CONFIG_PARTITIONS,
    pool="selfplay",
    group_name="games",
    kinds={"parquet", "duckdb"},
    owners=["team:ringrift"],
    code_version=str(SCHEMA_VERSION),
    automation_condition=automation.ON_GO_AHEAD,
    freshness_policy=automation.FRESH,
)
def games_db(
    context: dg.AssetExecutionContext, vault: VaultResource, settings: SettingsResource
) -> dg.MaterializeResult:
    """The games database: immutable Parquet shards of self-play; `records.views` asks them in SQL."""
    config, loaded = Config.parse(context.partition_key), settings.load()
    opened = vault.open(loaded)
    order = fleet.selfplay_order(opened, config, loaded)
    watch = progress.logged(context.log.info)
    with progress.compiling(watch, config.board_name):
        made = games.make_games(opened, config, replace(loaded, selfplay=order), batch=context.run.run_id, watch=watch)
    return dg.MaterializeResult(
        metadata={
            **metadata.of_facts(made.facts),
            "dagster/row_count": made.facts["games"],
            "endings": metadata.table(games.endings(opened, made.cards)),
            **metadata.of_highlights(highlights.of_games(opened, made.cards), config.key, loaded),
            **metadata.of_curves("games_db", config.key, loaded),
            "shards": [card.sha256 for card in made.cards],
        },
        data_version=dg.DataVersion(made.version),
    )


@dg.asset_check(asset=games_db, partitions_def=CONFIG_PARTITIONS, blocking=True)
def every_game_replays(
    context: dg.AssetCheckExecutionContext, vault: VaultResource, settings: SettingsResource
) -> dg.AssetCheckResult:
    """Every game that this run stored replays, decision by decision, to its recorded result."""
    opened = vault.open(settings.load())
    claim = games.claim_to_judge(opened, Config.parse(context.partition_key), context.run.run_id)
    facts, problems = games.check_replays_of(opened, games.shards_of(opened, claim))
    return metadata.judged(problems, facts)


@dg.asset_check(asset=games_db, partitions_def=CONFIG_PARTITIONS, blocking=True)
def games_are_whole_and_distinct(
    context: dg.AssetCheckExecutionContext, vault: VaultResource, settings: SettingsResource
) -> dg.AssetCheckResult:
    """Nothing that this run ordered is missing, and its games differ from each other."""
    loaded = settings.load()
    opened = vault.open(loaded)
    claim = games.claim_to_judge(opened, Config.parse(context.partition_key), context.run.run_id)
    facts, problems = games.check_distinct(opened, claim, loaded.selfplay)
    return metadata.judged(problems, facts)


@dg.asset_check(asset=games_db, partitions_def=CONFIG_PARTITIONS, blocking=False)
def quality_is_high(
    context: dg.AssetCheckExecutionContext, vault: VaultResource, settings: SettingsResource
) -> dg.AssetCheckResult:
    """The games of this run are good to learn from: warns where fewer, better ones will follow."""
    loaded = settings.load()
    opened = vault.open(loaded)
    claim = games.claim_to_judge(opened, Config.parse(context.partition_key), context.run.run_id)
    facts, problems = games.check_quality(games.shards_of(opened, claim), loaded.quality)
    return metadata.judged(problems, facts, severity=dg.AssetCheckSeverity.WARN)
