"""Cards, pointers, claims and the vault's other records: what each says and where it lies. Knows no store."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from rr_engine.errors import DataError, VaultError, shown
from rr_engine.reading import first_of, parse_json
from rr_engine.vault.facts import check, known
from rr_engine.vault.names import CARD_SUFFIX, RETIRED_SUFFIX, Role, named

if TYPE_CHECKING:
    from pydantic import TypeAdapter

POINTER_KIND = "champion"
CLAIM_KIND = "seeds"
ROOT_KIND = "root"  # the records that say which Merkle tree of a folder counts
TREE_KIND = "tree"  # the nodes of these trees
INDEX_SCHEMA = 1  # of these records and nodes

_WORD = re.compile(r"[a-z][a-z0-9_]{0,63}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SUFFIX = re.compile(r"(\.[a-z0-9]{1,16}){1,2}")


class _Strict:
    """What all records share: a key that is not a field is refused."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}


@dataclass(frozen=True)
class Card(_Strict):
    """An artefact, described; it lies beside it and is never changed. A name that could lead elsewhere raises.

    Bytes that are made again get one more card, of the next edition, because when, from what and how they were made may
    differ. The newest edition counts.
    """

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
    edition: int = 0  # how often the same bytes had been made before

    def __post_init__(self) -> None:
        check_place(self.kind, self.config, self.sha256)
        _check("suffix", self.suffix, _SUFFIX)
        if (said := named(f"{self.sha256}{self.suffix}")) is None or said.role is not Role.ARTEFACT:
            raise VaultError(f"suffix {self.suffix} is that of the vault's own records; an artefact needs another")
        for parent in self.parents:
            _check("parent", parent, _SHA256)
        if not all(0 <= count < 2**63 for count in (self.size, self.rows, self.schema_version, self.edition)):
            raise VaultError(f"size, rows, schema_version and edition of {self.name} must be at least 0, of 63 bits")
        _check_moment(self.created)

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
        return card_place(self.kind, self.config, self.sha256, self.edition)


@dataclass(frozen=True)
class Pointer(_Strict):
    """Says which artefact is the champion of `config`; the one with the highest number counts."""

    FOLDER: ClassVar[str] = POINTER_KIND

    config: str
    number: int  # from 0: how often the champion changed before
    kind: str  # of the artefact
    sha256: str  # of the artefact
    created: str  # as in `Card`
    code_version: str  # as in `Card`
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any], hash=False)  # as in `Card`

    def __post_init__(self) -> None:
        check_place(self.kind, self.config, self.sha256)
        _check_number(self.number)
        _check_moment(self.created)

    @property
    def place(self) -> str:
        """Name of the pointer itself inside the vault."""
        return numbered_place(self.FOLDER, self.config, self.number)


@dataclass(frozen=True)
class Claim(_Strict):
    """Says whose the seeds from `start` to before `stop` are; of one config no two claims overlap.

    Each begins behind the one numbered before it, and only one writer gets a number.
    """

    FOLDER: ClassVar[str] = CLAIM_KIND

    config: str
    number: int  # from 0, without gaps
    start: int
    stop: int
    token: str  # drawn anew for each, so that nobody takes the claim of another for the answer to an own try
    created: str  # as in `Card`
    code_version: str  # as in `Card`
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any], hash=False)  # as in `Card`

    def __post_init__(self) -> None:
        check_place(self.FOLDER, self.config)
        _check_number(self.number)
        _check_moment(self.created)
        if not 0 <= self.start < self.stop:
            raise VaultError(f"claim of {self.config} from {self.start} to {self.stop}: it must hold a seed, from 0 on")

    @property
    def place(self) -> str:
        """Name of the claim itself inside the vault."""
        return numbered_place(self.FOLDER, self.config, self.number)


@dataclass(frozen=True)
class Retirement(_Strict):
    """Says that the bytes of an artefact were given up and its card was kept; the same wherever it is written."""

    kind: str
    config: str
    sha256: str

    def __post_init__(self) -> None:
        check_place(self.kind, self.config, self.sha256)

    @property
    def place(self) -> str:
        """Name of the record itself inside the vault."""
        return f"{self.kind}/{self.config}/{self.sha256}{RETIRED_SUFFIX}"


