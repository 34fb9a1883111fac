"""npz_dataset: the training window, and the check that it is sound."""

from datetime import UTC, datetime
from typing import Any

import dagster as dg

from rr_assets import automation, metadata
from rr_assets.coordinator import under_way
from rr_assets.defs.games import games_db
from rr_assets.partitions import CONFIG_PARTITIONS
from rr_assets.resources import SettingsResource, VaultResource
from rr_engine import progress
from rr_engine.boards import Config
from rr_engine.stages import dataset
from rr_engine.training.window import SCHEMA_VERSION
from rr_engine.vault import Card


@dg.asset(
    partitions_def=CONFIG_PARTITIONS,
    deps=[games_db],
    pool="dataset",
    group_name="learning",
    kinds={"numpy"},
    owners=["team:ringrift"],
    code_version=str(SCHEMA_VERSION),
    automation_condition=automation.ON_GAMES,
    freshness_policy=automation.FRESH,
)
def npz_dataset(
    context: dg.AssetExecutionContext, vault: VaultResource, settings: SettingsResource
) -> dg.MaterializeResult:
    """The training window as one NPZ file without pickle, made by replaying games; `training.window` has its schema."""
    loaded = settings.load()
    config = Config.parse(context.partition_key)
    training = _training(context.instance, config, but=context.run.run_id)
    opened, watch = vault.open(loaded), progress.logged(context.log.info)
    with progress.compiling(watch, config.board_name):
        made = dataset.make_dataset(opened, config, loaded, training=training, watch=watch)
    charts = metadata.of_curves("npz_dataset", config.key, loaded)
    return dg.MaterializeResult(
        metadata={**metadata.of_facts(made.facts), **charts, **metadata.of_card(made.card)},
        data_version=dg.DataVersion(made.card.sha256),
    )


def _training(instance: dg.DagsterInstance, config: Config, *, but: str) -> dataset.Training | None:
    """The training of a config that has not ended, other than in the run `but`."""
    runs = under_way(instance, "checkpoint", config.key, but=but)
    if not runs:
        return None
    began = runs[-1].start_time
    return dataset.Training(
        None if began is None else datetime.fromtimestamp(began, UTC).isoformat(timespec="microseconds")
    )


@dg.asset_check(asset=npz_dataset, partitions_def=CONFIG_PARTITIONS, blocking=True)
def schema_and_ranges_hold(
    context: dg.AssetCheckExecutionContext, vault: VaultResource, settings: SettingsResource
) -> dg.AssetCheckResult:
    """Schema, types, finite numbers, policies that sum to 1, targets in range, seats that decide about as often."""
    loaded = settings.load()
    opened = vault.open(loaded)
    card = dataset.newest_dataset(opened, Config.parse(context.partition_key))
    problems = dataset.check_dataset(opened, card, loaded.dataset)
    return metadata.judged(problems, {"sha256": card.sha256, **_some(card, "samples", "samples_by_seat")})


@dg.asset_check(asset=npz_dataset, partitions_def=CONFIG_PARTITIONS, blocking=True)
def data_is_fresh(
    context: dg.AssetCheckExecutionContext, vault: VaultResource, settings: SettingsResource
) -> dg.AssetCheckResult:
    """The newest game is young, and not many champions behind."""
    loaded = settings.load()
    card = dataset.newest_dataset(vault.open(loaded), Config.parse(context.partition_key))
    problems = dataset.stale(card.facts, loaded.dataset)
    return metadata.judged(problems, _some(card, "newest_hours", "oldest_hours", "generation_lag"))


@dg.asset_check(asset=npz_dataset, partitions_def=CONFIG_PARTITIONS, blocking=True)
def quality_passes_the_gate(
    context: dg.AssetCheckExecutionContext, vault: VaultResource, settings: SettingsResource
) -> dg.AssetCheckResult:
    """The games are good enough to learn from, every term measured."""
    loaded = settings.load()
    card = dataset.newest_dataset(vault.open(loaded), Config.parse(context.partition_key))
    return metadata.judged(dataset.poor(card.facts, loaded.quality), card.facts.get("quality", {}))


@dg.asset_check(asset=npz_dataset, partitions_def=CONFIG_PARTITIONS, blocking=False)
def trainable(
    context: dg.AssetCheckExecutionContext, vault: VaultResource, settings: SettingsResource
) -> dg.AssetCheckResult:
    """Enough samples are new, and none was seen too often: training waits for this. No other check here may warn."""
    loaded = settings.load()
    card = dataset.newest_dataset(vault.open(loaded), Config.parse(context.partition_key))
    waits = dataset.unready(card.facts, loaded.dataset)
    facts = _some(card, "samples_new", "samples_wanted", "samples_made", "replay_ratio")
    return metadata.judged(waits, facts, severity=dg.AssetCheckSeverity.WARN)


def _some(card: Card, *names: str) -> dict[str, Any]:
    """Those facts of a card, as far as it has them."""
    return {name: card.facts[name] for name in names if name in card.facts}
