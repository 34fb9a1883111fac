"""Every error this engine raises on purpose. Knows nothing of what was being done.

A message says what was wrong and what would be right. Whether trying again can help is a property of the class, so a
caller asks `error.retryable` and never parses a message.
"""

from typing import ClassVar

_SHOWN = 80  # characters of what was given
_LINE = 300  # characters of somebody else's message
_DIGITS = 19  # of a number, more than any that fits 64 bits


def shown(value: object) -> str:
    """`value` as a message quotes it: its repr, cut where a reader has seen enough."""
    if isinstance(value, int) and abs(value) >= 10**_DIGITS:
        return f"a number of {value.bit_length()} bits"  # Python refuses to write the longest ones
    text = repr(value[: _SHOWN + 1]) if isinstance(value, str) else repr(value)
    return text if len(text) <= _SHOWN + 2 else f"{text[:_SHOWN]}..."


def in_line(error: object) -> str:
    """What an error of somebody else says, in one line."""
    return " ".join(str(error).split())[:_LINE] or type(error).__name__


class EngineError(Exception):
    """Root of the family: whatever is not an `EngineError` is a defect."""

    retryable: ClassVar[bool] = False


class RulesError(EngineError):
    """The game was asked for something its rules do not know."""


class IllegalMoveError(RulesError):
    """A move that is malformed or not legal here; the game is unchanged."""


class StateTextError(RulesError):
    """A text that describes no state of this board."""


class TraceError(RulesError):
    """A damaged trace, or one that this engine replays differently."""


class ConfigError(EngineError):
    """An unknown board, player count or setting, or a value outside its range."""


class DataError(EngineError):
    """Records, shards or datasets that do not hold what they claim."""


class VaultError(EngineError):
    """An artefact, card or pointer is missing, damaged or misplaced."""


class RetiredError(VaultError):
    """The bytes of an artefact were given up on purpose; its card is kept, and says what it was made from."""


class IndexDamageError(VaultError):
    """A node of a folder's Merkle tree is missing or damaged; the tree can be made anew from the folder."""


class DiskFullError(VaultError):
    """There is no room for what was to be made; nothing is wrong with what is there."""


class TransferError(VaultError):
    """The way to the store failed, not its content: trying again can help."""

    retryable: ClassVar[bool] = True


class TrainingError(EngineError):
    """Training cannot go on: losses that are not finite, weights that do not fit."""


class PlayerError(EngineError):
    """A player that is unknown, will not load, or answered with no legal move."""


def family(root: type[EngineError] = EngineError) -> list[type[EngineError]]:
    """`root` and every class below it that is defined so far."""
    return [root, *(member for child in root.__subclasses__() for member in family(child))]
