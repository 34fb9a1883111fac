"""The readers of settings, traces and the protocol of outside programs, as they are shown damaged inputs."""

import fcntl
import gzip
import json
import os
import random
import selectors
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from rr_engine.boards import Config
from rr_engine.errors import DataError
from rr_engine.game import Game
from rr_engine.players import external
from rr_engine.players.program import Deadline, Program
from rr_engine.records import trace
from rr_engine.settings import MatchSettings, Settings, load
from tests.engine import damage
from tests.engine.readers import Reader

HEX = Config.parse("hex8_2p")
OWN = Path(__file__).parents[1] / "data" / "games.jsonl.gz"
_SHOWN = 500  # characters of a difference


def settings(folder: Path) -> Reader:
    """Settings files: every default written down, one of them or some bytes changed."""
    values = (
        "nan",
        "inf",
        "-inf",
        "0x" + "f" * 6000,
        "1979-05-27",
        "07:32:00",
        "'''\nx'''",
        "{ a = 1 }",
        "[" * 999,
        "1e999",
    )
    path = folder / "settings.toml"
    lines = list(_as_toml())
    names = [place for place, line in enumerate(lines) if "=" in line]

    def make(rng: random.Random) -> bytes:
        changed, place = list(lines), rng.choice(names)
        key = changed[place].partition(" = ")[0]
        changed[place] = f"{key} = {rng.choice((*values, *damage.VALUES))}"
        text = "\n".join(rng.choice((lines, changed, changed))).encode()
        return text if text != "\n".join(lines).encode() and rng.random() < 0.8 else damage.of_bytes(rng, text)

    def read(damaged: bytes) -> None:
        path.write_bytes(damaged)
        found = asdict(load(path, environ={}))
        for section, said in tomllib.loads(damaged.decode()).items():
            assert {name: found[section][name] for name in said} == said

    return Reader(1000, make, read)


def _as_toml() -> Iterator[str]:
    for section, content in asdict(Settings()).items():
        yield f"[{section}]"
        yield from (f"{name} = {json.dumps(value)}" for name, value in content.items() if not isinstance(value, dict))


def environment() -> Reader:
    names = [(section, name) for section, content in asdict(Settings()).items() for name in content]

    def make(rng: random.Random) -> dict[str, str]:
        name = "__".join(rng.choice(names)).upper()
        name = rng.choice((name, name, name, name[:-1], f"{name}__X", "SELFPLAY__", "__", f"X{name}"))
        return {f"RR_{name}": rng.choice((*damage.VALUES, "x" * 200, "1.0", "\udcff", "[1", "a\nb"))}

    def read(damaged: dict[str, str]) -> None:
        found = asdict(load(environ=damaged))
        [(name, text)] = damaged.items()
        section, _, key = name.removeprefix("RR_").lower().partition("__")
        assert found[section][key] in (text, _json_or_none(text))

    return Reader(400, make, read)


def _json_or_none(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def traces(folder: Path) -> Reader:
    """Trace files; a replay says what differs, and nothing differs only in what is as it was."""
    record = min(trace.read(OWN), key=lambda record: record["k"])
    known = ("b", "n", "k", "m", "sh", "lh", "ln", "fh")

    def make(rng: random.Random) -> tuple[str, bytes]:
        text = json.dumps(record).encode()
        if rng.random() < 0.6:
            return "a.jsonl", b" ".join(damage.of_json(rng, record).split(b"\n"))
        if rng.random() < 0.5:
            return "a.jsonl", damage.of_bytes(rng, text)
        return "a.jsonl.gz", damage.of_bytes(rng, gzip.compress(text, mtime=0))

    def read(given: tuple[str, bytes]) -> None:
        path = folder / given[0]
        path.write_bytes(given[1])
        for found in trace.read(path):
            told = trace.replay(found)
            same = all(found[key] == record[key] for key in known) and record["res"].items() <= found["res"].items()
            assert told.difference or same
            if told.difference:
                raise DataError(told.difference[:_SHOWN])

    return Reader(500, make, read)


def protocol() -> Reader:
    """What an outside program says to the greeting and to `go`, through a pipe of its own."""
    game = Game(HEX)
    legal = game.legal_texts()

    def make(rng: random.Random) -> bytes:
        moves = "".join(f"{word}\n" for word in ("info x", "legal", "state", f"move {rng.choice(legal)}"))
        text = f"ringrift 1 name\n{moves}".encode()
        text = text.replace(b"move", rng.choice((b"move", b"move ", b"MOVE", b"move x", b"play", b"\xff", b"move\0")))
        return damage.of_bytes(rng, text + rng.choice((b"", b"x" * 70000, b"\n" * 3000, b"info\n" * 3000)))

    def read(said: bytes) -> None:
        with _heard(said) as program:
            external._shake_hands(program, MatchSettings(start_time_ms=200))
            move = external._answer(program, game, Deadline(200))
            assert game.move_text(move).encode() in said

    return Reader(500, make, read)


@contextmanager
def _heard(said: bytes) -> Iterator[Program]:
    """A program as it is read, without a process: its output is what was said, and then ends."""
    program = object.__new__(Program)
    ends = [os.pipe() for _ in range(3)]
    fcntl.fcntl(ends[1][1], fcntl.F_SETPIPE_SZ, 1 << 20)
    files = [os.fdopen(ends[0][1], "wb", 0), os.fdopen(ends[1][0], "rb", 0), os.fdopen(ends[2][0], "rb", 0)]
    program._input, program._output, program._errors = files  # pyright: ignore[reportAttributeAccessIssue] - raw files
    os.write(ends[1][1], said)
    for end in (ends[1][1], ends[2][1]):
        os.close(end)
    program._process = SimpleNamespace(wait=lambda _: 0)  # pyright: ignore[reportAttributeAccessIssue] - no process
    program._unsent, program._heard, program._complaints = bytearray(), bytearray(), bytearray()
    program._selector = selectors.DefaultSelector()
    for file in files[1:]:
        os.set_blocking(file.fileno(), False)
        program._selector.register(file, selectors.EVENT_READ)
    try:
        yield program
    finally:
        program._selector.close()
        os.close(ends[0][0])
        for file in files:
            file.close()
