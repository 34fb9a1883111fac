"""The move server: what it answers, what it refuses, and that those who ask at once are answered together."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from fastapi.testclient import TestClient

from rr_engine.boards import Config
from rr_engine.errors import PlayerError
from rr_engine.game import Game
from rr_engine.players import Choice, Positions, player
from rr_engine.serve.app import make_app
from rr_engine.serve.desk import Desk
from rr_engine.settings import Settings
from rr_engine.vault import Vault
from tests.engine.games import make_records
from tests.engine.test_highlights import stored

HEX = Config.parse("hex8_2p")


@pytest.fixture
def client(local: Vault) -> Iterator[TestClient]:
    with TestClient(make_app(local, Settings())) as client:
        yield client


def asked(client: TestClient, path: str, *positions: dict[str, object], **fields: object) -> list[dict[str, object]]:
    answer = client.post(path, json={"positions": list(positions), **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()["answers"]


def test_legal_moves_are_those_of_the_game(client: TestClient) -> None:
    game = Game(HEX)
    game.play("P30x2")
    begun, state = asked(
        client, "/legal", {"config": "hex8_2p", "moves": ["P30x2"]}, {"config": "hex8_2p", "state": game.to_text()}
    )
    assert sorted(move["move"] for move in begun["legal"]) == game.legal_texts()
    assert (begun["seat"], begun["phase"], begun["last"]) == (game.player, game.phase, [30])
    assert begun["on_cells"][30] == "s00"
    assert begun["state"] == state["state"] == game.to_text()
    assert (begun["hand"], begun["goals"]["elim"], begun["result"]) == ([16, 18], 18, None)


def test_a_finished_game_has_a_result(client: TestClient) -> None:
    [record] = make_records("hex8_2p", 1)
    game = Game(HEX)
    game.play_all(record.moves.tolist())
    replayed = Game(HEX)
    texts = []
    for move in record.moves.tolist():
        texts.append(replayed.move_text(move))
        replayed.play(move)
    [stand] = asked(client, "/legal", {"config": "hex8_2p", "moves": texts})
    assert stand["result"] == {
        "winner": record.outcome.winner,
        "end": record.outcome.end,
        "ranks": list(record.outcome.ranks),
    }
    assert (stand["seat"], stand["legal"]) == (None, [])
    refused = client.post("/move", json={"positions": [{"config": "hex8_2p", "moves": texts}], "player": "random"})
    assert (refused.status_code, refused.json()["detail"]) == (
        409,
        "position 0: the game is over, there is nothing to decide",
    )


def test_a_player_answers_the_same_again_alone_or_with_others(client: TestClient) -> None:
    positions = [{"config": "hex8_2p", "moves": moves} for moves in ([], ["P30x2"], ["P7x1"])]
    positions.append({"config": "square8_3p", "moves": []})
    together = asked(client, "/move", *positions, player="search:heuristic:16", seed=3)
    alone = [asked(client, "/move", position, player="search:heuristic:16", seed=3)[0] for position in positions]
    assert together == alone
    for position, answer in zip(positions, together, strict=True):
        game = Game(position["config"])
        game.play_all(position["moves"])
        assert answer["move"] in game.legal_texts()
        assert answer["seat"] == game.player
        assert sum(answer["chances"]) == pytest.approx(1, abs=0.01)


def test_an_evaluation_weighs_moves(client: TestClient) -> None:
    position = {"config": "hex8_2p", "moves": ["P30x2"]}
    [searched] = asked(client, "/evaluate", position, player="search:heuristic:32")
    shares = [move["share"] for move in searched["best"]]
    assert shares == sorted(shares, reverse=True) and 0 < sum(shares) <= 1.001
    assert len(searched["chances"]) == 2
    values = [move["value"] for move in searched["best"]]
    assert values[0] is not None and all(value is None or 0 <= value <= 1 for value in values)
    [decided] = asked(client, "/evaluate", position, player="greedy")
    assert decided["chances"] is None
    assert [(move["share"], move["value"]) for move in decided["best"]] == [(1.0, None)]


@pytest.mark.parametrize(
    ("status", "path", "body", "told"),
    [
        (422, "/legal", {"positions": [{"config": "hex9_2p"}]}, "unknown config"),
        (409, "/legal", {"positions": [{"config": "hex8_2p", "moves": ["P99x9"]}]}, "P99x9"),
        (409, "/legal", {"positions": [{"config": "hex8_2p", "state": "S1"}]}, "state text"),
        (422, "/legal", {"positions": [{"config": "hex8_2p", "moves": ["P1x1"], "state": "S1"}]}, "Extra inputs"),
        (422, "/legal", {"positions": []}, "at least 1 item"),
        (422, "/legal", {"positions": [{"config": "hex8_2p"}] * 65}, "at most 64 items"),
        (422, "/legal", {"positions": [{"config": "hex8_2p"}], "much": 1}, "Extra inputs"),
        (404, "/move", {"positions": [{"config": "hex8_2p"}], "player": "nobody"}, "unknown player"),
        (404, "/move", {"positions": [{"config": "hex8_2p"}], "player": "external:rm x"}, "only a command line"),
        (404, "/move", {"positions": [{"config": "hex8_2p"}], "player": "file:/etc/passwd"}, "only a command line"),
        (404, "/move", {"positions": [{"config": "hex8_2p"}], "player": "search:heuristic:5000"}, "1024 simulations"),
        (404, "/move", {"positions": [{"config": "hex8_2p"}], "player": "champion"}, "champion"),
        (422, "/move", {"positions": [{"config": "hex8_2p"}], "player": "random", "seed": -1}, "seed"),
        (422, "/evaluate", [], "body"),
        (422, "/evaluate", {"positions": [{"config": 3}]}, "config"),
    ],
)
def test_wrong_questions_are_refused_in_words(
    client: TestClient, status: int, path: str, body: object, told: str
) -> None:
    answer = client.post(path, json=body)
    assert answer.status_code == status
    assert told in answer.json()["detail"]


def test_a_body_that_is_no_json_is_refused(client: TestClient) -> None:
    answer = client.post("/legal", content=b"\xff{", headers={"Content-Type": "application/json"})
    assert 400 <= answer.status_code < 500
    assert client.get("/legal").status_code == 405


def test_a_stored_game_is_shown(client: TestClient, local: Vault) -> None:
    [record] = make_records("hex8_2p", 1)
    card = stored(local, [record])
    page = client.get(f"/replay/hex8_2p/{card.sha256[:12]}:{record.digest}")
    assert page.status_code == 200 and page.text.startswith("<!doctype html>")
    refused = client.get("/replay/hex8_2p/no<thing>")
    assert refused.status_code == 404 and refused.json()["detail"].startswith("no game of hex8_2p in the vault")
    shown = client.get("/leaderboard", headers={"Accept": "text/html,*/*;q=0.8"})
    assert shown.status_code == 404 and "there is no leaderboard yet" in shown.text and "<!doctype html>" in shown.text
    shown = client.get("/replay/hex8_2p/no<b>thing", headers={"Accept": "text/html"})
    assert "no&lt;b&gt;thing" in shown.text and "<b>" not in shown.text


def test_the_page_comes_whole(client: TestClient) -> None:
    page = client.get("/").text
    assert "{{" not in page and "boardSvg" in page
    world = client.get("/boards").json()
    assert len(world["configs"]) == 12
    assert len(world["boards"]["hexagonal"]["centres"]) == 469
    assert not any(form.startswith(("file", "external")) for form in world["players"])


class Slow:
    """Counts how many it is asked about at once; thinks as long as it is told."""

    name, digest = "slow", "0" * 64

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.may_go_on = threading.Event()

    def choose(self, positions: Positions) -> Choice:
        self.asked.append(len(positions))
        self.may_go_on.wait(10)
        return Choice(positions.moves[positions.offsets[:-1]])


def test_who_asks_meanwhile_is_answered_together() -> None:
    slow = Slow()

    async def ask() -> list[int]:
        desk = Desk(lambda *_: slow)
        first = asyncio.create_task(desk.think("slow", [Game(HEX)]))
        while not slow.asked:
            await asyncio.sleep(0.01)
        others = [asyncio.create_task(desk.think("slow", [Game(HEX)])) for _ in range(7)]
        gone = asyncio.create_task(desk.think("slow", [Game(HEX)]))
        await asyncio.sleep(0.05)
        gone.cancel()
        slow.may_go_on.set()
        thoughts = await asyncio.gather(first, *others)
        return [thought.move for [thought] in thoughts]

    moves = asyncio.run(ask())
    assert slow.asked == [1, 8]
    assert len(moves) == 8 and set(moves) == {int(Game(HEX).legal_moves()[0])}


def test_an_error_reaches_everybody_who_asked_and_the_next_is_answered() -> None:
    async def ask() -> None:
        desk = Desk(player)
        failed = await asyncio.gather(*(desk.think("nobody", [Game(HEX)]) for _ in range(3)), return_exceptions=True)
        assert all(isinstance(error, PlayerError) for error in failed)
        [thought] = await desk.think("random", [Game(HEX)])
        assert np.any(Game(HEX).legal_moves() == thought.move)

    asyncio.run(ask())
