"""mirror: the second vault, and the check that it holds what the first one does."""

import dagster as dg

from rr_assets import automation, metadata
from rr_assets.resources import AlertResource, SettingsResource, VaultResource
from rr_engine import progress
from rr_engine.stages import mirror as mirroring

_CHECK = "second_vault_holds_everything"


@dg.asset(
    pool="mirror",
    group_name="storage",
    kinds={"storage"},
    owners=["team:ringrift"],
    code_version=str(mirroring.SCHEMA_VERSION),
    freshness_policy=automation.FRESH_SECOND,
    check_specs=[
        dg.AssetCheckSpec(
            _CHECK,
            asset="mirror",
            description="Everything was copied whole, and no name has other bytes in the second vault.",
        )
    ],
)
def mirror(
    context: dg.AssetExecutionContext, vault: VaultResource, settings: SettingsResource, alert: AlertResource
) -> dg.MaterializeResult:
    """The second vault, which `mirror.to` names: what it had not is copied there, nothing there is changed or removed.

    It reads the vault as a whole, as a backup does, and nobody's data are made from it: so it has no edges.
    """
    loaded = settings.load()
    kept = mirroring.keep_second(vault.open(loaded), loaded, watch=progress.logged(context.log.info))
    if kept.problems:
        alert.send(f"the second vault does not hold everything: {'; '.join(kept.problems[:3])}", loaded, context.log)
    return dg.MaterializeResult(
        metadata=metadata.of_facts(kept.facts), check_results=[metadata.judged(kept.problems, {}, check=_CHECK)]
    )
