"""elo and champion: matches and ratings of the candidate, and who is champion."""

import dagster as dg

from rr_assets import metadata
from rr_assets.defs.learning import checkpoint
from rr_assets.partitions import CONFIG_PARTITIONS
from rr_assets.resources import SettingsResource, VaultResource
from rr_engine.boards import Config
from rr_engine.stages import crown, rating


@dg.asset(
    partitions_def=CONFIG_PARTITIONS,
    deps=[checkpoint],
    pool="match",
    group_name="strength",
    kinds={"scipy"},
    owners=["team:ringrift"],
    code_version=str(rating.SCHEMA_VERSION),
)
def elo(context: dg.AssetExecutionContext, vault: VaultResource, settings: SettingsResource) -> dg.MaterializeResult:
    """Matches of the newest candidate against anchors and champion, and one rating fit over all matches so far."""
    loaded = settings.load()
    rated = rating.rate_candidate(
        vault.open(loaded), Config.parse(context.partition_key), loaded, on_result=lambda text: context.log.info(text)
    )
    return dg.MaterializeResult(
        metadata={
            "ratings": metadata.table(rated.ratings),
            "matches": metadata.table(rated.summary),
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


@dg.asset(
    partitions_def=CONFIG_PARTITIONS,
    deps=[elo],
    pool="champion",
    group_name="strength",
    kinds={"json"},
    owners=["team:ringrift"],
    code_version=str(crown.SCHEMA_VERSION),
)
def champion(
    context: dg.AssetExecutionContext, vault: VaultResource, settings: SettingsResource
) -> dg.MaterializeResult:
    """Says `promoted` or `kept`, and why; the only writer of the pointer to the champion."""
    loaded = settings.load()
    crowned = crown.decide(vault.open(loaded), Config.parse(context.partition_key), loaded)
    context.log.info(f"{crowned.decision}: {crowned.reason}")
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
