"""Ten thousand damaged inputs: each is refused by one clear error, or loaded as exactly what it is."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rr_engine.stages import candidate, curriculum, dataset, evaluations, fleet, games, pauses
from rr_engine.vault import CLAIM_KIND, POINTER_KIND
from rr_engine.vault.facts import DECLARED
from tests.engine.every_record import FACTS

ROOT = Path(__file__).parents[2]
SEED = os.environ.get("RR_FUZZ_SEED", "1")
MINUTES = 5  # of them all, on a slow machine
INPUTS = {
    **{"card": 3000, "node": 700, "ratings": 300, "dataset": 1300, "shard": 1500, "checkpoint": 600, "state": 200},
    **{"settings": 1000, "environment": 400, "trace": 500, "protocol": 500},
}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, float]]:
    """How the readers went, in a process that any of them may end."""
    folder = tmp_path_factory.mktemp("fuzz")
    words = [sys.executable, "-W", "ignore::UserWarning", "-m", "tests.engine.fuzzing", SEED, str(folder)]
    environ = {name: text for name, text in os.environ.items() if not name.startswith("RR_")}
    done = subprocess.run(
        words, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60 * MINUTES, check=False
    )
    at = (folder / "at").read_text().strip() if (folder / "at").exists() else "no input"
    assert done.returncode == 0, f"seed {SEED}, at {at}: exit status {done.returncode}\n{done.stderr[-3000:]}"
    return {row["reader"]: row for row in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("reader", INPUTS)
def test_what_is_damaged_is_refused_or_loaded_as_it_is(told: dict[str, dict[str, float]], reader: str) -> None:
    assert told[reader]["inputs"] == INPUTS[reader]
    assert 0 < told[reader]["loaded"] < INPUTS[reader] / 2  # some damage is none: a date in a zip, a space in JSON


def test_these_are_ten_thousand() -> None:
    assert sum(INPUTS.values()) == 10_000


def test_every_kind_of_card_is_among_them_with_declared_facts() -> None:
    kinds = {
        *(games.KIND, dataset.KIND, candidate.KIND, candidate.STATE_KIND, evaluations.MATCHES_KIND, curriculum.KIND),
        *(evaluations.RATINGS_KIND, fleet.PLAN_KIND, pauses.KIND, POINTER_KIND, CLAIM_KIND),
    }
    assert kinds == DECLARED <= FACTS.keys() | {POINTER_KIND, CLAIM_KIND}
