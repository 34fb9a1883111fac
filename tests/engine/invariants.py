"""What must hold after every decision (rules 7), recomputed in plain Python from cells and coordinates.

Shares no code with the kernels: a state record is only read, field by field, and every derived number in it is counted
anew. `Watch.play` plays one move and raises AssertionError for the first invariant that fails.
"""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from rr_engine.boards import Config
from rr_engine.game import Game
from rr_engine.kernels import layout

MOVEMENT = {int(layout.PLAIN), int(layout.CAPTURE)}
NEUTRAL = {int(layout.SKIP), int(layout.SWAP), int(layout.PLACEMENT)}


@dataclass
class Picture:
    """One state, taken apart."""

    player: int | None
    phase: str
    record: np.void
    legal: list[int]
    stacks: dict[int, list[int]] = field(default_factory=dict)  # cell -> colours, bottom to top
    markers: dict[int, int] = field(default_factory=dict)
    territory: dict[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, game: Game) -> "Picture":
        record = game.state[0]
        picture = cls(game.player, game.phase, record, game.legal_moves().tolist())
        kinds, owners, rings, heights = (record[name].tolist() for name in ("kind", "owner", "rings", "height"))
        for cell in range(game.board.cells):
            if kinds[cell] == layout.STACK:
                above = [rings[cell] >> 2 * depth & 3 for depth in range(heights[cell])]
                picture.stacks[cell] = above[::-1]
            elif kinds[cell] == layout.MARKER:
                picture.markers[cell] = owners[cell]
            elif kinds[cell] == layout.COLLAPSED:
                picture.territory[cell] = owners[cell]
        return picture

    def controlled(self, seat: int) -> list[int]:
        return [cell for cell, rings in self.stacks.items() if rings[-1] == seat]

    def buried(self, seat: int) -> list[int]:
        """Stacks in which `seat` has a ring below the top."""
        return [cell for cell, rings in self.stacks.items() if seat in rings[:-1]]

    def numbers(self, name: str) -> list[int]:
        return self.record[name].tolist()

    @property
    def turn(self) -> int:
        return int(self.record["turn"])

    @property
    def progress(self) -> int:
        """S of rules 7.2."""
        return len(self.markers) + len(self.territory) + sum(self.numbers("elim"))

    @property
    def potential(self) -> int:
        """Phi of rules 7.2."""
        return len(self.markers) + 2 * (len(self.territory) + sum(self.numbers("elim")))


def cap_height(rings: list[int]) -> int:
    """Length of the run of equal colours at the top."""
    return next((depth for depth, colour in enumerate(reversed(rings)) if colour != rings[-1]), len(rings))


class Reach:
    """Moves and captures by walking over coordinates (rules 5.1-5.3)."""

    def __init__(self, config: Config, picture: Picture) -> None:
        self.board = config.board
        self.picture = picture

    def _ray(self, cell: int, direction: tuple[int, int]) -> list[int]:
        (x, y), (dx, dy) = self.board.coordinates[cell], direction
        cells: list[int] = []
        while (x := x + dx, y := y + dy) in self.board.cell_of:
            cells.append(self.board.cell_of[x, y])
        return cells

    def options(self, cell: int, rings: list[int]) -> list[tuple[int, ...]]:
        """(from, to) of every plain move and (from, over, to) of every capture of `rings` on `cell`."""
        found: list[tuple[int, ...]] = []
        for direction in self.board.directions:
            target = None
            for distance, other in enumerate(self._ray(cell, direction), 1):
                if other in self.picture.territory or (target is not None and other in self.picture.stacks):
                    break
                if other in self.picture.stacks:
                    if cap_height(self.picture.stacks[other]) > cap_height(rings):
                        break
                    target = other
                elif distance >= len(rings):
                    found.append((cell, other) if target is None else (cell, target, other))
        return found

    def has_line(self, seat: int, length: int) -> bool:
        own = {self.board.coordinates[cell] for cell, owner in self.picture.markers.items() if owner == seat}
        return any(
            all((x + step * dx, y + step * dy) in own for step in range(length))
            for x, y in own
            for dx, dy in self.board.axes
        )


