"""The move server: what it answers, what it refuses, and that those who ask at once are answered together."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator

import httpx2
import numpy as np
import pytest
import uvicorn
from fastapi.testclient import TestClient

from benchmarks.served import free_port
from benchmarks.serving import until_it_answers
from rr_engine.boards import Config
from rr_engine.errors import PlayerError
from rr_engine.game import Game
from rr_engine.players import Choice, Positions, player
from rr_engine.serve import desk, roster
from rr_engine.serve.app import make_app
from rr_engine.serve.desk import MOST_WORK, BusyError, Desk, TooMuchError
from rr_engine.serve.roster import Roster
from rr_engine.settings import Settings
from rr_engine.vault import Vault
from tests.engine.games import make_records
from tests.engine.test_highlights import stored
from tests.engine.test_stored import kept
from tests.engine.vaults import put

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
        (422, "/move", {"positions": [{"config": "hex8_2p"}], "player": "search:heuristic:5000"}, "5,000 simulations"),
        (422, "/move", {"positions": [{"config": "hex8_2p"}] * 64, "player": "search:heuristic:65"}, "may need 4,096"),
        (422, "/move", {"positions": [{"config": "square19_2p"}], "player": "flat:16"}, "or playouts that take as"),
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
    assert shown.status_code == 404 and "no leaderboard is kept yet" in shown.text and "<!doctype html>" in shown.text
    shown = client.get("/replay/hex8_2p/no<b>thing", headers={"Accept": "text/html"})
    assert "no&lt;b&gt;thing" in shown.text and "<b>" not in shown.text


def test_the_page_comes_whole(client: TestClient) -> None:
    page = client.get("/").text
    assert "{{" not in page and "boardSvg" in page
    world = client.get("/boards").json()
    assert len(world["configs"]) == 12
    assert len(world["boards"]["hexagonal"]["centres"]) == 469
    assert not any(name.startswith(("file", "external")) for name in world["players"])
    for name in world["players"]:
        answer = client.post("/move", json={"positions": [{"config": "hex8_2p"}], "player": name})
        assert answer.status_code == (404 if name.startswith("champion") else 200), answer.text


def test_the_adviser_searches_whoever_plays(client: TestClient, local: Vault) -> None:
    position = {"config": "hex8_2p", "moves": ["P30x2"]}
    [advised] = asked(client, "/evaluate", position, player=client.get("/boards").json()["adviser"])
    assert advised == asked(client, "/evaluate", position, player="search:heuristic:64")[0]
    assert advised["best"][0]["value"] is not None and advised["chances"] is not None
    local.write_pointer(card := kept(local, HEX, 1), facts={"proven": False})
    with TestClient(make_app(local, Settings())) as later:
        [advised] = asked(later, "/evaluate", position, player="adviser")
        assert advised == asked(later, "/evaluate", position, player=f"checkpoint:{card.sha256}:64")[0]


def test_a_champion_is_loaded_once_until_it_has_a_successor(local: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr(roster.time, "monotonic", lambda: clock[0])
    found, first, second = Roster(local, Settings()), kept(local, HEX, 1), kept(local, HEX, 2)
    local.write_pointer(first, facts={"proven": False})
    champion = found.player("champion:8", HEX)
    assert champion.name == f"checkpoint:{first.sha256[:12]}:8"
    clock[0] += 60
    assert found.player("champion:8", HEX) is champion is found.player(f"checkpoint:{first.sha256}:8", HEX)
    local.write_pointer(second, facts={"proven": False})
    assert found.player("champion:8", HEX) is champion
    clock[0] += 60
    assert found.player("champion:8", HEX).name == f"checkpoint:{second.sha256[:12]}:8"
    heuristic = found.player("heuristic", HEX)
    clock[0] += 1000
    assert found.player("heuristic", HEX) is heuristic


def test_a_checkpoint_that_cannot_be_read_is_no_player_that_is_not_there(client: TestClient, local: Vault) -> None:
    card = put(local, b"no weights")
    answer = client.post("/move", json={"positions": [{"config": "hex8_2p"}], "player": f"checkpoint:{card.sha256}"})
    assert answer.status_code == 503, answer.text
    answer = client.post("/move", json={"positions": [{"config": "hex8_2p"}], "player": "checkpoint:00000000"})
    assert answer.status_code == 404


@pytest.mark.parametrize(
    ("name", "key", "work"),
    [
        ("random", "hex8_2p", 0),
        ("heuristic:500", "hex8_2p", 0),
        ("champion", "hex8_2p", 32),
        ("champion:512", "hex8_2p", 512),
        ("checkpoint:12345678", "hex8_2p", 32),
        ("checkpoint:12345678:7", "hex8_2p", 7),
        ("search:uniform:40", "square19_2p", 40),
        ("adviser", "hex8_2p", 64),
        ("flat:20", "hex8_2p", 183 * 20 * 61 // 250),
    ],
)
def test_work_is_counted_in_simulations(local: Vault, name: str, key: str, work: int) -> None:
    assert Roster(local, Settings()).work(name, Game(key)) == work


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
        table = Desk(lambda *_: slow, lambda *_: 1)
        first = asyncio.create_task(table.think("slow", [Game(HEX)]))
        while not slow.asked:
            await asyncio.sleep(0.01)
        others = [asyncio.create_task(table.think("slow", [Game(HEX)])) for _ in range(7)]
        gone = asyncio.create_task(table.think("slow", [Game(HEX)]))
        await asyncio.sleep(0.05)
        gone.cancel()
        slow.may_go_on.set()
        thoughts = await asyncio.gather(first, *others)
        return [thought.move for [thought] in thoughts]

    moves = asyncio.run(ask())
    assert slow.asked == [1, 7]  # who has gone is not thought about
    assert len(moves) == 8 and set(moves) == {int(Game(HEX).legal_moves()[0])}


def test_what_is_thought_about_together_is_no_more_than_one_may_ask_for() -> None:
    slow = Slow()

    async def ask() -> None:
        table = Desk(lambda *_: slow, lambda *_: MOST_WORK // 2)
        first = asyncio.create_task(table.think("slow", [Game(HEX)]))
        while not slow.asked:
            await asyncio.sleep(0.01)
        others = [asyncio.create_task(table.think("slow", [Game(HEX)])) for _ in range(3)]
        with pytest.raises(TooMuchError, match="would need 6,144 simulations"):
            await table.think("slow", [Game(HEX)] * 3)
        slow.may_go_on.set()
        await asyncio.gather(first, *others)

    asyncio.run(ask())
    assert slow.asked == [1, 2, 1]


def test_when_too_much_waits_nobody_else_may() -> None:
    slow = Slow()

    async def ask() -> None:
        table = Desk(lambda *_: slow, lambda *_: MOST_WORK)
        tasks = [asyncio.create_task(table.think("slow", [Game(HEX)])) for _ in range(9)]  # one of them is begun
        await asyncio.sleep(0.05)
        with pytest.raises(BusyError, match="ask again"):
            await table.think("slow", [Game(HEX)])
        tasks[-1].cancel()  # then there is room
        await asyncio.sleep(0)
        tasks[-1] = asyncio.create_task(table.think("other", [Game(HEX)]))
        await asyncio.sleep(0)
        slow.may_go_on.set()
        await asyncio.gather(*tasks)

    asyncio.run(ask())
    assert slow.asked == [1] * 9


def test_a_full_queue_is_told_over_http(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "_MOST_WAITING", 0)
    answer = client.post("/move", json={"positions": [{"config": "hex8_2p"}], "player": "random"})
    assert (answer.status_code, answer.json()["detail"]) == (503, "too many wait already: ask again in a while")


def test_who_hangs_up_is_not_thought_about(local: Vault) -> None:
    """Before a real server: what the thinker has not begun when its asker goes, it never begins."""
    slow, left = Slow(), list[str]()
    app = make_app(local, Settings())
    server = uvicorn.Server(uvicorn.Config(app, port=free_port(), log_level="warning"))
    serving = threading.Thread(target=server.run)
    serving.start()
    url = f"http://127.0.0.1:{server.config.port}"
    until_it_answers(f"{url}/boards")
    body = {"positions": [{"config": "hex8_2p"}], "player": "slow"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(roster, "player", lambda *_, **__: slow)
        begun = threading.Thread(target=lambda: left.append(httpx2.post(f"{url}/move", json=body, timeout=20).text))
        begun.start()
        while not slow.asked:
            time.sleep(0.01)
        with pytest.raises(httpx2.TimeoutException):
            httpx2.post(f"{url}/move", json=body, timeout=0.3)
        time.sleep(0.2)
        slow.may_go_on.set()
        begun.join()
        assert httpx2.get(f"{url}/boards").status_code == 200
    server.should_exit = True
    serving.join()
    assert (slow.asked, len(left)) == ([1], 1)


def test_an_error_reaches_everybody_who_asked_and_the_next_is_answered() -> None:
    async def ask() -> None:
        table = Desk(player, lambda *_: 1)
        failed = await asyncio.gather(*(table.think("nobody", [Game(HEX)]) for _ in range(3)), return_exceptions=True)
        assert all(isinstance(error, PlayerError) for error in failed)
        [thought] = await table.think("random", [Game(HEX)])
        assert np.any(Game(HEX).legal_moves() == thought.move)

    asyncio.run(ask())
