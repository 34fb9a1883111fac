"""Dagster's storage in Postgres, which keeps a connection for the next question.

Dagster's own makes one per question, which costs both sides 6 ms of processor time together, and an event is several
questions (docs/experiments.md).
"""

from typing import Any

from dagster._core.storage.config import PostgresStorageConfig
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage
from dagster_postgres.utils import get_token_provider_from_config, pg_url_from_config
from sqlalchemy.dialects import plugins
from sqlalchemy.engine import URL, CreateEnginePlugin, make_url
from sqlalchemy.pool import QueuePool

_PLUGIN = "ringrift_kept"
_IDLE_S = 30  # seconds after which the database ends a connection that nobody uses: many nodes train for hours


class KeptPostgresStorage(DagsterPostgresStorage):
    """`DagsterPostgresStorage` whose engines keep one connection each."""

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: PostgresStorageConfig
    ) -> DagsterPostgresStorage:
        """The storage that `storage` of dagster.yaml describes; its URL names the plugin."""
        url = make_url(pg_url_from_config(config_value))
        options = f"{url.query.get('options', '')} -c idle_session_timeout={1000 * _IDLE_S}"
        kept = url.update_query_dict({"plugin": _PLUGIN, "options": options.strip()})
        return cls(
            postgres_url=kept.render_as_string(hide_password=False),
            should_autocreate_tables=config_value.get("should_autocreate_tables", True),
            inst_data=inst_data,
            token_provider=get_token_provider_from_config(config_value),
        )


class KeepingPlugin(CreateEnginePlugin):
    """Makes an engine keep a connection, and look whether it still holds before it is used again.

    One that was cut, by a database that has come back for instance, is made anew. Processes that fork have used none
    by then: workers open Dagster's instance in their children only.
    """

    def __init__(self, url: URL, kwargs: dict[str, Any]) -> None:
        """`kwargs` are those of SQLAlchemy's `create_engine`."""
        super().__init__(url, kwargs)
        kwargs.update(poolclass=QueuePool, pool_size=1, max_overflow=-1, pool_pre_ping=True)

    def update_url(self, url: URL) -> URL:
        """As it is."""
        return url


plugins.register(_PLUGIN, __name__, KeepingPlugin.__name__)
