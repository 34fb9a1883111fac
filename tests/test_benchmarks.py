"""The benchmarks that take minutes run for real, on settings that make them short."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

from benchmarks import fleet, serving
from rr_engine.boards import Config

ROOT = Path(__file__).resolve().parents[1]
TINY = ROOT / "tests" / "data" / "tiny.toml"


def test_mirroring_exchanges_little_beside_the_shards(tmp_path: Path):
    command = [sys.executable, "benchmarks/mirror.py", "--shards", "300", "--differ", "5", "--folder", str(tmp_path)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    row = json.loads(ran.stdout)
    assert (row["shards"], row["differ"]) == (300, 5)
    for name in ("diff", "diff_distant", "mirror", "mirror_distant"):
        assert 0 < row[name]["beside_artefacts"] < 100_000
    assert row["mirror"]["artefacts"] == 5 * 3 * 64  # read once, written and read back
    assert row["index_after_run"]["operations"] < 60
    assert list(tmp_path.iterdir()) == []


def test_learning_turns_the_real_loop_and_ends_with_a_match(tmp_path: Path):
    out = tmp_path / "learning.jsonl"
    environ = os.environ | {"RR_SETTINGS": str(TINY)}
    command = [sys.executable, "benchmarks/learning.py", "--config", "square8_3p", "--minutes", "0.01"]
    ran = subprocess.run(
        [*command, "--vault", str(tmp_path / "vault"), "--out", str(out)],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    turn, last = (json.loads(line) for line in ran.stdout.splitlines())
    assert json.loads(out.read_text().splitlines()[-1]) == last
    assert turn["generation"] == 0
    assert turn["new_games_by"] == "heuristic"
    assert 0 < turn["evaluation_share"] < 1
    assert {"config", "minutes", "win_rate", "wilson_low", "games", "games_generated", "champion_hash"} <= set(last)
    assert last["games"] >= 400
    assert last["games_generated"] == 8
    plotted = tmp_path / "learning.svg"
    subprocess.run(
        [sys.executable, "benchmarks/plot_learning.py", str(out), "--out", str(plotted)], cwd=ROOT, check=True
    )
    assert "first places against the heuristic" in plotted.read_text()


def test_a_fleet_that_fails_is_kept_busy_and_starves_no_config() -> None:
    settings = fleet.settings_of()
    simulated = fleet.Fleet(random.Random(1), 1, settings, fleet.limits_of(1))
    simulated.simulate(hours=3)
    report = simulated.report()
    assert report["nodes"] == 26
    assert report["failures"] > 20
    assert report["gpu_use"] >= 0.85
    assert report["least_share"] >= settings.plan.min_share
    assert report["fewest_trainings"] >= 3


def test_the_move_server_is_measured_by_clients_that_play() -> None:
    row = serving.measure(Config.parse("hex8_2p"), clients=3, simulations=2, seconds=2)
    assert (row["clients"], row["simulations"]) == (3, 2)
    assert row["answers_per_s"] > 3
    assert 0 < row["median_ms"] <= row["p95_ms"] <= row["worst_ms"]
