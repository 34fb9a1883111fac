"""What docs/queries.md says of the views and shows as answers is so; a notebook asks as the command does."""

import json
import math
import re
import subprocess
import sys
from concurrent.futures import wait
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from rr_engine import cli
from rr_engine.boards import Config
from rr_engine.errors import ConfigError, DataError, VaultError
from rr_engine.game import Game
from rr_engine.kernels import layout
from rr_engine.notebook import open_games
from rr_engine.progress import Count
from rr_engine.records import shard, trace, views
from rr_engine.records.record import record_of_moves
from rr_engine.render.replay import Shown
from rr_engine.settings import SelfplaySettings, Settings
from rr_engine.stages.games import make_games
from rr_engine.stages.highlights import find_game
from rr_engine.vault import Vault

OWN = Path(__file__).parents[1] / "data" / "games.jsonl.gz"
DOCS = (Path(__file__).parents[2] / "docs" / "queries.md").read_text(encoding="utf-8")
QUESTION = re.compile(r"^## (\d+)\. (.+?)(?: \((\w+)\))?\n.*?```sql\n(.+?)```\n\n```text\n(.+?)```", re.M | re.S)
QUESTIONS = QUESTION.findall(DOCS)
SQL_TYPES = {"varchar": "VARCHAR", "boolean": "BOOLEAN", "double": "DOUBLE", "int8": "TINYINT", "int64": "BIGINT"}


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """The address of a vault with self-play of two configs."""
    vault = Vault.open(str(tmp_path_factory.mktemp("vault")))
    for key, number in (("hex8_2p", 60), ("square8_3p", 6)):
        order = SelfplaySettings(games=number, games_at_once=60, shard_games=40)
        make_games(vault, Config.parse(key), Settings(selfplay=order), batch="test")
    return vault.url


@pytest.fixture(scope="module")
def traced(tmp_path_factory):
    """A connection over the project's own traces, of all configs and with all rare moves, and these traces."""
    records = list(trace.read(OWN))
    by_config = {}
    for record in records:
        config = trace.config_of(record)
        facts = {"pie": bool(record["swap"]), "players": ("x",) * config.players, "generation": -1}
        kept = by_config.setdefault(config.key, [])
        kept.append(record_of_moves(config, trace.replay(record).moves, seed=len(kept), **facts))
    folder = tmp_path_factory.mktemp("traced")
    for key, kept in by_config.items():
        (folder / f"{key}.parquet").write_bytes(shard.encode(kept))
    return views.open_views(sorted(folder.iterdir())), records


def cells(line):
    """What stands in a line of a table."""
    return [cell.strip() for cell in line.strip("│").split("│")]


def answer_to(number):
    """The rows that the docs show."""
    lines = [line for line in QUESTIONS[number - 1][-1].splitlines() if line.startswith("│")]
    return [dict(zip(cells(lines[0]), cells(line), strict=True)) for line in lines[2:]]


def total(number, *columns):
    """The sum over such rows of the product of some columns."""
    return sum(math.prod(float(row[column]) for column in columns) for row in answer_to(number))


def test_ten_questions_are_asked():
    assert [int(number) for number, *_ in QUESTIONS] == list(range(1, 11))
    assert DOCS.count("```sql") == len(QUESTIONS)


@pytest.mark.parametrize(("number", "title", "key", "query", "answer"), QUESTIONS, ids=[row[1] for row in QUESTIONS])
def test_a_question_of_the_docs_is_answered_in_the_columns_shown(played, number, title, key, query, answer):
    connection = open_games(key or "hex8_2p", vault=played)
    names, types = map(cells, answer.splitlines()[1:3])
    found = connection.sql(query)
    assert found.columns == names
    assert [str(kind) for kind in found.types] == [SQL_TYPES[kind] for kind in types]
    assert len(found.fetchall()) > 0
    table = views.ask(connection, query).splitlines()
    assert cells(table[1]) == names


