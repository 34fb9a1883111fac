"""A game at the page: how it is begun, linked to and clicked through."""

import random
import re
from collections.abc import Generator
from contextlib import contextmanager
from urllib.parse import urlencode

from playwright.sync_api import Page, Route

from rr_engine.game import Game

TO_CLICK = """() => {
  const box = document.querySelector('#board svg').getBoundingClientRect(), [width, height] = place().size;
  const scale = Math.min(box.width / width, box.height / height);
  return [...targets()].sort((a, b) => a - b).map(cell => [
    box.left + (box.width - width * scale) / 2 + place().centres[cell][0] * scale,
    box.top + (box.height - height * scale) / 2 + place().centres[cell][1] * scale]);
}"""
HAS_MOVED = "before => game.moves.length !== before[0] || chosen.length !== before[1]"
IS_MINE = "() => known && (stand.seat === null || isYours())"
COUNTED = """() => {
  const write = history.replaceState.bind(history);
  window.writes = 0;
  history.replaceState = (...all) => { window.writes++; write(...all); };
}"""
WALKS = """() => {
  const {centres} = place(), reached = new Set(), ways = [[-1, 0], [1, 0], [0, -1], [0, 1]];
  const rows = [...new Set(centres.map(([, y]) => y))].sort((a, b) => a - b);
  const row = cell => rows.indexOf(centres[cell][1]);
  const todo = [0], wrong = [];
  while (todo.length) {
    const from = todo.pop();
    if (reached.has(from)) continue;
    reached.add(from);
    for (const [across, down] of ways) {
      cursor = from; column = centres[from][0];
      walk(across, down);
      const edge = down && !(row(from) + down in rows);
      if (row(cursor) - row(from) !== (edge ? 0 : down)) wrong.push([from, cursor]);
      todo.push(cursor);
    }
  }
  return [reached.size, centres.length, wrong];
}"""


def begin(page: Page, served: str, config: str, other: str) -> None:
    """A new game, the first seat one's own."""
    page.goto(served)
    page.locator("#config").select_option(config)
    seats = page.locator("#players input")
    for seat in range(1, seats.count()):
        seats.nth(seat).fill(other)
    page.get_by_role("button", name="New game").click()


def link(config: str, players: str, *moves: str) -> str:
    """What stands behind the address of the page when a game is there."""
    return "#" + urlencode({"config": config, "players": players, "moves": " ".join(moves)})


def play_to_the_end(page: Page, *, most: int = 800) -> None:
    """Click what may be clicked, as a person who has no plan, until somebody has won."""
    for click in range(most):
        page.wait_for_function(IS_MINE)
        if page.locator("#board").get_attribute("data-seat") == "over":
            return
        before = page.evaluate("[game.moves.length, chosen.length]")
        buttons = page.locator("#choices button")
        if buttons.count():
            buttons.nth(click % buttons.count()).click()
        else:
            spots = page.evaluate(TO_CLICK)
            page.mouse.click(*spots[(7 * click) % len(spots)])
        page.wait_for_function(HAS_MOVED, arg=before)
    raise AssertionError(f"nobody has won after {most} clicks")


def with_lines() -> tuple[list[str], int]:
    """Moves that lead to a line longer than it need be, and a cell that two ways to collapse it share."""
    rng = random.Random(1)
    while True:
        game, moves = Game("hex8_2p"), list[str]()
        while not game.is_over:
            parts = [text for text in game.legal_texts() if re.fullmatch(r"L[\d.]+", text)]
            if len(parts) > 1:
                shared = set.intersection(*({int(cell) for cell in part[1:].split(".")} for part in parts[:2]))
                if shared:
                    return moves, min(shared)
            moves.append(rng.choice(game.legal_texts()))
            game.play(moves[-1])


@contextmanager
def held_back(page: Page, path: str) -> Generator[list[Route]]:
    """Questions that are asked at `path` meanwhile, not answered."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route(path, hold)
    yield held
    page.unroute(path)
