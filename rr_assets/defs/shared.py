"""What every run shares: the resources and the executor."""

import dagster as dg

from rr_assets.resources import SettingsResource, VaultResource


@dg.definitions
def shared() -> dg.Definitions:
    """Resources under the names assets ask for; steps run in the run's own process, runs are kept apart already."""
    return dg.Definitions(
        resources={"vault": VaultResource(), "settings": SettingsResource()},
        executor=dg.in_process_executor,
    )
