"""What people do at a browser: play a whole game, step through one, look at the leaderboard and at every asset."""

import re
import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from rr_assets import code_location
from rr_engine.boards import CONFIGS
from rr_engine.records import shard
from rr_engine.records.record import GameRecord
from rr_engine.render.replay import Shown, replay_page
from rr_engine.stages.games import KIND
from rr_engine.vault import Vault
from tests.engine.games import make_records
from tests.engine.test_highlights import with_chances
from tests.graph.conftest import HEX
from tests.pages.playing import COUNTED, IS_MINE, TO_CLICK, WALKS, begin, held_back, link, play_to_the_end, with_lines


@pytest.mark.parametrize(("config", "other"), [("hex8_2p", "champion:8"), ("square8_3p", "greedy")])
def test_a_whole_game_is_played_against_the_computer(window: Page, served: str, config: str, other: str) -> None:
    begin(window, served, config, other)
    play_to_the_end(window)
    expect(window.locator("#says")).to_contain_text(re.compile(r"wins, seat \d, by \w+"))
    moves = int(window.locator("#board").get_attribute("data-moves") or 0)
    assert moves > 10
    window.wait_for_function("() => location.href === link()")
    address = window.evaluate("location.href")
    window.goto("about:blank")
    window.goto(address)  # the link is the game
    expect(window.locator("#says")).to_contain_text("wins, seat")
    assert window.locator("#board").get_attribute("data-moves") == str(moves)
    window.get_by_role("button", name="Undo").click()
    window.wait_for_function("before => game.moves.length < before && isYours()", arg=moves)


def test_the_keyboard_is_enough_and_hints_have_values(window: Page, served: str) -> None:
    begin(window, served, "hex8_2p", "random")
    board = window.locator("#board")
    board.focus()
    window.wait_for_function(IS_MINE)
    for key in ("ArrowLeft", "ArrowUp", "ArrowRight", "ArrowDown", "Enter"):
        window.keyboard.press(key)
    expect(window.locator("#cell")).to_contain_text(re.compile(r"cell \d+: empty$"))  # chosen already
    window.keyboard.press("Control+ArrowLeft")  # is for the browser
    expect(window.locator("#cell")).to_contain_text(re.compile(r"cell \d+: empty$"))
    places = window.get_by_role("button", name=re.compile("^place [123]$"))  # how many rings is asked next
    expect(places).to_have_count(3)
    places.first.focus()
    window.keyboard.press("Enter")
    expect(board).to_be_focused()
    window.wait_for_function("() => game.moves.length >= 1 && isYours()")
    expect(window.locator("#cell")).to_contain_text("stack of 1, seat 1 on top, can be chosen")
    expect(window.locator("#seats")).not_to_contain_text("%")
    window.get_by_role("button", name="Hint").focus()
    window.keyboard.press("Enter")
    hints = window.locator("#hints p")
    expect(hints.first).to_contain_text(re.compile(r"^(under 1|\d+) %, wins \d+ %: .+ \w"))
    assert 1 <= hints.count() <= 5
    expect(window.locator("#seats tr").nth(1)).to_contain_text(re.compile(r"\d %$"))
    expect(window.locator("#chances span")).to_have_count(2)
    board.focus()
    window.keyboard.press("Escape")
    assert window.evaluate("chosen.length") == 0


@pytest.mark.parametrize("config", ["hex8_2p", "square8_2p"])
def test_arrows_go_row_by_row_and_reach_every_cell(window: Page, served: str, config: str) -> None:
    window.goto(served + link(config, "you,you"))
    window.wait_for_function(IS_MINE)
    reached, there, wrong = window.evaluate(WALKS)
    assert (reached, wrong) == (there, [])
    ups = "() => { cursor = -1; walk(0, -1); walk(0, -1); walk(0, 1); walk(0, 1); return cursor; }"
    assert window.evaluate(ups) == there // 2  # straight up is straight down


def test_a_choice_is_played_once_however_often_it_is_pressed(window: Page, served: str) -> None:
    window.goto(served + link("hex8_2p", "you,you"))
    window.wait_for_function(IS_MINE)
    window.mouse.click(*window.evaluate(TO_CLICK)[30])
    expect(window.locator("#choices button")).to_have_count(3)
    twice = """() => {
      const button = document.querySelector("#choices button");
      button.click(); button.click();
      return [game.moves.length, document.querySelectorAll("#choices button").length, document.activeElement.id];
    }"""
    assert window.evaluate(twice) == [1, 0, "board"]
    window.wait_for_function(IS_MINE)
    assert window.evaluate("game.moves") == ["P30x1"]


