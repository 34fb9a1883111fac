"""What an idle GPU should play. Pure: the plan, the memory and who has a network in, a config with its reason out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rr_engine.boards import Config
from rr_engine.settings import IdleSettings, NetworkSettings

_CONTEXT_GB = 1.2  # CUDA itself, weights, and what the allocator keeps
_LIVE_MAPS = 8  # feature maps of one position that are in memory at once, about


@dataclass(frozen=True)
class Backoff:
    """How launches on this node went: kept in a sensor's cursor."""

    failures: int = 0  # in a row
    until: float = 0.0  # seconds since 1970: no launch before
    run: str = ""  # launched last, whose end is not known yet

    def ended(self, *, failed: bool, at: float, settings: IdleSettings) -> Backoff:
        """After the launched run has ended at a time: a failure waits twice as long as the one before it."""
        if not failed:
            return Backoff()
        wait = min(settings.longest_wait_s, settings.first_wait_s * 2**self.failures)
        return Backoff(self.failures + 1, at + wait)


@dataclass(frozen=True)
class Choice:
    """A config to play, and why this one."""

    config: str
    reason: str


def memory_gb(config: Config, network: NetworkSettings, games_at_once: int) -> float:
    """Memory that self-play takes on a GPU, about: a network's feature maps for every game side by side."""
    maps = games_at_once * config.board.cells * network.channels * _LIVE_MAPS
    return _CONTEXT_GB + maps * 4 / 1e9


def choose(
    plan: Iterable[Mapping[str, Any]],
    *,
    free_gb: float,
    needs_gb: Mapping[str, float],
    usable: Collection[str],
    playing: Mapping[str, int] | None = None,
) -> Choice | None:
    """The config that a GPU with `free_gb` should play, with a network that is usable and fits; None if all rest.

    It is the one that gets least for its share of the plan, `playing` counting the runs that make its games already
    (D'Hondt's highest averages); at first that with the largest share. Where no config has such a network the
    heuristic plays the first of them, which needs no GPU memory.
    """
    counts = playing or {}

    def place(row: Mapping[str, Any]) -> tuple[float, float, str]:
        return -row["share"] / (1 + counts.get(row["config"], 0)), -row["priority"], row["config"]

    ranked = sorted((row for row in plan if row["share"] > 0), key=place)
    passed: list[str] = []
    for row in ranked:
        config = row["config"]
        if config not in usable:
            passed.append(f"{config} has no usable network")
        elif needs_gb[config] > free_gb:
            passed.append(f"{config} needs {needs_gb[config]:.1f} GB")
        else:
            told = f"priority {row['priority']:.2f}, needs {needs_gb[config]:.1f} of {free_gb:.1f} GB"
            return Choice(config, "; ".join([told, *passed]))
    if not ranked:
        return None
    return Choice(ranked[0]["config"], "; ".join(["no network fits, the heuristic plays", *passed]))
