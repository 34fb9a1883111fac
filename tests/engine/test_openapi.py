"""The move server keeps to its own OpenAPI schema, whatever is asked: schemathesis asks."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case
from schemathesis.schemas import BaseSchema

from rr_engine.serve.app import make_app
from rr_engine.settings import Settings
from rr_engine.vault import Vault
from tests.engine.games import make_records
from tests.engine.test_highlights import stored

QUESTIONS = 40  # of each kind


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> BaseSchema:
    vault = Vault.open(str(tmp_path_factory.mktemp("served") / "vault"))
    stored(vault, make_records("hex8_2p", 3))
    return schemathesis.openapi.from_asgi("/openapi.json", make_app(vault, Settings()))


OPERATIONS = (
    ("POST", "/legal"),
    ("POST", "/move"),
    ("POST", "/evaluate"),
    ("GET", "/boards"),
    ("GET", "/replay/{config}/{name}"),
    ("GET", "/board/{config}/{name}/{at}"),
    ("GET", "/curves/{config}/{of}/{number}"),
    ("GET", "/plan/{sha256}/0"),
    ("GET", "/leaderboard"),
)


def test_every_operation_is_among_those_that_are_asked(asked: BaseSchema) -> None:
    found = {(result.ok().method.upper(), result.ok().path) for result in asked.get_all_operations()}
    assert found == set(OPERATIONS)


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_answers_are_as_the_schema_says(asked: BaseSchema, method: str, path: str) -> None:
    @settings(max_examples=QUESTIONS, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(asked[path][method].as_strategy())
    def ask(case: Case) -> None:
        case.call_and_validate()

    ask()
