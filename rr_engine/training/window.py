"""The training window: replayed games as the arrays of one NPZ file. Knows no torch and no vault.

Schema version 1, S decisions of G games with T legal moves in all; no pickled object anywhere:

    schema_version  int64 ()            1
    feature_version int64 ()            of nn.features, which documents planes, numbers and move rows
    config          str ()              partition key
    planes          uint8 [S, 24, cells]    mover first, every opponent apart
    numbers         float32 [S, 53]
    offsets         int64 [S + 1]       legal moves of decision i are rows offsets[i]:offsets[i + 1]
    move_kinds      uint8 [T]
    move_cells      int16 [T, 3]        `cells` where a move names none
    move_amounts    float32 [T]
    policy          float32 [T]         target, sums to 1 within a decision that has one, else 0
    has_policy      bool [S]
    value           float32 [S, 4]      share of the win per relative seat (mover first), 0 for absent seats
    seats           int8 [S]            who decides
    decision        int32 [S]           index within its game
    game            int32 [S]           index into `games`, ascending
    games           str [G]             digests of the games
    generation      int32 [G]           champions before each game
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from rr_engine.boards import Config
from rr_engine.errors import DataError
from rr_engine.kernels.encode import MOVE_CELLS, MOVE_KINDS, NUMBERS, PLANES
from rr_engine.kernels.layout import MAX_SEATS
from rr_engine.nn.features import FEATURE_VERSION, Encoded, encode_record, relative_seats
from rr_engine.records.record import GameRecord

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Window:
    """The arrays of one dataset; shapes as in the module's schema."""

    config: Config
    encoded: Encoded
    policy: NDArray[np.float32]
    has_policy: NDArray[np.bool_]
    value: NDArray[np.float32]
    seats: NDArray[np.int8]
    decision: NDArray[np.int32]
    game: NDArray[np.int32]
    games: NDArray[np.str_]
    generation: NDArray[np.int32]

    @property
    def samples(self) -> int:
        """Number of decisions."""
        return len(self.seats)


def build_window(records: Sequence[GameRecord], *, max_samples: int) -> Window:
    """Replay `records`, newest first, into a window of at most about `max_samples` decisions (whole games).

    Decisions with one legal move teach nothing and are left out. Raises DataError for an empty window, for games of
    several configs and for a game recorded twice.
    """
    chosen: list[GameRecord] = []
    samples = 0
    for record in records:
        if samples >= max_samples:
            break
        chosen.append(record)
        samples += int(np.count_nonzero(record.legal > 1))
    if samples == 0:
        raise DataError("the training window is empty: no game with a choice in it; make games first")
    if len(configs := {record.config for record in chosen}) > 1:
        raise DataError(f"a window holds games of one config, not of {', '.join(sorted(c.key for c in configs))}")
    names = np.array([record.digest for record in chosen])
    if len(np.unique(names)) < len(names):
        raise DataError(f"{len(names) - len(np.unique(names))} games stand twice in the window")
    parts = [_samples_of(record, index) for index, record in enumerate(chosen)]
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0] if name != "encoded"}
    return Window(
        config=chosen[0].config,
        encoded=_join([part["encoded"] for part in parts]),
        games=names,
        generation=np.array([record.generation for record in chosen], np.int32),
        **joined,
    )


def _samples_of(record: GameRecord, index: int) -> dict[str, Any]:
    wanted = record.legal > 1
    kept = np.repeat(wanted, record.legal)
    won = np.zeros(record.config.players, np.float32)
    won[record.outcome.winner] = 1
    decisions = np.flatnonzero(wanted)
    legal = record.legal[wanted]
    starts = np.concatenate(([0], np.cumsum(legal)))[:-1]
    policy = record.policy[kept]
    totals = np.add.reduceat(policy, starts) if len(policy) else np.zeros(0, np.float32)
    has_policy = record.recorded[wanted] & (totals > 0)
    scale = np.where(has_policy, 1 / np.where(totals > 0, totals, 1), 0)  # undoes the rounding of the shard
    return {
        "encoded": encode_record(record, wanted),
        "policy": (policy * np.repeat(scale, legal)).astype(np.float32),
        "has_policy": has_policy,
        "value": relative_seats(record.seats[wanted], won),
        "seats": record.seats[wanted].astype(np.int8),
        "decision": decisions.astype(np.int32),
        "game": np.full(len(decisions), index, np.int32),
    }


def _join(parts: list[Encoded]) -> Encoded:
    counts = np.concatenate([np.diff(part.offsets) for part in parts])
    return Encoded(
        offsets=np.concatenate(([0], np.cumsum(counts))),
        **{
            field.name: np.concatenate([getattr(part, field.name) for part in parts])
            for field in fields(Encoded)
            if field.name != "offsets"
        },
    )


def save_window(window: Window) -> bytes:
    """The NPZ file of a window; the same window gives the same bytes."""
    arrays = {name: getattr(window, name) for name in _own_fields()}
    arrays |= {field.name: getattr(window.encoded, field.name) for field in fields(Encoded)}
    sink = io.BytesIO()
    np.savez_compressed(
        sink,
        schema_version=np.int64(SCHEMA_VERSION),
        feature_version=np.int64(FEATURE_VERSION),
        config=np.str_(window.config.key),
        **arrays,
    )
    return sink.getvalue()


def _own_fields() -> list[str]:
    return [field.name for field in fields(Window) if field.name not in ("config", "encoded")]


