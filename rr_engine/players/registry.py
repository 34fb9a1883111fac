"""Players by name. A kind of player registers a maker here; `player` calls it with what stands behind the colon."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Protocol

from rr_engine.boards import Config
from rr_engine.errors import PlayerError
from rr_engine.players.flat import FlatPlayer
from rr_engine.players.heuristic import HeuristicPlayer
from rr_engine.players.positions import Choice, Positions
from rr_engine.players.simple import GreedyPlayer, RandomPlayer


class Player(Protocol):
    """Decides many positions at once. Same positions, same seeds: same choice, on any machine."""

    @property
    def name(self) -> str:
        """The name that `player` makes it from."""
        ...

    @property
    def digest(self) -> str:
        """SHA-256 of what its behaviour comes from: code, weights, options."""
        ...

    def choose(self, positions: Positions) -> Choice:
        """One legal move of each game."""
        ...


Maker = Callable[[str, Config], Player]  # what stands behind the colon, or ""; raises PlayerError


def _no_option(kind: str, make: Callable[[], Player]) -> Maker:
    def maker(option: str, _config: Config) -> Player:
        if option:
            raise PlayerError(f"player {kind}:{option}: {kind} takes no option")
        return make()

    return maker


def _flat(option: str, _config: Config) -> Player:
    if not (option.isdigit() and 0 < int(option) <= 100_000):
        raise PlayerError(f"player flat:{option}: write flat:N with N playouts per legal move, for example flat:50")
    return FlatPlayer(int(option))


def _heuristic(option: str, _config: Config) -> Player:
    if not option:
        return HeuristicPlayer()
    if re.fullmatch(r"\d{1,3}(\.\d{1,3})?", option) is None or not float(option):
        raise PlayerError(f"player heuristic:{option}: write heuristic:T with a temperature T, such as heuristic:0.5")
    return HeuristicPlayer(float(option))


KINDS: Mapping[str, tuple[Maker, str]] = {  # kind -> its maker and how its name is written
    "random": (_no_option("random", RandomPlayer), "random"),
    "greedy": (_no_option("greedy", GreedyPlayer), "greedy"),
    "flat": (_flat, "flat:PLAYOUTS"),
    "heuristic": (_heuristic, "heuristic[:TEMPERATURE]"),
}


def player(name: str, config: Config) -> Player:
    """The player called `name` for games of `config`; raises PlayerError, which lists the names, for any other."""
    kind, _, option = name.partition(":")
    if kind not in KINDS:
        raise PlayerError(f"unknown player {name!r}: players are {', '.join(form for _, form in KINDS.values())}")
    return KINDS[kind][0](option, config)
