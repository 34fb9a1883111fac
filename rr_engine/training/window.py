"""The training window: replayed games as the arrays of one NPZ file. Knows no torch and no vault.

Schema version 2: S decisions of G games with T legal moves in all, no pickled object anywhere. What is relative begins
with the mover and goes on in turn order; absent seats have 0. The value is about agents, who may change places: before
the pie rule is used (rules 5.9), and at the decision that uses it, the agent that will win sits in the other seat.
Owners and scores are about seats, whose colour, territory and credit never change places.

    schema_version  int64 ()            2
    feature_version int64 ()            of nn.features, which documents planes, numbers and move rows
    config      str ()                  partition key
    planes      uint8 [S, cells + 1, 24]
    numbers     float32 [S, 197]
    offsets     int64 [S + 1]           legal moves of decision i are rows offsets[i]:offsets[i + 1]
    move_kinds  uint8 [T]
    move_cells  int16 [T, 3]            `cells` where a move names none
    move_facts  float32 [T, 4]
    policy      float32 [T]             target, sums to 1 within a decision that has one, else 0
    has_policy  bool [S]
    value       float32 [S, 4]          share of the win of the agents as they sit, relative
    root_value  float32 [S, 4]          the same as the search saw it, 0 where none looked
    has_root    bool [S]
    seats       int8 [S]                who decides
    decision    int32 [S]               index within its game
    game        int32 [S]               index into `games`, ascending
    games       str [G]                 digests of the games
    generation  int32 [G]               champions before each game
    decisions   int32 [G]               made in each game, those without a sample too
    owner       int8 [G, cells]         seat whose territory a cell is at the end, -1 for none
    scores      float32 [G, 4, 2]       at the end, by seat: eliminated rings over the goal, territory over the goal

Deflate at its lightest makes a file some 10 times smaller than its arrays; harder levels halve it again but take 2 to
4 times as long.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psutil import virtual_memory

from rr_engine.boards import Config
from rr_engine.errors import ConfigError, DataError, shown
from rr_engine.kernels.encode import MOVE_CELLS, MOVE_FACTS, MOVE_KINDS, NUMBERS, PLANES, encode_game
from rr_engine.kernels.layout import COLLAPSED, MAX_SEATS, SCRATCH, SWAP
from rr_engine.nn.features import FEATURE_VERSION, Encoded, desk
from rr_engine.progress import UNWATCHED, Task, Watch
from rr_engine.records.record import GameRecord
from rr_engine.settings import DatasetSettings
from rr_engine.state import new_state
from rr_engine.training.npz import ArrayFile

SCHEMA_VERSION = 2
_VERSIONS = {"schema_version": SCHEMA_VERSION, "feature_version": FEATURE_VERSION}
_ANY = Config("hex8", 2)  # whose arrays have the names of all
_SCORES = 2  # eliminated rings and territory
_LIGHTEST = 1  # level of deflate
_BYTES_PER_CELL, _BYTES = 40, 930  # of a sample in memory, about: legal moves, too, grow with the board

_Declared = tuple[tuple[int, ...], np.dtype[Any]]  # shape and type of an array


@dataclass(frozen=True)
class Window:
    """The arrays of one dataset; shapes as above."""

    config: Config
    encoded: Encoded
    policy: NDArray[np.float32]
    has_policy: NDArray[np.bool_]
    value: NDArray[np.float32]
    root_value: NDArray[np.float32]
    has_root: NDArray[np.bool_]
    seats: NDArray[np.int8]
    decision: NDArray[np.int32]
    game: NDArray[np.int32]
    games: NDArray[np.str_]
    generation: NDArray[np.int32]
    decisions: NDArray[np.int32]
    owner: NDArray[np.int8]
    scores: NDArray[np.float32]

    @property
    def samples(self) -> int:
        """Number of decisions kept."""
        return len(self.seats)


def window_size(config: Config, made: int, settings: DatasetSettings) -> int:
    """Samples a window may hold when `made` have been made in all.

    All of them at first; above `least_samples` a power of their number (as in KataGo, Wu 2019), up to `max_samples` and
    what fits into `max_memory_gb`.
    """
    least = settings.least_samples
    grown = made if made <= least else round(least * (made / least) ** settings.growth)
    fitting = int(settings.max_memory_gb * 1e9 / (_BYTES_PER_CELL * config.board.cells + _BYTES))
    return max(1, min(grown, fitting, settings.max_samples))


def build_window(
    records: Iterable[GameRecord], *, max_samples: int, silent_share: float = 1.0, watch: Watch = UNWATCHED
) -> Window:
    """Replay `records`, newest first, into a window of at most about `max_samples` decisions (whole games).

    Decisions with one legal move teach nothing and are left out; of those without a policy target a `silent_share` is
    kept, chosen by the digest of their game. Raises DataError for an empty window, for games of several configs and
    for a game recorded twice.
    """
    chosen: list[tuple[GameRecord, NDArray[np.bool_]]] = []
    samples = moves = 0
    names: list[str] = []
    count = watch(Task("samples at most", max_samples, "replayed"))
    for record in records:
        if samples >= max_samples:
            break
        name = record.digest
        wanted = _wanted(record, name, silent_share)
        names.append(name)
        chosen.append((record, wanted))
        samples += int(np.count_nonzero(wanted))
        moves += int(record.legal[wanted].sum())
        count.reach(samples)
    if samples == 0:
        raise DataError("the training window is empty: no game with a choice in it; make games first")
    if len(configs := {record.config for record, _ in chosen}) > 1:
        raise DataError(f"a window holds games of one config, not of {', '.join(sorted(c.key for c in configs))}")
    if len(set(names)) < len(names):
        raise DataError(f"{len(names) - len(set(names))} games stand twice in the window")
    window = _room(chosen[0][0].config, np.array(names), samples, moves)
    first = row = 0
    count = watch(Task("samples", samples, "encoded"))
    for index, (record, wanted) in enumerate(chosen):
        first, row = _add_game(window, index, record, wanted, first, row)
        count.reach(first)
    window.encoded.offsets[-1] = moves
    return window


def _wanted(record: GameRecord, name: str, silent_share: float) -> NDArray[np.bool_]:
    """[decisions]: which become samples."""
    choice = record.legal > 1
    if silent_share >= 1:
        return choice
    drawn = np.random.default_rng(int(name, 16)).random(record.decisions) < silent_share
    return choice & (record.recorded | drawn)


def _shapes(config: Config, samples: int, moves: int, games: int) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and type of every array but `games`."""
    cells = config.board.cells
    return {
        "planes": ((samples, cells + 1, PLANES), "uint8"),
        "numbers": ((samples, NUMBERS), "float32"),
        "offsets": ((samples + 1,), "int64"),
        "move_kinds": ((moves,), "uint8"),
        "move_cells": ((moves, MOVE_CELLS), "int16"),
        "move_facts": ((moves, MOVE_FACTS), "float32"),
        "policy": ((moves,), "float32"),
        "has_policy": ((samples,), "bool"),
        "value": ((samples, MAX_SEATS), "float32"),
        "root_value": ((samples, MAX_SEATS), "float32"),
        "has_root": ((samples,), "bool"),
        "seats": ((samples,), "int8"),
        "decision": ((samples,), "int32"),
        "game": ((samples,), "int32"),
        "generation": ((games,), "int32"),
        "decisions": ((games,), "int32"),
        "owner": ((games, cells), "int8"),
        "scores": ((games, MAX_SEATS, _SCORES), "float32"),
    }


