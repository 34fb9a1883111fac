"""Self-play: a game per seed, given away as they end, with what was thought written down."""

from __future__ import annotations

import numpy as np
import pytest

from rr_engine.bench.selfplay import measure_selfplay
from rr_engine.boards import Config
from rr_engine.kernels.layout import SWAP
from rr_engine.players import player
from rr_engine.players.search import SearchPlayer
from rr_engine.records import shard
from rr_engine.records.record import GameRecord, check_replays
from rr_engine.search import UniformEvaluator
from rr_engine.selfplay.play import play_games
from rr_engine.settings import NetworkSettings, SearchSettings, SelfplaySettings
from tests.engine.games import WeighingPlayer

HEX = Config.parse("hex8_2p")
FEW = SelfplaySettings(games_at_once=5, shard_games=4, opening_decisions=6)


def played(seeds: range, settings: SelfplaySettings = FEW) -> list[list[GameRecord]]:
    return list(play_games(HEX, WeighingPlayer(), seeds=seeds, generation=2, settings=settings))


def searcher(full_share: float = 0.5) -> SearchPlayer:
    return SearchPlayer(
        UniformEvaluator(),
        name="search:uniform:6",
        identity="uniform",
        settings=SearchSettings(),
        simulations=6,
        cheap_simulations=2,
        full_share=full_share,
    )


def test_a_shard_comes_as_soon_as_its_games_have_ended_and_every_game_replays():
    told: list[tuple[int, int]] = []
    parts: list[list[GameRecord]] = []
    games = play_games(
        HEX,
        WeighingPlayer(),
        seeds=range(10, 21),
        generation=2,
        settings=FEW,
        on_progress=lambda *at: told.append(at),
    )
    for part in games:
        parts.append(part)
        kept = sum(map(len, parts))
        assert told[-1][0] - kept < FEW.shard_games  # what has ended and is not given away
    assert [len(part) for part in parts] == [4, 4, 3]
    records = [record for part in parts for record in part]
    assert sorted(record.seed for record in records) == list(range(10, 21))
    for record in records:
        check_replays(record)
        assert 3 <= record.opening <= 6
        assert not record.recorded[: record.opening].any()
        assert record.recorded[record.opening :].all()
    assert told[-1] == (11, sum(record.decisions for record in records))
    assert len({record.digest for record in records}) == 11


def test_a_seed_gives_its_game_whoever_plays_beside_it():
    together = {record.seed: record.digest for records in played(range(8)) for record in records}
    parts = [records for first in (0, 4) for records in played(range(first, first + 4))]
    assert together == {record.seed: record.digest for records in parts for record in records}


def test_cheap_searches_are_no_targets_but_their_values_are_kept():
    (records,) = play_games(HEX, searcher(), seeds=range(4), generation=0, settings=FEW)
    for record in records:
        chosen = record.legal > 1
        thought = np.arange(record.decisions) >= record.opening
        assert not record.recorded[~chosen].any()
        known = ~np.isnan(record.values[:, 0])
        np.testing.assert_array_equal(known, chosen & thought)
        np.testing.assert_allclose(record.values[known].sum(1), 1, atol=1e-5)
    shares = np.concatenate([record.recorded[record.legal > 1] for record in records])
    assert 0.25 < shares.mean() < 0.65
    again = shard.decode(shard.encode(records))
    for record, stored in zip(records, again, strict=True):
        np.testing.assert_allclose(stored.values, record.values, atol=1e-5)
        np.testing.assert_array_equal(np.isnan(stored.values), np.isnan(record.values))


@pytest.mark.parametrize("key", ["hex8_2p", "square8_4p"])
def test_an_opponent_has_all_places_but_one_in_part_of_the_games(key: str):
    config = Config.parse(key)
    agent, opponent = WeighingPlayer(), player("random", config)
    settings = SelfplaySettings(opening_decisions=4, opponent_share=0.5)
    shards = play_games(config, agent, opponent=opponent, seeds=range(60), generation=0, settings=settings)
    records = [record for records in shards for record in records]
    mixed = [record for record in records if "random" in record.players]
    assert 15 < len(mixed) < 45
    assert {record.players.index("weighing") for record in mixed} == set(range(config.players))
    for record in records:
        check_replays(record)
        assert record.players.count("weighing") == (1 if record in mixed else config.players)
        swap = np.flatnonzero((record.moves & 15) == SWAP)
        for decision in range(record.opening, record.decisions):
            seat = int(record.seats[decision])
            place = 1 - seat if swap.size and decision > swap[0] else seat
            assert record.recorded[decision] == (record.players[place] == "weighing")
    assert any(record.swapped for record in mixed) == (config.players == 2)


def test_without_a_share_an_opponent_never_plays():
    settings = SelfplaySettings(opening_decisions=4, opponent_share=0.0)
    (records,) = play_games(
        HEX, searcher(), opponent=player("random", HEX), seeds=range(3), generation=0, settings=settings
    )
    assert {name for record in records for name in record.players} == {"search:uniform:6"}


def test_temperature_is_the_size_of_the_noise():
    cold = SelfplaySettings(opening_decisions=0, temperature=0.0, temperature_late=0.0, shard_games=4)
    (same,) = play_games(HEX, searcher(1.0), seeds=range(4), generation=0, settings=cold)
    (different,) = play_games(
        HEX, searcher(1.0), seeds=range(4), generation=0, settings=SelfplaySettings(shard_games=4)
    )
    assert len({record.digest for record in same}) == 1
    assert len({record.digest for record in different}) == 4


def test_the_bench_counts_both_ways():
    row = measure_selfplay(
        HEX,
        network=NetworkSettings(channels=8, blocks=1),
        settings=SelfplaySettings(simulations=4, games_at_once=16),
        search=SearchSettings(),
        seconds=0.5,
        runs=1,
    )
    assert row["simulations"] == 4
    assert row["evaluations_per_s"] > 2 * row["decisions_per_s"] > 0
    assert row["bare_evaluations_per_s"] > 0
    assert 1 <= row["batch"] <= 16
