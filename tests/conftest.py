"""How tests are given to several processes: each by itself, but those of the cluster, which share one, together."""

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

_TOGETHER = (
    "tests/cluster/",
    "tests/pages/",
    "tests/test_docs.py",
    "tests/engine/test_fuzz.py",
)  # what is made for them takes long
_FIRST = ("tests/cluster/", "tests/graph/test_loop.py::test_every_config_turns")  # long; compiles all for all others


class _Scheduling(LoadScopeScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return next((place for place in _TOGETHER if nodeid.startswith(place)), nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """What xdist asks for; its own groups do nothing with this version of pytest."""
    return _Scheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In the order of their files, but for a few."""
    items.sort(key=lambda item: [item.nodeid.startswith(place) for place in _FIRST], reverse=True)
