"""The command `rr`: what it prints, and how it fails."""

import importlib
import json
import subprocess
import sys
from pathlib import Path
from unittest.mock import create_autospec

import pytest
from typer.testing import CliRunner

from rr_engine import cli
from rr_engine.bench import engine as bench
from rr_engine.boards import CONFIGS
from rr_engine.errors import ConfigError
from rr_engine.records import shard, trace
from rr_engine.vault import Vault
from tests.engine.games import make_records
from tests.engine.vaults import put

OWN = Path(__file__).parents[1] / "data" / "games.jsonl.gz"


def rr(*arguments):
    return CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


@pytest.fixture
def two_games(tmp_path):
    """A file of two short games, and the records in it."""
    records = sorted(trace.read(OWN), key=lambda record: record["k"])[:2]
    trace.write(tmp_path / "good.jsonl.gz", records)
    return tmp_path / "good.jsonl.gz", records


class TestVerifyTraces:
    def test_all_well(self, two_games):
        path, records = two_games
        decisions = sum(record["k"] for record in records)
        result = rr("verify-traces", path, path)
        assert result.exit_code == 0
        assert result.stdout.splitlines() == [
            f"{path} games=2 decisions={decisions} mismatches=0",
            f"{path} games=2 decisions={decisions} mismatches=0",
            f"TOTAL games=4 decisions={2 * decisions} mismatches=0",
        ]

    def test_scripts_get_an_object_per_file_and_the_sums(self, two_games, tmp_path, monkeypatch):
        path, records = two_games
        monkeypatch.setattr("rr_engine.progress._TYPED_FIRST_S", 0.0)
        (tmp_path / "cut.gz").write_bytes(path.read_bytes()[:500])
        result = rr("verify-traces", path, tmp_path / "cut.gz", "--json")
        good, cut, total = map(json.loads, result.stdout.splitlines())
        decisions = sum(record["k"] for record in records)
        assert (good["file"], good["decisions"], good["told"]) == (str(path), decisions, [])
        assert (cut["mismatches"], len(cut["told"])) == (1, 1)
        assert total == {"files": 2, "games": 2, "decisions": decisions, "mismatches": 1}
        assert result.exit_code == 1 and result.stderr.startswith("1 of 2 games, ")

    def test_one_altered_hash_fails_and_is_named(self, two_games, tmp_path):
        path, (first, second) = two_games
        trace.write(
            tmp_path / "bad.jsonl.gz", [first | {"sh": first["sh"][:-1] + "x"}, second | {"lh": "x" * 16 * second["k"]}]
        )
        result = rr("verify-traces", tmp_path / "bad.jsonl.gz", path)
        assert result.exit_code == 1
        bad, good, total = result.stdout.splitlines()
        named = f" mismatches=2: game {first['id']}: decision {first['k'] - 1}: state hash "
        assert f"games=2 decisions={first['k'] + 1}{named}" in bad
        assert good.endswith("mismatches=0") and total.endswith("mismatches=2")
        assert f"game {second['id']}: decision 0: legal list hash" in result.stderr

    def test_a_damaged_and_a_missing_file_are_one_line_each(self, two_games, tmp_path):
        path, _ = two_games
        (tmp_path / "cut.gz").write_bytes(path.read_bytes()[:500])
        result = rr("verify-traces", tmp_path / "cut.gz", tmp_path / "none.gz")
        assert result.exit_code == 1
        cut, none, total = result.stdout.splitlines()
        assert "mismatches=1: " in cut and "damaged after line" in cut
        assert none.endswith(f"games=0 decisions=0 mismatches=1: {tmp_path}/none.gz: no such trace file")
        assert total == "TOTAL games=0 decisions=0 mismatches=2"

    @pytest.mark.parametrize("legal", [[1], [None], [[]], ["P0x1", 2]])
    def test_a_position_with_moves_that_are_no_texts_is_one_mismatch(self, tmp_path, legal):
        position = {"name": "x", "b": "hex8", "n": 2, "text": "S", "acted": 0, "legal": legal, "next": {}}
        (tmp_path / "positions.jsonl").write_text(
            json.dumps(position) + "\n" + json.dumps(position | {"next": {"P": 1}})
        )
        result = rr("verify-traces", tmp_path / "positions.jsonl")
        assert result.exit_code == 1
        told, total = result.stdout.splitlines()
        assert "line 1: `legal` must hold the texts of moves" in told
        assert total == "TOTAL games=0 decisions=0 mismatches=1"

    def test_what_a_trace_holds_is_not_repeated_in_full(self, two_games, tmp_path):
        _, (first, _) = two_games
        huge = "x" * 10**5
        for change in (
            {"id": huge, "b": huge},
            {"fh": huge},
            {"ln": [huge] * first["k"]},
            {"res": dict.fromkeys(first["res"], huge)},
        ):
            trace.write(tmp_path / "huge.jsonl.gz", [first | change])
            result = rr("verify-traces", tmp_path / "huge.jsonl.gz")
            assert result.exit_code == 1
            assert len(result.stdout) < 3000

    def test_nothing_read_is_a_failure(self, tmp_path):
        (tmp_path / "empty.jsonl").write_text("")
        assert rr("verify-traces", tmp_path / "empty.jsonl").exit_code == 1


