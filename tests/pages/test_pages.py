"""What people do at a browser: play a whole game, step through one, look at the leaderboard and at every asset."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from rr_assets import code_location
from rr_engine.boards import CONFIGS
from rr_engine.records import shard
from rr_engine.stages.games import KIND
from rr_engine.vault import Vault
from tests.graph.conftest import HEX

_TO_CLICK = """() => {
  const box = document.querySelector('#board svg').getBoundingClientRect(), [width, height] = place().size;
  const scale = Math.min(box.width / width, box.height / height);
  return [...targets()].sort((a, b) => a - b).map(cell => [
    box.left + (box.width - width * scale) / 2 + place().centres[cell][0] * scale,
    box.top + (box.height - height * scale) / 2 + place().centres[cell][1] * scale]);
}"""
_HAS_MOVED = "before => game.moves.length !== before[0] || chosen.length !== before[1]"
_IS_MINE = "() => known && (stand.seat === null || isYours())"


def _begin(page: Page, served: str, config: str, other: str) -> None:
    """A new game, the first seat one's own."""
    page.goto(served)
    page.locator("#config").select_option(config)
    seats = page.locator("#players input")
    for seat in range(1, seats.count()):
        seats.nth(seat).fill(other)
    page.get_by_role("button", name="New game").click()


def _play_to_the_end(page: Page, *, most: int = 800) -> None:
    """Click what may be clicked, as a person who has no plan, until somebody has won."""
    for click in range(most):
        page.wait_for_function(_IS_MINE)
        if page.locator("#board").get_attribute("data-seat") == "over":
            return
        before = page.evaluate("[game.moves.length, chosen.length]")
        buttons = page.locator("#choices button")
        if buttons.count():
            buttons.nth(click % buttons.count()).click()
        else:
            spots = page.evaluate(_TO_CLICK)
            page.mouse.click(*spots[(7 * click) % len(spots)])
        page.wait_for_function(_HAS_MOVED, arg=before)
    raise AssertionError(f"nobody has won after {most} clicks")


@pytest.mark.parametrize(("config", "other"), [("hex8_2p", "champion:8"), ("square8_3p", "greedy")])
def test_a_whole_game_is_played_against_the_computer(window: Page, served: str, config: str, other: str) -> None:
    _begin(window, served, config, other)
    _play_to_the_end(window)
    expect(window.locator("#says")).to_contain_text(re.compile(r"wins, seat \d, by \w+"))
    moves = int(window.locator("#board").get_attribute("data-moves") or 0)
    assert moves > 10
    link = window.evaluate("location.href")
    window.goto("about:blank")
    window.goto(link)  # the link is the game
    expect(window.locator("#says")).to_contain_text("wins, seat")
    assert window.locator("#board").get_attribute("data-moves") == str(moves)
    window.get_by_role("button", name="Undo").click()
    window.wait_for_function("before => game.moves.length < before && isYours()", arg=moves)


def test_the_keyboard_is_enough_and_hints_have_values(window: Page, served: str) -> None:
    _begin(window, served, "hex8_2p", "champion:16")
    board = window.locator("#board")
    board.focus()
    window.wait_for_function(_IS_MINE)
    for key in ("ArrowLeft", "ArrowUp", "ArrowRight", "ArrowDown", "Enter"):
        window.keyboard.press(key)
    expect(window.locator("#cell")).to_contain_text(re.compile(r"cell \d+: empty"))
    places = window.get_by_role("button", name=re.compile("^place [123]$"))  # how many rings is asked next
    expect(places).to_have_count(3)
    places.first.focus()
    window.keyboard.press("Enter")
    window.wait_for_function("() => game.moves.length >= 1 && isYours()")
    window.get_by_role("button", name="Hint").focus()
    window.keyboard.press("Enter")
    hints = window.locator("#hints p")
    expect(hints.first).to_contain_text(re.compile(r"^(under 1|\d+) %, wins \d+ %: .+ \w"))
    assert 1 <= hints.count() <= 5
    board.focus()
    window.keyboard.press("Escape")
    assert window.evaluate("chosen.length") == 0


def test_others_play_each_other_and_can_be_stopped(window: Page, served: str) -> None:
    _begin(window, served, "square8_2p", "random")
    window.locator("#players input").first.fill("greedy")
    window.get_by_role("button", name="New game").click()
    window.wait_for_function("() => game.moves.length > 6")
    window.get_by_role("button", name="Pause").click()
    expect(window.get_by_role("button", name="Go on")).to_be_visible()
    window.wait_for_timeout(500)
    paused = window.evaluate("game.moves.length")
    window.wait_for_timeout(500)
    assert window.evaluate("game.moves.length") == paused
    window.get_by_role("button", name="Go on").click()
    window.wait_for_function("() => stand.seat === null")


@pytest.mark.parametrize("config", ["hex8_2p", "square19_4p"])
def test_a_phone_shows_it_without_moving_sideways(phone: Page, served: str, config: str) -> None:
    _begin(phone, served, config, "random")
    phone.wait_for_function(_IS_MINE)
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    box = phone.locator("#board svg").bounding_box()
    assert box is not None and box["width"] > 330
    spots = phone.evaluate(_TO_CLICK)
    phone.mouse.click(*spots[len(spots) // 2])
    places = phone.get_by_role("button", name=re.compile("^place 1$"))
    places.tap() if phone.evaluate("'ontouchstart' in window") else places.click()
    phone.wait_for_function("() => game.moves.length > 0")


def test_a_replay_is_stepped_through(window: Page, vault: Path, served: str) -> None:
    opened = Vault.open(str(vault))
    card = opened.cards(KIND, HEX.key)[-1]
    record = shard.decode(opened.path(card))[0]
    window.goto(f"{served}/replay/{HEX.key}/{card.sha256[:12]}:{record.digest}")
    says, end = window.locator("#says"), record.decisions
    expect(says).to_contain_text(f"0 of {end}: seat 1, phase place, plays P")
    start = window.locator("#board").inner_html()
    for key, at in (("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("End", end), ("Home", 0)):
        window.keyboard.press(key)
        expect(says).to_contain_text(f"{at} of {end}: ")
    assert window.locator("#board").inner_html() == start
    window.keyboard.press("End")
    expect(says).to_contain_text(f"seat {record.outcome.winner + 1} wins by {record.outcome.end}")
    window.locator("#first").click()
    window.locator("#play").click()
    expect(says).to_contain_text(f"2 of {end}: ")
    window.locator("#play").click()
    moments = window.locator("#moments button")
    assert moments.count() > 0
    wanted = (moments.first.text_content() or "").partition(":")[0]
    moments.first.click()
    expect(says).to_contain_text(f"{wanted} of {end}: ")


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
        sizes = pictures.evaluate_all("all => all.map(one => one.naturalWidth)")
        assert all(size > 50 for size in sizes), "a picture is broken"