@dataclass(frozen=True)
class Root(_Strict):
    """Says which Merkle tree lists the folder of `kind` and `config`; the one with the highest number counts."""

    kind: str
    config: str
    number: int  # from 0: how often the tree changed before
    root: str  # SHA-256 of the tree's first node
    schema_version: int  # of the tree
    created: str  # as in `Card`

    def __post_init__(self) -> None:
        check_place(self.kind, self.config, self.root)
        _check_number(self.number)

    @property
    def place(self) -> str:
        """Name of the record itself inside the vault."""
        return numbered_place(f"{ROOT_KIND}/{self.kind}", self.config, self.number)


AnyRecord = Card | Pointer | Claim | Retirement | Root
Record = TypeVar("Record", bound=AnyRecord)


def check_place(kind: str, config: str, sha256: str | None = None) -> None:
    """Raise `VaultError` unless these name a place inside the vault, and no other."""
    _check("kind", kind, _WORD)
    _check("config", config, _WORD)
    if sha256 is not None:
        _check("sha256", sha256, _SHA256)


def is_word(name: str) -> bool:
    """Whether a folder of that name is one of the vault's."""
    return _WORD.fullmatch(name) is not None


def card_place(kind: str, config: str, sha256: str, edition: int) -> str:
    """Where that card of an artefact lies: the artefact's suffix is not needed to find it."""
    return f"{kind}/{config}/{sha256}{f'.{edition}' if edition else ''}{CARD_SUFFIX}"


def numbered_place(folder: str, config: str, number: int) -> str:
    """Where that pointer or claim lies."""
    return f"{folder}/{config}/{number:08d}.json"


def encode(record: AnyRecord) -> bytes:
    """JSON of a record; facts JSON cannot say (NaN, arrays) raise `VaultError`, others than declared `DataError`."""
    if isinstance(record, Card | Pointer | Claim):
        check(_kind_of(record), record.facts, record.place)
    try:
        return json.dumps(vars(record), indent=1, sort_keys=True, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise VaultError(f"facts of {record.place} must be JSON, its numbers finite: {error}") from error


def decode(kind: type[Record], data: bytes, *, place: str) -> Record:
    """Read the record found at `place`; raises `VaultError` if it is damaged or belongs elsewhere.

    Raises `DataError` where a fact is not what `facts` declares.
    """
    from pydantic import ValidationError

    try:
        parse_json(data)  # refuses what pydantic reads in silence, such as a key that stands twice
        record: Record = _reader(kind).validate_json(data, strict=True)
    except (ValidationError, VaultError, DataError) as error:
        told = first_of(error) if isinstance(error, ValidationError) else error
        raise VaultError(f"{place} is not a {kind.__name__.lower()}: {told}") from error
    if record.place != place:
        raise VaultError(f"{place} describes {record.place}; it must lie there")
    if isinstance(record, Card | Pointer | Claim):
        check(_kind_of(record), record.facts, place)
        return replace(record, facts=known(record.facts, place))
    return record


@cache
def code_version() -> str:
    """The version of the engine's sources, as they are at the first call."""
    return version_of(Path(__file__).resolve().parents[1])


def version_of(*roots: Path) -> str:
    """First 12 digits of the SHA-256 over all Python sources below some folders."""
    total = hashlib.sha256()
    for root in roots:
        for source in sorted(root.rglob("*.py"), key=lambda path: path.relative_to(root).as_posix()):
            total.update(source.relative_to(root).as_posix().encode() + b"\0" + source.read_bytes() + b"\0")
    return total.hexdigest()[:12]


@cache
def _reader(kind: type[AnyRecord]) -> "TypeAdapter[Any]":
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _check(what: str, text: str, pattern: re.Pattern[str]) -> None:
    if not pattern.fullmatch(text):
        raise VaultError(f"{what} {shown(text)} names nothing in a vault; it must match {pattern.pattern}")


def _kind_of(record: Card | Pointer | Claim) -> str:
    return record.kind if isinstance(record, Card) else record.FOLDER


def _check_moment(text: str) -> None:
    try:
        utc = datetime.fromisoformat(text).utcoffset() == timedelta(0)
    except ValueError:
        utc = False
    if not utc:
        raise VaultError(f"created {shown(text)} is no time in UTC; it must be as 2030-01-31T23:59:59.000000+00:00")


def _check_number(number: int) -> None:
    if not 0 <= number < 10**8:
        raise VaultError(f"number {number} of a record must lie between 0 and 99999999")
