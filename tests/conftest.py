"""What all tests share: how they are given to several processes, and a disk with room.

Each test is given by itself, but for those that share what takes long to make.
"""

import shutil
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

_FIRST = (  # together, in this order: one process compiles for all others while the next does what needs no rules
    "tests/graph/test_loop.py::test_every_config_turns",
    "tests/engine/test_cluster_transfers.py",
    "tests/cluster/",
)
_TOGETHER = (*_FIRST, "tests/pages/", "tests/test_docs.py", "tests/engine/test_fuzz.py")


class _Scheduling(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return next((place for place in _TOGETHER if nodeid.startswith(place)), nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """What xdist asks for; its own groups do nothing with this version of pytest."""
    return _Scheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In the order of their files, but for a few."""
    places = {place: at for at, place in enumerate(_FIRST)}
    items.sort(
        key=lambda item: next((at for place, at in places.items() if item.nodeid.startswith(place)), len(places))
    )


@pytest.fixture(scope="session", autouse=True)
def _room() -> Iterator[None]:
    """However full the machine's own disk is; a test of a full one says so itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=100 << 30, used=50 << 30, free=50 << 30))
        yield
