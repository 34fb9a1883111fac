"""Players by name. A kind of player registers a maker here; `player` calls it with what stands behind the colon."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rr_engine.boards import Config
from rr_engine.errors import DataError, PlayerError, shown
from rr_engine.heuristic import HEURISTIC_HASH, code_digest
from rr_engine.heuristic.evaluator import HeuristicEvaluator
from rr_engine.players import stored
from rr_engine.players.external import ExternalPlayer
from rr_engine.players.flat import FlatPlayer
from rr_engine.players.heuristic import HeuristicPlayer
from rr_engine.players.positions import Choice, Positions
from rr_engine.players.search import SearchPlayer
from rr_engine.players.simple import GreedyPlayer, RandomPlayer
from rr_engine.search import Evaluator, UniformEvaluator
from rr_engine.settings import SearchSettings, Settings, load
from rr_engine.vault import Vault

ADVISER = "adviser"  # who gives hints; `settled` says who that is
ADVICE = 64  # simulations of a hint
_MOST = 100_000  # simulations or playouts that a name may ask for


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


@dataclass(frozen=True)
class Wanted:
    """What was asked for: a name in its two parts, and where to look for what is not said."""

    kind: str
    option: str  # what stands behind the first colon, or ""
    config: Config
    given_settings: Settings | None
    given_vault: Vault | None

    @property
    def name(self) -> str:
        """The whole name."""
        return f"{self.kind}:{self.option}" if self.option else self.kind

    @property
    def settings(self) -> Settings:
        """The settings given, else those of the environment."""
        return self.given_settings or load()

    @property
    def vault(self) -> Vault:
        """The vault given, else the one of the environment."""
        return self.given_vault or Vault.open(settings=self.settings.vault)

    def refused(self, reason: str) -> PlayerError:
        """The error that says so."""
        return PlayerError(f"player {self.name}: {reason}")


Maker = Callable[[Wanted], Player]  # raises PlayerError


def _no_option(make: Callable[[], Player]) -> Maker:
    def maker(wanted: Wanted) -> Player:
        if wanted.option:
            raise wanted.refused(f"{wanted.kind} takes no option")
        return make()

    return maker


def _flat(wanted: Wanted) -> Player:
    playouts = _number(wanted.option)
    if not playouts:
        raise wanted.refused("write flat:N with N playouts per legal move, for example flat:50")
    return FlatPlayer(playouts)


def _heuristic(wanted: Wanted) -> Player:
    if not wanted.option:
        return HeuristicPlayer()
    if re.fullmatch(r"\d{1,3}(\.\d{1,3})?", wanted.option) is None or not float(wanted.option):
        raise wanted.refused("write heuristic:T with a temperature T, such as heuristic:0.5")
    return HeuristicPlayer(float(wanted.option))


_EVALUATORS: Mapping[str, tuple[Callable[[], Evaluator], Callable[[], str]]] = {  # name -> maker, identity
    "heuristic": (
        HeuristicEvaluator,
        lambda: code_digest("rr_engine.heuristic.evaluator", options=HEURISTIC_HASH),
    ),
    "uniform": (UniformEvaluator, lambda: code_digest("rr_engine.search.evaluators")),
}


def _search(wanted: Wanted) -> Player:
    """Always with the default search settings: it is an opponent to measure by, and stays the same."""
    evaluator, _, budget = wanted.option.partition(":")
    simulations = _number(budget)
    if evaluator not in _EVALUATORS or not simulations:
        form = f"search:EVALUATOR:SIMULATIONS with {' or '.join(_EVALUATORS)}"
        raise wanted.refused(f"write {form}, for example search:heuristic:64")
    make, identity = _EVALUATORS[evaluator]
    return SearchPlayer(
        make(),
        name=f"search:{evaluator}:{simulations}",
        identity=identity(),
        settings=SearchSettings(),
        simulations=simulations,
    )


def _champion(wanted: Wanted) -> Player:
    simulations = _number(wanted.option)
    if wanted.option and simulations is None:
        raise wanted.refused("write champion or champion:SIMULATIONS, such as champion:32")
    return stored.champion_player(wanted.config, wanted.vault, wanted.settings, simulations=simulations)


def _checkpoint(wanted: Wanted) -> Player:
    digits, simulations = _with_simulations(wanted.option)
    if ":" in digits:
        raise wanted.refused("write checkpoint:HASH or checkpoint:HASH:SIMULATIONS")
    return stored.checkpoint_player(digits, wanted.config, wanted.vault, wanted.settings, simulations=simulations)


def _file(wanted: Wanted) -> Player:
    path, simulations = _with_simulations(wanted.option)
    if not path:
        raise wanted.refused("write file:PATH or file:PATH:SIMULATIONS")
    return stored.file_player(Path(path), wanted.config, wanted.settings, simulations=simulations)


def _external(wanted: Wanted) -> Player:
    return ExternalPlayer(wanted.option, wanted.settings.match)


def _with_simulations(option: str) -> tuple[str, int | None]:
    """What stands before the last colon, and the number behind it; everything and None if there is no such number."""
    before, colon, last = option.rpartition(":")
    simulations = _number(last) if colon else None
    return (option, None) if simulations is None else (before, simulations)


def _number(text: str) -> int | None:
    """The number of simulations or playouts that `text` writes, None if it writes none."""
    return int(text) if re.fullmatch(r"[0-9]{1,6}", text) and int(text) <= _MOST else None


KINDS: Mapping[str, tuple[Maker, str]] = {  # kind -> its maker and how its name is written
    "random": (_no_option(RandomPlayer), "random"),
    "greedy": (_no_option(GreedyPlayer), "greedy"),
    "flat": (_flat, "flat:PLAYOUTS"),
    "heuristic": (_heuristic, "heuristic[:TEMPERATURE]"),
    "search": (_search, "search:heuristic:SIMULATIONS, search:uniform:SIMULATIONS"),
    "champion": (_champion, "champion[:SIMULATIONS]"),
    "checkpoint": (_checkpoint, "checkpoint:HASH[:SIMULATIONS]"),
    "file": (_file, "file:PATH[:SIMULATIONS]"),
    "external": (_external, "external:COMMAND"),
}


BY_HAND = ("file", "external")  # kinds that open files or start programs of this machine


def player(
    name: str,
    config: Config,
    *,
    settings: Settings | None = None,
    vault: Vault | None = None,
    by_hand: bool = False,
) -> Player:
    """The player called `name` for games of `config`; raises PlayerError, which lists the names, for any other.

    Networks take `settings` and `vault`, by default those that the environment names. Unless the name was given
    `by_hand`, on a command line, one of a kind in `BY_HAND` raises DataError: whoever writes a card must not choose
    what runs on this machine.
    """
    kind, _, option = name.partition(":")
    if kind not in KINDS:
        raise PlayerError(f"unknown player {shown(name)}: players are {', '.join(form for _, form in KINDS.values())}")
    if kind in BY_HAND and not by_hand:
        others = ", ".join(form for other, (_, form) in KINDS.items() if other not in BY_HAND)
        raise DataError(f"player {shown(name)}: only a command line may name {kind}:; what is stored may name {others}")
    return KINDS[kind][0](Wanted(kind, option, config, settings, vault))


def settled(name: str, config: Config, *, settings: Settings, vault: Vault) -> str:
    """A name that stays with whoever `name` is now: in place of a champion its checkpoint, other names as they are.

    The adviser is the champion or, before there is one, a search by the heuristic.
    """
    kind, _, option = name.partition(":")
    if name == ADVISER:
        simulations = ADVICE
    elif kind == "champion":
        simulations = _number(option) if option else settings.match.simulations
    else:
        return name
    champion = stored.champion_of(vault, config)
    if champion is not None and simulations is not None:
        return f"{stored.KIND}:{champion.card.sha256}:{simulations}"
    return f"search:heuristic:{ADVICE}" if name == ADVISER else name
