"""What a file in a folder of the vault is, by its name. Knows neither bytes nor a store."""

import re
from enum import IntEnum
from typing import NamedTuple

CARD_SUFFIX = ".card.json"
RETIRED_SUFFIX = ".retired.json"

_CARD = re.compile(r"([0-9a-f]{64})(?:\.([1-9][0-9]{0,8}))?" + re.escape(CARD_SUFFIX))
_RETIRED = re.compile(r"([0-9a-f]{64})" + re.escape(RETIRED_SUFFIX))
_ARTEFACT = re.compile(r"([0-9a-f]{64})(?:\.[a-z0-9]{1,16}){1,2}")
_NUMBERED = re.compile(r"([0-9]{8})\.json")
_LEFTOVER = re.compile(r"\.[0-9a-f]{32}\.tmp")


class Role(IntEnum):
    """What a file is to its vault, in the order in which the files of one artefact may appear."""

    ARTEFACT = 0
    RETIRED = 1  # says that the artefact's bytes were given up
    CARD = 2
    NUMBERED = 3  # a pointer or a claim


class Named(NamedTuple):
    """What a name says."""

    role: Role
    stem: str  # SHA-256 of the artefact, or the digits of a number
    number: int  # edition of a card, number of a pointer or claim, else 0


def named(name: str) -> Named | None:
    """What the last part of a name says; None if a vault keeps nothing under such a name."""
    if match := _CARD.fullmatch(name):
        return Named(Role.CARD, match[1], int(match[2] or 0))
    if match := _RETIRED.fullmatch(name):
        return Named(Role.RETIRED, match[1], 0)
    if match := _ARTEFACT.fullmatch(name):
        return Named(Role.ARTEFACT, match[1], 0)
    if match := _NUMBERED.fullmatch(name):
        return Named(Role.NUMBERED, match[1], int(match[1]))
    return None


def is_inside(name: str) -> bool:
    """Whether a relative path stays below where it begins; the empty one is that place itself."""
    return "\0" not in name and not name.startswith("/") and ".." not in name.split("/")


def is_leftover(name: str) -> bool:
    """Whether the last part of a name is one of a write that died."""
    return _LEFTOVER.fullmatch(name) is not None
