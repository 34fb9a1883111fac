"""Games worth looking at: of self-play a typical and the most surprising one, of an evaluation a win and a loss."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median_low
from typing import NamedTuple

import numpy as np

from rr_engine import move as moves_of
from rr_engine.arena import PlayedGame
from rr_engine.boards import Config
from rr_engine.errors import DataError, shown
from rr_engine.game import Game
from rr_engine.records import shard
from rr_engine.records.record import GameRecord
from rr_engine.records.views import SHARD_DIGITS
from rr_engine.render.replay import Shown
from rr_engine.render.svg import board_svg, framed
from rr_engine.selfplay.curriculum import ANCHORS
from rr_engine.stages.evaluations import CHAMPION, MATCHES_KIND
from rr_engine.stages.games import KIND
from rr_engine.stages.rating import SEARCH_ANCHOR, games_in
from rr_engine.vault import Card, Vault

_STRONGEST = (CHAMPION, SEARCH_ANCHOR, *reversed(ANCHORS))  # of a candidate's matches, first


@dataclass(frozen=True)
class Highlight:
    """A game and why it is shown."""

    title: str
    about: str
    game: str  # its name, SHARD:GAME, by which `find_game` gives it back
    at: int  # the decision before which it is pictured
    picture: str  # SVG of that position


class _Row(NamedTuple):
    """What is weighed of a game."""

    name: str
    end: str
    decisions: int
    lowest: float  # chance of the later winner, when it was least; NaN where nobody looked
    lowest_at: int


def of_games(vault: Vault, cards: Sequence[Card]) -> list[Highlight]:
    """The game of the most frequent end whose length is the median, and the one whose winner had seemed lost most.

    Where no chances were recorded the second is the longest game.
    """
    rows = [_weighed(name, record) for name, record in _named(vault, cards)]
    typical = _typical(rows)
    known = [row for row in rows if not np.isnan(row.lowest)]
    if known:
        odd = min(known, key=lambda row: (row.lowest, row.name))
        about = f"decision {odd.lowest_at}: the winner's chance is {odd.lowest:.0%}"
    else:
        odd = max(rows, key=lambda row: (row.decisions, row.name))
        about = f"the longest of {len(rows)} games"
    both = (typical.name, odd.name)
    theirs = [card for card in cards if any(name.startswith(card.sha256[:SHARD_DIGITS]) for name in both)]
    games = {name: _of_record(name, record) for name, record in _named(vault, theirs) if name in both}
    half = typical.decisions // 2
    usual = f"decision {half} of {typical.decisions}; ends by {typical.end}, as most of {len(rows)} games do"
    return [
        _highlight("typical game", usual, typical.name, games[typical.name], half),
        _highlight("most surprising game", about, odd.name, games[odd.name], odd.lowest_at),
    ]


def of_matches(vault: Vault, config: Config, card: Card) -> list[Highlight]:
    """A game that the candidate of an evaluation won and one it lost, each against the strongest there is one of."""
    played = games_in(vault, card)
    found: list[Highlight] = []
    for title, won in (("a win", True), ("a loss", False)):
        games = (
            (name, index) for name in _STRONGEST for index, game in enumerate(played.get(name, ())) if game.won == won
        )
        if (first := next(games, None)) is not None:
            game = f"{card.sha256[:SHARD_DIGITS]}:{first[0]}:{first[1]}"
            match = _of_match(card, config, *first, played[first[0]])
            found.append(_highlight(title, match.about, game, match, len(match.moves)))
    return found


def find_game(vault: Vault, config: Config, name: str) -> Shown:
    """The stored game of that name, SHARD:GAME or MATCHES:MATCH:NUMBER; raises DataError if there is none."""
    digits, _, rest = name.partition(":")
    if len(digits) >= SHARD_DIGITS:
        for card in vault.cards(KIND, config.key):
            if card.sha256.startswith(digits):
                for other, record in _named(vault, [card]):
                    if other.partition(":")[2] == rest:
                        return _of_record(name, record)
        for card in vault.cards(MATCHES_KIND, config.key):
            match, _, number = rest.rpartition(":")
            if card.sha256.startswith(digits) and number.isdecimal():
                played = games_in(vault, card).get(match, [])
                if int(number) < len(played):
                    return _of_match(card, config, match, int(number), played)
    raise DataError(f"no game of {config.key} in the vault is called {shown(name)}: names are as the pages tell them")


def _of_record(name: str, record: GameRecord) -> Shown:
    return Shown.of(record, f"game {name} of {record.config.key}, generation {record.generation}")


def _of_match(card: Card, config: Config, match: str, number: int, played: Sequence[PlayedGame]) -> Shown:
    """A game of an evaluation; its A sat at `seat` at the start."""
    game, result = played[number], card.facts["results"][match]
    names = [result["b"]["name"]] * config.players
    names[game.seat] = result["a"]["name"]
    about = f"game {number + 1} of {len(played)} against {match}, of {config.key}"
    return Shown(config, game.moves, config.players == 2, names, about)


def _named(vault: Vault, cards: Sequence[Card]) -> Iterator[tuple[str, GameRecord]]:
    """Every game under its name."""
    for card in cards:
        for record in shard.decode(vault.path(card)):
            yield f"{card.sha256[:SHARD_DIGITS]}:{record.digest}", record


def _weighed(name: str, record: GameRecord) -> _Row:
    after = record.values[record.opening :, record.outcome.winner]
    if np.isnan(after).all():
        return _Row(name, record.outcome.end, record.decisions, np.nan, record.decisions)
    at = int(np.nanargmin(after))
    return _Row(name, record.outcome.end, record.decisions, float(after[at]), record.opening + at)


def _typical(rows: Sequence[_Row]) -> _Row:
    end = Counter(row.end for row in rows).most_common(1)[0][0]
    of_end = [row for row in rows if row.end == end]
    usual = median_low(row.decisions for row in of_end)
    return min((row for row in of_end if row.decisions == usual), key=lambda row: row.name)


def _highlight(title: str, about: str, name: str, whole: Shown, at: int) -> Highlight:
    return Highlight(title, about, name, at, picture(whole, at))


def picture(whole: Shown, at: int) -> str:
    """SVG of the position before decision `at`, and the move that led there; raises DataError where there is none."""
    if not 0 <= at <= len(whole.moves):
        raise DataError(f"that game has positions from 0 to {len(whole.moves)}, not {at}")
    game = Game(whole.config, pie=whole.pie)
    before = [int(move) for move in whole.moves[:at]]
    game.play_all(before[:-1])
    last = [cell for move in before[-1:] for cell in moves_of.cells_of(game.board, game.state, move)]
    game.play_all(before[-1:])
    return framed(board_svg(game, last=last), game.board)
