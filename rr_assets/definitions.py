"""The code location: every asset, check, resource and sensor, put together once."""

from pathlib import Path

import dagster as dg


@dg.definitions
def defs() -> dg.Definitions:
    """All of `rr_assets.defs`, which is loaded by itself."""
    return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
