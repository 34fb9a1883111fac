"""The second vault as an asset: once a day where there is one, and never silently incomplete."""

import re
from pathlib import Path

import dagster as dg
import pytest

from rr_assets import automation, code_location
from rr_assets.resources import SettingsResource
from rr_engine import progress
from rr_engine.stages import crown, mirror, pauses
from rr_engine.vault import Vault
from rr_engine.vault.audit import Audit
from rr_engine.vault.compare import compare
from rr_engine.vault.index import Index
from tests.graph.conftest import HEX, LOOP, Loop, log_of
from tests.graph.nodes import ALERTS, SentAlerts


@pytest.fixture
def second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Vault:
    """The vault that the settings name."""
    monkeypatch.setenv("RR_MIRROR__TO", str(tmp_path / "second"))
    return Vault.open(str(tmp_path / "second"))


def told(result: dg.ExecuteInProcessResult, asset: str) -> dict[str, object]:
    """The metadata of an asset's materialisation."""
    events = result.asset_materializations_for_node(asset)
    return {name: value.value for name, value in events[0].metadata.items()}


def judged(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {evaluation.check_name: evaluation.passed for evaluation in result.get_asset_check_evaluations()}


def test_games_tell_the_root_of_all_games_of_their_config(loop: Loop) -> None:
    roots = [told(loop.materialize("games_db", config=HEX.key), "games_db")["merkle_root"] for _ in range(2)]
    assert roots[0] != roots[1] == loop.vault.index("games", HEX.key)


def test_without_a_second_vault_it_says_so_and_does_not_fail(loop: Loop) -> None:
    result = loop.materialize("mirror")
    assert result.success
    assert told(result, "mirror") == {"second_vault": "there is none: mirror.to names no vault"}
    assert judged(result) == {"second_vault_holds_everything": True}


def test_the_second_vault_gets_all_that_a_turn_leaves_and_all_of_it_is_indexed(
    loop: Loop, second: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RR_TRAINING__STATE_INTERVAL_S", "0")  # so that there are states of trainings too
    assert loop.materialize(*LOOP, config=HEX.key).success
    assert loop.materialize("selfplay_plan", "leaderboard").success
    pauses.pause(loop.vault, HEX, "to see its index", by="hand")
    pointer = loop.vault.pointer(HEX.key)
    assert pointer is not None
    crown.crown_by_hand(loop.vault, HEX, pointer.sha256, "to see its index", loop.settings)
    assert [*Audit(loop.vault).problems()] == []
    monkeypatch.setattr(progress, "_APART_S", 0.0)
    result = loop.materialize("mirror")
    assert result.success
    lines = log_of(loop, result, "mirror")
    assert len(lines) <= 10 and all(re.match(r"compared: \d+ of \d+ folders, |copied: \d+ of", line) for line in lines)
    assert judged(result) == {"second_vault_holds_everything": True}
    assert compare(loop.vault, second).differences == {}
    assert [*Audit(second).problems()] == []
    facts = told(result, "mirror")
    kinds = {folder.kind for folder in Index(loop.vault.backend).folders()}
    assert kinds == {*mirror.ORDER, "seeds", "plan", "leaderboard", "pause", "champion"}
    assert (facts["second_vault"], facts["folders"], facts["folders_equal"]) == (second.url, len(kinds), len(kinds))


def test_a_conflict_fails_its_check_and_nothing_is_overwritten(
    loop: Loop, second: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    ALERTS.clear()
    assert loop.materialize("games_db", config=HEX.key).success
    mine = second.claim(HEX.key, 1)
    monkeypatch.setitem(loop._resources, "alert", SentAlerts())
    result = loop.materialize("mirror")
    assert result.success
    assert judged(result) == {"second_vault_holds_everything": False}
    assert f"seeds/{HEX.key}/00000000.json has other bytes" in str(result.get_asset_check_evaluations()[0].description)
    assert "does not hold everything: seeds/" in ALERTS[0]
    assert second.claims(HEX.key) == [mine]
    assert second.cards("games", HEX.key) == loop.vault.cards("games", HEX.key)


def test_it_is_asked_for_once_a_day_where_there_is_a_second_vault(
    second: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = dg.build_schedule_context(
        resources={"settings": SettingsResource()}, repository_def=code_location().get_repository_def()
    )
    assert len(automation.mirror_daily.evaluate_tick(context).run_requests) == 1
    monkeypatch.delenv("RR_MIRROR__TO")
    skipped = automation.mirror_daily.evaluate_tick(context)
    assert (skipped.run_requests, skipped.skip_message) == ([], "mirror.to names no second vault")
