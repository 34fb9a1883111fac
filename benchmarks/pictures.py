"""The pictures of the README: what people see in a browser, of servers that run.

    python -m benchmarks.pictures --dagster http://127.0.0.1:3000 --serve http://127.0.0.1:8017 --config hex8_2p

Takes Debian's Chromium to each page and writes docs/pictures/NAME.png, of 256 colours: none is over 200 kB.
"""

import argparse
import io
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, ViewportSize, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
_WIDE, _BROAD, _PHONE = (ViewportSize(width=w, height=h) for w, h in ((1200, 780), (1900, 640), (390, 844)))
_SETTLED_MS = 2500  # a page loads what it shows bit by bit
_MOST_BYTES = 200_000
_HALF_THE_MOVES = """() => {
  const half = Math.floor(data.frames.length / 2), mine = frame => frame.seat === 0 && frame.phase === "move";
  return data.frames.slice(0, half + data.frames.slice(half).findIndex(mine)).map(frame => frame.move);
}"""


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dagster", default="http://127.0.0.1:3000")
    parser.add_argument("--serve", default="http://127.0.0.1:8017")
    parser.add_argument("--config", default="hex8_2p", help="whose assets are shown")
    parser.add_argument("--game", required=True, help="the replay: a name that the page of games_db tells")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "pictures")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    assets, of_config = f"{asked.dagster}/assets", f"?view=partitions&partition={asked.config}"
    seen: dict[str, tuple[str, ViewportSize, Callable[[Page], None]]] = {
        "graph": (f"{assets}/curriculum?view=lineage&lineageScope=upstream&lineageDepth=6", _BROAD, _as_it_is),
        "games_db": (f"{assets}/games_db{of_config}", _WIDE, _to_metadata("typical_game")),
        "elo": (f"{assets}/elo{of_config}", _WIDE, _to_metadata("ratings")),
        "selfplay_plan": (f"{assets}/selfplay_plan", _BROAD, _to_metadata("charts")),
        "leaderboard": (f"{asked.serve}/leaderboard", _WIDE, _as_it_is),
        "curves": (f"{asked.serve}/leaderboard", _WIDE, _open_section(asked.config)),
        "replay": (f"{asked.serve}/replay/{asked.config}/{asked.game}", _WIDE, _to_a_moment),
        "play": (f"{asked.serve}/replay/{asked.config}/{asked.game}", _WIDE, _play_on(asked.serve, asked.config)),
        "phone": (f"{asked.serve}/replay/{asked.config}/{asked.game}", _PHONE, _play_on(asked.serve, asked.config)),
    }
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, (url, size, prepare) in seen.items():
            page = browser.new_context(viewport=size).new_page()
            page.goto(url)
            page.wait_for_timeout(_SETTLED_MS)
            prepare(page)
            page.wait_for_timeout(_SETTLED_MS)
            _keep(page.screenshot(), asked.out / f"{name}.png")
        browser.close()


def _keep(png: bytes, path: Path) -> None:
    Image.open(io.BytesIO(png)).convert("RGB").quantize(256).save(path, optimize=True)
    size = path.stat().st_size
    print(f"{path.name}: {size} bytes")
    if size > _MOST_BYTES:
        raise SystemExit(f"{path} has {size} bytes, over {_MOST_BYTES}")


def _as_it_is(page: Page) -> None:
    pass


def _to_metadata(name: str) -> Callable[[Page], None]:
    def scroll(page: Page) -> None:
        page.get_by_text(name, exact=True).first.scroll_into_view_if_needed()
        page.mouse.wheel(0, 260)

    return scroll


def _open_section(config: str) -> Callable[[Page], None]:
    def unfold(page: Page) -> None:
        page.locator(f"#{config} summary").click()
        page.locator(f"#{config}").scroll_into_view_if_needed()

    return unfold


def _to_a_moment(page: Page) -> None:
    page.locator("#moments button").last.click()
    page.keyboard.press("ArrowLeft")


def _play_on(serve: str, config: str) -> Callable[[Page], None]:
    """From the middle of the replay, in seat 1 against the champion, with its advice."""

    def play(page: Page) -> None:
        moves = page.evaluate(_HALF_THE_MOVES)
        page.goto(f"{serve}/#config={config}&players=you,champion:32&moves={'+'.join(moves)}")
        page.get_by_text("You, seat").wait_for(timeout=120_000)
        page.get_by_role("button", name="Hint").click()
        page.wait_for_selector("#hints p", timeout=120_000)

    return play


if __name__ == "__main__":
    sys.exit(main())
