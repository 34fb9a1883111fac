"""The loop turns: for every config, twice in a row, and it stops where something is wrong."""

import copy
import re
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest
from typer.testing import CliRunner

from rr_engine import progress
from rr_engine.boards import CONFIGS, Config
from rr_engine.cli import app
from rr_engine.errors import DataError
from rr_engine.nn import checkpoint as checkpoints
from rr_engine.players.stored import champion_of
from rr_engine.records import shard
from rr_engine.stages import candidate, crown, curriculum, dataset, evaluations, fleet, games, rating
from tests.graph.conftest import LOOP, Loop, log_of

HEX = Config.parse("hex8_2p")
TOLD = {  # by what is slow, of its progress
    "games_db": r"^\d+ of 8 games, [\d,.]+ decisions/s, (about )?\d+ s (left|in all)$",
    "npz_dataset": r"^replayed: \d+ of [\d,]+ samples at most, about \d+ s left$",
    "elo": r"^checkpoint:\w+:2 against \S+: \d+ of \d+ games, [\d,.]+ decisions/s, ",
    "champion": r"^(promoted|kept): ",
}
Failed = Callable[[dg.ExecuteInProcessResult], dict[str, str]]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.key)
def test_every_config_turns(loop: Loop, config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    if config.board.cells > 100:
        fewer = {
            "SELFPLAY__GAMES": 2,
            "MATCH__PAIRS": 1,
            "MATCH__ANCHOR_PAIRS": 1,
            "MATCH__SIMULATIONS": 1,
            "CURRICULUM__MASTERED_GAMES": 2,
        }
        for name, value in fewer.items():
            monkeypatch.setenv(f"RR_{name}", str(value))
    result = loop.materialize(*LOOP, config=config.key)
    assert result.success
    assert {e.check_name for e in result.get_asset_check_evaluations() if e.passed} == {
        "every_game_replays",
        "games_are_whole_and_distinct",
        "quality_is_high",
        "schema_and_ranges_hold",
        "data_is_fresh",
        "quality_passes_the_gate",
        "trainable",
        "losses_are_usual",
        "candidate_is_no_regression",
        "champion_is_no_regression",
        "weights_are_finite_and_reload",
        "enough_distinct_games",
        "champion_loads_and_plays",
        "curriculum_is_bounded",
    }
    champion = champion_of(loop.vault, config)
    assert champion is not None
    assert champion.pointer.number == 0
    assert champion.card.sha256 == candidate.newest_candidate(loop.vault, config).sha256
    data = dataset.newest_dataset(loop.vault, config)
    assert champion.card.parents == (data.sha256,)
    assert set(data.parents) == {card.sha256 for card in loop.vault.cards(games.KIND, config.key)}
    versions = {
        event.asset_key.to_user_string(): event.materialization.tags["dagster/data_version"]
        for event in result.get_asset_materialization_events()
    }
    assert versions["npz_dataset"] == data.sha256
    assert versions["champion"] == champion.card.sha256


def test_the_second_turn_goes_on_where_the_first_stopped(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config.parse("hex8_2p")
    monkeypatch.setattr(progress, "_APART_S", 0.0)  # so that what is quick here is told as what is slow
    for _ in range(2):
        result = loop.materialize(*LOOP, config=config.key)
        assert result.success
    for asset, says in TOLD.items():
        lines = log_of(loop, result, asset)
        assert any(re.search(says, line) for line in lines), (asset, lines)
        assert len(lines) <= 20, lines
    shards = loop.vault.cards(games.KIND, config.key)
    seeds = [sorted(sum((card.facts["seeds"] for card in shards[first : first + 2]), [])) for first in (0, 2)]
    assert seeds == [list(range(8)), list(range(8, 16))]
    digests = [record.digest for card in shards for record in shard.decode(loop.vault.path(card))]
    assert len(set(digests)) == len(digests) == 16
    newest = candidate.newest_candidate(loop.vault, config)
    assert newest.parents[1] == loop.vault.pointers(config.key)[0].sha256  # trained from the champion
    evaluation = evaluations.newest_matches(loop.vault, config)
    assert set(evaluation.facts["results"]) == {"random", "greedy", "heuristic", "champion"}
    names = {row["name"] for row in evaluations.ratings_of(loop.vault, config)}
    assert names >= {"random", "greedy", "heuristic", f"checkpoint:{newest.sha256[:12]}:2"}


def test_people_can_ask_what_a_turn_left(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RR_VAULT", loop.vault.url)
    ask = CliRunner().invoke
    empty = ask(app, ["standings", "--config", "hex8_2p"])
    assert isinstance(empty.exception, DataError)
    assert "materialise elo first" in str(empty.exception)
    assert loop.materialize(*LOOP, config="hex8_2p").success
    told = ask(app, ["standings", "--config", "hex8_2p"])
    assert told.exit_code == 0
    assert "champion, generation 0" in told.stdout
    counted = ask(app, ["sql", "select 'games: ' || count(*) as n from games", "--config", "hex8_2p"])
    assert "games: 8" in counted.stdout
    refused = ask(app, ["sql", "selec", "--config", "hex8_2p"])
    assert "syntax error" in str(refused.exception)


def test_games_are_shown_where_they_were_made(loop: Loop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RR_VAULT", loop.vault.url)
    result = loop.materialize("games_db", "npz_dataset", "checkpoint", "elo", config="hex8_2p")
    for asset, titles in (("games_db", ("typical_game", "most_surprising_game")), ("elo", ("a_win", "a_loss"))):
        [event] = [
            event for event in result.get_asset_materialization_events() if event.asset_key == dg.AssetKey(asset)
        ]
        metadata = event.materialization.metadata
        for title in titles:
            assert "](data:image/svg+xml;base64," in metadata[f"{title}_kept"].value
            text = metadata[title].value
            assert "](http://127.0.0.1:8017/board/hex8_2p/" in text and "](http://127.0.0.1:8017/replay/" in text
            assert len(text) < 1000, "Dagster would hide it"
            page = tmp_path / f"{title}.html"
            words = shlex.split(text.partition("`")[2].partition("`")[0])
            told = CliRunner().invoke(app, [*words[1:], "--out", str(page)])
            assert told.stdout == f"open {page.as_uri()}\n"
            assert page.read_text().startswith("<!doctype html>")


def test_the_plan_covers_the_fleet_and_steers_the_next_games(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    assert loop.materialize(*LOOP, config="hex8_2p").success
    result = loop.materialize("selfplay_plan", "leaderboard")
    assert result.success
    assert [e.check_name for e in result.get_asset_check_evaluations() if e.passed] == ["every_config_is_planned"]
    plan = fleet.newest_plan(loop.vault)
    assert set(plan) == {config.key for config in CONFIGS}
    assert plan["hex8_2p"]["share"] < plan["square8_2p"]["share"]
    assert "staleness" in plan["square8_2p"]["reason"]
    page = loop.vault.get(loop.vault.cards(fleet.BOARD_KIND, fleet.ALL)[-1]).decode()
    assert "hexagonal_4p" in page
    monkeypatch.setenv("RR_SELFPLAY__GAMES", "0")
    before = sum(card.rows for card in loop.vault.cards(games.KIND, "hex8_2p"))
    assert loop.materialize("games_db", config="hex8_2p").success
    made = sum(card.rows for card in loop.vault.cards(games.KIND, "hex8_2p")) - before
    assert made == plan["hex8_2p"]["games"]


def test_what_was_made_last_is_the_newest(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the same has been made before: settings A, B and A again."""
    assert loop.materialize("games_db", "npz_dataset", config=HEX.key).success
    for name, newest, variable, value in (
        ("npz_dataset", dataset.newest_dataset, "RR_DATASET__MAX_SAMPLES", "100"),
        ("checkpoint", candidate.newest_candidate, "RR_TRAINING__LEARNING_RATE", "0.01"),
    ):
        made: list[str] = []
        for changed in (False, True, False):
            with monkeypatch.context() as patch:
                if changed:
                    patch.setenv(variable, value)
                result = loop.materialize(name, config=HEX.key)
            assert result.success
            [event] = result.get_asset_materialization_events()
            made.append(event.materialization.tags["dagster/data_version"])
            assert newest(loop.vault, HEX).sha256 == made[-1]
            checked = [
                e.metadata["sha256"].value for e in result.get_asset_check_evaluations() if "sha256" in e.metadata
            ]
            assert checked == [made[-1]]
        assert made[0] != made[1]
        if name == "npz_dataset":
            assert made[0] == made[2]


def test_a_damaged_artefact_stops_the_stage_that_reads_it(loop: Loop) -> None:
    assert loop.materialize("games_db", config="hex8_2p").success
    card = loop.vault.cards(games.KIND, "hex8_2p")[0]
    path = loop.vault.path(card)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(data)
    result = loop.materialize("npz_dataset", config="hex8_2p")
    assert not result.success
    [failure] = [event for event in result.all_events if event.is_step_failure]
    assert card.sha256 in str(failure.step_failure_data.error)
    assert "found" in str(failure.step_failure_data.error)


def test_a_bad_dataset_stops_training(loop: Loop, failed_checks: Failed, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = dataset.build_window

    def skewed(*args, **kwargs):
        window = honest(*args, **kwargs)
        return replace(window, policy=window.policy * 2)

    assert loop.materialize("games_db", config="hex8_2p").success
    monkeypatch.setattr(dataset, "build_window", skewed)
    result = loop.materialize("npz_dataset", "checkpoint", config="hex8_2p")
    assert not result.success
    assert "policy target" in failed_checks(result)["schema_and_ranges_hold"]
    assert not loop.vault.cards(candidate.KIND, "hex8_2p")


def test_a_stage_without_its_input_says_what_to_do(loop: Loop) -> None:
    for name, missing in (
        ("npz_dataset", "materialise games_db first"),
        ("checkpoint", "materialise npz_dataset first"),
        ("elo", "materialise checkpoint first"),
        ("champion", "materialise elo first"),
    ):
        result = loop.materialize(name, config="square8_2p")
        assert not result.success
        [failure] = [event for event in result.all_events if event.is_step_failure]
        assert missing in str(failure.step_failure_data.error)


def test_repeated_games_fail_the_evaluation(loop: Loop, failed_checks: Failed, monkeypatch: pytest.MonkeyPatch) -> None:
    assert loop.materialize("games_db", "npz_dataset", "checkpoint", config="hex8_2p").success
    honest = rating.play_match

    def repeating(*args, **kwargs):
        result = honest(*args, **kwargs)
        return replace(result, played=(result.played[0],) * len(result.played))

    monkeypatch.setattr(rating, "play_match", repeating)
    result = loop.materialize("elo", "champion", config="hex8_2p")
    assert not result.success
    assert "only 1 of 4 games differ" in failed_checks(result)["enough_distinct_games"]
    assert champion_of(loop.vault, Config.parse("hex8_2p")) is None


def test_a_candidate_that_is_not_what_was_trained_is_not_rated(
    loop: Loop, failed_checks: Failed, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert loop.materialize("games_db", "npz_dataset", config=HEX.key).success
    honest = checkpoints.save_checkpoint

    def other_weights(checkpoint: checkpoints.Checkpoint) -> bytes:
        other = copy.deepcopy(checkpoint)
        for weight in other.network.parameters():
            weight.data *= 1.5
        return honest(other)

    monkeypatch.setattr(checkpoints, "save_checkpoint", other_weights)
    result = loop.materialize("checkpoint", "elo", config=HEX.key)
    assert not result.success
    assert "gives other outputs" in failed_checks(result)["weights_are_finite_and_reload"]
    assert not loop.vault.cards(evaluations.MATCHES_KIND, HEX.key)


@pytest.mark.parametrize(
    ("changes", "says"),
    [({"weight": 0.1}, "weight 0.100 is not in 0.5..1"), ({"exploration": 3.0}, "exploration 3.000 is not in 1..2")],
)
def test_a_curriculum_out_of_bounds_fails_its_check(
    loop: Loop, failed_checks: Failed, monkeypatch: pytest.MonkeyPatch, changes: dict[str, float], says: str
) -> None:
    assert loop.materialize(*LOOP[:-1], config=HEX.key).success
    honest = curriculum.advance
    monkeypatch.setattr(curriculum, "advance", lambda *args: replace(honest(*args), **changes))
    result = loop.materialize("curriculum", config=HEX.key)
    assert not result.success
    assert failed_checks(result) == {"curriculum_is_bounded": says}


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda rows: rows[1:], "no row for hex8_2p; the shares sum to "),
        (
            lambda rows: [replace(rows[0], share=0.9), *rows[1:]],
            "share 0.900 of hex8_2p is not in 0.02..0.4; the shares",
        ),
        (
            lambda rows: [replace(rows[0], share=0.0), *rows[1:]],
            "share 0.000 of hex8_2p is not in 0.02..0.4; the shares",
        ),
        (lambda rows: [replace(rows[0], share=0.0, reason="rests: why not"), *rows[1:]], "the shares sum to 0.9"),
    ],
)
def test_a_plan_that_leaves_out_or_swamps_fails_its_check(
    loop: Loop, failed_checks: Failed, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[list], list], says: str
) -> None:
    honest = fleet.make_plan
    monkeypatch.setattr(fleet, "make_plan", lambda *args: spoil(honest(*args)))
    result = loop.materialize("selfplay_plan", "leaderboard")
    assert not result.success
    assert failed_checks(result)["every_config_is_planned"].startswith(says)
    assert not loop.vault.cards(fleet.BOARD_KIND, fleet.ALL)


def test_a_damaged_champion_fails_its_check(loop: Loop) -> None:
    config = Config.parse("hex8_2p")
    assert loop.materialize(*LOOP, config=config.key).success
    champion = champion_of(loop.vault, config)
    assert champion is not None
    facts, problems = crown.check_champion(loop.vault, config)
    assert (facts["generation"], problems) == (0, [])
    path = loop.vault.path(champion.card)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1])
    _, problems = crown.check_champion(loop.vault, config)
    assert champion.card.sha256 in problems[0]
