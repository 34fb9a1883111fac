"""Checkpoints as players: the champion of a config, one found by its hash, one in a file.

Imports torch only where a network is loaded.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rr_engine.boards import CONFIGS, Config
from rr_engine.errors import DataError, PlayerError
from rr_engine.players.search import SearchPlayer
from rr_engine.settings import SearchSettings, Settings
from rr_engine.vault import Card, Pointer, Vault

if TYPE_CHECKING:
    from rr_engine.nn.checkpoint import Checkpoint

KIND = "checkpoint"
SHOWN_DIGITS = 12  # of a hash, in the name of a player
_FEWEST_DIGITS = 8  # of a hash that names a checkpoint
_HASH = re.compile(rf"[0-9a-f]{{{_FEWEST_DIGITS},64}}")


@dataclass(frozen=True)
class Champion:
    """The checkpoint that the pointer names."""

    pointer: Pointer
    card: Card

    @property
    def is_proven(self) -> bool:
        """Whether it has beaten the heuristic; until then the heuristic makes the games."""
        return bool(self.pointer.facts["proven"])


def champion_of(vault: Vault, config: Config) -> Champion | None:
    """The champion that counts now, None before the first."""
    pointer = vault.pointer(config.key)
    if pointer is None:
        return None
    return Champion(pointer, vault.card(pointer.kind, pointer.config, pointer.sha256))


def load(vault: Vault, card: Card) -> Checkpoint:
    """The checkpoint of a card; raises VaultError for damaged bytes, DataError for what does not fit."""
    from rr_engine.nn.checkpoint import load_checkpoint

    return load_checkpoint(vault.get(card), Config.parse(card.config))


def match_player(vault: Vault, card: Card, settings: Settings, *, simulations: int | None = None) -> SearchPlayer:
    """The checkpoint of a card as it plays matches: with `simulations`, else those of `settings.match`."""
    simulations = settings.match.simulations if simulations is None else simulations
    return _player(
        load(vault, card),
        name=rated_name(card.sha256, simulations),
        sha256=card.sha256,
        search=settings.search,
        simulations=simulations,
    )


def selfplay_player(vault: Vault, card: Card, settings: Settings) -> SearchPlayer:
    """The checkpoint of a card as it makes games: some of its searches full, the others cheap."""
    selfplay = settings.selfplay
    return _player(
        load(vault, card),
        name=rated_name(card.sha256, selfplay.simulations),
        sha256=card.sha256,
        search=settings.selfplay_search,
        simulations=selfplay.simulations,
        cheap_simulations=selfplay.cheap_simulations,
        full_share=selfplay.full_share,
    )


def rated_name(sha256: str, simulations: int) -> str:
    """The name of a checkpoint as a player, under which it is rated."""
    return f"{KIND}:{sha256[:SHOWN_DIGITS]}:{simulations}"


def champion_player(config: Config, vault: Vault, settings: Settings, *, simulations: int | None) -> SearchPlayer:
    """The champion of a config; raises PlayerError if there is none."""
    champion = champion_of(vault, config)
    if champion is None:
        raise PlayerError(f"{config.key} has no champion in {vault.url} yet: make run CONFIG={config.key} makes one")
    return match_player(vault, champion.card, settings, simulations=simulations)


def checkpoint_player(
    digits: str, config: Config, vault: Vault, settings: Settings, *, simulations: int | None
) -> SearchPlayer:
    """The one checkpoint of a config whose hash begins with `digits`; raises PlayerError if that is not one."""
    return match_player(vault, find_checkpoint(vault, config, digits), settings, simulations=simulations)


def find_checkpoint(vault: Vault, config: Config, digits: str) -> Card:
    """The card of the one checkpoint of a config whose hash begins with `digits`; raises PlayerError otherwise."""
    if _HASH.fullmatch(digits) is None:
        raise PlayerError(f"{digits!r} is no hash of a checkpoint: write {_FEWEST_DIGITS} to 64 hexadecimal digits")
    found = _cards(vault, config, digits)
    if len(found) > 1:
        raise PlayerError(f"{len(found)} checkpoints of {config.key} begin with {digits}: write more digits")
    if not found:
        elsewhere = [other.key for other in CONFIGS if _cards(vault, other, digits)]
        hint = f"; there is one of {', '.join(elsewhere)}" if elsewhere else ""
        raise PlayerError(f"no checkpoint of {config.key} in {vault.url} begins with {digits}{hint}")
    return found[0]


def file_player(path: Path, config: Config, settings: Settings, *, simulations: int | None) -> SearchPlayer:
    """The checkpoint in a file; raises PlayerError if it cannot be read, DataError if it is not one of `config`."""
    from rr_engine.nn.checkpoint import load_checkpoint

    try:
        data = path.read_bytes()
    except OSError as error:
        raise PlayerError(f"checkpoint file {path} cannot be read: {error.strerror}") from error
    try:
        checkpoint = load_checkpoint(data, config)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    simulations = settings.match.simulations if simulations is None else simulations
    return _player(
        checkpoint,
        name=f"file:{path}:{simulations}",
        sha256=hashlib.sha256(data).hexdigest(),
        search=settings.search,
        simulations=simulations,
    )


def _cards(vault: Vault, config: Config, digits: str) -> list[Card]:
    return [card for card in vault.cards(KIND, config.key) if card.sha256.startswith(digits)]


def _player(
    checkpoint: Checkpoint,
    *,
    name: str,
    sha256: str,
    search: SearchSettings,
    simulations: int,
    cheap_simulations: int = 0,
    full_share: float = 1.0,
) -> SearchPlayer:
    from rr_engine.nn.evaluator import NetworkEvaluator

    evaluator = NetworkEvaluator(checkpoint)
    return SearchPlayer(
        evaluator,
        name=name,
        identity=sha256,
        settings=search,
        simulations=simulations,
        cheap_simulations=cheap_simulations,
        full_share=full_share,
        games_per_call=evaluator.games_per_call,
    )
