"""A whole cluster with real servers for the tests of this folder, started once; skipped where a server is missing."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rr_assets.cluster.trial import HOW_TO_GET, Trial, missing_programs
from tests.cluster.running import TINY, Running

WORKERS = {"gpu1": "trainer", "gpu2": "selfplay"}


@pytest.fixture(scope="session")
def trial() -> Iterator[Trial]:
    """Its servers, and no platform yet."""
    if missing := missing_programs():
        told = f"left out, for this machine has no {', '.join(missing)}; to get them: {HOW_TO_GET}"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(told)
    folder = Path(tempfile.mkdtemp(prefix="ringrift-"))
    folder.chmod(0o755)  # the database runs as another user
    trial = Trial(folder)
    trial.serve(WORKERS, environ={"RR_SETTINGS": str(TINY)})
    try:
        yield trial
    finally:
        trial.down()
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def _platform(trial: Trial) -> Running:
    """The platform on it, every config at rest."""
    running = Running(trial)
    running.begin()
    return running


@pytest.fixture
def cluster(_platform: Running) -> Iterator[Running]:
    """The same, as a test finds and leaves it: all workers there, every config at rest, no run under way."""
    with _platform.joined():
        _platform.settle()
        yield _platform
        _platform.settle()
