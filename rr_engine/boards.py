"""The four boards and the twelve configs: cells, coordinates, lines, symmetries (rules 2, 8)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rr_engine.errors import ConfigError, shown
from rr_engine.kernels import layout

Cells = tuple[int, ...]

HEX_DIRECTIONS = ((1, 0), (0, 1), (-1, 1), (-1, 0), (0, -1), (1, -1))
SQUARE_DIRECTIONS = ((1, 0), (0, 1), (1, 1), (1, -1), (-1, 0), (0, -1), (-1, -1), (-1, 1))
# Axis order settles ties between recovery lines (rules 5.5) and the numbering of `line_of[:, axis]`.
HEX_AXES = ((1, 0), (1, -1), (0, -1))
SQUARE_AXES = ((1, 0), (1, 1), (0, 1), (1, -1))


@dataclass(frozen=True)
class BoardSpec:
    """What distinguishes one board (rules 2). `extent` is the side of a square or the radius of a hexagon."""

    name: str
    shape: str
    extent: int
    rings_per_seat: int
    long_lines: bool  # lines of 4 also with three and four seats
    border_grows: bool
    memory: tuple[int, int, int]  # cells, lines, rows of the state record


SPECS = {
    spec.name: spec
    for spec in (
        BoardSpec("hex8", "hex", 4, 18, long_lines=False, border_grows=True, memory=layout.SMALL),
        BoardSpec("square8", "square", 8, 18, long_lines=False, border_grows=True, memory=layout.SMALL),
        BoardSpec("square19", "square", 19, 72, long_lines=True, border_grows=True, memory=layout.LARGE),
        BoardSpec("hexagonal", "hex", 12, 96, long_lines=True, border_grows=False, memory=layout.LARGE),
    )
}


class Board:
    """Geometry of one board. Get it from `board(name)`; there is one instance each."""

    def __init__(self, spec: BoardSpec) -> None:
        self.spec = spec
        self.name = spec.name
        self.is_hex = spec.shape == "hex"
        self.directions = HEX_DIRECTIONS if self.is_hex else SQUARE_DIRECTIONS
        self.axes = HEX_AXES if self.is_hex else SQUARE_AXES
        self.coordinates = tuple(_coordinates(spec))  # cell -> (x, y)
        self.cells = len(self.coordinates)
        self.cell_of = {xy: cell for cell, xy in enumerate(self.coordinates)}
        self.rows = 2 * spec.extent + 1 if self.is_hex else spec.extent

    @cached_property
    def state_dtype(self) -> np.dtype[np.void]:
        """Record of one game on this board; shared by boards of the same size class."""
        return layout.state_dtype(*self.spec.memory)

    @cached_property
    def geometry(self) -> NDArray[np.void]:
        """The kernels' tables: an array of one record, read only."""
        record = np.zeros(1, layout.geometry_dtype(*self.spec.memory))
        _fill_geometry(self, record[0])
        record.setflags(write=False)
        return record

    @cached_property
    def row_offset(self) -> int:
        """Column x lies at bit `x + row_offset` of a row word."""
        return self.spec.extent + 1 if self.is_hex else 1

    @cached_property
    def centrality(self) -> NDArray[np.float64]:
        """[cells + 1]: 1 in the middle of the board, 0 at its edge and outside."""
        half = self.spec.extent if self.is_hex else (self.spec.extent - 1) / 2
        middle = 0.0 if self.is_hex else half
        weights = np.zeros(self.cells + 1)
        for cell, (x, y) in enumerate(self.coordinates):
            off = (x - middle, y - middle, (x + y) if self.is_hex else 0)
            weights[cell] = 1 - max(map(abs, off)) / half
        return weights

    @cached_property
    def symmetries(self) -> NDArray[np.int16]:
        """[8 or 12, cells]: image of each cell under D4 or D6, the identity first (rules 8)."""
        images = _square_images(self.spec.extent) if not self.is_hex else _hex_images()
        table = [[self.cell_of[image(x, y)] for x, y in self.coordinates] for image in images]
        return np.array(table, np.int16)

    def __repr__(self) -> str:
        return f"Board({self.name})"


@cache
def board(name: str) -> Board:
    """The board called `name`; raises ConfigError for any other name."""
    _require_board(name)
    return Board(SPECS[name])


def _require_board(name: str) -> None:
    if name not in SPECS:
        raise ConfigError(f"unknown board {shown(name)}: boards are {', '.join(SPECS)}")


