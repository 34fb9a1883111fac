"""Signals from matches: real evaluations with results as a test wants them, and what follows from these."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import dagster as dg
import pytest

from rr_engine.players.stored import champion_of
from rr_engine.stages import candidate, crown, curriculum, evaluations, games, rating
from tests.graph.conftest import HEX, LOOP, Loop, ordered, row

Failed = Callable[[dg.ExecuteInProcessResult], dict[str, str]]
LENIENT = {"ALPHA": "0.4", "BETA": "0.4", "ANCHOR_MARGIN": "0.9"}  # a gate that a handful of games can pass


@pytest.fixture
def scores(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Matches end as this says: name of the opponent's result -> share that is won. Others end as they are played.

    Who wins is planned, so networks play without search.
    """
    monkeypatch.setenv("RR_MATCH__SIMULATIONS", "0")
    wanted: dict[str, float] = {}
    honest, names = rating.play_match, rating._Evening.play

    def played(*args: Any, **kwargs: Any) -> Any:
        result = honest(*args, **kwargs)
        share = wanted.get(current[0])
        if share is None:
            return result
        won = round(share * result.games)
        return replace(result, played=tuple(replace(game, won=n < won) for n, game in enumerate(result.played)))

    current = [""]

    def named(evening: Any, name: str, *args: Any, **kwargs: Any) -> None:
        current[0] = name
        names(evening, name, *args, **kwargs)
        current[0] = ""

    duels = rating._Evening.duel

    def duel(evening: Any, *args: Any, **kwargs: Any) -> Any:
        current[0] = "champion"
        ruling = duels(evening, *args, **kwargs)
        current[0] = ""
        return ruling

    monkeypatch.setattr(rating, "play_match", played)
    monkeypatch.setattr(rating._Evening, "play", named)
    monkeypatch.setattr(rating._Evening, "duel", duel)
    return wanted