class Watch:
    """A game and the invariants that follow it from decision to decision."""

    def __init__(self, game: Game) -> None:
        self.game = game
        self.config = game.config
        self.now = Picture.of(game)
        self.turn_start = self.now
        self.turn_kinds: list[int] = []  # kinds of move made this turn
        self.starts = {self.now.turn: self.now}  # turn -> its first decision
        self.removed = Counter[int]()  # colour -> rings gone
        self.segments = 0  # moves and capture segments
        check_derived(self.config, self.now)
        self._check_phase()

    def play(self, move: int) -> None:
        before = self.now
        self.game.play(move)
        self.now = Picture.of(self.game)
        self.turn_kinds.append(move & 15)
        check_derived(self.config, self.now)
        self._check_rings()
        self._check_ownership(before)
        self._check_progress(before, move)
        if self.now.turn != self.turn_start.turn or self.game.is_over:
            self._check_turn_end(before)
        if not self.game.is_over:
            self._check_phase()
            if move & 15 == layout.PLACEMENT:
                assert self.now.phase == "move" and self.now.record["active"] == move >> 4 & 0xFFF  # 7.1 (7)

    def _check_rings(self) -> None:
        """7.1 (2) and (1): rings of each colour, and how high they stand."""
        held = Counter(colour for rings in self.now.stacks.values() for colour in rings)
        each = int(self.now.record["rings_per_seat"])
        hand = self.now.numbers("hand")
        removed = Counter({seat: each - hand[seat] - held[seat] for seat in range(self.config.players)})
        assert all(removed[seat] >= self.removed[seat] for seat in removed)
        assert removed.total() == sum(self.now.numbers("elim"))
        self.removed = removed
        assert self.now.numbers("on_board") == [held[seat] for seat in range(layout.MAX_SEATS)]
        longest = 2 * self.config.board.spec.extent if self.config.board.is_hex else self.config.board.spec.extent - 1
        assert all(1 <= len(rings) <= longest + 1 for rings in self.now.stacks.values())

    def _check_ownership(self, before: Picture) -> None:
        """7.1 (3), (4) and (9): what stays, and what only the mover changes."""
        mover = before.player
        assert before.territory.items() <= self.now.territory.items()
        for seat in range(self.config.players):
            changes = [self.now.numbers(name)[seat] - before.numbers(name)[seat] for name in ("hand", "elim", "terr")]
            assert changes[0] <= 0 <= min(changes[1:])
            if seat != mover:
                assert changes == [0, 0, 0]
                now, then = ({cell for cell, owner in p.markers.items() if owner == seat} for p in (self.now, before))
                assert now <= then
            if before.numbers("out_turn")[seat] >= 0:
                assert self.now.numbers("out_turn")[seat] == before.numbers("out_turn")[seat]
                assert self.now.numbers("hand")[seat] == self.now.numbers("on_board")[seat] == 0
                assert self.now.player != seat

    def _check_progress(self, before: Picture, move: int) -> None:
        """7.2: S and Phi."""
        kind, length = move & 15, move >> 28 & 0xFFF
        rise, gain = self.now.progress - before.progress, self.now.potential - before.potential
        self.segments += kind in MOVEMENT
        most = self.config.board.cells + self.config.players * int(self.now.record["rings_per_seat"])
        assert self.segments <= most and self.now.progress <= most and self.now.potential <= 2 * most
        assert rise == 1 if kind in MOVEMENT else rise >= 0
        if kind in NEUTRAL:
            assert rise == gain == 0
        elif kind in (layout.LINE_WHOLE, layout.LINE_WINDOW):
            assert rise == 0 and gain == length
        elif kind == layout.SLIDE_LINE:
            collapsed = len(self.now.territory) - len(before.territory)
            assert collapsed >= self.config.line_length and gain == collapsed + 2
        elif kind == layout.SLIDE_WINDOW:
            assert rise == 0 and gain == self.config.line_length
        elif kind in (layout.SLIDE_FALLBACK, layout.SLIDE_STRIKE):
            assert gain == (2 if kind == layout.SLIDE_FALLBACK else 3)
        else:
            assert gain >= (2 if kind in (layout.PAYMENT, layout.FORCED) else 1)

    def _check_turn_end(self, before: Picture) -> None:
        """7.1 (5), (8), rotation, who is out since when, and the full round of 7.2."""
        start, mover = self.turn_start, before.player
        assert mover is not None
        if start.controlled(mover) and not MOVEMENT & set(self.turn_kinds):
            assert {int(layout.REGION), int(layout.FORCED)} & set(self.turn_kinds)  # 7.1 (8)
        hand, on_board = self.now.numbers("hand"), self.now.numbers("on_board")
        for seat in range(self.config.players):
            is_out = hand[seat] == on_board[seat] == 0
            assert (self.now.numbers("out_turn")[seat] >= 0) == is_out
            if is_out and before.numbers("out_turn")[seat] < 0:
                ended_at_once = self.game.is_over and self.now.turn == start.turn
                assert self.now.numbers("out_turn")[seat] == start.turn + (not ended_at_once)
        if not self.game.is_over:
            self._check_rotation(mover, self.now.turn - start.turn)
            reach = Reach(self.config, self.now)
            assert not any(reach.has_line(seat, self.config.line_length) for seat in range(self.config.players))
            self.starts[self.now.turn] = self.now
            earlier = self.starts.get(self.now.turn - self.config.players)
            if earlier is not None and earlier.stacks:
                assert self.now.potential > earlier.potential
        self.turn_start = self.now
        self.turn_kinds = []

    def _check_rotation(self, mover: int, turns: int) -> None:
        """The next seats that are not out take the turns; whoever passed in silence controls no stack."""
        seat, passed = mover, 0
        while True:
            seat = (seat + 1) % self.config.players
            if self.now.numbers("out_turn")[seat] >= 0:
                continue
            passed += 1
            if passed == turns:
                break
            assert not self.now.controlled(seat)
        assert self.now.player == seat

    def _check_phase(self) -> None:
        """7.1 (5), (6), (7), and the legal list against plain walking."""
        seat, legal, record = self.now.player, self.now.legal, self.now.record
        assert seat is not None and legal and len(set(legal)) == len(legal)
        reach = Reach(self.config, self.now)
        active = int(record["active"])
        if self.now.phase == "place":
            assert record["hand"][seat] + record["on_board"][seat] > 0
        if self.now.phase in ("cap", "chain") or (self.now.phase == "move" and self.now.controlled(seat)):
            cells = [active] if active >= 0 else self.now.controlled(seat)
            walked = [option for cell in cells for option in reach.options(cell, self.now.stacks[cell])]
            if self.now.phase != "move":
                walked = [option for option in walked if len(option) == 3]
            listed = [_route(move) for move in legal if move & 15 != layout.SKIP]
            assert sorted(listed) == sorted(walked) and walked
            assert (len(listed) < len(legal)) == (self.now.phase == "cap")
        if self.now.phase in ("chain", "cap"):
            assert self.now.stacks[active][-1] == seat
        if self.now.phase in ("lelim", "fe"):
            assert self.now.controlled(seat)
        if self.now.phase == "telim":
            assert self.now.buried(seat) if record["rec_turn"] else self.now.controlled(seat)
        if self.now.phase == "terr":
            assert not reach.has_line(seat, self.config.line_length)


