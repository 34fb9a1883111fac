"""Shards: many games as one Parquet file, one row a game.

Columns are those of `GameRecord`; policy and values are kept as 16-bit fractions, nested as decision -> legal move or
seat; values of a decision that nobody searched are null.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rr_engine.boards import Config
from rr_engine.errors import ConfigError, DataError, in_line, shown
from rr_engine.outcome import Outcome
from rr_engine.records.record import GameRecord

SCHEMA_VERSION = 2
_POLICY_SCALE = 65535
_MOST_BYTES = 1 << 29  # of a shard: a hundred games of the largest board have some 30 million
_MOST_GAMES = 1 << 20
_MOST_TOLD = 1 << 20  # of one text or list in what the file says of itself
_LONG = ("moves", "phases", "seats", "recorded", "policy", "values")
_NULLABLE = (("out", 1), ("values", 1))  # column and depth in its lists where a null says something
_RESULT = ("winner", "end", "ranks", "terr", "elim", "markers", "out", "turns")


def schema() -> Any:
    """The Parquet schema of a shard."""
    import pyarrow as pa

    text, small, number = pa.string(), pa.int8(), pa.int32()
    return pa.schema(
        [
            ("game", text),  # digest of the moves
            ("config", text),
            ("seed", pa.int64()),
            ("pie", pa.bool_()),
            ("swapped", pa.bool_()),
            ("players", pa.list_(text)),
            ("player_hashes", pa.list_(text)),
            ("generation", number),
            ("opening", number),
            ("decisions", number),
            ("winner", small),
            ("end", text),
            ("ranks", pa.list_(small)),
            ("terr", pa.list_(number)),
            ("elim", pa.list_(number)),
            ("markers", pa.list_(number)),
            ("out", pa.list_(number)),  # null: never out
            ("turns", number),
            ("moves", pa.list_(pa.int64())),  # codes of kernels.layout
            ("phases", pa.list_(small)),
            ("seats", pa.list_(small)),
            ("recorded", pa.list_(pa.bool_())),
            ("policy", pa.list_(pa.list_(pa.uint16()))),  # 65535ths, one list a decision
            ("values", pa.list_(pa.list_(pa.uint16()))),  # the same, by seat
        ],
        metadata={"schema_version": str(SCHEMA_VERSION)},
    )


def encode(records: Sequence[GameRecord]) -> bytes:
    """A shard's bytes; the same records give the same bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not records:
        raise DataError("a shard needs at least one game")
    if len(configs := {record.config.key for record in records}) > 1:
        raise DataError(f"a shard holds games of one config, not of {', '.join(sorted(configs))}")
    layout = schema()
    rows = [_row(record) for record in records]
    nested = {"policy": _policy_column(records), "values": _values_column(records)}
    arrays = [
        nested[field.name] if field.name in nested else pa.array([row[field.name] for row in rows], field.type)
        for field in layout
    ]
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_arrays(arrays, schema=layout), sink, compression="zstd")
    return sink.getvalue()


def _row(record: GameRecord) -> dict[str, Any]:
    return {
        "game": record.digest,
        "config": record.config.key,
        "seed": record.seed,
        "pie": record.pie,
        "swapped": record.swapped,
        "players": list(record.players),
        "player_hashes": list(record.player_hashes),
        "generation": record.generation,
        "opening": record.opening,
        "decisions": record.decisions,
        **{name: list(value) if isinstance(value, tuple) else value for name, value in asdict(record.outcome).items()},
        "moves": record.moves,
        "phases": record.phases,
        "seats": record.seats,
        "recorded": record.recorded,
    }


def _policy_column(records: Sequence[GameRecord]) -> Any:
    import pyarrow as pa

    flat = np.concatenate([record.policy for record in records])
    legal = np.concatenate([record.legal for record in records])
    inner = pa.ListArray.from_arrays(
        _offsets(legal), pa.array(np.rint(flat * _POLICY_SCALE).astype(np.uint16), pa.uint16())
    )
    return pa.ListArray.from_arrays(_offsets(np.array([record.decisions for record in records])), inner)


def _values_column(records: Sequence[GameRecord]) -> Any:
    import pyarrow as pa

    values = np.concatenate([record.values for record in records])
    known = ~np.isnan(values[:, 0])
    inner = pa.ListArray.from_arrays(
        _offsets(known * values.shape[1]),
        pa.array(np.rint(values[known].ravel() * _POLICY_SCALE).astype(np.uint16), pa.uint16()),
        mask=pa.array(~known),
    )
    return pa.ListArray.from_arrays(_offsets(np.array([record.decisions for record in records])), inner)


def _offsets(lengths: NDArray[Any]) -> NDArray[np.int32]:
    return np.concatenate(([0], np.cumsum(lengths))).astype(np.int32)


