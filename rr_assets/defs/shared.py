"""What every run shares: resources, executor, the events that steer, and what starts runs."""

import dagster as dg

from rr_assets import automation
from rr_assets.resources import AlertResource, NodesResource, SettingsResource, VaultResource


@dg.definitions
def shared() -> dg.Definitions:
    """Resources under the names assets ask for; steps run in the run's own process, runs are kept apart already."""
    return dg.Definitions(
        assets=[automation.SELFPLAY_BUDGET, *automation.RETRY_BUDGETS.values()],
        sensors=automation.SENSORS,
        schedules=automation.SCHEDULES,
        jobs=automation.JOBS,
        resources={
            "vault": VaultResource(),
            "settings": SettingsResource(),
            "nodes": NodesResource(),
            "alert": AlertResource(),
        },
        executor=dg.in_process_executor,
    )