def _assembled(config: Config, arrays: dict[str, NDArray[Any]]) -> Window:
    """A window of arrays by name."""
    inner = [field.name for field in fields(Encoded)]
    encoded = Encoded(**{name: arrays[name] for name in inner})
    return Window(config, encoded, **{name: array for name, array in arrays.items() if name not in inner})


def _arrays_of(window: Window) -> dict[str, NDArray[Any]]:
    """The arrays of a window by name."""
    own = [field.name for field in fields(Window) if field.name not in ("config", "encoded")]
    inner = [field.name for field in fields(Encoded)]
    return {name: getattr(window, name) for name in own} | {name: getattr(window.encoded, name) for name in inner}


def _room(config: Config, games: NDArray[np.str_], samples: int, moves: int) -> Window:
    arrays: dict[str, NDArray[Any]] = {
        name: np.zeros(shape, kind) for name, (shape, kind) in _shapes(config, samples, moves, len(games)).items()
    }
    return _assembled(config, arrays | {"games": games})


def _add_game(
    window: Window, index: int, record: GameRecord, wanted: NDArray[np.bool_], first: int, row: int
) -> tuple[int, int]:
    """Fill samples from `first` and move rows from `row` on; returns where the next game goes."""
    config, encoded, legal = record.config, window.encoded, record.legal[wanted]
    samples, rows = slice(first, first + len(legal)), slice(row, row + int(legal.sum()))
    moves = (encoded.move_kinds[rows], encoded.move_cells[rows], encoded.move_facts[rows])
    state, scratch = new_state(config, pie=record.pie), np.zeros(1, SCRATCH)[0]
    out = np.empty(config.legal_capacity, np.int64)
    encode_game(
        config.board.geometry[0],
        state[0],
        scratch,
        out,
        record.moves,
        wanted,
        desk(config.board),
        encoded.planes[samples],
        encoded.numbers[samples],
        *moves,
    )
    encoded.offsets[samples] = row + np.cumsum(legal) - legal
    _add_targets(window, samples, rows, record, wanted)
    window.decision[samples] = np.flatnonzero(wanted)
    window.game[samples] = index
    window.generation[index] = record.generation
    window.decisions[index] = record.decisions
    cells = config.board.cells
    window.owner[index] = np.where(state[0]["kind"][:cells] == COLLAPSED, state[0]["owner"][:cells], -1)
    window.scores[index, : config.players, 0] = np.array(record.outcome.elim) / config.elim_goal
    window.scores[index, : config.players, 1] = np.array(record.outcome.terr) / config.terr_goal
    return samples.stop, rows.stop


