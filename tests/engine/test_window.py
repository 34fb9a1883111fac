"""The training window: what it holds, and that damaged or foreign files are refused."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest

from rr_engine.boards import CONFIGS, Config
from rr_engine.errors import DataError
from rr_engine.game import Game
from rr_engine.kernels.encode import NUMBERS, PER_SEAT, PLANES, PRESENT
from rr_engine.kernels.layout import CAPTURE, PLACEMENT
from rr_engine.nn.features import encode, grid, relative_seats
from rr_engine.records.record import GameRecord
from rr_engine.training.window import build_window, check_window, load_window, save_window, select
from tests.engine.games import make_records


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.key)
def test_a_window_survives_storage(config: Config) -> None:
    records = make_records(config.key, 2)
    window = build_window(records, max_samples=10**6)
    again = load_window(save_window(window))
    assert again.config == config
    assert save_window(again) == save_window(window)
    assert window.samples == sum(int((record.legal > 1).sum()) for record in records)
    np.testing.assert_allclose(window.value[:, : config.players].sum(1), 1)
    assert not window.value[:, config.players :].any()


def test_targets_are_told_from_the_movers_side(hex_records: list[GameRecord]) -> None:
    window = build_window(hex_records, max_samples=10**6)
    for sample in range(0, window.samples, 7):
        record = hex_records[window.game[sample]]
        won = record.outcome.winner == window.seats[sample]
        assert window.value[sample].tolist() == ([1, 0, 0, 0] if won else [0, 1, 0, 0])
        assert record.digest == window.games[window.game[sample]]


def test_features_match_the_position() -> None:
    text = "S3:0112,20:1,40:200;M7:1,8:2;C0:0,1:2;H5,4,3;E1,2,3;T1,0,1;Fmove;P1;A20;R0;L-"
    game = Game.from_text("square8_3p", text)
    moves = game.legal_moves()
    encoded = encode(game.config, game.state, moves, np.array([0, len(moves)]))
    planes, numbers = encoded.planes[0], encoded.numbers[0]
    on = {plane: np.flatnonzero(planes[plane]).tolist() for plane in range(PLANES)}
    assert on[0] == [7]  # the mover's marker (seat 1)
    assert on[1] == [8]  # seat 2 is relative seat 1
    assert (on[5], on[6]) == ([1], [0])  # territory of seats 2 and 0
    assert (on[8], on[9], on[10]) == ([20], [3], [40])  # who controls which stack
    assert (planes[20, 3], planes[21, 3]) == (4, 1)  # height and cap
    assert (planes[20, 40], planes[21, 40]) == (3, 2)
    assert [planes[12 + relative, 3] for relative in range(4)] == [2, 1, 1, 0]  # rings of seats 1, 2, 0
    assert planes[16, 3] == 1  # under the cap of cell 3 lies a ring of the mover
    assert on[22] == [20]
    assert planes[23].all()
    assert numbers[0 * PER_SEAT] == pytest.approx(4 / 18)  # hands, mover first
    assert numbers[1 * PER_SEAT] == pytest.approx(3 / 18)
    assert numbers[2 * PER_SEAT] == pytest.approx(5 / 18)
    assert numbers[PRESENT : 4 * PER_SEAT : PER_SEAT].tolist() == [1, 1, 1, 0]
    assert len(numbers) == NUMBERS


def test_move_rows_name_the_cells_of_the_move() -> None:
    game = Game.from_text("square8_2p", "S0:0,2:010,40:1;M;C;H5,5;E0,0;T0,0;Fmove;P0;A0;R0;L-")
    moves = np.array([game.parse("C0-2-3"), game.parse("M0-1")])
    encoded = encode(game.config, game.state, moves, np.array([0, 2]))
    assert encoded.move_kinds[0] == CAPTURE
    assert encoded.move_cells.tolist() == [[0, 3, 2], [0, 1, 64]]
    start = Game("square8_2p")
    place = np.array([start.parse("P12x2")])
    encoded = encode(start.config, start.state, place, np.array([0, 1]))
    assert (encoded.move_kinds[0], encoded.move_cells[0].tolist()) == (PLACEMENT, [12, 64, 64])
    assert encoded.move_amounts[0] == pytest.approx(2 / 3)


def test_every_cell_has_its_own_place_in_the_grid() -> None:
    for config in CONFIGS:
        rows, columns, index = grid(config.board)
        assert len(set(index.tolist())) == config.board.cells
        for cell, (x, y) in enumerate(config.board.coordinates):
            shift = config.board.spec.extent if config.board.is_hex else 0
            assert divmod(int(index[cell]), columns) == (y + shift, x + shift)
        assert index.max() < rows * columns


def test_relative_seats_turns_values_to_the_mover() -> None:
    turned = relative_seats(np.array([0, 1, 2], np.int8), np.array([1, 2, 3], np.float32))
    assert turned.tolist() == [[1, 2, 3, 0], [2, 3, 1, 0], [3, 1, 2, 0]]


def test_a_window_takes_whole_games_up_to_its_size(hex_records: list[GameRecord]) -> None:
    window = build_window(hex_records, max_samples=100)
    assert len(window.games) == 2
    with pytest.raises(DataError, match="empty"):
        build_window([], max_samples=100)
    with pytest.raises(DataError, match="1 games stand twice"):
        build_window([hex_records[0], hex_records[0]], max_samples=1000)
    with pytest.raises(DataError, match="one config"):
        build_window([hex_records[0], make_records("hex8_3p", 1)[0]], max_samples=1000)


def test_select_picks_decisions_with_their_moves(hex_records: list[GameRecord]) -> None:
    window = build_window(hex_records, max_samples=10**6)
    rows = np.array([5, 0, 17])
    encoded, policy, value = select(window, rows)
    for place, row in enumerate(rows):
        begin, end = window.encoded.offsets[row : row + 2]
        span = slice(encoded.offsets[place], encoded.offsets[place + 1])
        np.testing.assert_array_equal(encoded.move_cells[span], window.encoded.move_cells[begin:end])
        np.testing.assert_array_equal(policy[span], window.policy[begin:end])
        np.testing.assert_array_equal(encoded.planes[place], window.encoded.planes[row])
    np.testing.assert_array_equal(value, window.value[rows])


def _damage(window, name: str, change):
    holder = window.encoded if hasattr(window.encoded, name) else window
    array = getattr(holder, name).copy()
    change(array)
    changed = replace(holder, **{name: array})
    return replace(window, encoded=changed) if holder is window.encoded else changed


DAMAGES = [
    ("numbers", lambda a: a.__setitem__((3, 2), np.nan), "numbers is not finite"),
    ("policy", lambda a: a.__setitem__(slice(None), a * 0.5), "does not sum to 1"),
    ("policy", lambda a: a.__setitem__(0, -1), "not in 0..1"),
    ("value", lambda a: a.__setitem__((0, 3), 0.5), "absent seat"),
    ("value", lambda a: a.__setitem__((0, 0), np.nan), "not in 0..1"),
    ("value", lambda a: a.__setitem__(slice(None), 0), "value target does not sum to 1"),
    ("seats", lambda a: a.__setitem__(0, 2), "a seat is not in 0..1"),
    ("offsets", lambda a: a.__setitem__(-1, 1), "do not span"),
    ("offsets", lambda a: a.__setitem__(1, 1), "fewer than two"),
    ("move_kinds", lambda a: a.__setitem__(0, 99), "kind is unknown"),
    ("move_cells", lambda a: a.__setitem__(0, 99), "off the board"),
    ("game", lambda a: a.__setitem__(0, 99), "belongs to no game"),
    ("games", lambda a: a.__setitem__(0, a[1]), "a game stands twice"),
]


@pytest.mark.parametrize(("name", "change", "message"), DAMAGES, ids=[f"{d[0]}: {d[2]}" for d in DAMAGES])
def test_each_broken_promise_is_found(hex_records: list[GameRecord], name: str, change, message: str) -> None:
    window = build_window(hex_records, max_samples=10**6)
    assert check_window(window) == []
    damaged = _damage(window, name, change)
    assert any(message in problem for problem in check_window(damaged))
    with pytest.raises(DataError, match="dataset of hex8_2p"):
        load_window(save_window(damaged))


def test_wrong_shapes_and_types_are_found(hex_records: list[GameRecord]) -> None:
    window = build_window(hex_records, max_samples=10**6)
    short = replace(window, value=window.value[:-1])
    assert check_window(short) == [f"value is float32 ({window.samples - 1}, 4), must be float32 ({window.samples}, 4)"]
    wide = replace(window, policy=window.policy.astype(np.float64))
    assert "policy is float64" in check_window(wide)[0]


def test_foreign_files_are_refused(hex_records: list[GameRecord]) -> None:
    data = save_window(build_window(hex_records, max_samples=10**6))
    with pytest.raises(DataError, match="not a readable dataset"):
        load_window(data[:1000])
    with pytest.raises(DataError, match="not a readable dataset"):
        load_window(b"no zip at all")

    def rewritten(**changes) -> bytes:
        arrays = dict(np.load(io.BytesIO(data), allow_pickle=False)) | changes
        sink = io.BytesIO()
        np.savez(sink, **{name: array for name, array in arrays.items() if array is not None})
        return sink.getvalue()

    with pytest.raises(DataError, match="differ from the schema by policy"):
        load_window(rewritten(policy=None))
    with pytest.raises(DataError, match="feature_version 99"):
        load_window(rewritten(feature_version=np.int64(99)))
    with pytest.raises(DataError, match="not a readable dataset"):
        load_window(rewritten(policy=np.array([object()], object)))
