"""The code location: every asset, check, resource and sensor, put together once."""

from functools import cache
from pathlib import Path

import dagster as dg


@dg.definitions
@cache
def defs() -> dg.Definitions:
    """All of `rr_assets.defs`, which is loaded by itself; once in a process, for Dagster asks anew for each run."""
    return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
