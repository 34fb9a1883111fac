"""checkpoint: the candidate network, and the check that it can be trusted."""

import dagster as dg

from rr_assets import automation, metadata
from rr_assets.defs.dataset import npz_dataset
from rr_assets.partitions import CONFIG_PARTITIONS
from rr_assets.resources import SettingsResource, VaultResource
from rr_engine import progress
from rr_engine.boards import Config
from rr_engine.nn.features import FEATURE_VERSION
from rr_engine.stages import candidate


@dg.asset(
    partitions_def=CONFIG_PARTITIONS,
    deps=[npz_dataset],
    pool="training",
    group_name="learning",
    kinds={"pytorch"},
    owners=["team:ringrift"],
    code_version=str(FEATURE_VERSION),
    automation_condition=automation.ON_TRAINABLE_DATA,
    freshness_policy=automation.FRESH,
)
def checkpoint(
    context: dg.AssetExecutionContext, vault: VaultResource, settings: SettingsResource
) -> dg.MaterializeResult:
    """A candidate network, trained from the champion on the newest window: safetensors and a card."""
    loaded, config = settings.load(), Config.parse(context.partition_key)
    opened, lines = vault.open(loaded), progress.logged(context.log.info)
    made = candidate.make_candidate(
        opened,
        config,
        loaded,
        on_epoch=lambda epoch: context.log.info(str(epoch)),
        on_progress=lambda stand: lines.offer(stand, stand.share),
    )
    charts = metadata.of_curves("checkpoint", config.key, loaded)
    return dg.MaterializeResult(
        metadata={**metadata.of_facts(made.facts), **charts, **metadata.of_card(made.card)},
        data_version=dg.DataVersion(made.card.sha256),
    )


@dg.asset_check(asset=checkpoint, partitions_def=CONFIG_PARTITIONS, blocking=True)
def weights_are_finite_and_reload(
    context: dg.AssetCheckExecutionContext, vault: VaultResource, settings: SettingsResource
) -> dg.AssetCheckResult:
    """Every weight is finite, and a strict reload gives the same outputs as the trained network."""
    opened = vault.open(settings.load())
    card = candidate.newest_candidate(opened, Config.parse(context.partition_key))
    return metadata.judged(candidate.check_candidate(opened, card), {"sha256": card.sha256, "weights": card.rows})


@dg.asset_check(asset=checkpoint, partitions_def=CONFIG_PARTITIONS, blocking=False)
def losses_are_usual(
    context: dg.AssetCheckExecutionContext, vault: VaultResource, settings: SettingsResource
) -> dg.AssetCheckResult:
    """No validation loss stands out from those before it: warns, and the quality of the input was measured again."""
    card = candidate.newest_candidate(vault.open(settings.load()), Config.parse(context.partition_key))
    return metadata.judged(*candidate.check_losses(card), severity=dg.AssetCheckSeverity.WARN)