def test_the_games_that_the_docs_name_are_made_again(tmp_path):
    vault, shown = Vault.open(str(tmp_path)), answer_to(5)
    for seed in sorted({int(row["seed"]) for row in shown}):
        order = SelfplaySettings(games=1, seed=seed)
        make_games(vault, Config.parse("hex8_2p"), Settings(selfplay=order), batch="test")
    found = views.ask_rows(open_games("hex8_2p", vault=vault.url), QUESTIONS[4][3])
    for row in (*shown, *found):
        row["name"] = row["name"].partition(":")[2]  # the shard of fewer games is another one
    assert [[str(cell).lower() for cell in row.values()] for row in found] == [[*row.values()] for row in shown]


def test_the_answers_of_the_docs_are_of_the_same_games():
    assert {total(1, "games"), total(2, "wins"), total(3, "games"), total(4, "games")} == {400}
    assert total(1, "games", "mean_decisions") == pytest.approx(total(7, "decisions"), abs=400 * 0.05)
    assert total(4, "games", "swapped_percent") == pytest.approx(100 * float(answer_to(3)[1]["games"]), abs=400 * 0.05)
    moves = {row["kind"]: float(row["moves"]) for row in answer_to(8)}
    share = {row["kind"]: float(row["percent_of_games"]) for row in answer_to(8)}
    decisions = {row["phase"]: float(row["decisions"]) for row in answer_to(7)}
    assert sum(moves.values()) == sum(decisions.values())
    assert moves["swap"] == float(answer_to(3)[1]["games"])
    assert moves["capture"] == total(6, "captures", "chains")
    assert (moves["line"], moves["claim"], moves["forced"]) == (
        decisions["line"], decisions["terr"], decisions["fe"],
    )  # fmt: skip
    assert {row["kind"]: float(row["games"]) for row in answer_to(9)} == {
        row["kind"]: pytest.approx(4 * share[row["kind"]], abs=0.2 + 1e-9) for row in answer_to(9)
    }
    longest = answer_to(6)[-1]
    assert [row["captures"] for row in answer_to(5)].count(longest["captures"]) == int(longest["chains"])
    assert (float(answer_to(10)[0]["seats"]), total(10, "seats")) == (100, 300)


