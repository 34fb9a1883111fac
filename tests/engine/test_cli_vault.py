"""`rr vault`: arguments in, text and exit status out."""

import json
import os
import sys
import time

import pytest
from typer.testing import CliRunner

from rr_engine import cli
from rr_engine.vault import Vault
from tests.engine.vaults import CONFIG, file_of, fill, index, names, put


def rr(*words):
    return CliRunner().invoke(cli.app, ["vault", *(str(word) for word in words)])


@pytest.fixture
def second(tmp_path):
    return Vault.open(str(tmp_path / "second"))


@pytest.fixture
def filled(local):
    fill(local)
    return local


def shard(vault, number):
    return put(vault, f"shard {number}".encode(), kind="games", suffix=".parquet")


def told_by_main(monkeypatch, capsys, *words):
    """(exit status, stderr) of the command as it is installed."""
    monkeypatch.setattr(sys, "argv", ["rr", "vault", *(str(word) for word in words)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code, capsys.readouterr().err


def test_a_vault_is_mirrored_and_then_there_is_no_difference(filled, second):
    first = rr("mirror", filled.url, second.url)
    assert first.exit_code == 0, first.output
    assert (
        f"{len(names(filled))} files copied, 8 of 8 folders are equal, 0 files are only in {second.url}" in first.stdout
    )
    assert "games/hex8_2p: 6 files to copy" in first.stderr
    same = rr("diff", filled.url, second.url)
    assert (same.exit_code, same.stdout.partition(";")[0]) == (0, "8 of 8 folders are equal")
    assert json.loads(rr("mirror", filled.url, second.url, "--json").stdout)["files_copied"] == 0


def test_a_difference_is_told_with_names_and_counts(filled, second):
    rr("mirror", filled.url, second.url)
    for number in range(100, 107):
        shard(filled, number)
    mine = shard(second, 200)
    put(filled, b"plan 2", kind="plan", config="all", suffix=".json")
    put(second, b"plan 2", kind="plan", config="all", suffix=".json")
    answer = rr("diff", filled.url, second.url)
    assert answer.exit_code == 1
    assert f"games/{CONFIG}: 14 only in {filled.url}\n" in answer.stdout
    assert "  and 4 more; --json names all\n" in answer.stdout
    assert f"games/{CONFIG}: 2 only in {second.url}\n  {mine.place.rpartition('/')[2]}\n" in answer.stdout
    assert "plan/all: 1 other bytes\n" in answer.stdout
    assert "6 of 8 folders are equal; " in answer.stdout
    machine = rr("diff", filled.url, second.url, "--json")
    facts = json.loads(machine.stdout)
    assert (machine.exit_code, facts["equal"], facts["folders"]) == (1, False, 8)
    assert {kind: len(names) for kind, names in facts["different"][f"games/{CONFIG}"].items()} == {
        "only_a": 14,
        "only_b": 2,
        "other_bytes": 0,
    }
    assert facts["beside_artefacts"] == sum(facts["bytes_exchanged"][side]["beside_artefacts"] for side in "ab") > 0


def test_a_conflict_is_one_line_and_status_1(filled, second):
    second.claim(CONFIG, 3)
    answer = rr("mirror", filled.url, second.url)
    assert answer.exit_code == 1
    assert f"seeds/{CONFIG}/00000000.json has other bytes in {second.url}; nothing was overwritten\n" in answer.stdout
    assert len(json.loads(rr("mirror", filled.url, second.url, "--json").stdout)["problems"]) == 2


def test_what_is_no_vault_is_one_line_and_status_2(filled, second, monkeypatch, capsys):
    monkeypatch.setenv("RR_VAULT", second.url)
    for words in (
        ("diff", filled.url, second.url),
        ("diff", second.url, filled.url),
        ("mirror", second.url, filled.url),
        ("verify",),
        ("gc",),
        ("index",),
    ):
        status, told = told_by_main(monkeypatch, capsys, *words)
        assert (status, told) == (2, f"rr: there is no vault at {second.url}: no such folder\n")
    status, told = told_by_main(monkeypatch, capsys, "mirror", filled.url, f"{filled.url}/backup")
    assert status == 2 and told.count("\n") == 1 and "must be another place" in told


def test_verify_prints_a_line_per_problem(filled, monkeypatch):
    monkeypatch.setenv("RR_VAULT", filled.url)
    whole = rr("verify")
    assert (whole.exit_code, whole.stdout) == (0, "TOTAL artefacts=8 bytes=52 problems=0\n")
    cards = filled.cards("games", CONFIG)
    for card in cards[:2]:
        file_of(filled, card.name).write_bytes(b"damaged")
    damaged = rr("verify", filled.url, "--config", CONFIG)
    assert damaged.exit_code == 1
    assert sorted(line.partition(":")[0] for line in damaged.stdout.splitlines()[:-1]) == sorted(
        f"{card.name} is damaged" for card in cards[:2]
    )
    assert damaged.stdout.endswith("problems=2\n")
    assert rr("verify", "--config", "all").exit_code == 0


def test_scripts_get_objects_and_may_have_them_without_progress(filled, second, monkeypatch):
    monkeypatch.setattr("rr_engine.progress._TYPED_FIRST_S", 0.0)
    monkeypatch.setattr("rr_engine.progress._TYPED_EVERY_S", 0.0)
    [card, *_] = filled.cards("games", CONFIG)
    file_of(filled, card.name).write_bytes(b"damaged")
    for words, progress, status in (
        (("index", filled.url), "8 of 8 folders, ", 0),
        (("verify", filled.url), " kB, ", 1),
        (("gc", filled.url), "looked through: 12 of 12 configs, ", 0),
        (("mirror", filled.url, second.url), "copied: ", 1),
        (("diff", filled.url, second.url), "8 of 8 folders, ", 1),
    ):
        told, quiet = rr(*words, "--json"), rr(*words, "--json", "--quiet")
        assert progress in told.stderr, words
        assert (told.exit_code, quiet.exit_code, quiet.stderr) == (status, status, ""), words
        lines = [[json.loads(line) for line in answer.stdout.splitlines()] for answer in (told, quiet)]
        assert [line.keys() for line in lines[0]] == [line.keys() for line in lines[1]] != [], words
    verified = [json.loads(line) for line in rr("verify", filled.url, "--json").stdout.splitlines()]
    assert f"{card.name} is damaged" in verified[0]["problem"] and verified[-1]["problems"] == len(verified) - 1


def test_the_index_is_made_anew(filled):
    shard(filled, 100)
    before = index(filled)
    for name in [*filled.backend.walk("tree"), *filled.backend.walk("root")]:
        filled.backend.remove(name)
    answer = rr("index", filled.url)
    assert {line.split()[1]: line.split()[0] for line in answer.stdout.splitlines()} == before
    assert rr("verify", filled.url).exit_code == 0


def test_gc_only_tells_unless_it_is_told_to_delete(filled, monkeypatch):
    orphan = f"games/{CONFIG}/{'0' * 64}.parquet"
    filled.backend.create(orphan, b"put that died")
    assert rr("gc", filled.url).stdout == "TOTAL files=0 bytes=0 to remove: --delete does it\n"  # it is young
    past = time.time() - 90_000
    os.utime(file_of(filled, orphan), (past, past))
    told = rr("gc", filled.url)
    line = f"{orphan} 13 bytes: no card describes it\n"
    assert (told.exit_code, told.stdout) == (0, f"{line}TOTAL files=1 bytes=13 to remove: --delete does it\n")
    assert filled.backend.found(orphan) is not None
    done = rr("gc", filled.url, "--delete")
    assert (done.exit_code, done.stdout) == (0, f"{line}TOTAL files=1 bytes=13 removed\n")
    assert filled.backend.found(orphan) is None
    monkeypatch.setenv("RR_RETENTION__GRACE_HOURS", "0")
    monkeypatch.setenv("RR_RETENTION__PLANS", "1")
    put(filled, b"plan 2", kind="plan", config="all", suffix=".json")
    time.sleep(0.01)
    assert "not among the newest 1\n" in rr("gc", filled.url).stdout
