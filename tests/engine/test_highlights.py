"""Which games are shown, and that each is found again by its name."""

import gzip
import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from rr_engine.boards import Config
from rr_engine.errors import DataError
from rr_engine.records import shard
from rr_engine.records.record import GameRecord
from rr_engine.stages.evaluations import MATCHES_KIND
from rr_engine.stages.games import KIND
from rr_engine.stages.highlights import find_game, of_games, of_matches
from rr_engine.vault import Card, Vault
from tests.engine.vaults import put

HEX = Config.parse("hex8_2p")


def stored(vault: Vault, records: list[GameRecord]) -> Card:
    return put(vault, shard.encode(records), kind=KIND, suffix=".parquet", rows=len(records))


def with_chances(record: GameRecord, lowest: float) -> GameRecord:
    """The game as if searches had found its winner sure of it, but for one decision."""
    values = np.full((record.decisions, 2), 0.1, np.float32)
    values[:, record.outcome.winner] = 0.9
    at = record.opening + 3
    values[at, record.outcome.winner], values[at, 1 - record.outcome.winner] = lowest, 1 - lowest
    return replace(record, values=values)


def test_the_typical_game_is_in_the_middle_of_those_that_end_as_most(
    local: Vault, hex_records: list[GameRecord]
) -> None:
    card = stored(local, hex_records)
    typical, _ = of_games(local, [card])
    ends = [record.outcome.end for record in hex_records]
    most = max(set(ends), key=ends.count)
    lengths = sorted(record.decisions for record in hex_records if record.outcome.end == most)
    shown = find_game(local, HEX, typical.game)
    assert len(shown.moves) == lengths[(len(lengths) - 1) // 2]
    assert f"ends by {most}" in typical.about
    assert typical.picture.startswith("<svg")


def test_the_most_surprising_game_was_nearly_lost_by_its_winner(local: Vault, hex_records: list[GameRecord]) -> None:
    chances = [0.6] * len(hex_records)
    chances[5], chances[8] = 0.3, 0.05
    games = [with_chances(*pair) for pair in zip(hex_records, chances, strict=True)]
    cards = [stored(local, games[:6]), stored(local, games[6:])]
    _, odd = of_games(local, cards)
    assert odd.game == f"{cards[1].sha256[:12]}:{games[8].digest}"
    assert odd.about == f"decision {games[8].opening + 3}: the winner's chance is 5%"
    assert find_game(local, HEX, odd.game).moves == games[8].moves.tolist()


def test_without_chances_the_longest_is_shown(local: Vault, hex_records: list[GameRecord]) -> None:
    _, longest = of_games(local, [stored(local, hex_records)])
    assert longest.about == f"the longest of {len(hex_records)} games"
    assert len(find_game(local, HEX, longest.game).moves) == max(record.decisions for record in hex_records)


def evaluation(vault: Vault, records: list[GameRecord]) -> Card:
    """An evaluation whose candidate lost all games to the champion and won against the heuristic."""
    candidate, others = {"name": "checkpoint:0123456789ab:2"}, ("champion", "heuristic")
    games = {
        name: [
            {"group": group, "seat": 0, "winner": record.outcome.winner, "won": won, "moves": record.moves.tolist()}
            for group, record in enumerate(records)
        ]
        for name, won in zip(others, (False, True), strict=True)
    }
    results = {name: {"a": candidate, "b": {"name": name}} for name in others}
    blob = gzip.compress(json.dumps(games).encode(), mtime=0)
    return put(vault, blob, kind=MATCHES_KIND, suffix=".json.gz", facts={"results": results})


def test_an_evaluation_shows_a_win_and_a_loss_against_the_strongest(
    local: Vault, hex_records: list[GameRecord]
) -> None:
    card = evaluation(local, hex_records[:2])
    win, loss = of_matches(local, HEX, card)
    assert (win.title, win.game) == ("a win", f"{card.sha256[:12]}:heuristic:0")
    assert (loss.title, loss.game) == ("a loss", f"{card.sha256[:12]}:champion:0")
    shown = find_game(local, HEX, loss.game)
    assert shown.names == ["checkpoint:0123456789ab:2", "champion"]
    assert shown.moves == tuple(hex_records[0].moves.tolist())
    assert shown.about == "game 1 of 2 against champion, of hex8_2p"


@pytest.mark.parametrize("name", ["", "x", "0123456789ab", "0123456789ab:", "0123456789ab:heuristic:-1", "../../x:0"])
def test_names_of_no_game_are_refused(local: Vault, hex_records: list[GameRecord], name: str) -> None:
    stored(local, hex_records)
    evaluation(local, hex_records[:1])
    with pytest.raises(DataError, match="no game of hex8_2p in the vault is called"):
        find_game(local, HEX, name)


def test_numbers_behind_the_last_game_are_refused(local: Vault, hex_records: list[GameRecord]) -> None:
    card = evaluation(local, hex_records[:1])
    with pytest.raises(DataError, match="no game"):
        find_game(local, HEX, f"{card.sha256[:12]}:champion:1")
    assert asdict(find_game(local, HEX, f"{card.sha256[:12]}:champion:0"))["pie"] is True
