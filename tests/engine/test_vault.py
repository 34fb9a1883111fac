"""The vault: what is put comes back whole or not at all, on a disk and in an object store."""

import dataclasses
import hashlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from rr_engine.errors import TransferError, VaultError
from rr_engine.vault import Vault, backends, code_version, store
from rr_engine.vault.capacity import Level
from tests.engine.vaults import CONFIG, QUICK, file_of, put, rewrite


class TestPutAndGet:
    def test_bytes_come_back_with_their_card(self, vault):
        card = put(vault, b"weights", parents=("0" * 64,), facts={"loss": 0.5, "seats": [1, 2]})
        assert card.sha256 == hashlib.sha256(b"weights").hexdigest()
        assert (card.size, card.rows, card.code_version) == (7, 3, code_version())
        assert vault.get(card) == b"weights"
        assert vault.path(card).read_bytes() == b"weights"
        assert vault.card("checkpoint", CONFIG, card.sha256) == card
        assert vault.cards("checkpoint", CONFIG) == [card]

    def test_a_file_comes_back_too(self, vault, tmp_path):
        source = tmp_path / "shard"
        source.write_bytes(b"x" * 3_000_000)
        card = put(vault, source, kind="games", suffix=".parquet")
        assert vault.get(card) == source.read_bytes()
        assert vault.path(card).name == f"{card.sha256}.parquet"

    def test_known_content_is_not_written_again_but_gets_one_more_card(self, local):
        first = put(local, b"same", facts={"turn": 1}, parents=("0" * 64,))
        before = file_of(local, first.place).read_bytes()
        written = file_of(local, first.name).stat()
        again = put(local, b"same", facts={"turn": 2}, suffix=".other")
        assert (again.sha256, again.name, again.edition, again.facts) == (first.sha256, first.name, 1, {"turn": 2})
        assert again.created > first.created
        assert file_of(local, first.name).stat().st_ino == written.st_ino
        assert file_of(local, first.place).read_bytes() == before
        assert local.cards("checkpoint", CONFIG) == [again] == [local.card("checkpoint", CONFIG, first.sha256)]

    def test_the_newest_is_what_was_made_last(self, vault):
        for content in (b"A", b"B", b"A"):
            made = put(vault, content)
            assert vault.cards("checkpoint", CONFIG)[-1] == made
        assert [vault.get(card) for card in vault.cards("checkpoint", CONFIG)] == [b"B", b"A"]

    def test_missing_bytes_of_a_known_card_are_put_back(self, local):
        card = put(local, b"same")
        file_of(local, card.name).unlink()
        put(local, b"same")
        assert local.get(card) == b"same"

    def test_writers_of_the_same_content_lose_no_card(self, local):
        with ThreadPoolExecutor(4) as pool:
            cards = list(pool.map(lambda turn: put(local, b"same", facts={"turn": turn}), range(8)))
        assert sorted(card.edition for card in cards) == list(range(8))
        assert local.cards("checkpoint", CONFIG) == [card for card in cards if card.edition == 7]

    def test_cards_are_listed_oldest_first_and_by_config(self, vault):
        made = [put(vault, bytes([number])) for number in range(5)]
        put(vault, b"other board", config="square8_2p")
        assert vault.cards("checkpoint", CONFIG) == made
        assert vault.cards("games", CONFIG) == []

    def test_the_default_vault_is_named_by_the_environment(self, tmp_path, monkeypatch):
        monkeypatch.setenv("RR_VAULT", str(tmp_path / "elsewhere"))
        assert Vault.open().url == str(tmp_path / "elsewhere")
        monkeypatch.delenv("RR_VAULT")
        assert Vault.open().url == str(Path(__file__).parents[2] / "data")