def test_a_candidate_far_behind_is_left_and_training_starts_from_the_champion(
    loop: Loop, failed_checks: Failed, scores: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RR_REGRESSION__GAMES", "4")
    assert loop.materialize(*LOOP, config=HEX.key).success
    first = candidate.newest_candidate(loop.vault, HEX).sha256
    scores["champion"] = 0.0
    result = loop.materialize(*LOOP, config=HEX.key)
    assert result.success
    assert failed_checks(result)["candidate_is_no_regression"].endswith("games: critical")
    champion = champion_of(loop.vault, HEX)
    assert champion is not None
    assert champion.card.sha256 == first
    assert loop.materialize("games_db", "npz_dataset", "checkpoint", config=HEX.key).success
    assert candidate.newest_candidate(loop.vault, HEX).facts["started_from"] == first


def test_a_champion_that_fails_when_met_again_gives_way_and_self_play_uses_the_one_before(
    loop: Loop, failed_checks: Failed, scores: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr("rr_assets.resources.AlertResource.send", lambda _, text, *__: told.append(text))
    monkeypatch.setenv("RR_MATCH__SIMULATIONS", "2")  # games that repeat themselves roll nobody back
    monkeypatch.setenv("RR_REGRESSION__GAMES", "4")
    for name, value in LENIENT.items():
        monkeypatch.setenv(f"RR_GATE__{name}", value)
    scores |= {"heuristic": 1.0, "champion": 1.0, "champion-heuristic": 1.0}
    for _ in range(2):
        assert loop.materialize(*LOOP, config=HEX.key).success
    first, second = loop.vault.pointers(HEX.key)
    assert first.sha256 != second.sha256
    scores |= {"champion": 0.5, evaluations.AGAIN: 0.0, "heuristic": 0.5}
    result = loop.materialize(*LOOP, config=HEX.key)
    assert result.success
    pointer = loop.vault.pointers(HEX.key)[-1]
    assert (pointer.number, pointer.sha256, pointer.facts["rolled_back"]) == (2, first.sha256, second.sha256)
    assert "Elo against its predecessor" in pointer.facts["reason"]
    assert told[-1] == f"hex8_2p was rolled back: {pointer.facts['reason']}"
    [event] = [e for e in result.get_asset_materialization_events() if e.asset_key.to_user_string() == "champion"]
    assert event.materialization.metadata["decision"].value == "rolled back"
    assert loop.materialize("games_db", config=HEX.key).success
    assert games.newest_batch(loop.vault, HEX)[-1].parents == (first.sha256,)
    assert loop.materialize("elo", "champion", config=HEX.key).success  # the one rolled back is no predecessor
    assert loop.vault.pointers(HEX.key)[-1].number == 2


def test_a_mastered_opponent_gives_way_to_the_next(loop: Loop, scores: dict[str, float]) -> None:
    scores |= {"random": 1.0, "greedy": 0.5}
    assert loop.materialize(*LOOP, config=HEX.key).success
    state = curriculum.curriculum_of(loop.vault, HEX)
    assert (state.opponent, state.weight) == ("greedy", pytest.approx(0.9))
    planned = row(loop)
    assert planned["opponent"] == "greedy"
    assert "curriculum 0." in planned["reason"]
    assert loop.materialize("games_db", config=HEX.key).success
    assert ordered(loop)["opponent"] == "greedy"


def test_a_stall_explores_more_until_somebody_is_promoted(
    loop: Loop, scores: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RR_CURRICULUM__STALL_EVALUATIONS", "2")
    for name, value in LENIENT.items():
        monkeypatch.setenv(f"RR_GATE__{name}", value)
    scores["champion"] = 0.5
    usual = row(loop)["temperature"]
    for _ in range(3):  # the first is promoted, two are not
        assert loop.materialize(*LOOP, config=HEX.key).success
    planned = row(loop)
    assert planned["temperature"] == pytest.approx(1.3 * usual)
    assert "temperature x1.30" in planned["reason"]
    assert loop.materialize("games_db", config=HEX.key).success
    assert ordered(loop)["temperature"] == pytest.approx(1.3 * usual)
    scores |= {"champion": 1.0, "heuristic": 1.0, "champion-heuristic": 0.5}
    assert loop.materialize(*LOOP, config=HEX.key).success
    assert row(loop)["temperature"] == pytest.approx(1.3 * 0.9 * usual)


def test_a_config_that_met_its_target_rests(
    loop: Loop, scores: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    scores["heuristic"] = 1.0
    assert loop.materialize(*LOOP, config=HEX.key).success
    assert row(loop)["share"] > 0
    monkeypatch.setenv("RR_PLAN__TARGET_WIN_RATE", "0.4")
    planned = row(loop)
    assert (planned["share"], planned["grants"]) == (0.0, False)
    assert planned["reason"].startswith("rests: target met: 100.0% against the heuristic")


def test_small_regressions_in_a_row_get_worse(
    loop: Loop, failed_checks: Failed, scores: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, elo in (("GAMES", 4), ("MINOR", 100), ("MODERATE", 400), ("SEVERE", 500), ("CRITICAL", 600)):
        monkeypatch.setenv(f"RR_REGRESSION__{name}", str(elo))
    assert loop.materialize(*LOOP, config=HEX.key).success
    scores["champion"] = 0.25
    for ending in ("games: minor", "games, 2 in a row: moderate", "games, 3 in a row: critical"):
        result = loop.materialize(*LOOP, config=HEX.key)
        assert failed_checks(result)["candidate_is_no_regression"].endswith(ending)
        again = loop.materialize("elo", config=HEX.key)  # rated twice, it counts once
        assert failed_checks(again)["candidate_is_no_regression"].endswith(ending)


def test_an_evaluation_whose_curriculum_never_ran_is_made_up_for(loop: Loop, scores: dict[str, float]) -> None:
    scores |= {"random": 1.0, "greedy": 0.5}
    assert loop.materialize("games_db", "npz_dataset", "checkpoint", "elo", "champion", config=HEX.key).success
    scores["random"] = 0.5
    assert loop.materialize(*LOOP, config=HEX.key).success
    state = curriculum.curriculum_of(loop.vault, HEX)
    assert (state.opponent, state.weight, state.evaluations) == ("greedy", pytest.approx(0.9), 1)


def test_an_evaluation_that_repeats_itself_teaches_the_curriculum_nothing(
    loop: Loop, scores: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    scores["random"] = 1.0
    with monkeypatch.context() as alike:
        alike.setattr("rr_engine.arena.match.MatchResult.distinct", property(lambda _: 1))
        assert not loop.materialize(*LOOP, config=HEX.key).success
    scores["random"] = 0.5
    assert loop.materialize(*LOOP, config=HEX.key).success
    state = curriculum.curriculum_of(loop.vault, HEX)
    assert (state.opponent, state.evaluations) == ("random", 0)  # the second one is promoted


def test_a_champion_by_hand_that_was_never_rated_stops_no_evaluation(loop: Loop, scores: dict[str, float]) -> None:
    assert loop.materialize(*LOOP, config=HEX.key).success
    assert loop.materialize("games_db", "npz_dataset", "checkpoint", config=HEX.key).success
    unrated = candidate.newest_candidate(loop.vault, HEX)
    pointer = crown.crown_by_hand(loop.vault, HEX, unrated.sha256, "to try it", loop.settings)
    assert not pointer.facts["proven"]
    scores["champion"] = 0.0
    result = loop.materialize("games_db", "npz_dataset", "checkpoint", "elo", "champion", config=HEX.key)
    assert result.success
    assert loop.vault.pointers(HEX.key)[-1].sha256 == unrated.sha256
