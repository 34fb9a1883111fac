"""A whole cluster with real servers for the tests of this folder, started once; left out where a server is missing."""

import os
from collections.abc import Iterator

import pytest

from benchmarks.running import Running, running_cluster
from benchmarks.soak import SETTINGS, WORKERS
from benchmarks.tripwire import Tripwire
from rr_assets.cluster.trial import HOW_TO_GET, missing_programs


@pytest.fixture(scope="package")
def _platform() -> Iterator[tuple[Running, Tripwire]]:
    if missing := missing_programs():
        told = f"left out, for this machine has no {', '.join(missing)}; to get them: {HOW_TO_GET}"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(told)
    with running_cluster(WORKERS, SETTINGS) as parts:
        yield parts


@pytest.fixture
def cluster(_platform: tuple[Running, Tripwire]) -> Iterator[Running]:
    """The platform, as each test finds it: all workers there, every config at rest, no run under way."""
    running, _ = _platform
    with running.joined():
        running.settle()
        yield running


@pytest.fixture
def wire(_platform: tuple[Running, Tripwire]) -> Tripwire:
    return _platform[1]
