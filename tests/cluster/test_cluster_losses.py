"""What a cluster loses when its processes are killed: nothing that was finished."""

import random

import pytest

from benchmarks.running import Running
from benchmarks.soak import KINDS, shake, wrong
from benchmarks.tripwire import Tripwire


@pytest.mark.timeout(900)
def test_cluster_shaken_for_two_minutes_loses_nothing_and_goes_on(cluster: Running, wire: Tripwire) -> None:
    seed = random.SystemRandom().randrange(10**6)
    told: list[str] = []
    report = shake(cluster, wire, minutes=2, kills=len(KINDS), seed=seed, tell=told.append)
    assert wrong(report) == {}, (report, told)
    assert report["kills"] == dict.fromkeys(KINDS, 1)
    assert report["configs"] == 12
    assert report["lost"] >= 2
    assert report["games"] > 100
    assert report["run_start_s"] <= 3
