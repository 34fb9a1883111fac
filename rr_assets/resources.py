"""Resources: the vault and the settings, as a run gets them."""

from typing import Any

import dagster as dg
from pydantic import Field

from rr_engine import settings
from rr_engine.vault import Vault


class SettingsResource(dg.ConfigurableResource[settings.Settings]):
    """Every number of the loop: defaults, one TOML file, environment, and last the launchpad's `overrides`."""

    overrides: dict[str, Any] = Field(
        default_factory=dict, description="section -> key -> value, for example {selfplay: {games: 50}}"
    )

    def load(self) -> settings.Settings:
        """The settings of this run; raises ConfigError for an unknown key or a value out of range."""
        return settings.load(overrides=self.overrides)


class VaultResource(dg.ConfigurableResource[Vault]):
    """Where artefacts lie."""

    url: str = Field(default="", description="empty: the variable RR_VAULT, else data/ beside the project")

    def open(self, loaded: settings.Settings) -> Vault:
        """The vault, with the limits of `loaded`."""
        return Vault.open(self.url or None, settings=loaded.vault)
