"""Games on their way to a dataset: whose they are, what their checks stop, and what never gets through."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import dagster as dg
import pytest

from rr_engine.boards import Config
from rr_engine.records import shard
from rr_engine.records.record import GameRecord
from rr_engine.stages import dataset, games
from tests.engine.games import make_records
from tests.graph.conftest import Loop

Failed = Callable[[dg.ExecuteInProcessResult], dict[str, str]]
HEX = Config.parse("hex8_2p")


def test_a_game_that_does_not_replay_stops_the_loop(
    loop: Loop, failed_checks: Failed, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = games.play_games

    def lying(*args, **kwargs):
        for first, *rest in honest(*args, **kwargs):
            wrong = replace(first.outcome, winner=1 - first.outcome.winner)
            yield [replace(first, outcome=wrong), *rest]

    monkeypatch.setattr(games, "play_games", lying)
    result = loop.materialize("games_db", "npz_dataset", config="hex8_2p")
    assert not result.success
    assert "replay gives" in failed_checks(result)["every_game_replays"]
    assert not loop.vault.cards(dataset.KIND, "hex8_2p")  # nothing came after it


def _wrong_winner(record: GameRecord) -> GameRecord:
    return replace(record, outcome=replace(record.outcome, winner=1 - record.outcome.winner))


def _illegal_move(record: GameRecord) -> GameRecord:
    moves = record.moves.copy()
    moves[20] = moves[3]
    return replace(record, moves=moves)


@pytest.mark.parametrize("spoil", [_wrong_winner, _illegal_move])
@pytest.mark.parametrize("stopped", [False, True])
def test_a_bad_shard_reaches_no_dataset(
    loop: Loop, monkeypatch: pytest.MonkeyPatch, spoil: Callable[[GameRecord], GameRecord], stopped: bool
) -> None:
    """Neither after its check has failed nor after its run was stopped before any check."""
    honest = games.play_games

    def lying(*args, **kwargs):
        for first, *rest in honest(*args, **kwargs):
            yield [spoil(first), *rest]
            if stopped:
                raise KeyboardInterrupt

    monkeypatch.setattr(games, "play_games", lying)
    if stopped:
        with pytest.raises(KeyboardInterrupt):
            games.make_games(loop.vault, HEX, loop.settings, batch="stopped")
    else:
        assert not loop.materialize("games_db", "npz_dataset", config=HEX.key).success
    bad = [card.sha256 for card in loop.vault.cards(games.KIND, HEX.key)]
    result = loop.materialize("npz_dataset", config=HEX.key)
    [failure] = [event for event in result.all_events if event.is_step_failure]
    assert f"all {len(bad)} shards are refused, the newest because of game " in str(failure.step_failure_data.error)
    monkeypatch.setattr(games, "play_games", honest)
    assert loop.materialize("games_db", "npz_dataset", config=HEX.key).success
    data = dataset.newest_dataset(loop.vault, HEX)
    assert len(data.parents) == 2 and not set(bad) & set(data.parents)
    assert (data.facts["games"], data.facts["refused_shards"], data.facts["refused_games"]) == (
        8,
        len(bad),
        4 * len(bad),
    )
    assert {refused["shard"] for refused in data.facts["refused"]} == set(bad)
    assert all("replay" in refused["why"] and refused["bad"] == 1 for refused in data.facts["refused"])


def test_a_shard_that_is_none_is_left_out_too(loop: Loop) -> None:
    assert loop.materialize("games_db", config=HEX.key).success
    good = loop.vault.cards(games.KIND, HEX.key)
    whole = loop.vault.get(good[0])
    other = shard.encode(make_records("hex8_3p", 4))
    again = shard.encode(shard.decode(loop.vault.path(good[0]))[::-1])
    for content, rows in (
        (again, 4),
        (b"no parquet", 4),
        (whole + b" ", 4),
        (other, 4),
        (shard.encode(make_records(HEX.key, 3)), 4),
    ):
        facts = good[0].facts
        fields = {"producer": "test", "rows": rows, "schema_version": shard.SCHEMA_VERSION, "facts": facts}
        loop.vault.put(games.KIND, HEX.key, content, suffix=".parquet", **fields)
    made = dataset.make_dataset(loop.vault, HEX, loop.settings)
    assert set(made.card.parents) > {card.sha256 for card in good}
    assert (made.facts["games"], made.facts["repeated_games"], made.facts["refused_games"]) == (8, 4, 16)
    assert [refused["bad"] for refused in made.facts["refused"]] == [1, 4, 4, 4]  # the newest first
    told = " ".join(refused["why"] for refused in made.facts["refused"])
    for reason in ("not a readable shard", "a game of hex8_3p among those of hex8_2p", "3 games, its card says 4"):
        assert reason in told


def test_two_runs_at_once_play_different_games(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both have looked at the vault before either has written to it."""
    honest, both_here = games.selfplay_agents, Barrier(2)

    def meeting(*args):
        agent = honest(*args)
        both_here.wait(60)
        return agent

    monkeypatch.setattr(games, "selfplay_agents", meeting)
    with ThreadPoolExecutor(2) as pool:
        runs = {name: pool.submit(games.make_games, loop.vault, HEX, loop.settings, batch=name) for name in "ab"}
    seeds: list[int] = []
    for name, run in runs.items():
        claim = games.claim_to_judge(loop.vault, HEX, name)
        assert run.result().facts["claim"] == claim.number
        assert claim.facts["batch"] == name
        assert claim.facts["order"]["games"] == 8
        assert games.shards_of(loop.vault, claim) == list(run.result().cards)
        facts, problems = games.check_distinct(loop.vault, claim, loop.settings.selfplay)
        assert (facts["produced"], facts["stored"], problems) == (8, 8, [])
        for card in games.shards_of(loop.vault, claim):
            seeds += [record.seed for record in shard.decode(loop.vault.path(card))]
    assert sorted(seeds) == list(range(16))


def test_a_run_is_judged_by_its_own_claim(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by one that another run has made in the meantime, of which nothing is stored yet."""
    honest = games.play_games

    def overtaken(*args, **kwargs):
        loop.vault.claim(HEX.key, 100, facts={"batch": "another run"})
        return honest(*args, **kwargs)

    monkeypatch.setattr(games, "play_games", overtaken)
    result = loop.materialize("games_db", config=HEX.key)
    assert result.success
    produced = {
        check.metadata["produced"].value
        for check in result.get_asset_check_evaluations()
        if "produced" in check.metadata
    }
    assert produced == {8}
    assert [card.facts["claim"] for card in games.newest_batch(loop.vault, HEX)] == [0, 0]
    made = [card.facts["seeds"] for card in loop.vault.cards(games.KIND, HEX.key)]
    assert ([len(seeds) for seeds in made], sorted(sum(made, []))) == ([4, 4], list(range(8)))


def test_repeated_games_stop_the_loop(loop: Loop, failed_checks: Failed, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = games.play_games
    monkeypatch.setattr(games, "play_games", lambda *a, **k: ([shard[0]] * 4 for shard in honest(*a, **k)))
    result = loop.materialize("games_db", "npz_dataset", config="hex8_2p")
    assert not result.success
    told = failed_checks(result)["games_are_whole_and_distinct"]
    assert told == ("the stored games are not one for each seed from 0 to 8; only 2 of 8 games differ from each other")
    monkeypatch.setattr(games, "play_games", lambda *a, **k: (shard[:3] for shard in honest(*a, **k)))
    result = loop.materialize("games_db", config="hex8_2p")
    assert failed_checks(result) == {"games_are_whole_and_distinct": "8 games were produced, 6 are stored"}