class TestDamage:
    @pytest.mark.parametrize("damaged", [b"weightz", b"weight", b""])
    def test_damaged_bytes_are_refused_by_name(self, local, damaged):
        card = put(local, b"weights")
        file_of(local, card.name).write_bytes(damaged)
        for read in (local.get, local.path):
            with pytest.raises(VaultError, match=rf"{card.name}: expected {card.sha256} with 7 bytes, found"):
                read(card)

    def test_damage_in_an_object_store_is_refused(self, distant):
        card = put(distant, b"weights")
        MemoryFileSystem().pipe_file(f"/bucket/vault/{card.name}", b"weightz")
        with pytest.raises(VaultError, match="expected"):
            distant.path(card)

    def test_a_damaged_local_copy_is_fetched_again(self, distant):
        card = put(distant, b"weights")
        distant.path(card).write_bytes(b"weightz")
        assert distant.path(card).read_bytes() == b"weights"

    def test_missing_bytes_and_missing_cards_are_refused(self, local):
        card = put(local, b"weights")
        file_of(local, card.name).unlink()
        with pytest.raises(VaultError, match="found nothing"):
            local.get(card)
        with pytest.raises(VaultError, match="holds no checkpoint"):
            local.card("checkpoint", CONFIG, "0" * 64)

    def test_leftovers_and_strangers_are_not_listed(self, local):
        card = put(local, b"weights")
        local.write_pointer(card)
        folder = file_of(local, card.name).parent
        for name in (".0f.tmp", f"{'0' * 64}.safetensors", "notes.card.json", f".{'0' * 64}.card.json"):
            (folder / name).write_bytes(b"half")
        (Path(local.url) / "champion" / CONFIG / ".1f.tmp").write_bytes(b"half")
        assert local.cards("checkpoint", CONFIG) == [card]
        assert len(local.pointers(CONFIG)) == 1

    def test_a_writer_that_dies_leaves_nothing_to_see(self, local):
        card = put(local, kind="games")
        code = f"""import os; from rr_engine.vault import Vault; os.fsync = lambda descriptor: os._exit(9)
Vault.open({local.url!r}).put("games", {CONFIG!r}, b"x", suffix=".x", producer="", rows=0, schema_version=1)"""
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
        assert ".tmp" in [path.suffix for path in file_of(local, card.name).parent.iterdir()]
        assert local.cards("games", CONFIG) == [card]

    def test_a_failed_write_cleans_up_behind_itself(self, local, monkeypatch):
        monkeypatch.setattr(store, "digest_of", lambda _: backends.digest_of(b"as it was before"))
        with pytest.raises(VaultError, match="changed"):
            put(local, b"as it is now")
        assert list((Path(local.url) / "checkpoint" / CONFIG).iterdir()) == []

    def test_a_card_is_never_there_before_its_artefact(self, vault, monkeypatch):
        def refuse(*args, **kwargs):
            raise VaultError("no more")

        monkeypatch.setattr(type(vault._backend), "write", refuse)
        with pytest.raises(VaultError, match="no more"):
            put(vault)
        assert vault.cards("checkpoint", CONFIG) == []


class TestCards:
    @pytest.mark.parametrize(
        "changes",
        [
            {"kind": "../checkpoint"},
            {"kind": "Checkpoint"},
            {"kind": ""},
            {"config": ".."},
            {"config": "hex8_2p/../../etc"},
            {"config": "hex8_2p\n"},
            {"suffix": "/../../x"},
            {"suffix": ""},
            {"suffix": ".."},
        ],
    )
    def test_names_cannot_leave_the_vault(self, vault, changes):
        with pytest.raises(VaultError, match="names nothing in a vault"):
            put(vault, **changes)

    @pytest.mark.parametrize("place", [("..", CONFIG), ("games", ".."), ("/games", CONFIG)])
    def test_listings_and_lookups_cannot_leave_it_either(self, vault, place):
        with pytest.raises(VaultError, match="names nothing in a vault"):
            vault.cards(*place)
        with pytest.raises(VaultError, match="names nothing in a vault"):
            vault.card("games", CONFIG, "../" * 10)
        with pytest.raises(VaultError, match="names nothing in a vault"):
            vault.pointer("../games")

    @pytest.mark.parametrize(
        "changes",
        [
            {"suffix": "/../../../secret"},
            {"config": "square8_2p"},
            {"sha256": "0" * 64},
            {"size": "7"},
            {"size": -1},
            {"parents": ["../secret"]},
            {"colour": "red"},
        ],
    )
    def test_a_card_that_was_tampered_with_is_refused_by_name(self, local, changes):
        card = put(local)
        rewrite(local, card.place, changes)
        with pytest.raises(VaultError, match=card.place):
            local.cards("checkpoint", CONFIG)

    @pytest.mark.parametrize("text", ["", "{}", "[]", '{"kind": "checkpoint"', "\x00"])
    def test_a_damaged_card_is_refused(self, local, text):
        card = put(local)
        (Path(local.url) / card.place).write_text(text)
        with pytest.raises(VaultError, match="is not a card"):
            local.card("checkpoint", CONFIG, card.sha256)

    @pytest.mark.parametrize("fact", [float("nan"), float("inf"), {1, 2}, b"bytes", object()])
    def test_facts_are_json(self, vault, fact):
        with pytest.raises(VaultError, match="must be JSON"):
            put(vault, facts={"loss": fact})
        assert vault.cards("checkpoint", CONFIG) == []

    def test_a_card_cannot_be_changed(self, local):
        with pytest.raises(dataclasses.FrozenInstanceError):
            put(local).size = 8