def _add_targets(window: Window, samples: slice, rows: slice, record: GameRecord, wanted: NDArray[np.bool_]) -> None:
    """Policy, value and the search's value of one game."""
    players, seats, legal = record.config.players, record.seats[wanted], record.legal[wanted]
    window.seats[samples] = seats
    if len(legal):
        policy = record.policy[np.repeat(wanted, record.legal)]
        totals = np.add.reduceat(policy, np.cumsum(legal) - legal)
        known = record.recorded[wanted] & (totals > 0)
        scale = np.where(known, 1 / np.where(totals > 0, totals, 1), 0)  # undoes the rounding of the shard
        window.policy[rows] = policy * np.repeat(scale, legal)
        window.has_policy[samples] = known
    turned = (seats[:, None].astype(np.int64) + np.arange(players)) % players
    window.value[samples, :players] = turned == _winning_seat(record)[wanted, None]
    found = record.values[wanted]
    has_root = np.asarray(np.isfinite(found).all(1))
    shares = np.where(has_root[:, None], found, 1)
    shares = shares / shares.sum(1, keepdims=True) * has_root[:, None]
    window.root_value[samples, :players] = np.take_along_axis(shares, turned, 1)
    window.has_root[samples] = has_root


def _winning_seat(record: GameRecord) -> NDArray[np.int64]:
    """[decisions]: the seat where the agent that will win sits at each decision."""
    winner = np.full(record.decisions, record.outcome.winner, np.int64)
    if record.swapped:
        swap = int(np.flatnonzero((record.moves & 15) == SWAP)[0])
        winner[: swap + 1] = 1 - record.outcome.winner
    return winner


def save_window(window: Window) -> bytes:
    """The NPZ file of a window; the same window gives the same bytes."""
    arrays: dict[str, Any] = {name: np.int64(version) for name, version in _VERSIONS.items()}
    arrays |= {"config": np.str_(window.config.key)} | _arrays_of(window)
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=_LIGHTEST) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)
    return sink.getvalue()


def load_window(source: Path | bytes) -> Window:
    """Read an NPZ file and check it as `check_window` does; raises DataError for anything else."""
    names = ("games", *_shapes(_ANY, 0, 0, 0))
    with ArrayFile(source, {*_VERSIONS, "config", *names}, most=virtual_memory().total) as file:
        config = _config_of(file)
        declared = {name: (array.shape, array.dtype) for name, array in file.declared.items()}
        if problems := _shape_problems(config, declared):
            raise DataError(f"dataset of {config.key}: {'; '.join(problems)}")
        window = _assembled(config, {name: file.read(name) for name in names})
    if problems := check_window(window):
        raise DataError(f"dataset of {window.config.key}: {'; '.join(problems)}")
    return window


