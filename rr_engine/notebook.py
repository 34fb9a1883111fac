"""What a notebook imports: `open_games("hex8_2p")`, the games of a config to ask in SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rr_engine.boards import Config
from rr_engine.progress import UNWATCHED, Watch
from rr_engine.settings import load
from rr_engine.stages import games
from rr_engine.vault import Vault

if TYPE_CHECKING:
    import duckdb


def open_games(config: str, *, vault: str | None = None, watch: Watch = UNWATCHED) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection with the views `games`, `decisions` and `chains` over all games of a config.

    `vault` is a folder or URL, else it is at `RR_VAULT`, else in `data` beside the project. docs/queries.md says what
    the views hold. `open_games("hex8_2p").execute("select * from games").df()` is a pandas frame; games made later are
    seen by the next call. Raises ConfigError for an unknown config, VaultError where there is no vault, and DataError
    where it has no games of that config.
    """
    parsed, opened = Config.parse(config), Vault.open(vault, settings=load().vault)
    opened.demand_there()
    return games.open_games(opened, games.all_shards(opened, parsed), watch=watch)
