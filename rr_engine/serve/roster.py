"""Players by name, kept ready to think: who is meant, and how much work each is."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field

from rr_engine.boards import Config
from rr_engine.errors import DataError, PlayerError, VaultError, shown
from rr_engine.game import Game
from rr_engine.players import Player, player
from rr_engine.players.registry import ADVICE, ADVISER, BY_HAND, settled
from rr_engine.settings import Settings
from rr_engine.vault import Vault

_MOST_PLAYERS = 16  # kept, with their networks; who was not asked for longest goes
_FRESH_S = 30.0  # seconds for which a champion is believed to have no successor
_PLAYOUT_CELLS = 250  # of a board on which a playout takes as long as a simulation: it grows faster with the board
_SEARCHING = ("search", "champion", "checkpoint")  # kinds whose option ends with a number of simulations
_NUMBER = re.compile(r"(?:^|:)(\d{1,6})$")


@dataclass
class Roster:
    """Players of a vault, none that opens files or starts programs. Players are asked for from one thread."""

    vault: Vault
    settings: Settings
    _players: dict[tuple[str, Config], Player] = field(default_factory=dict[tuple[str, Config], Player])
    _settled: dict[tuple[str, Config], tuple[str, float]] = field(  # of names that may come to mean another
        default_factory=dict[tuple[str, Config], tuple[str, float]]
    )

    def player(self, name: str, config: Config) -> Player:
        """The player called `name`; raises PlayerError if it cannot be one, VaultError if it cannot be read."""
        key = self._meant(name, config), config
        found = self._players.pop(key, None) or self._made(*key)
        self._players[key] = found  # the last one, as the one used last
        while len(self._players) > _MOST_PLAYERS:
            del self._players[next(iter(self._players))]
        return found

    def work(self, name: str, game: Game) -> int:
        """Simulations that the player called `name` spends on a position, or what takes as long."""
        kind, _, option = name.partition(":")
        if name == ADVISER:
            return ADVICE
        number = _NUMBER.search(option)
        if kind == "flat" and number:
            return len(game.legal_moves()) * int(number[1]) * game.board.cells // _PLAYOUT_CELLS
        if kind in _SEARCHING:
            return int(number[1]) if number else self.settings.match.simulations
        return 0

    def _meant(self, name: str, config: Config) -> str:
        """A name that stays with its player."""
        known = self._settled.get((name, config))
        if known is not None and time.monotonic() - known[1] <= _FRESH_S:
            return known[0]
        meant = settled(name, config, settings=self.settings, vault=self.vault)
        if meant != name:
            self._settled[name, config] = meant, time.monotonic()
        return meant

    def _made(self, name: str, config: Config) -> Player:
        if name.partition(":")[0] in BY_HAND:
            raise PlayerError(f"player {shown(name)}: only a command line may name it")
        try:
            return player(name, config, settings=self.settings, vault=self.vault)
        except DataError as error:  # what a checkpoint holds
            raise VaultError(f"player {name}: {error}") from error