def test_choices_tell_their_cells_and_show_them(window: Page, served: str) -> None:
    moves, cell = with_lines()
    window.goto(served + link("hex8_2p", "you,you", *moves))
    window.wait_for_function(IS_MINE)
    window.evaluate("cell => choose(cell)", cell)
    buttons = window.locator("#choices button")
    texts = buttons.all_text_contents()
    assert len(set(texts)) == len(texts) > 1
    assert all(re.search(r"cells \d+ \d+ \d+", text) for text in texts)
    for number, text in enumerate(texts):
        buttons.nth(number).focus()
        assert window.evaluate("lit") == [int(digits) for digits in text.rpartition("cells ")[2].split()]
    assert window.locator("#board svg > g[stroke='#f0e442'] circle").count() == len(window.evaluate("lit"))


def test_a_hint_that_comes_late_is_of_no_other_position(window: Page, served: str) -> None:
    window.goto(served + link("hex8_2p", "you,you", "P30x2"))
    window.wait_for_function(IS_MINE)
    window.get_by_role("button", name="Hint").click()
    expect(window.locator("#hints p").first).to_contain_text("wins")
    with held_back(window, "**/evaluate") as held:
        window.get_by_role("button", name="Hint").click()
        expect(window.locator("#hints")).to_contain_text("adviser thinks")
        window.get_by_role("button", name="Undo").click()
        window.wait_for_function("() => known && !game.moves.length")
        assert len(held) == 1
        window.wait_for_timeout(200)
    assert window.locator("#hints").text_content() == ""
    expect(window.locator("#chances span")).to_have_count(0)
    assert window.evaluate("hints") == {}


def test_a_first_answer_that_takes_long_is_explained(window: Page, served: str) -> None:
    window.goto(served + link("hex8_2p", "you,you"))
    window.wait_for_function(IS_MINE)
    says = window.locator("#says")
    with held_back(window, "**/legal") as held:
        window.get_by_role("button", name="New game").click()
        expect(says).to_contain_text("it compiles the rules of this board")
        held[0].continue_()
        window.wait_for_function(IS_MINE)
        expect(says).to_contain_text("You, seat 1: place rings")


def test_links_are_opened_in_a_page_that_runs(window: Page, served: str) -> None:
    window.goto(served + link("hexagonal_3p", "you,random,greedy"))
    window.wait_for_function(IS_MINE)
    window.evaluate("() => { cursor = 400; walk(1, 0); }")
    window.evaluate("link => { location.hash = link; }", link("square8_2p", "you,you", "P3x2"))
    window.wait_for_function("() => known && game.moves.length === 1")
    assert window.locator("#config").input_value() == "square8_2p"
    seats = window.locator("#players input")
    assert [seats.nth(seat).input_value() for seat in range(seats.count())] == ["you", "you"]
    window.locator("#board").focus()
    window.keyboard.press("ArrowUp")
    expect(window.locator("#cell")).to_contain_text("cell 24")
    window.evaluate("location.hash = '#config=hex9_2p'")
    expect(window.locator("#says")).to_contain_text("There is no hex9_2p here: boards are hex8_2p")


def test_a_link_that_is_no_game_is_told_and_can_be_left(refused_window: Page, served: str) -> None:
    refused_window.goto(served + link("hex8_2p", "you,you", "P30x2", "P99x9"))
    says, board = refused_window.locator("#says"), refused_window.locator("#board")
    expect(says).to_contain_text("P99x9")
    board.focus()
    for key in ("ArrowUp", "Enter", "Escape"):
        refused_window.keyboard.press(key)
    board.dispatch_event("click")
    expect(says).to_contain_text("P99x9")
    refused_window.get_by_role("button", name="Undo").click()
    refused_window.wait_for_function("() => isYours() && game.moves.length === 1")
    refused_window.evaluate("() => { game.moves = ['P99x9', 'P98x9']; undo(); }")
    expect(says).to_contain_text("P99x9")


