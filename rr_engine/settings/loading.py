"""The door to the settings: one TOML file, the environment and overrides, checked for keys, types and ranges."""

import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date, time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_type_hints

from rr_engine.errors import ConfigError, DataError, in_line, shown
from rr_engine.reading import parse_json
from rr_engine.settings.sections import Settings

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from pydantic_core import ErrorDetails

FILE_VARIABLE = "RR_SETTINGS"
_VARIABLE = re.compile(r"RR_(.*?)__(.*)")
_LONGEST_KEY = 80
_TOLD = 2  # faults in one message

Parsed = TypeVar("Parsed")


def load(
    path: Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Settings:
    """Settings from, first wins: `overrides` (nested), the environment, one TOML file, the defaults.

    A variable is named `RR_SECTION__KEY` and holds a JSON value; the file is `path`, else the one named by
    `RR_SETTINGS`, else none. Raises `ConfigError` naming key, value and what is allowed; also for a variable of that
    form that names no section.
    """
    environ = os.environ if environ is None else environ
    if path is None and environ.get(FILE_VARIABLE):
        path = Path(environ[FILE_VARIABLE])
    merged: dict[str, Any] = {}
    for layer in (_from_file(path) if path else {}, _from_environment(environ), overrides or {}):
        for section, values in layer.items():
            merged[section] = _over(merged.get(section), values)
    return parse(Settings, merged)


def parse(kind: type[Parsed], values: Mapping[str, Any]) -> Parsed:
    """Settings, or a section of them, from a table; raises `ConfigError` as `load` does."""
    from pydantic import ValidationError

    try:
        # Through JSON, where strict types still let a table become a section and a list a tuple.
        return _reader(kind).validate_json(json.dumps(values, default=_plain), strict=True)
    except ValidationError as error:
        details = error.errors()
        more = [f"and {len(details) - _TOLD} more"] if len(details) > _TOLD else []
        raise ConfigError("; ".join([*(_complaint(detail, kind) for detail in details[:_TOLD]), *more])) from error
    except (ValueError, RecursionError) as error:  # a number or nesting that not even Python writes
        raise ConfigError(f"settings cannot be read: {in_line(error)}") from error


@cache
def _reader(kind: type[Parsed]) -> "TypeAdapter[Parsed]":
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _over(below: Any, values: Any) -> Any:
    return {**below, **values} if isinstance(below, Mapping) and isinstance(values, Mapping) else values


def _plain(value: object) -> object:
    """What JSON has no form for: a date of TOML is no text, and stays none."""
    return {"date or time": str(value)} if isinstance(value, date | time) else str(value)


def _from_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"no settings file {path}; {FILE_VARIABLE} must name an existing TOML file") from error
    except OSError as error:
        raise ConfigError(f"settings file {path} cannot be read: {error.strerror}; name a TOML file") from error
    except (ValueError, RecursionError) as error:  # ValueError: no TOML, no UTF-8, or a number longer than Python reads
        raise ConfigError(f"settings file {path} is not TOML: {in_line(error)}") from error


def _from_environment(environ: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Values of all variables `RR_SECTION__KEY`; others belong to somebody else."""
    sections = {section.name.upper(): section.name for section in fields(Settings)}
    found: dict[str, dict[str, Any]] = {}
    for name, text in environ.items():
        if match := _VARIABLE.fullmatch(name):
            if match[1] not in sections:
                raise ConfigError(f"variable {shown(name)} names no section of the settings: {', '.join(sections)}")
            found.setdefault(sections[match[1]], {})[match[2].lower()] = _json_or_text(text)
    return found


def _json_or_text(text: str) -> object:
    try:
        return parse_json(text)
    except DataError:  # no JSON, or more of it than anybody should write
        return text


def _complaint(detail: "ErrorDetails", kind: Any) -> str:
    place = [str(part) for part in detail["loc"]]
    key, value = ".".join(place), detail["input"]
    if not key.isprintable() or len(key) > _LONGEST_KEY:
        key = shown(key)
    for part in place:
        if not is_dataclass(kind):
            break  # inside a table, which is told as a whole
        if part not in (names := [item.name for item in fields(kind)]):
            return f"unknown setting {key} = {shown(value)}; allowed here: {', '.join(names)}"
        kind = get_type_hints(kind, include_extras=True)[part]
    return f"setting {key} = {shown(value)} is refused; it must be {_allowed(kind)}"


def _allowed(kind: Any) -> str:
    if is_dataclass(kind):
        return f"a table of {', '.join(item.name for item in fields(kind))}"
    value, bounds = get_args(kind)
    named = {int: "a whole number ", float: "a number "}.get(value, "")
    return f"{named}{bounds}"
