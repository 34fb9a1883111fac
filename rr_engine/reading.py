"""Reading what somebody else wrote: bounded in memory, and never more than it says. Knows JSON and gzip, no meaning."""

import gzip
import io
import json
import math
import re
import zlib
from typing import TYPE_CHECKING, Any

from rr_engine.errors import DataError, in_line, shown

if TYPE_CHECKING:
    from pydantic import ValidationError

_SHOWN = 120  # characters of where something stands

_LONG = re.compile(rb"\d{19}")
_NUMBERS = 2**64  # whole numbers lie between this and its negative: seeds have 64 bits, nothing has more


def parse_json(text: bytes | str) -> Any:
    """The value of a JSON text; raises DataError for anything else.

    Also for what Python reads beyond JSON or reads silently: NaN, infinities, a key that stands twice in one object,
    whole numbers of more than 64 bits, nesting without end.
    """
    whole = _LONG.search(text if isinstance(text, bytes) else text.encode(errors="replace"))
    try:
        return json.loads(
            text,
            object_pairs_hook=_once,
            parse_constant=_no_number,
            parse_float=_finite,
            parse_int=None if whole is None else _whole,  # a call for each number takes time, and few are so long
        )
    except RecursionError as error:
        raise DataError("no JSON: it is nested too deeply") from error
    except ValueError as error:
        raise DataError(f"no JSON: {in_line(error)}") from error


def first_of(error: "ValidationError") -> str:
    """The first thing that pydantic refuses, in one line."""
    detail = error.errors(include_url=False)[0]
    place, reason = ".".join(map(str, detail["loc"])), detail["msg"].removeprefix("Value error, ")
    where = f"{place if place.isprintable() else shown(place)} = " if place else ""
    return f"{where[:_SHOWN]}{shown(detail['input'])} is refused: {in_line(reason)}"


def unpacked(data: bytes, most: int) -> bytes:
    """What gzip holds; raises DataError if that is damaged or more than `most` bytes."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            content = file.read(most + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"not readable as gzip: {error}") from error
    if not data:
        raise DataError("not readable as gzip: it is empty")
    if len(content) > most:
        raise DataError(f"it unpacks to more than the {most} bytes that it may have")
    return content


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"key {shown(next(key for key in keys if keys.count(key) > 1))} stands twice")
    return found


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _finite(text: str) -> float:
    if not math.isfinite(value := float(text)):
        raise ValueError(f"{shown(text)} is larger than any number")
    return value


def _whole(text: str) -> int:
    if not -_NUMBERS < (value := int(text)) < _NUMBERS:
        raise ValueError(f"{shown(value)} is larger than any number here")
    return value
