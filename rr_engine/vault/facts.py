"""The facts of cards, pointers and claims that somebody reads: their types and ranges, by kind.

A record may say more, and one of older code may say less. What it says of these is of this form, or it is refused
where it is read; and who asks for a fact that it lacks is told so.
"""

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Len
from typing_extensions import TypedDict  # of `typing`, pydantic takes it from Python 3.12 on

from rr_engine.errors import DataError, shown
from rr_engine.reading import first_of
from rr_engine.settings.ranges import Amount, Anchor, Between, Form, Share

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Tally = Annotated[int, Between(0, 10**15)]
Some = Annotated[int, Between(1, 10**15)]
Number = Annotated[float, Between(-(10**12), 10**12)]
Generation = Annotated[int, Between(-1, 10**8)]
Hash = Annotated[str, Form(r"[0-9a-f]{64}", "a SHA-256")]
Seats = Annotated[list[Tally], Len(2, 4)]
Moment = Annotated[str, Form(r"|\d{4}-[01]\d-[0-3]\dT[0-2]\d(:[0-5]\d){2}(\.\d{6})?\+00:00", "a UTC time, or empty")]


class _Quality(TypedDict, total=False):
    games: Some
    score: Share


class _Games(TypedDict, total=False):
    claim: Generation  # -1: of no run
    player: str
    planned_share: Share
    usual_decisions: Amount
    seeds: list[int]
    generation: Generation
    games_against_opponent: Tally
    wins_against_it: Tally
    decisions: Some
    distinct: Tally
    wins_by_seat: Seats
    quality: _Quality


class _Refused(TypedDict, total=False):
    shard: Hash
    games: Tally
    bad: Tally
    why: str


class _Dataset(TypedDict, total=False):
    problems: list[str]
    quality: _Quality
    newest_hours: Number
    oldest_hours: Number
    games: Tally
    games_made: Tally
    repeated_games: Tally
    refused_games: Tally
    refused: list[_Refused]
    samples: Tally
    samples_by_seat: Seats
    samples_made: Tally
    samples_new: Tally
    samples_wanted: Tally
    replay_ratio: Amount
    replay_ratio_next: Amount
    generation_lag: Annotated[int, Between(-(10**8), 10**8)]


class _Epoch(TypedDict, total=False):
    validation: Number


class _Checkpoint(TypedDict, total=False):
    dataset: Hash
    started_from: Hash | None
    samples_trained: Tally
    epochs: list[_Epoch]
    loss_anomaly: bool
    input_quality: _Quality | None
    probe: list[Number]


class _Training(TypedDict, total=False):
    dataset: Hash
    started_from: Hash | None
    settings: str
    step: Tally


class _Side(TypedDict, total=False):
    name: str
    digest: Hash


class _Result(TypedDict, total=False):
    a: _Side
    b: _Side
    games: Tally
    distinct: Tally
    wins: Tally
    wins_by_seat: list[Tally]
    groups: Annotated[list[Tally], Len(3, 5)]
    score: Share
    wilson_low: Share
    wilson_high: Share


class _Matches(TypedDict, total=False):
    candidate: Hash
    champion: Hash | None
    results: Annotated[dict[str, _Result], Len(0, 64)]


class _State(TypedDict, total=False):
    stage: Annotated[int, Between(0, 3)]
    weight: Share
    exploration: Annotated[float, Between(1, 10)]
    evaluations: Tally
    champion: Generation
    candidate: str
    reason: str
    opponent: str


class _Curriculum(TypedDict, total=False):
    state: _State


class _Row(TypedDict, total=False):
    config: str
    share: Share
    games: Tally
    exploration: Annotated[float, Between(0, 10)]
    opponent: Anchor
    priority: Share
    throttled: bool
    granted: str
    granted_at: Moment
    reason: str


class _Plan(TypedDict, total=False):
    rows: list[_Row]


class _Pause(TypedDict, total=False):
    paused: bool
    reason: str
    by: str


class _Champion(TypedDict, total=False):
    reason: str
    proven: bool
    matches: Hash
    rolled_back: Hash


class _Seeds(TypedDict, total=False):
    batch: str


class _Rating(TypedDict, total=False):
    name: str
    digest: str
    elo: Number
    low: Number
    high: Number
    games: Tally


class _Ratings(TypedDict, total=False):
    candidate: Hash
    rows: list[_Rating]  # of the artefact itself


_BY_KIND: Mapping[str, Any] = {
    "games": _Games,
    "dataset": _Dataset,
    "checkpoint": _Checkpoint,
    "training": _Training,
    "matches": _Matches,
    "ratings": _Ratings,
    "curriculum": _Curriculum,
    "plan": _Plan,
    "pause": _Pause,
    "champion": _Champion,
    "seeds": _Seeds,
}
DECLARED = frozenset(_BY_KIND)


class Facts(dict[str, Any]):
    """Some facts, and the tables in them. Asking for one that is missing raises DataError, which names it."""

    place = ""

    def __missing__(self, name: str) -> Any:
        """Say whose fact is missing."""
        raise DataError(f"{self.place} does not say {shown(name)}: it is of older code, or damaged")


def known(facts: Mapping[str, Any], place: str) -> Facts:
    """`facts`, those of a record at `place`, as they are, but for what happens where one is missing."""
    found = Facts((name, _known(value, place)) for name, value in facts.items())
    found.place = place
    return found


def check(kind: str, facts: Mapping[str, Any], place: str) -> None:
    """Raise DataError unless these facts, as far as they are declared for `kind`, have the declared form."""
    from pydantic import ValidationError

    if kind not in _BY_KIND:
        return
    try:
        _reader(kind).validate_python(facts, strict=True)
    except ValidationError as error:
        raise DataError(f"{place}: fact {first_of(error)}") from error
    for name, result in facts.get("results", {}).items() if kind == "matches" else ():
        if max(result.get("wins", 0), result.get("distinct", 0)) > result.get("games", 0):
            raise DataError(f"{place}: fact results.{name} counts more wins or different games than games")


def _known(value: Any, place: str) -> Any:
    if isinstance(value, dict):
        return known(value, place)  # pyright: ignore[reportUnknownArgumentType] - JSON: its keys are texts
    if isinstance(value, list) and value and isinstance(value[0], dict | list):  # a list of numbers may be long
        return [_known(item, place) for item in value]
    return value


@cache
def _reader(kind: str) -> "TypeAdapter[Any]":
    from pydantic import TypeAdapter

    return TypeAdapter(_BY_KIND[kind])
