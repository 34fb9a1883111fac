"""npz_dataset: the training window, and the check that it is sound."""

import dagster as dg

from rr_assets import metadata
from rr_assets.defs.games import games_db
from rr_assets.partitions import CONFIG_PARTITIONS
from rr_assets.resources import SettingsResource, VaultResource
from rr_engine.boards import Config
from rr_engine.stages import dataset
from rr_engine.training.window import SCHEMA_VERSION


@dg.asset(
    partitions_def=CONFIG_PARTITIONS,
    deps=[games_db],
    pool="dataset",
    group_name="learning",
    kinds={"numpy"},
    owners=["team:ringrift"],
    code_version=str(SCHEMA_VERSION),
)
def npz_dataset(
    context: dg.AssetExecutionContext, vault: VaultResource, settings: SettingsResource
) -> dg.MaterializeResult:
    """The training window as one NPZ file without pickle, made by replaying games; `training.window` has its schema."""
    loaded = settings.load()
    made = dataset.make_dataset(vault.open(loaded), Config.parse(context.partition_key), loaded.dataset)
    return dg.MaterializeResult(
        metadata={**metadata.of_facts(made.facts), **metadata.of_card(made.card)},
        data_version=dg.DataVersion(made.card.sha256),
    )


@dg.asset_check(asset=npz_dataset, partitions_def=CONFIG_PARTITIONS, blocking=True)
def schema_and_ranges_hold(
    context: dg.AssetCheckExecutionContext, vault: VaultResource, settings: SettingsResource
) -> dg.AssetCheckResult:
    """Schema, types, finite numbers, policies that sum to 1, targets in range, seats that exist."""
    opened = vault.open(settings.load())
    card = dataset.newest_dataset(opened, Config.parse(context.partition_key))
    return metadata.judged(dataset.check_dataset(opened, card), {"sha256": card.sha256, "samples": card.rows})