class TestPlaces:
    def test_a_file_is_no_vault(self, tmp_path, monkeypatch):
        (tmp_path / "file").write_text("")
        for place in (tmp_path / "file", tmp_path / "file" / "below"):
            monkeypatch.setenv("RR_VAULT", str(place))
            vault = Vault.open()
            for use in (
                lambda vault: put(vault),
                lambda vault: vault.cards("games", CONFIG),
                lambda vault: vault.card("games", CONFIG, "0" * 64),
                lambda vault: vault.claim(CONFIG, 1),
                lambda vault: vault.pointer(CONFIG),
                lambda vault: vault.capacity(),
            ):
                with pytest.raises(VaultError, match="file.* cannot be used: "):
                    use(vault)

    def test_what_the_system_refuses_is_told_as_an_error_of_the_vault(self, local, monkeypatch):
        def full(_):
            raise OSError(28, "No space left on device")

        card = put(local)
        monkeypatch.setattr(backends.os, "fsync", full)
        with pytest.raises(VaultError, match="cannot be used: No space left on device"):
            put(local, b"more")
        monkeypatch.undo()
        assert local.cards("checkpoint", CONFIG) == [card]


class TestSpace:
    def test_a_full_disk_refuses_writes_and_still_reads(self, local, monkeypatch):
        card = put(local)
        monkeypatch.setattr(backends.shutil, "disk_usage", lambda _: SimpleNamespace(used=96, free=4))
        assert (local.capacity().level, local.capacity().allows_more) == (Level.REFUSE, False)
        with pytest.raises(VaultError, match=r"96.0% full"):
            put(local, b"more")
        with pytest.raises(VaultError, match=r"96.0% full"):
            local.write_pointer(card)
        assert local.get(card) == b"weights"

    @pytest.mark.parametrize(
        ("used", "level", "allows"), [(69, Level.FREE, True), (70, Level.WARN, True), (93, Level.PAUSE, False)]
    )
    def test_a_disk_that_gets_full_is_told_of_in_steps(self, local, monkeypatch, used, level, allows):
        monkeypatch.setattr(backends.shutil, "disk_usage", lambda _: SimpleNamespace(used=used, free=100 - used))
        assert (local.capacity().level, local.capacity().allows_more) == (level, allows)

    def test_below_the_limit_it_writes(self, local, monkeypatch):
        monkeypatch.setattr(backends.shutil, "disk_usage", lambda _: SimpleNamespace(used=95, free=5))
        assert local.get(put(local)) == b"weights"


class Flaky:
    """Stands before a method of a file system and spoils its first calls."""

    def __init__(self, method, faults):
        self.method, self.faults, self.calls = method, list(faults), 0

    def __call__(self, path, *args, **kwargs):
        self.calls += 1
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, Exception):
            raise fault
        if fault == "truncate":
            args = (args[0][:-1], *args[1:])
        answer = self.method(path, *args, **kwargs)
        if fault == "lose the answer":
            raise ConnectionError("reset by peer")
        return answer


class TestTransfers:
    def spoil(self, vault, monkeypatch, method, *faults):
        flaky = Flaky(getattr(vault._backend._files, method), faults)
        monkeypatch.setattr(vault._backend._files, method, flaky)
        return flaky

    def test_what_arrives_damaged_is_sent_again(self, distant, monkeypatch):
        self.spoil(distant, monkeypatch, "pipe_file", "truncate")
        assert distant.get(put(distant)) == b"weights"

    def test_what_fails_on_the_way_is_tried_again(self, distant, monkeypatch):
        card = put(distant)
        self.spoil(distant, monkeypatch, "cat_file", TimeoutError("slow"), ConnectionError("reset"))
        assert distant.get(card) == b"weights"

    def test_it_gives_up_in_the_end(self, distant, monkeypatch):
        card = put(distant)
        flaky = self.spoil(distant, monkeypatch, "cat_file", *[TimeoutError("slow")] * 9)
        with pytest.raises(TransferError, match="slow"):
            distant.get(card)
        assert flaky.calls == QUICK.attempts

    def test_what_is_forbidden_is_not_tried_again(self, distant, monkeypatch):
        card = put(distant)
        flaky = self.spoil(distant, monkeypatch, "cat_file", *[PermissionError("not yours")] * 9)
        with pytest.raises(VaultError, match="not yours"):
            distant.get(card)
        assert flaky.calls == 1

    def test_a_pointer_whose_answer_was_lost_is_not_written_twice(self, distant, monkeypatch):
        card = put(distant)
        self.spoil(distant, monkeypatch, "pipe_file", "lose the answer")
        assert distant.write_pointer(card).number == 0
        assert len(distant.pointers(CONFIG)) == 1

    def test_a_store_nobody_knows_is_refused(self):
        with pytest.raises(VaultError, match="no way to"):
            Vault.open("carrier-pigeon://loft")


def test_the_code_version_is_short_and_steady():
    assert len(code_version()) == 12
    assert code_version() == code_version()


def test_importing_the_vault_leaves_fsspec_to_those_who_need_it(tmp_path):
    code = (
        f"import sys; from rr_engine.vault import Vault; Vault.open({str(tmp_path)!r}); print('fsspec' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"
