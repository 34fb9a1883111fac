"""Trace files (format version 1): write them, read them, and replay them decision by decision."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from rr_engine.boards import Config
from rr_engine.errors import DataError, EngineError, TraceError, shown
from rr_engine.game import Game
from rr_engine.outcome import Outcome
from rr_engine.reading import parse_json

_GAME_KEYS = ("id", "b", "n", "swap", "k", "m", "sh", "lh", "ln", "fh", "res")
_POSITION_KEYS = ("name", "b", "n", "text", "acted", "legal", "next")
_RESULT_KEYS = ("win", "end", "ranks", "terr", "elim", "mark", "out", "turns")
_HASH_LENGTH = 16
_LONGEST_NAME = 80
_LONGEST_LINE = 1 << 24  # characters; those of the largest boards have some 50,000
_BLOCK = 1 << 20  # bytes in memory at once where lines are only counted


@dataclass(frozen=True)
class Replay:
    """How the replay of one trace went; `difference` is empty when everything agreed."""

    name: str
    decisions: int
    difference: str
    moves: tuple[int, ...] = ()  # of a game: the codes of those played


@dataclass(frozen=True)
class Verification:
    """How the replay of one file went: games and decisions compared, one text per mismatch."""

    games: int
    decisions: int
    mismatches: tuple[str, ...]


def verify(path: Path, *, on_replay: Callable[[Replay], None] | None = None) -> Verification:
    """Replay every record of a file; damage to the file counts as one mismatch and ends the reading.

    `on_replay` hears of each.
    """
    games = decisions = 0
    mismatches: list[str] = []
    try:
        for record in read(path):
            replayed = replay(record)
            games += 1
            decisions += replayed.decisions
            if on_replay is not None:
                on_replay(replayed)
            if replayed.difference:
                mismatches.append(f"game {replayed.name}: {replayed.difference}")
    except TraceError as error:
        mismatches.append(str(error))
    return Verification(games, decisions, tuple(mismatches))


def write(path: Path, records: Iterable[Mapping[str, Any]]) -> int:
    """Write a trace file, one record a line, and return how many; gzip where it is called `.gz`.

    The same records give the same bytes. What was at `path` stays until the last record is written, and for
    good where one raises. Raises TraceError where nothing can be written.
    """
    written = 0
    aside = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
    try:
        with aside.open("wb") as file:
            packs = path.suffix == ".gz"
            with gzip.GzipFile("", "wb", fileobj=file, mtime=0) if packs else nullcontext(file) as lines:
                for record in records:
                    lines.write(line_of(record))
                    written += 1
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        raise TraceError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        if aside.exists():
            aside.unlink()
    return written


def line_of(record: Mapping[str, Any]) -> bytes:
    """A record as a trace file has it."""
    return (json.dumps(record, separators=(",", ":")) + "\n").encode()


def record_of_game(game: Game, *, name: str, **extra: Any) -> dict[str, Any]:
    """The trace of a finished game, with `extra` fields beside those a replay needs, such as `seed` or `tags`.

    Raises TraceError for a game that is not over or did not begin at the usual start, which is all a trace can say.
    """
    outcome = game.outcome()
    if outcome is None:
        raise TraceError(f"game {name} is not over after {len(game.moves_played)} decisions: no trace of it")
    twin = game.copy()
    decisions: list[tuple[str, str, str, str, str, int]] = []
    while twin.moves_played:
        played = twin.undo()
        legal = twin.legal_texts()
        text = twin.move_text(played)
        decisions.append((text, twin.phase, str(twin.player), h16(twin.to_text()), h16(" ".join(legal)), len(legal)))
    pie = bool(twin.state[0]["pie_open"])
    if twin.state.tobytes() != Game(game.config, pie=pie).state.tobytes():
        raise TraceError(f"game {name} did not begin at the usual start: no trace of it")
    moves, phases, seats, state_hashes, list_hashes, counts = zip(*reversed(decisions), strict=True)
    return {
        "v": 1,
        "id": name,
        "b": game.config.board_name,
        "n": game.config.players,
        "swap": int(pie),
        "k": len(moves),
        "m": " ".join(moves),
        "f": " ".join(phases),
        "p": "".join(seats),
        "sh": "".join(state_hashes),
        "lh": "".join(list_hashes),
        "ln": list(counts),
        "fh": h16(game.to_text()),
        "res": _result_fields(outcome),
        **extra,
    }


def h16(text: str) -> str:
    """First 16 hex digits of SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_LENGTH]


