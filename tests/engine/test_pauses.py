"""Pauses of a config, and the budget of crashes that leads to one."""

from __future__ import annotations

from pathlib import Path

import pytest

from rr_engine.boards import Config
from rr_engine.settings import CrashSettings
from rr_engine.stages.pauses import Budget, End, Ended, crash_budget, pause, pause_of, resume
from rr_engine.vault import Vault

HEX, SQUARE = Config.parse("hex8_2p"), Config.parse("square8_2p")
SETTINGS = CrashSettings()


OK, NO, STOP, CRASH = End.SUCCESS, End.REFUSED, End.STOPPED, End.CRASHED


def _ended(*ends: End) -> list[Ended]:
    """The newest first, at time 0."""
    return [Ended(str(number), 0.0, end) for number, end in enumerate(ends)]


@pytest.mark.parametrize(
    ("ended", "now", "budget"),
    [
        (_ended(), 1e6, Budget.NOTHING),
        (_ended(OK, CRASH, CRASH, CRASH), 1e6, Budget.NOTHING),
        (_ended(NO, CRASH, CRASH, CRASH), 1e6, Budget.NOTHING),
        (_ended(CRASH), 59, Budget.NOTHING),
        (_ended(CRASH), 60, Budget.RETRY),
        (_ended(CRASH, CRASH), 119, Budget.NOTHING),
        (_ended(CRASH, CRASH, OK, CRASH), 120, Budget.RETRY),
        (_ended(CRASH, CRASH, CRASH), 0, Budget.PAUSE),
        (_ended(STOP, STOP, STOP, STOP), 0, Budget.RETRY),
        (_ended(STOP, CRASH), 59, Budget.NOTHING),
        (_ended(CRASH, STOP, CRASH, CRASH), 0, Budget.PAUSE),
    ],
)
def test_a_crash_is_tried_again_later_each_time_and_then_no_more(
    ended: list[Ended], now: float, budget: Budget
) -> None:
    assert crash_budget(ended, SETTINGS, now) == budget


def test_a_pause_holds_until_it_is_ended(tmp_path: Path) -> None:
    vault = Vault.open(str(tmp_path))
    assert pause_of(vault, HEX) is None
    resume(vault, HEX, "nothing to end", by="hand")
    for _ in range(2):
        pause(vault, HEX, "three crashes", by="crashes")
        held = pause_of(vault, HEX)
        assert held is not None
        assert (held.reason, held.by) == ("three crashes", "crashes")
        assert pause_of(vault, SQUARE) is None
        resume(vault, HEX, "mended", by="hand")
        assert pause_of(vault, HEX) is None
