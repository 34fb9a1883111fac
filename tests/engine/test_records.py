"""Games survive storage, replay to what was recorded, and answer questions in SQL."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rr_engine.boards import CONFIGS
from rr_engine.errors import DataError
from rr_engine.records import shard, views
from rr_engine.records.record import GameRecord, check_replays
from tests.engine.games import make_records


def test_same_seeds_give_the_same_bytes(hex_records: list[GameRecord]) -> None:
    assert shard.encode(make_records("hex8_2p", 12)) == shard.encode(hex_records)
    assert shard.encode(make_records("hex8_2p", 12, first_seed=99)) != shard.encode(hex_records)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.key)
def test_games_survive_storage_and_replay(config) -> None:
    records = make_records(config.key, 2)
    stored = shard.decode(shard.encode(records))
    for before, after in zip(records, stored, strict=True):
        check_replays(after)
        assert after.outcome == before.outcome
        assert after.digest == before.digest
        assert after.player_hashes == before.player_hashes
        np.testing.assert_array_equal(after.moves, before.moves)
        np.testing.assert_array_equal(after.legal, before.legal)
        np.testing.assert_array_equal(after.recorded, before.recorded)
        np.testing.assert_allclose(after.policy, before.policy, atol=1 / 65535)


def test_openings_are_random_and_carry_no_target(hex_records: list[GameRecord]) -> None:
    for record in hex_records:
        assert not record.recorded[: record.opening].any()
        assert record.recorded[record.opening :].all()
        sums = np.add.reduceat(record.policy, record.offsets[:-1])
        np.testing.assert_allclose(sums, record.recorded, atol=1e-5)
    lengths = {record.opening for record in hex_records}
    assert len(lengths) > 1
    assert lengths <= {2, 3, 4}
    assert len({record.digest for record in hex_records}) == len(hex_records)


def test_a_changed_move_is_found(hex_records: list[GameRecord]) -> None:
    record = hex_records[0]
    moves = record.moves.copy()
    moves[10] = moves[11]
    with pytest.raises(DataError, match="decision 1[01] is not legal on replay"):
        check_replays(replace(record, moves=moves))


@pytest.mark.parametrize("field", ["legal", "phases", "seats"])
def test_a_changed_column_is_found(hex_records: list[GameRecord], field: str) -> None:
    column = getattr(hex_records[0], field).copy()
    column[5] += 1
    with pytest.raises(DataError, match="at decision 5 is"):
        check_replays(replace(hex_records[0], **{field: column}))


def test_a_changed_result_is_found(hex_records: list[GameRecord]) -> None:
    record = hex_records[0]
    wrong = replace(record.outcome, winner=1 - record.outcome.winner)
    with pytest.raises(DataError, match="replay gives"):
        check_replays(replace(record, outcome=wrong))
    with pytest.raises(DataError, match="swapped"):
        check_replays(replace(record, swapped=not record.swapped))


def test_damaged_or_foreign_bytes_are_refused(hex_records: list[GameRecord], tmp_path: Path) -> None:
    data = shard.encode(hex_records)
    with pytest.raises(DataError, match="not a readable shard"):
        shard.decode(data[: len(data) // 2])
    with pytest.raises(DataError, match="not a readable shard"):
        shard.decode(tmp_path / "missing.parquet")
    with pytest.raises(DataError, match="at least one game"):
        shard.encode([])
    with pytest.raises(DataError, match="one config"):
        shard.encode([hex_records[0], make_records("square8_2p", 1)[0]])


@pytest.mark.parametrize("field", ["phases", "seats", "legal", "recorded", "values"])
def test_columns_of_other_lengths_are_found(hex_records: list[GameRecord], field: str) -> None:
    short = getattr(hex_records[0], field)[:-1]
    with pytest.raises(DataError, match=f"moves, but {field} has shape"):
        check_replays(replace(hex_records[0], **{field: short}))


def test_a_policy_of_another_length_and_a_rule_that_cannot_be_are_found(hex_records: list[GameRecord]) -> None:
    record = hex_records[0]
    with pytest.raises(DataError, match="stand in its policy"):
        check_replays(replace(record, policy=record.policy[:-1]))
    with pytest.raises(DataError, match="the pie rule is for two players"):
        check_replays(replace(make_records("hex8_3p", 1)[0], pie=True))


def _altered(records: list[GameRecord], name: str, change: Callable[[list[Any]], list[Any]]) -> bytes:
    """A shard whose column `name` was changed behind the back of `encode`."""
    table = pq.read_table(io.BytesIO(shard.encode(records)))
    column = pa.array(change(table.column(name).to_pylist()), table.schema.field(name).type)
    sink = io.BytesIO()
    pq.write_table(table.set_column(table.schema.get_field_index(name), table.schema.field(name), column), sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("name", "first", "says"),
    [
        ("winner", lambda _: None, "a value is missing in winner"),
        ("moves", lambda value: [None, *value[1:]], "a value is missing in moves"),
        ("policy", lambda value: [None, *value[1:]], "a value is missing in policy"),
        ("policy", lambda value: [[None, *value[0][1:]], *value[1:]], "a value is missing in policy"),
        ("values", lambda _: None, "a value is missing in values"),
        ("players", lambda _: [None, "x"], "a value is missing in players"),
        ("moves", lambda value: value[:-1], "decisions, but not as many moves"),
        ("policy", lambda value: value[:-1], "decisions, but not as many policy"),
        ("decisions", lambda value: value + 1, "decisions, but not as many moves"),
        ("values", lambda value: [[1, 2, 3], *value[1:]], "a decision has not 2 values"),
        ("config", lambda _: "hex9_2p", "unknown config 'hex9_2p'"),
    ],
)
def test_a_shard_with_gaps_is_refused(
    hex_records: list[GameRecord], name: str, first: Callable[[Any], Any], says: str
) -> None:
    assert len(shard.decode(_altered(hex_records, name, lambda column: column))) == len(hex_records)
    with pytest.raises(DataError, match=says):
        shard.decode(_altered(hex_records, name, lambda column: [first(column[0]), *column[1:]]))


def test_views_answer_questions(hex_records: list[GameRecord], tmp_path: Path) -> None:
    path = tmp_path / "shard.parquet"
    path.write_bytes(shard.encode(hex_records))
    connection = views.open_views([path])
    counts = connection.execute("select count(*), sum(decisions) from games").fetchall()
    assert counts == [(12, sum(record.decisions for record in hex_records))]
    record = hex_records[3]
    rows = connection.execute(
        "select seat, phase, kind, move, legal, policy from decisions where game = ? order by decision", [record.digest]
    ).fetchall()
    assert [row[0] for row in rows] == record.seats.tolist()
    assert [row[3] for row in rows] == record.moves.tolist()
    assert [row[4] for row in rows] == record.legal.tolist()
    assert rows[0][1:3] == ("place", "place")
    assert rows[record.opening][5] == pytest.approx(
        record.policy[record.offsets[record.opening] : record.offsets[record.opening + 1]].tolist(), abs=1e-4
    )
    with pytest.raises(DataError, match="no shard to query"):
        views.open_views([])


@pytest.fixture(scope="module")
def asked(hex_records, tmp_path_factory):
    """A connection over one shard, and the folder with that shard and another file."""
    folder = tmp_path_factory.mktemp("shards")
    (folder / "one.parquet").write_bytes(shard.encode(hex_records))
    (folder / "other.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    return views.open_views([folder / "one.parquet"]), folder


@pytest.mark.parametrize("query", ["select count(*) from games", "from decisions limit 1", "describe games"])
def test_a_select_over_the_views_is_answered(asked, query):
    assert "│" in views.ask(asked[0], query)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("from '{}/other.csv'", "file system operations are disabled"),
        ("from read_text('{}/*')", "file system operations are disabled"),
        ("from query('from ''{}/other.csv''')", "file system operations are disabled"),
        ("from hex_records", "does not exist"),
        ("copy (select 1) to '{}/one.parquet'", "one SELECT"),
        ("explain analyze copy (select 1) to '{}/new.csv'", "one SELECT"),
        ("set enable_external_access = true", "one SELECT"),
        ("attach '{}/new.db'", "one SELECT"),
        ("load httpfs", "one SELECT"),
        ("select 1; select 2", "one SELECT"),
        ("", "one SELECT"),
        ("nonsense", "the query failed: Parser Error"),
    ],
)
def test_a_query_reaches_the_shards_and_nothing_else(asked, hex_records, query, says):
    connection, folder = asked
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(DataError, match=says):
        views.ask(connection, query.format(folder))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
