"""Geometry against brute force over coordinates, and the symmetries."""

import itertools

import numpy as np
import pytest

from rr_engine.boards import CONFIGS, SPECS, board, region_digest
from rr_engine.state import new_state

TABLE = {  # rules 2: cells, longest ray, ordered straight pairs, ordered adjacent pairs, lines of all axes
    "square8": (64, 7, 1456, 420),
    "square19": (361, 18, 21432, 2664),
    "hex8": (61, 8, 1104, 312),
    "hexagonal": (469, 24, 25968, 2664),
}
GOALS = {  # rules 2: line length, elimination threshold, territory minimum for 2, 3, 4 players
    "square8": ((4, 3, 3), (18, 24, 30), (33, 22, 17)),
    "square19": ((4, 4, 4), (72, 96, 120), (181, 121, 91)),
    "hex8": ((4, 3, 3), (18, 24, 30), (31, 21, 16)),
    "hexagonal": ((4, 4, 4), (96, 128, 160), (235, 157, 118)),
}


@pytest.fixture(params=SPECS)
def place(request):
    return board(request.param)


def ray(place, xy, direction):
    """Cells from `xy` outwards along a direction."""
    cells = []
    while (xy := (xy[0] + direction[0], xy[1] + direction[1])) in place.cell_of:
        cells.append(place.cell_of[xy])
    return cells


def all_rays(place):
    return [ray(place, xy, direction) for xy in place.coordinates for direction in place.directions]


def test_cells_are_numbered_by_row_then_column(place):
    extent = place.spec.extent
    if place.is_hex:
        near = range(-extent, extent + 1)
        wanted = [(x, y) for y, x in itertools.product(near, near) if max(abs(x), abs(y), abs(x + y)) <= extent]
    else:
        wanted = [(x, y) for y, x in itertools.product(range(extent), range(extent))]
    assert list(place.coordinates) == wanted
    assert [place.cell_of[xy] for xy in wanted] == list(range(place.cells))


def test_numbers_of_the_rules(place):
    cells, longest, straight, adjacent = TABLE[place.name]
    rays = all_rays(place)
    assert place.cells == cells
    assert max(map(len, rays)) == longest
    assert sum(map(len, rays)) == straight
    assert sum(bool(found) for found in rays) == adjacent


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.key)
def test_goals_of_the_rules(config):
    index = config.players - 2
    assert (config.line_length, config.elim_goal, config.terr_goal) == tuple(
        row[index] for row in GOALS[config.board_name]
    )
    assert config.legal_capacity >= TABLE[config.board_name][2]


def test_lines_hold_every_ray_in_order(place):
    geometry = place.geometry[0]
    for axis, (dx, dy) in enumerate(place.axes):
        for cell, xy in enumerate(place.coordinates):
            line, position = int(geometry["line_of"][cell, axis]), int(geometry["pos_of"][cell, axis])
            ahead, behind = ray(place, xy, (dx, dy)), ray(place, xy, (-dx, -dy))
            along = geometry["cell_at"][line].tolist()
            assert geometry["line_axis"][line] == axis
            assert along[position : position + len(ahead) + 1] == [cell, *ahead]
            assert along[position - len(behind) : position] == behind[::-1]
            outside = along[: position - len(behind)] + along[position + len(ahead) + 1 :]
            assert set(outside) == {place.cells}
            assert [bool(int(geometry["inside"][line]) >> bit & 1) for bit in range(32)] == [
                cell < place.cells for cell in along
            ]


def test_rows_are_the_first_lines_and_share_their_columns(place):
    geometry = place.geometry[0]
    for cell, (x, y) in enumerate(place.coordinates):
        assert geometry["line_of"][cell, 0] == y + (place.spec.extent if place.is_hex else 0)
        assert geometry["pos_of"][cell, 0] == x + place.row_offset
    assert place.rows == len({y for _, y in place.coordinates})


def test_the_tables_are_read_only(place):
    with pytest.raises(ValueError, match="read-only"):
        place.geometry["cells"] = 3


class TestSymmetries:
    def test_a_closed_group_of_permutations(self, place):
        table = place.symmetries
        assert len(table) == (12 if place.is_hex else 8)
        assert table[0].tolist() == list(range(place.cells))
        images = {tuple(row) for row in table.tolist()}
        assert len(images) == len(table)
        assert all(sorted(row) == list(range(place.cells)) for row in images)
        assert all(tuple(first[second].tolist()) in images for first in table for second in table)

    def test_neighbours_stay_neighbours_and_rays_stay_straight(self, place):
        directions = [direction for direction in place.directions if place.is_hex or 0 in direction]
        adjacent = {
            (cell, found[0])
            for cell, xy in enumerate(place.coordinates)
            for d in directions
            if (found := ray(place, xy, d))
        }
        straight = {
            tuple([cell, *found])
            for cell, xy in enumerate(place.coordinates)
            for d in place.directions
            if (found := ray(place, xy, d))
        }
        for image in place.symmetries.tolist():
            assert {(image[cell], image[other]) for cell, other in adjacent} == adjacent
            assert {tuple(image[cell] for cell in cells) for cells in straight} == straight


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.key)
def test_states_are_small_and_the_first_is_empty(config):
    state = new_state(config)
    assert state.nbytes <= (2_500 if config.board.cells < 100 else 10_000)
    assert np.count_nonzero(state[0]["kind"][: config.board.cells]) == 0
    assert state[0]["hand"].sum() == config.players * config.board.spec.rings_per_seat


def test_a_region_is_named_by_its_cells_in_any_order():
    assert region_digest([9, 8, 10]) == region_digest([8, 9, 10]) != region_digest([8, 9])
    assert region_digest([0]) == "5feceb66"
