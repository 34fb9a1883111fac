"""The error family: one root, few children, and retrying as a property."""

import pytest

from rr_engine import errors
from rr_engine.errors import EngineError, RulesError, TransferError, VaultError

FAMILY = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]


@pytest.mark.parametrize("kind", FAMILY)
def test_one_root_catches_all_and_keeps_the_message(kind):
    with pytest.raises(EngineError, match="ring 3 is gone"):
        raise kind("ring 3 is gone")


def test_only_a_failed_transfer_is_worth_a_retry():
    assert [kind for kind in FAMILY if kind.retryable] == [TransferError]
    assert TransferError("timeout").retryable


def test_children_are_caught_by_their_room():
    assert issubclass(TransferError, VaultError)
    assert {kind.__name__ for kind in RulesError.__subclasses__()} == {
        "IllegalMoveError",
        "StateTextError",
        "TraceError",
    }