def test_a_link_is_shown_where_it_cannot_be_copied(window: Page, served: str) -> None:
    window.goto(served + link("hex8_2p", "you,you", "P30x2"))
    window.wait_for_function(IS_MINE)
    window.evaluate("Object.defineProperty(navigator, 'clipboard', {value: undefined})")  # as over http from elsewhere
    window.get_by_role("button", name="Copy link").click()
    field = window.get_by_label("link to this game")
    expect(field).to_have_value(window.evaluate("link()"))
    assert field.evaluate("field => field.selectionEnd - field.selectionStart") == len(field.input_value())


def test_others_play_each_other_and_can_be_stopped(window: Page, served: str) -> None:
    begin(window, served, "square8_2p", "random")
    window.locator("#players input").first.fill("greedy")
    window.evaluate(COUNTED)
    began = time.monotonic()
    window.get_by_role("button", name="New game").click()
    window.wait_for_function("() => game.moves.length > 5")
    took = time.monotonic() - began
    assert took > 6 * 0.25  # slow enough to be watched
    assert 1 <= window.evaluate("writes") <= 2 + took  # browsers let nobody change the address all the time
    window.get_by_role("button", name="Pause").click()
    expect(window.get_by_role("button", name="Go on")).to_be_visible()
    window.wait_for_timeout(200)
    paused = window.evaluate("game.moves.length")
    window.wait_for_timeout(500)
    assert window.evaluate("game.moves.length") == paused
    window.get_by_role("button", name="Go on").click()
    window.wait_for_function("before => game.moves.length > before", arg=paused)


