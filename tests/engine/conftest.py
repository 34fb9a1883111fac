"""Games that several tests read."""

from __future__ import annotations

import pytest

from rr_engine.records.record import GameRecord
from tests.engine.games import make_records


@pytest.fixture(scope="session")
def hex_records() -> list[GameRecord]:
    return make_records("hex8_2p", 12)