def decode(source: Path | bytes) -> list[GameRecord]:
    """The games of a shard; raises DataError if it is no shard of this schema version, or a game is not whole."""
    table = _read_table(source)
    columns = {name: table.column(name).combine_chunks() for name in table.schema.names}
    if gaps := [name for name, column in columns.items() if not _is_complete(name, column)]:
        raise DataError(f"not a whole shard: a value is missing in {', '.join(gaps)}")
    rows = table.drop_columns(list(_LONG)).to_pylist()
    return [_record(row, {name: columns[name][index].values for name in _LONG}) for index, row in enumerate(rows)]


def _read_table(source: Path | bytes) -> Any:
    """The table of a shard, once what it declares of itself is neither foreign nor too large."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        size = len(source) if isinstance(source, bytes) else source.stat().st_size
        if size > _MOST_BYTES:
            raise DataError(f"not a readable shard: it has {size} bytes, {_MOST_BYTES} are allowed")
        opened = io.BytesIO(source) if isinstance(source, bytes) else source
        with pq.ParquetFile(
            opened, thrift_string_size_limit=_MOST_TOLD, thrift_container_size_limit=_MOST_TOLD
        ) as file:
            if not file.schema_arrow.equals(schema()):
                names = shown(", ".join(file.schema_arrow.names))
                raise DataError(f"not a shard of schema version {SCHEMA_VERSION}: its columns are {names}")
            if (games := file.metadata.num_rows) > _MOST_GAMES:  # of `metadata`, what is below a column may abort
                raise DataError(f"not a readable shard: it declares {games} games, {_MOST_GAMES} are allowed")
            table = file.read(use_threads=False)
            table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"not a readable shard: {in_line(error)}") from error
    return table


def _is_complete(name: str, column: Any) -> bool:
    """Whether nothing is null in a column and the lists in it, but what may be."""
    import pyarrow as pa

    depth = 0
    while (name, depth) in _NULLABLE or column.null_count == 0:
        if not pa.types.is_list(column.type):
            return True
        column, depth = column.flatten(), depth + 1
    return False


def _record(row: dict[str, Any], arrays: dict[str, Any]) -> GameRecord:
    try:
        config = Config.parse(row["config"])
    except ConfigError as error:
        raise DataError(f"game {row['game']}: {error}") from error
    if not len(row["players"]) == len(row["player_hashes"]) == config.players:
        raise DataError(f"game {row['game']} of {config.key} has not one player and hash for each seat")
    if not 0 <= row["opening"] <= row["decisions"] or row["generation"] < -1:
        raise DataError(f"game {row['game']} has an opening of {row['opening']}, generation {row['generation']}")
    if wrong := [name for name, array in arrays.items() if len(array) != row["decisions"]]:
        raise DataError(f"game {row['game']} has {row['decisions']} decisions, but not as many {', '.join(wrong)}")
    policy = arrays["policy"]
    legal = np.asarray(policy.value_lengths().to_numpy(zero_copy_only=False), np.int32)
    record = GameRecord(
        config=config,
        seed=row["seed"],
        pie=row["pie"],
        swapped=row["swapped"],
        players=tuple(row["players"]),
        player_hashes=tuple(row["player_hashes"]),
        generation=row["generation"],
        opening=row["opening"],
        moves=arrays["moves"].to_numpy(zero_copy_only=False),
        phases=arrays["phases"].to_numpy(zero_copy_only=False),
        seats=arrays["seats"].to_numpy(zero_copy_only=False),
        recorded=arrays["recorded"].to_numpy(zero_copy_only=False),
        legal=legal,
        policy=policy.flatten().to_numpy(zero_copy_only=False).astype(np.float32) / _POLICY_SCALE,
        values=_values(arrays["values"], config.players, row["game"]),
        outcome=_outcome(row),
    )
    if record.digest != row["game"]:
        raise DataError(f"game {shown(row['game'])} has the moves of game {record.digest}")
    return record


def _values(column: Any, seats: int, game: str) -> NDArray[np.float32]:
    values = np.full((len(column), seats), np.nan, np.float32)
    known = column.is_valid().to_numpy(zero_copy_only=False)
    if np.any(column.value_lengths().to_numpy(zero_copy_only=False)[known] != seats):
        raise DataError(f"game {game}: a decision has not {seats} values")
    fractions = column.flatten().to_numpy(zero_copy_only=False).astype(np.float32)
    values[known] = fractions.reshape(-1, seats) / _POLICY_SCALE
    return values


def _outcome(row: dict[str, Any]) -> Outcome:
    result: dict[str, Any] = {key: tuple(row[key]) if isinstance(row[key], list) else row[key] for key in _RESULT}
    return Outcome(**result)
