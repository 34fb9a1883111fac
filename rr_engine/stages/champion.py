"""The champion of a config, as the other stages use it. Imports torch only where a network is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rr_engine.boards import Config
from rr_engine.players import Player, player
from rr_engine.vault import Card, Pointer, Vault

if TYPE_CHECKING:
    from rr_engine.nn.checkpoint import Checkpoint


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


def network_player(vault: Vault, card: Card) -> Player:
    """The checkpoint of a card as a player."""
    from rr_engine.players.network import NetworkPlayer

    return NetworkPlayer(load(vault, card), card.sha256)


def selfplay_agent(vault: Vault, config: Config) -> tuple[Player, int, tuple[str, ...]]:
    """(who plays the next games, generation of those games, hashes of the networks used)."""
    champion = champion_of(vault, config)
    generation = -1 if champion is None else champion.pointer.number
    if champion is None or not champion.is_proven:
        return player("heuristic", config), generation, ()
    return network_player(vault, champion.card), generation, (champion.card.sha256,)
