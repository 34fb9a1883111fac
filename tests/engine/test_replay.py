"""A game as a page: the frames give every position back, what was thought is in them, and nothing escapes."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from rr_engine.boards import Config
from rr_engine.errors import IllegalMoveError
from rr_engine.game import Game
from rr_engine.records.record import GameRecord
from rr_engine.render.replay import Moment, Shown, heat_of, moments, replay_data, replay_page, swings
from rr_engine.render.svg import on_cells
from tests.engine.games import make_records


@pytest.mark.parametrize("key", ["hex8_2p", "square8_3p", "hexagonal_2p"])
def test_the_frames_give_every_position_back(key: str) -> None:
    [record] = make_records(key, 1)
    data = replay_data(Shown.of(record, "from a test"))
    board, game = [""] * record.config.board.cells, Game(record.config, pie=record.pie)
    assert len(data["frames"]) == record.decisions + 1
    for frame, move in zip(data["frames"], [*record.moves.tolist(), None], strict=True):
        for cell, token in frame["new"].items():
            board[cell] = token
        state = game.state[0]
        assert board == on_cells(game)
        assert frame["counts"][0] == state["hand"][: record.config.players].tolist()
        assert (frame["seat"], frame["phase"]) == (game.player, game.phase)
        if move is not None:
            assert frame["move"] == game.move_text(move)
            game.play(move)
    assert data["names"] == list(record.players)
    assert data["result"] == {"winner": record.outcome.winner, "end": record.outcome.end}


def test_what_was_thought_is_shown(hex_records: list[GameRecord]) -> None:
    record = hex_records[0]
    values = np.full((record.decisions, 2), np.nan, np.float32)
    values[3], values[7], values[9] = (0.5, 0.5), (0.2, 0.8), (0.25, 0.75)
    data = replay_data(Shown.of(replace(record, values=values), "from a test"))
    assert [index for index, frame in enumerate(data["frames"]) if "chances" in frame] == [3, 7, 9]
    assert data["frames"][7]["chances"] == [0.2, 0.8]
    heats = [frame["heat"] for frame in data["frames"] if "heat" in frame]
    assert len(heats) == record.recorded.sum()
    assert all(0 < share <= 1.01 for heat in heats for share in heat.values())


def test_heat_is_of_the_cells_where_moves_end() -> None:
    game = Game("hex8_2p")
    texts = [game.move_text(move) for move in game.legal_moves().tolist()]
    policy = [0.5 if text == "P30x1" else 0.25 if text in ("P30x2", "P7x3") else 0.0 for text in texts]
    assert heat_of(game, policy) == {7: 0.25, 30: 0.75}


def test_moments_are_firsts_swings_and_the_end(hex_records: list[GameRecord]) -> None:
    record = hex_records[0]
    values = np.full((record.decisions, 2), np.nan, np.float32)
    values[2], values[6], values[8] = (0.5, 0.5), (0.9, 0.1), (0.8, 0.2)
    shown = replace(Shown.of(record, ""), values=values, names=("one", "other"))
    assert swings(values) == [(6, 0, pytest.approx(0.4))]
    assert swings(None) == []
    found = moments(shown, record.outcome)
    assert found == sorted(found, key=lambda moment: moment.at)
    names = ("other", "one") if record.swapped else ("one", "other")
    end = Moment(record.decisions, f"{names[record.outcome.winner]} wins by {record.outcome.end}")
    assert found[-1] == end
    assert [moment.at for moment in found if "+40%" in moment.what] == [6]
    kinds = {int(move) & 15 for move in record.moves}
    assert ("first capture" in {moment.what for moment in found}) == (4 in kinds)


def test_who_sits_where_after_a_swap() -> None:
    game = Game("hex8_2p")
    while "W" not in game.legal_texts():
        game.play(int(game.legal_moves()[0]))
    swap = len(game.moves_played)
    game.play("W")
    game.play(int(game.legal_moves()[0]))
    shown = Shown(Config.parse("hex8_2p"), game.moves_played, pie=True, names=("one", "other"), about="")
    assert shown.swapped_at == swap
    assert [shown.name_at(0, index) for index in (swap, swap + 1)] == ["one", "other"]


def test_the_page_needs_nothing_else_and_lets_nothing_out(hex_records: list[GameRecord]) -> None:
    record = replace(hex_records[0], players=("</script><script>alert(1)", "<b>&"))
    page = replay_page(Shown.of(record, 'about "<i>'))
    assert re.findall(r'(?:src|href)="(?!data:,")', page) == []
    assert "<script>alert" not in page and "<b>&" not in page.split('id="data"')[0]
    [data] = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert json.loads(data)["names"] == list(record.players)
    assert "{{" not in page


def test_moves_that_are_not_legal_are_refused(hex_records: list[GameRecord]) -> None:
    shown = replace(Shown.of(hex_records[0], ""), moves=[12345], values=None, policies=None)
    with pytest.raises(IllegalMoveError, match="12345 is not legal"):
        replay_page(shown)
