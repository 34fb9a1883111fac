"""elo and champion: matches and ratings of the candidate, and who is champion."""

import dagster as dg

from rr_assets import automation, metadata
from rr_assets.defs.learning import checkpoint
from rr_assets.partitions import CONFIG_PARTITIONS
from rr_assets.resources import AlertResource, SettingsResource, VaultResource
from rr_engine import progress
from rr_engine.arena.regression import Level
from rr_engine.boards import Config
from rr_engine.stages import crown, highlights, rating


@dg.asset(
    partitions_def=CONFIG_PARTITIONS,
    deps=[checkpoint],
    pool="match",
    group_name="strength",
    kinds={"scipy"},
    owners=["team:ringrift"],
    code_version=str(rating.SCHEMA_VERSION),
    automation_condition=automation.ON_CANDIDATE,
    freshness_policy=automation.FRESH,
)
def elo(
    context: dg.AssetExecutionContext, vault: VaultResource, settings: SettingsResource, alert: AlertResource
) -> dg.MaterializeResult:
    """Matches of the newest candidate against anchors and champion, and one rating fit over all matches so far."""
    loaded, config = settings.load(), Config.parse(context.partition_key)
    opened = vault.open(loaded)
    watch = progress.logged(context.log.info)
    with progress.compiling(watch, config.board_name):
        rated = rating.rate_candidate(opened, config, loaded, watch=watch)
    if rated.regression.level == Level.CRITICAL:
        alert.send(f"{context.partition_key}: {rated.regression.reason}", loaded, context.log)
    return dg.MaterializeResult(
        metadata={
            "ratings": metadata.table(rated.ratings, but=("digest",)),
            "matches": metadata.table(rated.summary),
            **metadata.of_highlights(highlights.of_matches(opened, config, rated.matches_card), config.key, loaded),
            **metadata.of_curves("elo", config.key, loaded),
            "ratings_sha256": rated.ratings_card.sha256,
            **metadata.of_card(rated.matches_card),
        },
        data_version=dg.DataVersion(rated.ratings_card.sha256),
    )


@dg.asset_check(asset=elo, partitions_def=CONFIG_PARTITIONS, blocking=True)
def enough_distinct_games(
    context: dg.AssetCheckExecutionContext, vault: VaultResource, settings: SettingsResource
) -> dg.AssetCheckResult:
    """Both artefacts exist and are whole, and every match has enough games that differ from each other."""
    loaded = settings.load()
    facts, problems = rating.check_rating(vault.open(loaded), Config.parse(context.partition_key), loaded.match)
    return metadata.judged(problems, facts)


@dg.asset_check(asset=elo, partitions_def=CONFIG_PARTITIONS, blocking=False)
def candidate_is_no_regression(
    context: dg.AssetCheckExecutionContext, vault: VaultResource, settings: SettingsResource
) -> dg.AssetCheckResult:
    """The candidate did not fall behind the champion: warns, and from severe on the next training starts anew."""
    loaded = settings.load()
    facts, problems = rating.check_regression(
        vault.open(loaded), Config.parse(context.partition_key), loaded.regression
    )
    return metadata.judged(problems, facts, severity=dg.AssetCheckSeverity.WARN)


@dg.asset(
    partitions_def=CONFIG_PARTITIONS,
    deps=[elo],
    pool="champion",
    group_name="strength",
    kinds={"json"},
    owners=["team:ringrift"],
    code_version=str(crown.SCHEMA_VERSION),
    automation_condition=automation.ON_EVALUATION,
    freshness_policy=automation.FRESH,
)
def champion(
    context: dg.AssetExecutionContext, vault: VaultResource, settings: SettingsResource, alert: AlertResource
) -> dg.MaterializeResult:
    """Says `promoted`, `kept` or `rolled back`, and why; the only writer of the pointer to the champion."""
    loaded = settings.load()
    crowned = crown.decide(vault.open(loaded), Config.parse(context.partition_key), loaded)
    context.log.info(f"{crowned.decision}: {crowned.reason}")
    if crowned.decision == crown.ROLLED_BACK:
        alert.send(f"{context.partition_key} was rolled back: {crowned.reason}", loaded, context.log)
    return dg.MaterializeResult(
        metadata=metadata.of_facts(crowned.facts), data_version=dg.DataVersion(crowned.pointer.sha256)
    )


@dg.asset_check(asset=champion, partitions_def=CONFIG_PARTITIONS, blocking=True)
def champion_loads_and_plays(
    context: dg.AssetCheckExecutionContext, vault: VaultResource, settings: SettingsResource
) -> dg.AssetCheckResult:
    """What the pointer names is whole, loads, and plays a game to its end."""
    facts, problems = crown.check_champion(vault.open(settings.load()), Config.parse(context.partition_key))
    return metadata.judged(problems, facts)


@dg.asset_check(asset=champion, partitions_def=CONFIG_PARTITIONS, blocking=False)
def champion_is_no_regression(
    context: dg.AssetCheckExecutionContext, vault: VaultResource, settings: SettingsResource
) -> dg.AssetCheckResult:
    """The champion, met again, is not below its predecessor: warns; a critical one was rolled back already."""
    loaded = settings.load()
    facts, problems = crown.check_regression(vault.open(loaded), Config.parse(context.partition_key), loaded.regression)
    return metadata.judged(problems, facts, severity=dg.AssetCheckSeverity.WARN)
