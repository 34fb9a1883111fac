"""The asset graph of the training loop; `rr_engine` does the work, this decides what depends on what.

`code_location` is what `dagster ... -m rr_assets` serves.
"""

from rr_assets.definitions import defs as code_location

__all__ = ["code_location"]
