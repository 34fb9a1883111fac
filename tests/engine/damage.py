"""Damage to files and texts: what a bad disk, a bad line or a bad author makes of them. All of it from a generator."""

import io
import json
import random
import struct
import zipfile
from collections.abc import Callable
from typing import Any

LENGTHS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 2**40, 2**63 - 1, 2**64 - 1)
DEEP = 3000  # brackets inside each other
# As texts of JSON, so that some of them are none.
VALUES = (
    *("null", "true", "false", "0", "-1", "1", "1.5", "1e308", "1e999", "-1e999", "NaN", "Infinity", "-Infinity"),
    *(str(2**63), str(2**64), str(-(2**70)), "9" * 400, "9" * 5000, '""', '"x"', '"\\u0000"', '"\\ud800"', '"\\n\\r"'),
    *('"../../../etc/passwd"', '"/etc/passwd"', '"external:sh -c true"', '"file:x"', '"hex9_2p"', f'"{"a" * 70000}"'),
    *("[]", "{}", "[null]", "[[]]", '{"a": 1}', '[0, "x"]', "[1, 2, 3, 4, 5, 6]", '{"a": 1, "a": 2}', "[" * DEEP),
    *("[" * DEEP + "]" * DEEP, '{"a":' * DEEP + "1" + "}" * DEEP, '"9999-12-31T23:59:59.999999+00:00"', '"0000"'),
)


def of_bytes(rng: random.Random, data: bytes) -> bytes:
    """One to three damages anywhere in `data`."""
    for _ in range(rng.choice((1, 1, 2, 3))):
        data = rng.choice(_BYTES)(rng, data or b"\0")
    return data


def of_json(rng: random.Random, value: Any) -> bytes:
    """The JSON of a value in which one thing has become another, is missing, is new or stands twice."""
    value = json.loads(json.dumps(value))
    holder, key = _any_place(rng, value)
    name = "x" if isinstance(holder, list) else key
    raw = rng.choice(VALUES)
    match rng.randrange(8):
        case 0 if holder:
            del holder[key]
        case 1 if isinstance(holder, dict):
            holder["surplus"] = "@@"
        case 2 if isinstance(holder, dict):
            raw = f"{json.dumps(holder[key])}, {json.dumps(name)}: {rng.choice(VALUES)}"
            holder[key] = "@@"
        case 3 if isinstance(holder, dict):
            holder[rng.choice(("", "..", "a/b", "\0"))] = holder.pop(key)
        case 4 if isinstance(holder[key], int | float):
            holder[key] = rng.choice((-1, 1, 2, 0.5, 10**6)) * holder[key] + rng.choice((-1, 0, 1))
        case _:
            holder[key] = "@@"
    text = json.dumps(value, indent=1, sort_keys=True).replace('"@@"', raw, 1).encode()
    return of_bytes(rng, text) if rng.random() < 0.2 else text


def of_zip(rng: random.Random, data: bytes) -> bytes:
    """An archive that is whole, whose members are not what they were: their bytes, names, number or order."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    place = rng.randrange(len(members))
    name, content = members[place]
    match rng.randrange(6):
        case 0:
            del members[place]
        case 1:
            members.append((rng.choice((name, "../x.npy", "/x.npy", "x", "")), content))
        case 2:
            members[place] = name, members[rng.randrange(len(members))][1]
        case 3:
            members[place] = name, of_bytes(rng, content[:128]) + content[128:]  # of its header
        case 4:
            digits = rng.choice((b"99999999999", b"-1", b"0", b"1e9", b"1" * 30))
            members[place] = name, content[:128].replace(b"(", b"(" + digits + b",", 1) + content[128:]
        case _:
            members[place] = name, of_bytes(rng, content)
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2))) as made:
        for member, content in members:
            made.writestr(zipfile.ZipInfo(member), content, compress_type=made.compression)
    return sink.getvalue()


def of_lengths(rng: random.Random, data: bytes, first: int, last: int) -> bytes:
    """`data` with a length that is written in `first:last` made another one."""
    size = rng.choice((2, 4, 8))
    place = rng.randrange(first, max(first + 1, last - size))
    return data[:place] + struct.pack("<Q", rng.choice(LENGTHS))[:size] + data[place + size :]


def _any_place(rng: random.Random, value: Any) -> tuple[Any, Any]:
    """A list or an object somewhere inside, and a key of it."""
    holder: Any = value
    while True:
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        key = rng.choice(keys)
        if not isinstance(holder[key], dict | list) or not holder[key] or rng.random() < 0.2:
            return holder, key
        holder = holder[key]


def _flip(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _cut(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data))]


def _remove(rng: random.Random, data: bytes) -> bytes:
    start = rng.randrange(len(data))
    return data[:start] + data[start + rng.randrange(1, 64) :]


def _repeat(rng: random.Random, data: bytes) -> bytes:
    start = rng.randrange(len(data))
    end = start + rng.randrange(1, 256)
    return data[:end] + data[start:end] * rng.choice((1, 2, 50)) + data[end:]


def _splice(rng: random.Random, data: bytes) -> bytes:
    size = rng.randrange(1, 64)
    source, target = rng.randrange(len(data)), rng.randrange(len(data))
    return data[:target] + data[source : source + size] + data[target + size :]


def _insert(rng: random.Random, data: bytes) -> bytes:
    start = rng.randrange(len(data))
    return data[:start] + rng.randbytes(rng.randrange(1, 32)) + data[start:]


def _length(rng: random.Random, data: bytes) -> bytes:
    return of_lengths(rng, data, 0, len(data))


def _blank(rng: random.Random, data: bytes) -> bytes:
    start, size = rng.randrange(len(data)), rng.randrange(1, 512)
    return data[:start] + bytes(min(size, len(data) - start)) + data[start + size :]


_BYTES: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    *(_flip, _flip, _flip, _cut, _remove, _repeat, _splice, _insert, _length, _blank),
)