@pytest.mark.parametrize("config", ["hex8_2p", "square19_4p"])
def test_a_phone_shows_it_without_moving_sideways(phone: Page, served: str, config: str) -> None:
    begin(phone, served, config, "random")
    phone.wait_for_function(IS_MINE)
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    box = phone.locator("#board svg").bounding_box()
    assert box is not None and box["width"] > 330
    spots = phone.evaluate(TO_CLICK)
    phone.touchscreen.tap(*spots[len(spots) // 2])
    phone.get_by_role("button", name=re.compile("^place 1$")).tap()
    phone.wait_for_function("() => game.moves.length > 0")


def test_a_replay_is_stepped_through(window: Page, vault: Path, served: str) -> None:
    record, name = _stored_game(vault)
    window.goto(f"{served}/replay/{HEX.key}/{name}")
    says, end = window.locator("#says"), record.decisions
    expect(says).to_contain_text(f"0 of {end}: seat 1, phase place, plays P")
    start = window.locator("#board").inner_html()
    keys = (
        ("ArrowRight", 1),
        ("Control+ArrowRight", 1),
        ("ArrowRight", 2),
        ("ArrowLeft", 1),
        ("End", end),
        ("Home", 0),
    )
    for key, at in keys:
        window.keyboard.press(key)
        expect(says).to_contain_text(f"{at} of {end}: ")
    assert window.locator("#board").inner_html() == start
    window.keyboard.press("End")
    expect(says).to_contain_text(f"seat {record.outcome.winner + 1} wins by {record.outcome.end}")
    window.get_by_role("button", name="To the start").click()
    window.get_by_role("button", name="Play").click()
    expect(says).to_contain_text(f"2 of {end}: ")
    window.get_by_role("button", name="Pause").click()
    moments = window.locator("#moments button")
    assert moments.count() > 0
    wanted = (moments.first.text_content() or "").partition(":")[0]
    moments.first.click()
    expect(says).to_contain_text(f"{wanted} of {end}: ")


def _stored_game(vault: Path) -> tuple[GameRecord, str]:
    """One that self-play made, and its name."""
    opened = Vault.open(str(vault))
    card = opened.cards(KIND, HEX.key)[-1]
    record = shard.decode(opened.path(card))[0]
    return record, f"{card.sha256[:12]}:{record.digest}"


def test_a_replay_in_a_file_shows_what_was_thought(window: Page, tmp_path: Path) -> None:
    [record] = make_records("hex8_2p", 1)
    record = with_chances(record, 0.2)
    page = tmp_path / "replay.html"
    page.write_text(replay_page(Shown.of(record, "from a test")), encoding="utf-8")
    window.goto(page.as_uri())
    warm = window.locator("#board [stroke='#d55e00']")
    at = int(record.recorded.argmax())
    window.evaluate("at => show(at)", at)
    assert warm.count() > 0
    window.get_by_label("policy").uncheck()
    assert warm.count() == 0
    window.get_by_label("policy").check()
    assert warm.count() > 0
    winner = record.outcome.winner
    shares = window.locator("#chances span")
    for at, chance in ((record.opening, 90), (record.opening + 3, 20)):
        window.evaluate("at => show(at)", at)
        expect(shares.nth(winner)).to_have_attribute("title", f"{chance} %")
        width, whole = (spot.bounding_box() for spot in (shares.nth(winner), window.locator("#chances")))
        assert width is not None and whole is not None
        assert width["width"] / whole["width"] == pytest.approx(chance / 100, abs=0.02)
        expect(window.locator("#seats tr").nth(winner + 1)).to_contain_text(f"{chance} %")


def test_a_phone_shows_replays_and_the_leaderboard_without_moving_sideways(
    phone: Page, vault: Path, served: str
) -> None:
    record, name = _stored_game(vault)
    phone.goto(f"{served}/replay/{HEX.key}/{name}")
    phone.get_by_role("button", name="One on").tap()
    expect(phone.locator("#says")).to_contain_text(f"1 of {record.decisions}: ")
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    phone.goto(f"{served}/leaderboard")
    phone.locator(f"#{HEX.key} summary").tap()
    expect(phone.locator(f"#{HEX.key} img").first).to_be_visible()
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_leaderboard_has_every_config_and_opens_each(window: Page, served: str) -> None:
    window.goto(f"{served}/leaderboard")
    expect(window.get_by_role("heading", name="RingRift leaderboard")).to_be_visible()
    rows = window.locator("table").first.locator("tbody tr")
    assert rows.evaluate_all("rows => rows.map(row => row.cells[0].textContent)") == [c.key for c in CONFIGS]
    window.locator(f"#{HEX.key} summary").click()
    curves = window.locator(f"#{HEX.key} img")
    expect(curves).to_have_count(6)
    window.wait_for_function("key => [...document.querySelectorAll(`#${key} img`)].every(i => i.complete)", arg=HEX.key)
    assert curves.evaluate_all("all => all.map(one => one.naturalWidth > 300)") == [True] * 6
    expect(window.locator(f"#{HEX.key}")).to_contain_text("won against heuristic")


_SHOWN = {  # what the page of an asset must show besides its name
    "games_db": ("typical_game", "most_surprising_game", "charts", "games_per_hour"),
    "npz_dataset": ("charts", "samples"),
    "checkpoint": ("charts", "policy_accuracy"),
    "elo": ("ratings", "matches", "charts"),
    "champion": ("reason",),
    "curriculum": ("weight",),
    "selfplay_plan": ("plan", "charts", "share_hex8_2p"),
    "leaderboard": ("page", "leaderboard", "waits"),
    "mirror": ("files_copied",),
}
_WITH_PICTURES = {"games_db": 3, "npz_dataset": 2, "checkpoint": 1, "elo": 2, "selfplay_plan": 1}


def test_every_asset_is_among_those_that_are_opened() -> None:
    graph = code_location().resolve_asset_graph()
    assert {key.path[-1] for key in graph.materializable_asset_keys} == _SHOWN.keys()


@pytest.mark.parametrize("asset", _SHOWN)
def test_the_page_of_an_asset_shows_what_it_holds(dagster_window: Page, dagster: str, served: str, asset: str) -> None:
    of_config = "" if asset in ("selfplay_plan", "leaderboard", "mirror") else f"&partition={HEX.key}"
    dagster_window.goto(f"{dagster}/assets/{asset}?view={'partitions' if of_config else 'overview'}{of_config}")
    for name in _SHOWN[asset]:
        expect(dagster_window.get_by_text(name, exact=True).first).to_be_visible()
    pictures = dagster_window.locator(f"img[src^='{served}/']")
    if asset in _WITH_PICTURES:
        expect(pictures.first).to_be_visible()
        assert pictures.count() >= _WITH_PICTURES[asset]
        for picture in pictures.all():
            picture.evaluate("one => one.decode()")  # returns when it is there
        sizes = pictures.evaluate_all("all => all.map(one => one.naturalWidth)")
        assert all(size > 50 for size in sizes), "a picture is broken"
