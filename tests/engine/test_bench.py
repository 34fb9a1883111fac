"""The benchmark measures what it says, and says it in a form others can read."""

import os
import sys
import time
from types import SimpleNamespace

import pynvml
import pytest

from rr_engine.bench import engine as bench
from rr_engine.bench.gpu import GpuMeter
from rr_engine.boards import Config
from rr_engine.errors import ConfigError
from rr_engine.game import Game


@pytest.fixture(autouse=True)
def _short_runs(monkeypatch):
    monkeypatch.setattr(bench, "RUN_SECONDS", 0.01)


def test_one_row_per_config_with_rates_that_agree():
    configs = [Config.parse(key) for key in ("hex8_3p", "square19_2p")]
    (rows,) = bench.measure_engine(configs, runs=2)
    assert [(row["board"], row["players"]) for row in rows] == [("hex8", 3), ("square19", 2)]
    for row, shortest in zip(rows, (30, 200), strict=True):
        assert row["decisions_per_s"] > shortest * row["games_per_s"] > 0
    assert [row["state_bytes"] for row in rows] == [Game(config).state.nbytes for config in configs]


class TinySpiel:
    """Stands in for OpenSpiel: five moves a game, in no time."""

    class Position:
        def move_number(self):
            return 5

    class Search:
        def __init__(self, *_):
            self.steps = 0

        def step(self, _):
            return 0

    def load_game(self, name):
        assert name.startswith("go(board_size=")
        return self

    def new_initial_state(self):
        return self.Position()

    def make_uniform_random_bot(self, seat, seed):
        return seat, seed

    def evaluate_bots(self, _position, bots, _seed):
        assert len(bots) == 2

    def RandomRolloutEvaluator(self, games, _seed):
        return games

    MCTSBot = Search


def test_ratios_name_both_sides_and_what_they_should_be(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyspiel", TinySpiel())
    _, ratios = bench.measure_engine([Config.parse("hex8_2p"), Config.parse("hex8_3p")], peers=True, runs=1)
    (row,) = ratios
    assert (row["board"], row["players"], row["peer"]) == ("hex8", 2, "OpenSpiel go(board_size=9)")
    assert (row["floor"], row["aim"]) == (0.6, 1.0)
    assert row["ratio"] == pytest.approx(row["our_decisions_per_s"] / row["peer_moves_per_s"], abs=0.006)


def test_without_openspiel_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyspiel", None)
    with pytest.raises(ConfigError, match="install the extra `peers`"):
        bench.measure_engine([Config.parse("hex8_2p")], peers=True)


def test_a_comparison_without_a_peer_is_refused():
    with pytest.raises(ConfigError, match="square8_2p, hex8_2p, square19_2p: none of them is chosen"):
        bench.measure_engine([Config.parse("hex8_4p")], peers=True)


def test_it_leaves_the_process_on_the_cores_it_had():
    before = os.sched_getaffinity(0)
    bench.measure_engine([Config.parse("hex8_2p")], runs=1)
    assert os.sched_getaffinity(0) == before


def test_games_in_parallel():
    (row,) = bench.measure_parallel([Config.parse("hex8_2p")], games=64)
    assert (row["board"], row["players"], row["games_at_once"]) == ("hex8", 2, 64)
    assert row["decisions_per_s_1_thread"] > 0 and row["speed_up"] > 0


def test_a_start_is_a_new_process_that_plays_a_game():
    (row,) = bench.measure_starts(["hex8"], cold=False)
    assert (row["board"], row["players"]) == ("hex8", 2) and 0 < row["warm_start_s"] < 60 and "cold_start_s" not in row
    assert bench.play_one_game("square8_2p", seed=3).is_over
    assert bench.play_one_game("hex8_2p", seed=3).to_text() == bench.play_one_game("hex8_2p", seed=3).to_text()


def test_a_gpu_is_watched_while_a_block_runs(monkeypatch):
    uses = iter([90, 30, *[60] * 1000])
    for name, answer in {
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "nvmlDeviceGetName": lambda _: "a GPU",
        "nvmlDeviceGetUtilizationRates": lambda _: SimpleNamespace(gpu=next(uses)),
        "nvmlDeviceGetMemoryInfo": lambda _: SimpleNamespace(used=3 * 2**30),
    }.items():
        monkeypatch.setattr(pynvml, name, answer)
    with GpuMeter("cuda") as meter:
        time.sleep(0.5)
    assert meter.row() == {"gpu": "a GPU", "gpu_use": pytest.approx(0.6), "gpu_memory_gb": 3.0}


def test_without_a_gpu_none_is_watched():
    with GpuMeter("cpu") as meter:
        pass
    assert meter.row() == {}