def _route(move: int) -> tuple[int, ...]:
    a, b, c = (move >> shift & 0xFFF for shift in (4, 16, 28))
    return (a, b, c) if move & 15 == layout.CAPTURE else (a, b)


def check_derived(config: Config, picture: Picture) -> None:
    """7.1 (1) and (3): every number and bit map that follows from the cells, and nothing left over in them."""
    record, geometry, seats = picture.record, config.board.geometry[0], range(layout.MAX_SEATS)
    owned = {**picture.markers, **picture.territory, **{cell: rings[-1] for cell, rings in picture.stacks.items()}}
    cells = len(record["kind"])
    assert record["owner"].tolist() == [owned.get(cell, -1) for cell in range(cells)]
    assert record["height"].tolist() == [len(picture.stacks.get(cell, ())) for cell in range(cells)]
    caps = {cell: cap_height(rings) for cell, rings in picture.stacks.items()}
    assert record["cap"].tolist() == [caps.get(cell, layout.NO_CAP) for cell in range(cells)]
    assert all(ring == 0 for cell, ring in enumerate(record["rings"].tolist()) if cell not in picture.stacks)
    for name, owners in (("terr", picture.territory), ("markers", picture.markers)):
        assert picture.numbers(name) == [Counter(owners.values())[seat] for seat in seats]
    assert picture.numbers("stacks") == [len(picture.controlled(seat)) for seat in seats]
    blocked = np.zeros_like(record["blocked"])
    marks, tops, collapsed = (np.zeros_like(record[name]) for name in ("marks", "tops", "collapsed"))
    lines = int(geometry["lines"])
    blocked[:lines] = ~geometry["inside"][:lines]
    line_of, pos_of = geometry["line_of"].tolist(), geometry["pos_of"].tolist()
    for cell, owner in owned.items():
        for axis in range(len(config.board.axes)):
            layer = marks[owner] if cell in picture.markers else blocked
            layer[line_of[cell][axis]] |= 1 << pos_of[cell][axis]
        if cell not in picture.markers:
            layer = tops[owner] if cell in picture.stacks else collapsed
            layer[line_of[cell][0]] |= 1 << pos_of[cell][0]
    for name, counted in (("blocked", blocked), ("marks", marks), ("tops", tops), ("collapsed", collapsed)):
        assert np.array_equal(record[name], counted), name
