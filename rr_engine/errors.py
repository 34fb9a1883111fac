"""Every error this engine raises on purpose. Knows nothing of what was being done.

A message says what was wrong and what would be right. Whether trying again can help is a property of the class, so a
caller asks `error.retryable` and never parses a message.
"""

from typing import ClassVar


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


class TransferError(VaultError):
    """The way to the store failed, not its content: trying again can help."""

    retryable: ClassVar[bool] = True


class TrainingError(EngineError):
    """Training cannot go on: losses that are not finite, weights that do not fit."""


class PlayerError(EngineError):
    """A player that is unknown, will not load, or answered with no legal move."""