class TestPlayRandom:
    def test_the_same_seed_plays_the_same_game(self):
        first, again, other = (rr("play-random", "--seed", seed) for seed in (5, 5, 6))
        assert first.exit_code == 0 and first.stdout == again.stdout != other.stdout
        assert "wins by" in first.stdout and "decisions; Outcome(winner=" in first.stdout

    def test_scripts_get_every_decision_and_how_it_ends(self):
        result = rr("play-random", "--config", "square8_3p", "--show", "--json")
        *moves, end = map(json.loads, result.stdout.splitlines())
        assert len(moves) == end["decisions"] and {"seat", "phase", "move"} == moves[0].keys()
        assert (end["config"], end["seed"], sorted(end["ranks"])) == ("square8_3p", 0, [1, 2, 3])

    def test_it_shows_every_decision(self):
        result = rr("play-random", "--config", "square8_3p", "--show")
        assert result.stdout.startswith("square8_3p  turn 0  a decides in phase place")
        decisions = int(result.stdout.splitlines()[-1].split()[0])
        assert sum(line.startswith("seat ") for line in result.stdout.splitlines()) == decisions


class TestBench:
    @pytest.fixture(autouse=True)
    def _short_runs(self, monkeypatch):
        monkeypatch.setattr(bench, "RUN_SECONDS", 0.01)

    def test_json_has_one_line_per_config(self):
        result = rr("bench", "engine", "--json", "--config", "hex8_2p", "--config", "square8_4p", "--runs", 1)
        rows = [json.loads(line) for line in result.stdout.splitlines()]
        assert [(row["board"], row["players"]) for row in rows] == [("hex8", 2), ("square8", 4)]
        assert all(row["games_per_s"] > 0 and row["decisions_per_s"] > 0 for row in rows)

    def test_a_table_for_people(self, monkeypatch):
        monkeypatch.setattr(
            bench, "measure_starts", lambda boards, cold, **_: [{"board": name, "cold": cold} for name in boards]
        )
        monkeypatch.setattr(bench, "measure_parallel", lambda configs, **_: [{"config": c.key} for c in configs])
        result = rr("bench", "engine", "--config", "hex8_2p", "--runs", 1, "--starts", "--parallel")
        lines = result.stdout.splitlines()
        assert lines[0].split() == ["board", "players", "games_per_s", "decisions_per_s", "state_bytes"]
        assert [len(line) for line in lines[:2]] == [len(lines[0])] * 2
        assert ["hex8_2p"] in [line.split() for line in lines] and ["hex8", "True"] in [line.split() for line in lines]

    @pytest.mark.parametrize("name", ["selfplay", "training"])
    def test_what_runs_a_network_is_measured_as_asked(self, monkeypatch, name):
        module = importlib.import_module(f"rr_engine.bench.{name}")
        measure = create_autospec(getattr(module, f"measure_{name}"), return_value={"samples_per_s": 1.5})
        monkeypatch.setattr(module, f"measure_{name}", measure)
        result = rr("bench", name, "--config", "hex8_3p", "--seconds", 5, "--runs", 1, "--json", "--quiet")
        assert json.loads(result.stdout) == {"samples_per_s": 1.5}
        (config,), words = measure.call_args
        assert (config.key, words["seconds"], words["runs"]) == ("hex8_3p", 5, 1)


