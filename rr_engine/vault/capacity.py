"""How full the disk below a vault is, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from rr_engine.settings import VaultSettings


class Level(StrEnum):
    """What a disk so full allows."""

    FREE = "free"
    WARN = "warn"
    PAUSE = "pause"  # nothing new is produced
    REFUSE = "refuse"  # nothing is written


@dataclass(frozen=True)
class Capacity:
    """A level, and what it rests on."""

    level: Level
    reason: str

    @property
    def allows_more(self) -> bool:
        """Whether anything new may be produced."""
        return self.level in (Level.FREE, Level.WARN)


def capacity_of(url: str, used: float, settings: VaultSettings) -> Capacity:
    """What a vault whose disk is `used` (from 0 to 1) allows."""
    level, consequence = Level.FREE, "there is room"
    for bound, name, follows in (
        (settings.warn_full, Level.WARN, f"from {settings.pause_full:.0%} on nothing is produced"),
        (settings.pause_full, Level.PAUSE, f"from {settings.pause_full:.0%} on nothing is produced: free some space"),
        (settings.refuse_full, Level.REFUSE, f"from {settings.refuse_full:.0%} on nothing is written: free some space"),
    ):
        if used >= bound:
            level, consequence = name, follows
    return Capacity(level, f"{url} is {used:.1%} full; {consequence}")
