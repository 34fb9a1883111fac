"""The training window: what it holds, and that damaged or foreign files are refused."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rr_engine.boards import CONFIGS, Config
from rr_engine.errors import DataError
from rr_engine.game import Game
from rr_engine.kernels.encode import NUMBERS, PER_SEAT, PLANES, PRESENT
from rr_engine.kernels.layout import CAPTURE, COLLAPSED, PLACEMENT, SWAP
from rr_engine.nn.features import encode, grid, relative_seats
from rr_engine.records.record import GameRecord
from rr_engine.settings import DatasetSettings
from rr_engine.training.batches import sample
from rr_engine.training.symmetry import select
from rr_engine.training.window import Window, build_window, check_window, load_window, save_window, window_size
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
    for number in range(0, window.samples, 7):
        record = hex_records[window.game[number]]
        assert record.digest == window.games[window.game[number]]
        winner = _agents_seat(record, record.agent_at(record.outcome.winner), window.decision[number])
        won = winner == window.seats[number]
        assert window.value[number].tolist() == ([1, 0, 0, 0] if won else [0, 1, 0, 0])


def _agents_seat(record: GameRecord, agent: int, decision: int) -> int:
    """Where an agent sits when a decision is made."""
    game = Game(record.config.key, pie=record.pie)
    game.play_all(record.moves[:decision].tolist())
    return next(seat for seat in range(record.config.players) if game.agent_at(seat) == agent)


def test_the_winner_is_told_by_the_agents_as_they_sit() -> None:
    """A game with a swap: up to the swap the value is turned round, afterwards not; cells and scores never are."""
    record = next(record for record in make_records("hex8_2p", 200) if record.swapped)
    window = build_window([record], max_samples=10**6)
    swap = int(np.flatnonzero((record.moves & 15) == SWAP)[0])
    wins = window.value[np.arange(window.samples), (record.outcome.winner - window.seats) % 2]  # of that seat
    np.testing.assert_array_equal(wins, window.decision > swap)
    assert 0 < np.count_nonzero(window.decision <= swap) < window.samples
    game = Game("hex8_2p", pie=True)
    game.play_all(record.moves.tolist())
    state, cells = game.state[0], game.board.cells
    taken = state["kind"][:cells] == COLLAPSED
    np.testing.assert_array_equal(window.owner[0][taken], state["owner"][:cells][taken])
    assert (window.owner[0][~taken] == -1).all()
    np.testing.assert_allclose(window.scores[0, :2, 1] * game.config.terr_goal, record.outcome.terr)
    np.testing.assert_allclose(window.scores[0, :2, 0] * game.config.elim_goal, record.outcome.elim, rtol=1e-6)


def test_the_searchs_values_are_kept_beside_the_outcome() -> None:
    record = make_records("hex8_3p", 1)[0]
    values = np.full((record.decisions, 3), np.nan, np.float32)
    values[::2] = [0.5, 0.3, 0.1]  # a shard's rounding may leave a sum short of 1
    window = build_window([replace(record, values=values)], max_samples=10**6)
    np.testing.assert_array_equal(window.has_root, window.decision % 2 == 0)
    assert not window.root_value[~window.has_root].any()
    known = np.flatnonzero(window.has_root)
    shares = np.array([5, 3, 1]) / 9
    for number in known.tolist():
        np.testing.assert_allclose(window.root_value[number, :3], np.roll(shares, -int(window.seats[number])), 1e-6)
    mixed = sample(window, np.arange(window.samples), root_value_share=0.25).targets.value.numpy()
    np.testing.assert_allclose(mixed[known], 0.75 * window.value[known] + 0.25 * window.root_value[known], 1e-6)
    np.testing.assert_array_equal(mixed[~window.has_root], window.value[~window.has_root])
    assert check_window(window) == []


def test_silent_decisions_are_thinned_out_the_same_way_each_time() -> None:
    records = make_records("hex8_2p", 6)
    heard = [replace(record, recorded=record.recorded & (np.arange(record.decisions) % 4 == 0)) for record in records]
    every = build_window(heard, max_samples=10**6)
    some, again = (build_window(heard, max_samples=10**6, silent_share=0.25) for _ in range(2))
    assert save_window(some) == save_window(again)
    assert some.has_policy.sum() == every.has_policy.sum()
    silent = np.count_nonzero(~some.has_policy) / np.count_nonzero(~every.has_policy)
    assert 0.15 < silent < 0.35
    np.testing.assert_array_equal(some.decisions, [record.decisions for record in records])


def test_the_window_grows_more_slowly_than_the_games() -> None:
    settings = DatasetSettings(least_samples=1000, growth=0.5, max_samples=5000)
    small, large = Config.parse("hex8_2p"), Config.parse("hexagonal_2p")
    sizes = [window_size(small, made, settings) for made in (0, 900, 1000, 4000, 10**6)]
    assert sizes == [1, 900, 1000, 2000, 5000]
    assert window_size(large, 10**9, DatasetSettings()) < window_size(small, 10**9, DatasetSettings()) == 500_000


@pytest.mark.parametrize("key", ["hex8_2p", "square8_4p", "square19_3p", "hexagonal_2p"])
def test_the_memory_of_a_window_is_foreseen(key: str) -> None:
    window = build_window(make_records(key, 1), max_samples=10**6)
    arrays = [*vars(window).values(), *vars(window.encoded).values()]
    used = sum(array.nbytes for array in arrays if isinstance(array, np.ndarray)) / window.samples
    settings = DatasetSettings(max_samples=10**9, growth=1.0)
    assert 0.6 < window_size(window.config, 10**9, settings) * used / 6e9 < 1.3


def test_features_match_the_position() -> None:
    text = "S3:0112,20:1,40:200;M7:1,8:2;C0:0,1:2;H5,4,3;E1,2,3;T1,0,1;Fmove;P1;A20;R0;L-"
    game = Game.from_text("square8_3p", text)
    moves = game.legal_moves()
    encoded = encode(game.config, game.state, moves, np.array([0, len(moves)]))
    planes, numbers = encoded.planes[0], encoded.numbers[0]
    on = {plane: np.flatnonzero(planes[:, plane]).tolist() for plane in range(PLANES)}
    assert on[0] == [7]  # the mover's marker (seat 1)
    assert on[1] == [8]  # seat 2 is relative seat 1
    assert (on[5], on[6]) == ([1], [0])  # territory of seats 2 and 0
    assert (on[8], on[9], on[10]) == ([20], [3], [40])  # who controls which stack
    assert (planes[3, 20], planes[3, 21]) == (4, 1)  # height and cap
    assert (planes[40, 20], planes[40, 21]) == (3, 2)
    assert [planes[3, 12 + relative] for relative in range(4)] == [2, 1, 1, 0]  # rings of seats 1, 2, 0
    assert planes[3, 16] == 1  # under the cap of cell 3 lies a ring of the mover
    assert on[22] == [20]
    assert on[23] == list(range(64))  # the place outside the board is empty
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
    assert encoded.move_facts[0].tolist() == pytest.approx([2 / 3, 0, 0, 0])


def test_every_cell_has_its_own_place_in_the_grid() -> None:
    for config in CONFIGS:
        rows, columns, cells, index = grid(config.board)
        assert cells[index].tolist() == list(range(config.board.cells))
        assert np.count_nonzero(cells == config.board.cells) == rows * columns - config.board.cells
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
    encoded = select(window.encoded, rows, window.config.board)
    targets = sample(window, rows).targets
    for place, row in enumerate(rows):
        begin, end = window.encoded.offsets[row : row + 2]
        span = slice(encoded.offsets[place], encoded.offsets[place + 1])
        for name in ("move_kinds", "move_cells", "move_facts"):
            np.testing.assert_array_equal(getattr(encoded, name)[span], getattr(window.encoded, name)[begin:end])
        np.testing.assert_array_equal(targets.policy[span], window.policy[begin:end])
        np.testing.assert_array_equal(encoded.planes[place], window.encoded.planes[row])
    np.testing.assert_array_equal(targets.value, window.value[rows])
    assert len(select(window.encoded, rows[:0], window.config.board).planes) == 0


def _damage(window: Window, name: str, change):
    holder = window.encoded if hasattr(window.encoded, name) else window
    array = getattr(holder, name).copy()
    change(array)
    changed = replace(holder, **{name: array})
    return replace(window, encoded=changed) if holder is window.encoded else changed


DAMAGES = [
    ("numbers", lambda a: a.__setitem__((3, 2), np.nan), "numbers is not finite"),
    ("move_facts", lambda a: a.__setitem__((3, 2), np.inf), "move_facts is not finite"),
    ("planes", lambda a: a.__setitem__((3, -1, 0), 1), "not empty outside"),
    ("policy", lambda a: a.__setitem__(slice(None), a * 0.5), "policy target does not sum to 1"),
    ("policy", lambda a: a.__setitem__(0, np.nan), "policy target is not in 0..1"),
    ("policy", lambda a: a.__setitem__(0, -1), "not in 0..1"),
    ("value", lambda a: a.__setitem__((0, 3), 0.5), "absent seat"),
    ("value", lambda a: a.__setitem__((0, 0), np.nan), "not in 0..1"),
    ("value", lambda a: a.__setitem__(slice(None), 0), "value target does not sum to 1"),
    ("root_value", lambda a: a.__setitem__((0, 0), np.nan), "value of a search is not in 0..1"),
    ("has_root", lambda a: a.__setitem__(0, True), "value of a search does not sum to 1"),
    ("owner", lambda a: a.__setitem__((0, 0), 2), "an owner is not in -1..1"),
    ("scores", lambda a: a.__setitem__((0, 0, 0), np.nan), "a score is not finite"),
    ("decisions", lambda a: a.__setitem__(0, 1), "behind the end of its game"),
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


def test_foreign_files_are_refused(hex_records: list[GameRecord], tmp_path: Path) -> None:
    data = save_window(build_window(hex_records, max_samples=10**6))
    with pytest.raises(DataError, match="not a readable dataset"):
        load_window(data[:1000])
    with pytest.raises(DataError, match="not a readable dataset"):
        load_window(b"no zip at all")
    with pytest.raises(DataError, match="not a readable dataset"):
        load_window(b"")
    with pytest.raises(DataError, match="not a readable dataset"):
        load_window(tmp_path / "absent.npz")
    refused, places = 0, range(1000, len(data), len(data) // 20)
    for place in places:
        broken = bytearray(data)
        broken[place] ^= 255
        try:
            assert save_window(load_window(bytes(broken))) == data  # what is broken is not content: a date, say
        except DataError:
            refused += 1
    assert refused > 0.8 * len(places)

    def rewritten(**changes) -> bytes:
        arrays = dict(np.load(io.BytesIO(data), allow_pickle=False)) | changes
        sink = io.BytesIO()
        np.savez(sink, **{name: array for name, array in arrays.items() if array is not None})
        return sink.getvalue()

    with pytest.raises(DataError, match="differ from the schema by policy"):
        load_window(rewritten(policy=None))
    with pytest.raises(DataError, match="feature_version 99"):
        load_window(rewritten(feature_version=np.int64(99)))
    with pytest.raises(DataError, match="schema_version 1, this engine reads 2"):
        load_window(rewritten(schema_version=np.int64(1)))
    with pytest.raises(DataError, match="unknown config"):
        load_window(rewritten(config=np.str_("hex9_2p")))
    for name in ("config", "schema_version", "feature_version"):
        with pytest.raises(DataError, match=name):
            load_window(rewritten(**{name: None}))
    with pytest.raises(DataError, match="not a readable dataset"):
        load_window(rewritten(policy=np.array([object()], object)))
