"""Who makes the games of a config: its champion, once it is proven."""

from __future__ import annotations

from rr_engine.boards import Config
from rr_engine.players import Player, player
from rr_engine.players.stored import Champion, champion_of, load, selfplay_player
from rr_engine.settings import Settings
from rr_engine.vault import Vault

__all__ = ["Champion", "champion_of", "load", "selfplay_agent"]


def selfplay_agent(vault: Vault, config: Config, settings: Settings) -> tuple[Player, int, tuple[str, ...]]:
    """(who plays the next games, generation of those games, hashes of the networks used)."""
    champion = champion_of(vault, config)
    generation = -1 if champion is None else champion.pointer.number
    if champion is None or not champion.is_proven:
        return player("heuristic", config), generation, ()
    agent = selfplay_player(vault, champion.card, settings)
    return agent, generation, (champion.card.sha256,)