@pytest.mark.parametrize("view", ["games", "decisions", "chains"])
def test_the_docs_name_every_column_with_its_type(played, view):
    rows = re.search(rf"^\*\*{view}\*\*.*?\n\|---\|---\|---\|\n(.*?)\n\n", DOCS, re.M | re.S)[1].splitlines()
    told = {name: row.split("|")[2].strip() for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    described = open_games("hex8_2p", vault=played).execute(f"describe {view}").fetchall()
    assert told == {name: kind for name, kind, *_ in described}


def test_moves_are_told_as_the_engine_writes_them(traced):
    connection, records = traced
    rows = connection.execute("select config, seed, text, kind, cell from decisions order by config, seed, decision")
    found = [(key, [row[2:] for row in rows]) for key, rows in groupby(rows.fetchall(), key=lambda row: row[:2])]
    wanted = sorted(records, key=lambda record: trace.config_of(record).key)  # stays in order within a config
    assert [(key[0], " ".join(row[0] for row in rows)) for key, rows in found] == [
        (trace.config_of(record).key, record["m"]) for record in wanted
    ]
    kinds = {kind for _, rows in found for _, kind, _ in rows}
    assert len(kinds) == 14 and {"claim", "slide_window", "line_window", "swap"} <= kinds
    for _, rows in found:
        for text, kind, cell in rows:
            ends = re.fullmatch(r"[PEF](\d+)(?:x\d)?|[MCR](?:\d+-)+(\d+)(?:[FSL].*)?", text)
            assert cell == (None if ends is None else int(ends[1] or ends[2])), (text, kind)


def test_players_change_places_by_the_pie_rule(hex_records, tmp_path):
    records = [replace(record, players=("first", "second")) for record in hex_records]
    assert {record.swapped for record in records} == {False, True}
    (tmp_path / "one.parquet").write_bytes(shard.encode(records))
    connection = views.open_views([tmp_path / "one.parquet"])
    for record in records:
        shown = Shown.of(record, "")
        winner = record.players[record.agent_at(record.outcome.winner)]
        [[won_by]] = connection.execute("select won_by from games where seed = ?", [record.seed]).fetchall()
        query = "select player, won from decisions where seed = ? order by decision"
        names = [shown.name_at(seat, index) for index, seat in enumerate(record.seats.tolist())]
        assert won_by == winner
        assert connection.execute(query, [record.seed]).fetchall() == [(name, name == winner) for name in names]


def test_chances_are_those_of_the_seat_that_decides(hex_records, tmp_path):
    record = hex_records[0]
    values = np.tile(np.array([0.25, 0.75], np.float32), (record.decisions, 1))
    values[3] = np.nan
    (tmp_path / "one.parquet").write_bytes(shard.encode([replace(record, values=values)]))
    connection = views.open_views([tmp_path / "one.parquet"])
    chances = [row[0] for row in connection.execute("select chance from decisions order by decision").fetchall()]
    assert chances[3] is None
    del chances[3]
    assert chances == pytest.approx(np.delete(np.where(record.seats == 0, 0.25, 0.75), 3), abs=1e-4)


def test_chains_are_counted_capture_by_capture(traced):
    connection, records = traced
    wanted = []
    for record in records:
        length = 0
        for text, phase in zip(record["m"].split(), record["f"].split(), strict=True):
            captures = re.fullmatch(r"C\d.*", text) is not None
            if length and phase != "chain":
                wanted.append(length)
                length = 0
            length += captures
        wanted += [length] * (length > 0)
    found = connection.execute("select captures from chains").fetchall()
    assert sorted(row[0] for row in found) == sorted(wanted)
    assert max(wanted) > 3


def test_a_game_has_the_name_by_which_it_is_found(played):
    connection = open_games("hex8_2p", vault=played)
    name, turns = connection.execute("select name, decisions from games order by turns limit 1").fetchone()
    shown = find_game(Vault.open(played), Config.parse("hex8_2p"), name)
    assert len(shown.moves) == turns


def test_a_claim_that_is_not_legal_is_an_error_and_no_reading_astray(hex_records, tmp_path):
    record = next(record for record in hex_records if (record.moves & 15 == layout.REGION).any())
    moves = record.moves.copy()
    moves[-1] = int(layout.REGION) | 4095 << 4 | 4095 << 16 | 4095 << 28
    (tmp_path / "one.parquet").write_bytes(shard.encode([replace(record, moves=moves)]))
    with pytest.raises(DataError, match="the query failed: .*is not legal on replay"):
        views.ask(views.open_views([tmp_path / "one.parquet"]), "select max(text) from decisions")


class TestSlowQuery:
    """One that runs for as long as it is let."""

    @pytest.fixture(autouse=True)
    def _asked_often(self, monkeypatch):
        monkeypatch.setattr(views, "_ASKED_EVERY_S", 0.01)

    def test_it_tells_how_far_it_is(self, traced):
        told = []
        query = "select sum(hash(range * 7)) > 0 as done from range(50000000)"
        found = views.ask_rows(traced[0], query, watch=lambda task: Count(task, lambda count: told.append(count.done)))
        assert found == [{"done": True}]
        assert told == sorted(told) and told[-1] == 100
        assert any(0 < done < 100 for done in told)

    def test_it_ends_when_it_is_stopped(self, traced, monkeypatch):
        waited = []

        def interrupted(futures, timeout):
            waited.append(timeout)
            if len(waited) == 5:
                raise KeyboardInterrupt
            return wait(futures, timeout)

        monkeypatch.setattr(views, "wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            views.ask(traced[0], "select sum(hash(range * 7)) from range(1000000000000)")
        assert "1" in views.ask(traced[0], "select 1")


def test_what_is_no_shard_cannot_be_asked(tmp_path):
    (tmp_path / "one.parquet").write_bytes(b"no parquet")
    with pytest.raises(DataError, match=r"the shards cannot be queried: .*one\.parquet"):
        views.open_views([tmp_path / "one.parquet"])


def test_a_notebook_gets_frames_and_clear_errors(played, monkeypatch):
    monkeypatch.setenv("RR_VAULT", played)
    frame = open_games("hex8_2p").execute("select winner, terr from games order by seed").df()
    assert len(frame) == 60 and set(frame.winner) == {0, 1}
    assert len(open_games("square8_3p").sql("from games").fetchdf()) == 6
    both = open_games("hex8_2p").register("mine", frame)
    assert both.execute("select count(*) from mine join games using (winner)").fetchone()[0] > 60
    with pytest.raises(DataError, match=r"no games of hex8_4p in .*: make some \(games_db\) or import them"):
        open_games("hex8_4p")
    with pytest.raises(ConfigError, match="unknown config 'hex9_2p': configs are hex8_2p, "):
        open_games("hex9_2p")
    with pytest.raises(VaultError, match="there is no vault at "):
        open_games("hex8_2p", vault=f"{played}/elsewhere")


def test_a_script_that_leaves_a_connection_open_ends_in_silence(played):
    code = (
        f"from rr_engine.notebook import open_games\ngames = open_games('hex8_2p', vault={played!r})\n"
        "print(games.execute('select count(text) > 0 from decisions').fetchone()[0])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


class TestCommand:
    @pytest.fixture(autouse=True)
    def _of_the_vault(self, played, monkeypatch):
        monkeypatch.setenv("RR_VAULT", played)

    def sql(self, *words):
        return CliRunner().invoke(cli.app, ["sql", *words])

    def test_json_has_a_row_a_line(self):
        query = "select seed, players, 2.5 as half, date '2030-01-31' as day, null as nothing from games order by seed"
        lines = self.sql(query, "--json").stdout.splitlines()
        assert len(lines) == 60
        names = ["heuristic", "heuristic"]
        assert json.loads(lines[1]) == {"seed": 1, "players": names, "half": 2.5, "day": "2030-01-31", "nothing": None}

    def test_progress_is_told_unless_quiet(self, monkeypatch):
        monkeypatch.setattr("rr_engine.progress._TYPED_FIRST_S", 0.0)
        monkeypatch.setattr("rr_engine.progress._TYPED_EVERY_S", 0.0)
        for words in ((), ("--json",)):
            told, quiet = (self.sql("select count(*) from games", *words, *more) for more in ((), ("--quiet",)))
            first, second, *_, last = (line.partition(",")[0] for line in told.stderr.splitlines())
            assert (first, second, last) == ("1 of 2 shards", "2 of 2 shards", "query: 100 of 100 %")
            assert (told.stdout, quiet.stderr) == (quiet.stdout, "")

    def test_columns_of_one_name_have_no_rows_in_json(self):
        assert "columns seed, seed: name them apart" in str(
            self.sql("select seed, seed from games", "--json").exception
        )

    def test_what_fails_is_told(self):
        for words in (["selec 1"], ["selec 1", "--json"]):
            assert "the query failed: Parser Error" in str(self.sql(*words).exception)
        assert "one SELECT" in str(self.sql("copy games to 'x.csv'", "--json").exception)
        assert "no games of hex8_3p" in str(self.sql("from games", "--config", "hex8_3p").exception)


def test_a_game_replayed_by_its_texts_is_the_game(played):
    connection = open_games("square8_3p", vault=played)
    rows = connection.execute('select seed, list(text order by decision), any_value("end") from decisions '
                              "join games using (seed) group by seed").fetchall()  # fmt: skip
    for _, texts, end in rows:
        game = Game("square8_3p")
        game.play_all(texts)
        assert game.outcome().end == end