def lines_in(path: Path) -> int:
    """How many lines a trace file has, up to where it is damaged; `read` tells of that."""
    lines = 0
    try:
        with _opener(path)(path, "rb") as file:
            while block := file.read(_BLOCK):
                lines += block.count(b"\n")
    except (OSError, EOFError, zlib.error):
        pass
    return lines


def _opener(path: Path) -> Callable[..., Any]:
    return gzip.open if path.suffix == ".gz" else open


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The records of a trace file, plain or gzip; raises TraceError naming file and line for damage."""
    return (record for _, record in read_numbered(path))


def read_numbered(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """As `read`, each record with the number of its line."""
    number = 0
    try:
        with _opener(path)(path, "rt", encoding="utf-8") as lines:
            for number, line in enumerate(iter(lambda: lines.readline(_LONGEST_LINE), ""), 1):
                if len(line) == _LONGEST_LINE:
                    raise TraceError(f"{path} line {number}: a trace has less than {_LONGEST_LINE} characters")
                if line.strip():
                    yield number, _checked(_parsed(line, path, number), path, number)
    except FileNotFoundError:
        raise TraceError(f"{path}: no such trace file") from None
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise TraceError(f"{path}: damaged after line {number}: {error}") from error
    if number == 0:
        raise TraceError(f"{path}: holds no trace")


def _parsed(line: str, path: Path, number: int) -> Any:
    try:
        return parse_json(line)
    except DataError as error:
        raise TraceError(f"{path} line {number}: {error}") from error


def _checked(record: Any, path: Path, number: int) -> dict[str, Any]:
    """The record if it has every field a replay needs, in the right form."""
    where = f"{path} line {number}"
    if not isinstance(record, dict):
        raise TraceError(f"{where}: a trace is a JSON object, this is {type(record).__name__}")
    keys = _POSITION_KEYS if "text" in record else _GAME_KEYS
    if missing := [key for key in keys if key not in record]:
        raise TraceError(f"{where}: field {', '.join(missing)} missing")
    if keys is _GAME_KEYS:
        _check_lengths(record, where)
    else:
        _check_position(record, where)
    return record


def _check_position(record: Mapping[str, Any], where: str) -> None:
    if [type(record[key]) for key in ("text", "legal", "next")] != [str, list, dict]:
        raise TraceError(f"{where}: `text` must be a text, `legal` a list and `next` an object")
    if not all(isinstance(item, str) for item in (*record["legal"], *record["next"].values())):
        raise TraceError(f"{where}: `legal` must hold the texts of moves, and `next` those of states")


def _check_lengths(record: Mapping[str, Any], where: str) -> None:
    count = record["k"]
    if not isinstance(count, int) or not all(isinstance(record[key], str) for key in ("m", "sh", "lh", "fh")):
        raise TraceError(f"{where}: k must be a number; m, sh, lh, fh texts")
    lengths = {
        "m": len(record["m"].split()),
        "sh": len(record["sh"]) / _HASH_LENGTH,
        "lh": len(record["lh"]) / _HASH_LENGTH,
        "ln": len(record["ln"]) if isinstance(record["ln"], list) else -1,
    }
    if wrong := [f"{key} has {length:g}" for key, length in lengths.items() if length != count]:
        raise TraceError(f"{where}: k is {count} decisions, but {', '.join(wrong)}")
    result = record["res"]
    if not isinstance(result, dict) or any(key not in result for key in _RESULT_KEYS):
        raise TraceError(f"{where}: `res` must be an object with {', '.join(_RESULT_KEYS)}")


def replay(record: Mapping[str, Any]) -> Replay:
    """Replay one record of `read` and compare every decision; stops at the first difference."""
    name = record.get("id", record.get("name"))
    name = name if isinstance(name, str) and len(name) <= _LONGEST_NAME else shown(name)
    try:
        return _replay_position(record, name) if "text" in record else _replay_game(record, name)
    except EngineError as error:
        return Replay(name, 0, f"cannot be replayed: {error}")


def config_of(record: Mapping[str, Any]) -> Config:
    """Whose game or position a record is; raises ConfigError where it names no config."""
    return Config.parse(f"{record['b']}_{record['n']}p")


def _replay_game(record: Mapping[str, Any], name: str) -> Replay:
    game = Game(config_of(record), pie=bool(record["swap"]))
    for index, text in enumerate(record["m"].split()):
        if difference := _compare_decision(game, record, index):
            return Replay(name, index + 1, f"decision {index}: {difference}")
        try:
            game.play(text)
        except EngineError as error:
            return Replay(name, index + 1, f"decision {index}: {error}")
    count = record["k"]
    text = game.to_text()
    if h16(text) != record["fh"]:
        return Replay(name, count, f"final state: hash {h16(text)}, trace {shown(record['fh'])}: {text}")
    return Replay(name, count, _compare_result(game.outcome(), record["res"]), game.moves_played)


def _compare_decision(game: Game, record: Mapping[str, Any], index: int) -> str:
    span = slice(index * _HASH_LENGTH, (index + 1) * _HASH_LENGTH)
    state_hash = h16(game.to_text())
    if state_hash != record["sh"][span]:
        return f"state hash {state_hash}, trace {record['sh'][span]}: {game.to_text()}"
    texts = game.legal_texts()
    if len(texts) != record["ln"][index]:
        told = shown(record["ln"][index])
        return f"{len(texts)} legal moves, trace {told}: {' '.join(texts)[:400]} at {game.to_text()}"
    list_hash = h16(" ".join(texts))
    if list_hash != record["lh"][span]:
        return f"legal list hash {list_hash}, trace {record['lh'][span]}: {' '.join(texts)[:400]} at {game.to_text()}"
    return ""


def _compare_result(outcome: Outcome | None, expected: Mapping[str, Any]) -> str:
    if outcome is None:
        return "the game is not over where the trace ends"
    got = _result_fields(outcome)
    wrong = [f"{key} {got[key]}, trace {shown(expected[key])}" for key in _RESULT_KEYS if got[key] != expected[key]]
    return f"result: {'; '.join(wrong)}" if wrong else ""


def _result_fields(outcome: Outcome) -> dict[str, Any]:
    return {
        "win": outcome.winner,
        "end": outcome.end,
        "ranks": list(outcome.ranks),
        "terr": list(outcome.terr),
        "elim": list(outcome.elim),
        "mark": list(outcome.markers),
        "out": list(outcome.out),
        "turns": outcome.turns,
    }


def _replay_position(record: Mapping[str, Any], name: str) -> Replay:
    game = Game.from_text(config_of(record), record["text"], acted=bool(record["acted"]))
    if game.to_text() != record["text"]:
        return Replay(name, 1, f"decision 0: text {game.to_text()}, trace {record['text']}")
    texts = game.legal_texts()
    if texts != record["legal"]:
        return Replay(name, 1, f"decision 0: legal {' '.join(texts)[:400]}, trace {' '.join(record['legal'])[:400]}")
    for text in texts:
        after = game.copy()
        after.play(text)
        outcome = after.outcome()
        got = f"{after.to_text()}|{outcome.end}|{outcome.winner}" if outcome else after.to_text()
        if got != record["next"].get(text):
            return Replay(name, 1, f"decision 0: after {text} {got}, trace {shown(record['next'].get(text))}")
    return Replay(name, 1, "")
