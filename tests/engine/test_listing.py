"""What a store tells of its files, and that it lets them go: on a disk and in an object store."""

import time
from datetime import UTC, datetime

import pytest

from rr_engine.errors import VaultError
from rr_engine.vault.backends import Found, LocalBackend
from rr_engine.vault.objects import found_of


class TestFiles:
    def test_every_file_below_a_folder_is_told_with_size_and_age(self, vault):
        store = vault.backend
        assert (store.walk(""), store.walk("games"), store.found("games/a")) == ({}, {}, None)
        before = time.time()
        for name in ("games/hex8_2p/b", "games/hex8_2p/a", "games/c", "plan/all/d"):
            store.create(name, name.encode())
        assert list(store.walk("")) == ["games/c", "games/hex8_2p/a", "games/hex8_2p/b", "plan/all/d"]
        assert list(store.walk("games/hex8_2p")) == ["games/hex8_2p/a", "games/hex8_2p/b"]
        for name, found in store.walk("").items():
            assert found.size == len(name)
            assert before - 1 < found.changed < time.time() + 1
            assert store.found(name) == found

    def test_what_is_removed_is_gone_and_what_is_not_there_is_no_fault(self, vault):
        store = vault.backend
        store.create("games/hex8_2p/a", b"a")
        for _ in range(2):
            store.remove("games/hex8_2p/a")
            assert store.read("games/hex8_2p/a") is None
        assert store.walk("") == {}
        assert store.create("games/hex8_2p/a", b"again")

    def test_what_is_written_again_is_young_again(self, vault):
        store = vault.backend
        store.create("games/hex8_2p/a", b"a")
        before = store.found("games/hex8_2p/a")
        time.sleep(0.02)
        store.write("games/hex8_2p/a", b"a", (store.digest("games/hex8_2p/a")[0], 1))
        assert store.found("games/hex8_2p/a").changed > before.changed

    def test_a_folder_that_may_not_be_read_is_not_passed_over(self, tmp_path, monkeypatch):
        (tmp_path / "games").mkdir()

        def refused(path, **_):
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr("os.scandir", refused)
        with pytest.raises(VaultError, match="cannot be used: Permission denied"):
            LocalBackend(tmp_path).walk("")

    def test_stores_call_the_last_change_by_many_names(self):
        when = datetime(2026, 1, 1, tzinfo=UTC)
        for told in ({"LastModified": when}, {"mtime": when.timestamp()}, {"updated": when, "created": 1.0}):
            assert found_of("a", {"size": 3, **told}) == Found(3, when.timestamp())
        with pytest.raises(VaultError, match="does not tell how old"):
            found_of("a", {"size": 3, "LastModified": "yesterday"})
