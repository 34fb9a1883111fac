"""The move server keeps to its own OpenAPI schema, whatever is asked: schemathesis asks."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case
from schemathesis.schemas import BaseSchema

from rr_engine.serve.app import make_app
from rr_engine.settings import Settings
from rr_engine.stages.fleet import plan_fleet
from rr_engine.stages.report import make_leaderboard
from rr_engine.vault import Vault
from tests.engine.games import make_records
from tests.engine.test_highlights import stored
from tests.engine.test_report import epochs
from tests.engine.vaults import put

QUESTIONS = 40  # of each kind

ANSWERED: dict[tuple[str, str], dict[str, Any]] = {  # by operation a question that has an answer
    ("POST", "/legal"): {"body": {"positions": [{"config": "hex8_2p", "moves": ["P30x2"]}]}},
    ("POST", "/move"): {"body": {"positions": [{"config": "square8_3p"}], "player": "greedy"}},
    ("POST", "/evaluate"): {"body": {"positions": [{"config": "hex8_2p"}], "player": "adviser"}},
    ("GET", "/boards"): {},
    ("GET", "/replay/{config}/{name}"): {"path_parameters": {"config": "hex8_2p", "name": "GAME"}},
    ("GET", "/board/{config}/{name}/{at}"): {"path_parameters": {"config": "hex8_2p", "name": "GAME", "at": 7}},
    ("GET", "/curves/{config}/{of}/{number}"): {
        "path_parameters": {"config": "hex8_2p", "of": "checkpoint", "number": 0}
    },
    ("GET", "/plan/{sha256}/0"): {"path_parameters": {"sha256": "PLAN"}},
    ("GET", "/leaderboard"): {},
}


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Vault:
    return Vault.open(str(tmp_path_factory.mktemp("served") / "vault"))


@pytest.fixture(scope="module")
def names(vault: Vault) -> dict[str, str]:
    """What is stored: a game, a plan, and without a name a leaderboard and two points of a curve."""
    plan = plan_fleet(vault, Settings()).card
    make_leaderboard(vault, Settings(), ())
    records = make_records("hex8_2p", 3)
    game = stored(vault, records)
    for turn in range(2):
        put(vault, f"weights {turn}".encode(), facts={"best_epoch": 0, "epochs": epochs(3.0 - turn)})
    return {"GAME": f"{game.sha256[:12]}:{records[0].digest}", "PLAN": plan.sha256}


@pytest.fixture(scope="module")
def asked(vault: Vault, names: dict[str, str]) -> BaseSchema:
    assert names
    return schemathesis.openapi.from_asgi("/openapi.json", make_app(vault, Settings()))


def test_every_operation_is_among_those_that_are_asked(asked: BaseSchema) -> None:
    found = {(result.ok().method.upper(), result.ok().path) for result in asked.get_all_operations()}
    assert found == ANSWERED.keys()


@pytest.mark.parametrize(("method", "path"), ANSWERED)
def test_what_can_be_answered_is(asked: BaseSchema, names: dict[str, str], method: str, path: str) -> None:
    question = dict(ANSWERED[method, path])
    if "path_parameters" in question:
        question["path_parameters"] = {key: names.get(of, of) for key, of in question["path_parameters"].items()}
    answer = asked[path][method].Case(**question).call_and_validate()
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(("method", "path"), ANSWERED)
def test_answers_are_as_the_schema_says(asked: BaseSchema, method: str, path: str) -> None:
    @settings(max_examples=QUESTIONS, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(asked[path][method].as_strategy())
    def ask(case: Case) -> None:
        case.call_and_validate()

    ask()