class TestErrors:
    def test_an_error_of_the_engine_is_one_line_and_status_2(self, monkeypatch, capsys):
        monkeypatch.setattr(sys, "argv", ["rr", "play-random", "--config", "hex9_2p"])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        assert caught.value.code == 2
        assert capsys.readouterr().err.startswith("rr: unknown config 'hex9_2p': configs are hex8_2p,")

    def test_a_failed_query_is_one_line(self, monkeypatch, capsys, tmp_path):
        vault = Vault.open(str(tmp_path))
        data = shard.encode(make_records("hex8_2p", 1))
        fields = {"producer": "test", "rows": 1, "schema_version": 1}
        vault.put("games", "hex8_2p", data, suffix=".parquet", **fields)
        monkeypatch.setenv("RR_VAULT", str(tmp_path))
        for query, says in (("selec 1", "syntax error"), ("select nothing from games", "nothing"), ("x" * 10**5, "")):
            monkeypatch.setattr(sys, "argv", ["rr", "sql", query])
            with pytest.raises(SystemExit) as caught:
                cli.main()
            told = capsys.readouterr().err
            assert caught.value.code == 2
            assert told.startswith("rr: the query failed: ") and says in told and told.count("\n") == 1
            assert "LINE" not in told

    @pytest.mark.parametrize(
        "words",
        [
            ("standings",),
            ("pause", "hex8_2p", "why"),
            ("resume", "hex8_2p"),
            ("crown", "hex8_2p", "0" * 8, "why"),
            ("games", "replay", "a:b"),
        ],
    )
    def test_the_vault_is_opened_as_the_settings_say(self, monkeypatch, tmp_path, words):
        pytest.importorskip("s3fs", reason="needs the extra `cluster`: make .venv/.installed")
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            monkeypatch.setenv(name, str(tmp_path / "none"))
        monkeypatch.setenv("RR_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("RR_VAULT", "s3://elsewhere/vault")
        monkeypatch.setenv("RR_VAULT__PROFILES", '{"s3://elsewhere": "theirs"}')
        assert "no way to s3://elsewhere/vault: The config profile (theirs)" in str(rr(*words).exception)

    def test_an_unknown_command_is_refused(self):
        assert rr("verify-trace", OWN).exit_code == 2


class TestReport:
    @pytest.fixture(autouse=True)
    def _of_a_damaged_config(self, local, monkeypatch):
        put(local, b"bad", kind="games", suffix=".parquet", config="square8_2p", facts={})
        monkeypatch.setenv("RR_VAULT", local.url)
        monkeypatch.setattr("rr_engine.progress._TYPED_FIRST_S", 0.0)
        monkeypatch.setattr("rr_engine.progress._TYPED_EVERY_S", 0.0)

    def test_the_page_tells_how_far_it_is(self, tmp_path):
        told = rr("report", "--out", tmp_path / "page.html")
        assert told.exit_code == 0
        assert {line.partition(" of ")[0] for line in told.stderr.splitlines()} >= {"12", "curves: 11"}
        assert rr("report", "--out", tmp_path / "page.html", "--quiet").stderr == ""

    def test_of_a_config_that_cannot_be_read_the_numbers_say_why(self):
        told = rr("report", "--metrics", "--quiet")
        rows = {row["config"]: row for row in map(json.loads, told.stdout.splitlines())}
        assert list(rows) == [config.key for config in CONFIGS]
        assert "does not say" in rows.pop("square8_2p")["error"]
        assert all("games" in row for row in rows.values())
        assert told.exit_code == 2
        assert rr("report", "--metrics", "--config", "hex8_2p").exit_code == 0

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            (("--config", "hex8_2p"), "--config chooses numbers, and the page has every config"),
            (("--metrics", "--out", "page.html"), "--out names the page to write, and --metrics prints"),
        ],
    )
    def test_what_would_have_no_effect_is_refused(self, words, says):
        refused = rr("report", *words).exception
        assert isinstance(refused, ConfigError)
        assert says in str(refused)


def test_the_configs_are_named_and_others_refused():
    assert rr("configs").stdout.split() == [config.key for config in CONFIGS]
    assert rr("configs", "hex8_3p").stdout.split() == ["hex8_3p"]
    assert json.loads(rr("configs", "hex8_3p", "--json").stdout) == {"config": "hex8_3p", "board": "hex8", "players": 3}
    refused = rr("configs", "nonsense")
    assert "configs are hex8_2p, " in str(refused.exception)


def test_asking_for_help_imports_nothing_heavy():
    code = """import sys
from rr_engine import cli
sys.argv = ["rr", "--help"]
try:
    cli.main()
except SystemExit as end:
    heavy = {"torch", "numba", "numpy", "pyarrow", "duckdb", "scipy"} & set(sys.modules)
    sys.exit(f"imported {heavy}" if heavy else end.code)"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "verify-traces" in answer.stdout


def test_a_match_ends_with_one_json_line() -> None:
    done = rr("match", "greedy", "random", "--config", "hex8_3p", "--games", 6, "--json")
    assert done.exit_code == 0
    result = json.loads(done.stdout.splitlines()[-1])
    assert (result["config"], result["games"], result["distinct"]) == ("hex8_3p", 6, 6)
    assert len(result["wins_by_seat"]) == 3
    assert result["wilson_low"] <= result["score"] <= result["wilson_high"]
    refused = rr("match", "greedy", "nobody")
    assert "players are random, greedy" in str(refused.exception)


def test_the_yardstick_prints_a_row_per_match() -> None:
    words = ("yardstick", "--games", 2, "--config", "hex8_2p", "--opponent", "random", "--opponent", "greedy")
    done = rr(*words)
    assert done.exit_code == 0
    assert [name in done.stdout for name in ("random", "greedy", "heuristic")] == [True, True, True]
    machine = rr(*words, "--json")
    assert [json.loads(line)["b"]["name"] for line in machine.stdout.splitlines() if line.startswith("{")] == [
        "random",
        "greedy",
    ]