def _config_of(file: ArrayFile) -> Config:
    """Whose dataset a file is; raises DataError unless it is of this schema and feature version."""
    if wrong := [name for name in ("config", *_VERSIONS) if file.declared[name].shape != ()]:
        raise DataError(f"not a dataset: {', '.join(wrong)} must be single values")
    for name, version in _VERSIONS.items():
        if (found := file.read(name).item()) != version:
            raise DataError(
                f"dataset has {name} {shown(found)}, this engine reads {version}: build it anew from its games"
            )
    try:
        return Config.parse(str(file.read("config")))
    except ConfigError as error:
        raise DataError(f"not a dataset of this engine: {error}") from error


def check_window(window: Window) -> list[str]:
    """What is wrong with a window, one sentence each; empty when it keeps the schema and every value is in range."""
    declared = {name: (array.shape, array.dtype) for name, array in _arrays_of(window).items()}
    return _shape_problems(window.config, declared) or _move_problems(window) or _value_problems(window)


def _shape_problems(config: Config, declared: Mapping[str, _Declared]) -> list[str]:
    counted = [declared[name][0] for name in ("seats", "move_kinds", "games")]
    if any(len(shape) != 1 for shape in counted) or declared["games"][1].kind != "U":
        return ["seats, move_kinds and games must be lists, games of texts"]
    return [
        f"{name} is {declared[name][1]} {declared[name][0]}, must be {kind} {shape}"
        for name, (shape, kind) in _shapes(config, *(shape[0] for shape in counted)).items()
        if declared[name] != (shape, np.dtype(kind))
    ]


def _move_problems(window: Window) -> list[str]:
    """Of what the others rest on: the moves, how they are shared out, and which game a decision belongs to."""
    encoded, offsets = window.encoded, window.encoded.offsets
    cells = window.config.board.cells
    names, spans = np.unique(window.games), bool(offsets[0] == 0 and offsets[-1] == len(window.policy))
    return _broken(
        [
            (window.samples > 0, "there is no decision"),
            (spans, "offsets do not span the moves"),
            (np.diff(offsets) > 1, "a decision has fewer than two legal moves"),
            (encoded.move_kinds < MOVE_KINDS, "a move kind is unknown"),
            ((encoded.move_cells >= 0) & (encoded.move_cells <= cells), "a move cell is off the board"),
            (np.isfinite(encoded.numbers), "numbers is not finite"),
            (np.isfinite(encoded.move_facts), "move_facts is not finite"),
            (encoded.planes[:, cells] == 0, "a plane is not empty outside the board"),
            ((window.game >= 0) & (window.game < len(window.games)), "a decision belongs to no game"),
            (len(names) == len(window.games), "a game stands twice"),
        ]
    )


def _value_problems(window: Window) -> list[str]:
    """Of the targets and seats."""
    players, policy = window.config.players, window.policy
    sums = np.add.reduceat(policy.astype(np.float64), window.encoded.offsets[:-1])
    problems: list[tuple[Any, str]] = [
        (np.isfinite(policy) & (policy >= 0) & (policy <= 1), "a policy target is not in 0..1"),
        (np.abs(sums - window.has_policy) < 1e-3, "a policy target does not sum to 1"),
    ]
    for what, value, known in (
        ("value target", window.value, np.bool_(True)),
        ("value of a search", window.root_value, window.has_root),
    ):
        problems += [
            ((value >= 0) & (value <= 1), f"a {what} is not in 0..1"),
            (np.abs(value[:, :players].sum(1) - known) < 1e-3, f"a {what} does not sum to 1"),
            (value[:, players:] == 0, f"an absent seat has a {what}"),
        ]
    return _broken(
        [
            *problems,
            ((window.seats >= 0) & (window.seats < players), f"a seat is not in 0..{players - 1}"),
            ((window.owner >= -1) & (window.owner < players), f"an owner is not in -1..{players - 1}"),
            (np.isfinite(window.scores) & (window.scores >= 0), "a score is not finite or below 0"),
            (window.decisions[window.game] > window.decision, "a decision lies behind the end of its game"),
        ]
    )


def _broken(rules: Iterable[tuple[Any, str]]) -> list[str]:
    return [problem for holds, problem in rules if not bool(np.all(holds))]