@dataclass(frozen=True, order=True)
class Config:
    """A board and a number of seats: one of the twelve loops."""

    board_name: str
    players: int

    def __post_init__(self) -> None:
        _require_board(self.board_name)
        if self.players not in (2, 3, 4):
            raise ConfigError(f"{self.players} players on {self.board_name}: RingRift has 2, 3 or 4")

    @classmethod
    def parse(cls, key: str) -> Config:
        """The config of a partition key such as `hex8_2p`."""
        name, _, players = key.rpartition("_")
        if name not in SPECS or players not in ("2p", "3p", "4p"):
            raise ConfigError(f"unknown config {shown(key)}: configs are {', '.join(config.key for config in CONFIGS)}")
        return cls(name, int(players[0]))

    @property
    def key(self) -> str:
        """The partition key, for example `hex8_2p`."""
        return f"{self.board_name}_{self.players}p"

    @property
    def board(self) -> Board:
        """The geometry this config plays on."""
        return board(self.board_name)

    @property
    def line_length(self) -> int:
        """Markers in a row that make a line (rules 2)."""
        return 4 if self.players == 2 or self.board.spec.long_lines else 3

    @property
    def elim_goal(self) -> int:
        """Eliminated rings that win with the usual number of rings (rules 2, 6.1)."""
        return elimination_goal(self.board.spec.rings_per_seat, self.players)

    @property
    def terr_goal(self) -> int:
        """Least territory that can win (rules 2, 6.2)."""
        return self.board.cells // self.players + 1

    @property
    def legal_capacity(self) -> int:
        """Room a list of legal moves needs at most (rules 3.2); recovery slides times paying stacks dominate."""
        cells, rings = self.board.cells, self.board.spec.rings_per_seat
        straight_pairs = {"square8": 1456, "square19": 21432, "hex8": 1104, "hexagonal": 25968}[self.board_name]
        slides = len(self.board.directions) * (cells - rings) * (rings + self.line_length)
        return max(straight_pairs, 3 * cells, slides) + 2


CONFIGS = tuple(Config(name, players) for name in SPECS for players in (2, 3, 4))

# Decisions of a typical game with 2, 3 and 4 players, from random play.
TYPICAL_DECISIONS = {
    "square8": (72, 86, 84),
    "hex8": (77, 94, 105),
    "square19": (338, 414, 429),
    "hexagonal": (481, 620, 754),
}


def typical_decisions(config: Config) -> int:
    """Length of a usual game of `config`, in decisions."""
    return TYPICAL_DECISIONS[config.board_name][config.players - 2]


def elimination_goal(rings_per_seat: int, players: int) -> int:
    """round(R (2/3 + (n-1)/3)) for R rings a seat (rules 2)."""
    return round(rings_per_seat * (players + 1) / 3)


def region_digest(cells: list[int]) -> str:
    """First 8 hex digits of SHA-256 over the ascending cells: names a region in a move string."""
    return hashlib.sha256(",".join(map(str, sorted(cells))).encode()).hexdigest()[:8]


def _coordinates(spec: BoardSpec) -> list[tuple[int, int]]:
    if spec.shape == "square":
        return [(x, y) for y in range(spec.extent) for x in range(spec.extent)]
    radius = spec.extent
    return [
        (x, y)
        for y in range(-radius, radius + 1)
        for x in range(max(-radius, -radius - y), min(radius, radius - y) + 1)
    ]


def _line_and_position(place: Board, axis: int, x: int, y: int) -> tuple[int, int]:
    """Number of the line among those of its axis, and position along the axis' direction, from 1."""
    extent = place.spec.extent
    if place.is_hex:
        shift = extent + 1
        return ((y + extent, x + shift), (x + y + extent, x + shift), (x + extent, shift - y))[axis]
    return ((y, x + 1), (x - y + extent - 1, x + 1), (x, y + 1), (x + y, x + 1))[axis]


def _fill_geometry(place: Board, record: Any) -> None:
    axes = len(place.axes)
    per_axis = [{_line_and_position(place, axis, x, y)[0] for x, y in place.coordinates} for axis in range(axes)]
    first = np.cumsum([0] + [len(lines) for lines in per_axis])
    record["cells"] = place.cells
    record["rows"] = place.rows
    record["axes"] = axes
    record["lines"] = first[-1]
    record["hex"] = place.is_hex
    record["border_grows"] = place.spec.border_grows
    record["least_barrier"] = 3 if place.is_hex else 2
    record["cell_at"][:] = place.cells
    for axis in range(axes):
        record["line_axis"][first[axis] : first[axis + 1]] = axis
    for cell, (x, y) in enumerate(place.coordinates):
        for axis in range(axes):
            number, position = _line_and_position(place, axis, x, y)
            line = int(first[axis]) + number
            record["line_of"][cell, axis] = line
            record["pos_of"][cell, axis] = position
            record["cell_at"][line, position] = cell
            record["inside"][line] |= 1 << position


def _square_images(side: int) -> list[Any]:
    last = side - 1
    return [
        lambda x, y: (x, y),
        lambda x, y: (last - y, x),
        lambda x, y: (last - x, last - y),
        lambda x, y: (y, last - x),
        lambda x, y: (last - x, y),
        lambda x, y: (x, last - y),
        lambda x, y: (y, x),
        lambda x, y: (last - y, last - x),
    ]


def _hex_images() -> list[Any]:
    def turned(x: int, y: int, turns: int) -> tuple[int, int]:
        z = -x - y
        for _ in range(turns):
            x, y, z = -z, -x, -y
        return x, y

    plain = [lambda x, y, k=k: turned(x, y, k) for k in range(6)]
    mirrored = [lambda x, y, k=k: turned(y, x, k) for k in range(6)]
    return plain + mirrored
