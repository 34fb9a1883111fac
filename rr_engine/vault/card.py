"""Cards and pointers: what an artefact is, where it came from and how it is named. Knows no store."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from rr_engine.errors import VaultError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

CARD_SUFFIX = ".card.json"
POINTER_KIND = "champion"

_WORD = re.compile(r"[a-z][a-z0-9_]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SUFFIX = re.compile(r"(\.[a-z0-9]{1,16}){1,2}")


class _Strict:
    """What both records share: a key that is not a field is refused."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}


@dataclass(frozen=True)
class Card(_Strict):
    """An artefact, described; it lies beside it and is never changed. A name that could lead elsewhere raises."""

    kind: str  # what it is: `games`, `dataset`, `checkpoint`
    config: str  # whom it is for: `hex8_2p`, or `all`
    sha256: str  # of its bytes, and so its identity
    suffix: str  # of its file: `.parquet`
    size: int  # bytes
    rows: int  # things it holds: games, decisions, parameters
    schema_version: int  # of its format
    parents: tuple[str, ...]  # hashes of what it was made from
    producer: str  # what made it
    created: str  # UTC, ISO 8601 with microseconds, so that text order is time order
    code_version: str  # of the engine that made it
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any], hash=False)  # more about it, as JSON

    def __post_init__(self) -> None:
        check_place(self.kind, self.config, self.sha256)
        _check("suffix", self.suffix, _SUFFIX)
        for parent in self.parents:
            _check("parent", parent, _SHA256)
        if min(self.size, self.rows, self.schema_version) < 0:
            raise VaultError(f"size, rows and schema_version of {self.name} must be at least 0")

    @property
    def digest(self) -> tuple[str, int]:
        """Hash and size, as a backend compares them."""
        return self.sha256, self.size

    @property
    def name(self) -> str:
        """Name of the artefact inside the vault."""
        return f"{self.kind}/{self.config}/{self.sha256}{self.suffix}"

    @property
    def place(self) -> str:
        """Name of the card itself inside the vault."""
        return card_place(self.kind, self.config, self.sha256)


@dataclass(frozen=True)
class Pointer(_Strict):
    """Says which artefact is the champion of `config`; the one with the highest number counts."""

    config: str
    number: int  # from 0: how often the champion changed before
    kind: str  # of the artefact
    sha256: str  # of the artefact
    created: str  # as in `Card`
    code_version: str  # as in `Card`
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any], hash=False)  # as in `Card`

    def __post_init__(self) -> None:
        check_place(self.kind, self.config, self.sha256)
        if not 0 <= self.number < 10**8:
            raise VaultError(f"pointer number {self.number} must lie between 0 and 99999999")

    @property
    def place(self) -> str:
        """Name of the pointer itself inside the vault."""
        return pointer_place(self.config, self.number)


Record = TypeVar("Record", bound=Card | Pointer)


def check_place(kind: str, config: str, sha256: str | None = None) -> None:
    """Raise `VaultError` unless these name a place inside the vault, and no other."""
    _check("kind", kind, _WORD)
    _check("config", config, _WORD)
    if sha256 is not None:
        _check("sha256", sha256, _SHA256)


def card_place(kind: str, config: str, sha256: str) -> str:
    """Where the card of that artefact lies: its suffix is not needed to find it."""
    return f"{kind}/{config}/{sha256}{CARD_SUFFIX}"


def pointer_place(config: str, number: int) -> str:
    """Where that pointer lies."""
    return f"{POINTER_KIND}/{config}/{number:08d}.json"


def encode(record: Card | Pointer) -> bytes:
    """JSON of a card or pointer; facts that JSON cannot say (NaN, arrays) raise `VaultError`."""
    try:
        return json.dumps(vars(record), indent=1, sort_keys=True, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise VaultError(f"facts of {record.place} must be JSON, its numbers finite: {error}") from error


def decode(kind: type[Record], data: bytes, *, place: str) -> Record:
    """Read a card or pointer found at `place`; raises `VaultError` if it is damaged or belongs elsewhere."""
    from pydantic import ValidationError

    try:
        record: Record = _reader(kind).validate_json(data, strict=True)
    except (ValidationError, VaultError) as error:
        raise VaultError(f"{place} is not a {kind.__name__.lower()}: {error}") from error
    if record.place != place:
        raise VaultError(f"{place} describes {record.place}; it must lie there")
    return record


@cache
def code_version() -> str:
    """First 12 digits of the SHA-256 over all sources of the engine, as they are at the first call."""
    root = Path(__file__).resolve().parents[1]
    total = hashlib.sha256()
    for source in sorted(root.rglob("*.py"), key=lambda path: path.relative_to(root).as_posix()):
        total.update(source.relative_to(root).as_posix().encode() + b"\0" + source.read_bytes() + b"\0")
    return total.hexdigest()[:12]


@cache
def _reader(kind: type[Card | Pointer]) -> "TypeAdapter[Any]":
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _check(what: str, text: str, pattern: re.Pattern[str]) -> None:
    if not pattern.fullmatch(text):
        raise VaultError(f"{what} {text!r} names nothing in a vault; it must match {pattern.pattern}")
