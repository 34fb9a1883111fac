"""A short soak: all configs at once, and a process killed at each of the moments that there are."""

import logging
import random
from collections import Counter

import pytest

from benchmarks.running import Running
from benchmarks.soak import KINDS, shake, wrong
from benchmarks.tripwire import Tripwire
from rr_engine.boards import CONFIGS

_LOG = logging.getLogger(__name__)  # shown when it fails


@pytest.mark.timeout(1200)
def test_cluster_loses_nothing_when_shaken(cluster: Running, wire: Tripwire) -> None:
    seed = random.SystemRandom().randrange(10**6)
    _LOG.warning("seed %d", seed)
    report = shake(cluster, wire, minutes=2, kills=len(KINDS), seed=seed, tell=_LOG.warning, within=1, spares=True)
    assert wrong(report) == {}, report
    assert report["kills"] == Counter(KINDS)
    assert report["configs"] == len(CONFIGS)
    assert report["lost"] >= 1  # a run whose worker was killed, and which was made up for