def load_window(source: Path | bytes) -> Window:
    """Read an NPZ file and check it as `check_window` does; raises DataError for anything else."""
    try:
        with np.load(io.BytesIO(source) if isinstance(source, bytes) else source, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, BadZipFile, EOFError, KeyError) as error:
        raise DataError(f"not a readable dataset: {error}") from error
    wanted = {"schema_version", "feature_version", "config", *_own_fields(), *(field.name for field in fields(Encoded))}
    if set(arrays) != wanted:
        raise DataError(f"not a dataset: arrays differ from the schema by {', '.join(sorted(set(arrays) ^ wanted))}")
    for name, version in (("schema_version", SCHEMA_VERSION), ("feature_version", FEATURE_VERSION)):
        if arrays[name].shape != () or int(arrays[name]) != version:
            raise DataError(
                f"dataset has {name} {arrays[name]}, this engine reads {version}: build it anew from its games"
            )
    encoded = Encoded(**{field.name: arrays[field.name] for field in fields(Encoded)})
    window = Window(Config.parse(str(arrays["config"])), encoded, **{name: arrays[name] for name in _own_fields()})
    if problems := check_window(window):
        raise DataError(f"dataset of {window.config.key}: {'; '.join(problems)}")
    return window


def check_window(window: Window) -> list[str]:
    """What is wrong with a window, one sentence each; empty when it keeps the schema and every value is in range."""
    problems = _shape_problems(window)
    return problems or _value_problems(window)


def _shape_problems(window: Window) -> list[str]:
    encoded, samples = window.encoded, len(window.seats)
    moves, cells = len(encoded.move_kinds), window.config.board.cells
    expected: dict[str, tuple[tuple[int, ...], str]] = {
        "planes": ((samples, PLANES, cells), "uint8"),
        "numbers": ((samples, NUMBERS), "float32"),
        "offsets": ((samples + 1,), "int64"),
        "move_kinds": ((moves,), "uint8"),
        "move_cells": ((moves, MOVE_CELLS), "int16"),
        "move_amounts": ((moves,), "float32"),
        "policy": ((moves,), "float32"),
        "has_policy": ((samples,), "bool"),
        "value": ((samples, MAX_SEATS), "float32"),
        "seats": ((samples,), "int8"),
        "decision": ((samples,), "int32"),
        "game": ((samples,), "int32"),
        "generation": ((len(window.games),), "int32"),
    }
    problems: list[str] = []
    for name, (shape, kind) in expected.items():
        array = getattr(encoded, name) if hasattr(encoded, name) else getattr(window, name)
        if array.shape != shape or array.dtype != np.dtype(kind):
            problems.append(f"{name} is {array.dtype} {array.shape}, must be {kind} {shape}")
    return problems


def _value_problems(window: Window) -> list[str]:
    encoded, players = window.encoded, window.config.players
    problems: list[str] = []

    def require(holds: Any, problem: str) -> None:
        if not bool(np.all(holds)):
            problems.append(problem)

    for name in ("numbers", "move_amounts"):
        require(np.isfinite(getattr(encoded, name)), f"{name} is not finite")
    require(window.samples > 0, "there is no decision")
    counts = np.diff(encoded.offsets)
    require(encoded.offsets[0] == 0 and encoded.offsets[-1] == len(window.policy), "offsets do not span the moves")
    require(counts > 1, "a decision has fewer than two legal moves")
    if problems:
        return problems
    require(np.isfinite(window.policy) & (window.policy >= 0) & (window.policy <= 1), "a policy target is not in 0..1")
    sums = np.add.reduceat(window.policy.astype(np.float64), encoded.offsets[:-1])
    require(np.abs(sums - window.has_policy) < 1e-3, "a policy target does not sum to 1")
    require((window.value >= 0) & (window.value <= 1), "a value target is not in 0..1")
    require(np.abs(window.value[:, :players].sum(1) - 1) < 1e-6, "a value target does not sum to 1")
    require(window.value[:, players:] == 0, "an absent seat has a value")
    require((window.seats >= 0) & (window.seats < players), f"a seat is not in 0..{players - 1}")
    require(encoded.move_kinds < MOVE_KINDS, "a move kind is unknown")
    require(
        (encoded.move_cells >= 0) & (encoded.move_cells <= window.config.board.cells), "a move cell is off the board"
    )
    require((window.game >= 0) & (window.game < len(window.games)), "a decision belongs to no game")
    require(len(np.unique(window.games)) == len(window.games), "a game stands twice")
    return problems


def select(window: Window, rows: NDArray[np.int64]) -> tuple[Encoded, NDArray[np.float32], NDArray[np.float32]]:
    """(`Encoded`, policy, value) of some decisions, in the order of `rows`."""
    encoded = window.encoded
    starts, counts = encoded.offsets[rows], np.diff(encoded.offsets)[rows]
    offsets = np.concatenate(([0], np.cumsum(counts)))
    moves = np.repeat(starts - offsets[:-1], counts) + np.arange(offsets[-1])
    part = Encoded(
        planes=encoded.planes[rows],
        numbers=encoded.numbers[rows],
        offsets=offsets,
        move_kinds=encoded.move_kinds[moves],
        move_cells=encoded.move_cells[moves],
        move_amounts=encoded.move_amounts[moves],
    )
    return part, window.policy[moves], window.value[rows]
