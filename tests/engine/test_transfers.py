"""What lies between a vault and an object store: waits, lines of limited bandwidth, copies near at hand, addresses."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from rr_engine import settings
from rr_engine.errors import ConfigError, DiskFullError, TransferError, VaultError
from rr_engine.settings import VaultSettings
from rr_engine.vault import Vault, backends
from rr_engine.vault.capacity import Level
from rr_engine.vault.near import NearRecords
from rr_engine.vault.objects import side_by_side
from rr_engine.vault.pace import Pace, pace_of
from tests.engine.vaults import CONFIG, put


class TestTries:
    def test_waits_grow_are_jittered_and_end(self, distant, monkeypatch):
        waits = []
        monkeypatch.setattr("tenacity.nap.time.sleep", waits.append)
        asked = VaultSettings(attempts=9, first_wait_s=0.5, longest_wait_s=20)
        vault = Vault.open(distant.url, settings=asked)
        monkeypatch.setattr(vault._backend._files, "ls", fail := Failing(ConnectionError("reset")))
        for _ in range(2):
            with pytest.raises(TransferError, match="games/hex8_2p could not be reached: reset"):
                vault.cards("games", CONFIG)
        assert fail.calls == 18
        first, second = waits[:8], waits[8:]
        for turn, wait in enumerate(first):
            assert min(0.5 * 2**turn, 20) <= wait <= min(0.5 * 2**turn + 0.5, 20)
        assert first[:5] != second[:5]

    def test_an_error_without_words_is_named(self, distant, monkeypatch):
        monkeypatch.setattr(distant._backend._files, "ls", Failing(ConnectionResetError()))
        with pytest.raises(TransferError, match="could not be reached: ConnectionResetError"):
            distant.cards("games", CONFIG)

    def test_a_source_that_changes_is_no_fault_of_the_line(self, distant, tmp_path, monkeypatch):
        source = tmp_path / "source"
        source.write_bytes(b"before")
        pipe_file = distant._backend._files.pipe_file
        sent = []

        def change_and_pipe(path, data, **more):
            sent.append(path)
            source.write_bytes(b"after")
            pipe_file(path, source.read_bytes(), **more)

        monkeypatch.setattr(distant._backend._files, "pipe_file", change_and_pipe)
        with pytest.raises(VaultError, match="its source has changed") as told:
            put(distant, source)
        assert (type(told.value), len(sent)) == (VaultError, 1)
        assert distant.cards("checkpoint", CONFIG) == []

    def test_a_record_that_arrives_damaged_is_put_right(self, distant, monkeypatch):
        pipe_file = MemoryFileSystem.pipe_file
        spoilt = []

        def spoil_once(files, path, data, mode="overwrite", **more):
            if mode == "create" and path not in spoilt:
                spoilt.append(path)
                data = data[:-1]
            pipe_file(files, path, data, mode=mode, **more)

        monkeypatch.setattr(MemoryFileSystem, "pipe_file", spoil_once)
        card = put(distant)
        assert len(spoilt) == 1
        assert Vault.open(distant.url).cards("checkpoint", CONFIG) == [card]


class Failing:
    """A method that always raises."""

    def __init__(self, error):
        self.error, self.calls = error, 0

    def __call__(self, *_, **__):
        self.calls += 1
        raise self.error


class TestSideBySide:
    def test_answers_come_in_order_and_so_many_at_once(self):
        under_way, most, lock = set(), [], threading.Lock()

        def double(number):
            with lock:
                under_way.add(number)
                most.append(len(under_way))
            time.sleep(0.002 * (number % 3))
            with lock:
                under_way.remove(number)
            return 2 * number

        assert list(side_by_side(double, range(50), at_once=4)) == list(range(0, 100, 2))
        assert 1 < max(most) <= 4

    def test_after_a_failure_nothing_new_begins(self):
        begun = []

        def fail_at_three(number):
            begun.append(number)
            if number == 3:
                raise VaultError("three")
            time.sleep(0.005)

        with pytest.raises(VaultError, match="three"):
            list(side_by_side(fail_at_three, range(1000), at_once=2))
        assert len(begun) < 12


class TestPace:
    def test_all_threads_together_keep_to_it(self):
        pace = Pace(100_000)
        began = time.monotonic()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(pace.take, [5_000] * 8))
        assert 0.4 <= time.monotonic() - began < 2

    def test_time_without_traffic_is_not_saved_up(self):
        pace = Pace(100_000)
        time.sleep(0.2)
        began = time.monotonic()
        pace.take(10_000)
        assert time.monotonic() - began >= 0.1

    def test_the_longest_beginning_of_the_address_counts_for_the_whole_process(self):
        limits = {"s3://": 100.0, "s3://backup": 5.0, "s3://backup/other": 7.0}
        assert pace_of("s3://backup/vault", limits) is pace_of("s3://backup2/vault", limits)
        assert pace_of("s3://backup/vault", limits) is not pace_of("s3://near/vault", limits)
        assert pace_of("memory://backup", limits) is None


class TestBandwidthSetting:
    def test_it_is_a_table_by_address(self, tmp_path):
        path = tmp_path / "settings.toml"
        path.write_text('[vault.bandwidth_mb_s]\n"s3://" = 20\n"s3://backup" = 2.5\n')
        assert settings.load(path, environ={}).vault.bandwidth_mb_s == {"s3://": 20.0, "s3://backup": 2.5}
        environ = {"RR_VAULT__BANDWIDTH_MB_S": '{"s3://": 3}'}
        assert settings.load(environ=environ).vault.bandwidth_mb_s == {"s3://": 3.0}

    @pytest.mark.parametrize(
        "value", [5, "fast", {"backup": 3}, {"s3://": 0}, {"s3://": "x"}, {"s3://": None}, {"s3://": {"x": 1}}]
    )
    def test_what_is_none_is_refused(self, value):
        with pytest.raises(ConfigError, match=r"vault.bandwidth_mb_s.* is refused; it must be a table from the beginn"):
            settings.load(environ={}, overrides={"vault": {"bandwidth_mb_s": value}})


class TestProfileSetting:
    def test_it_is_a_table_by_address(self):
        environ = {"RR_VAULT__PROFILES": '{"s3://backup": "elsewhere"}'}
        assert settings.load(environ=environ).vault.profiles == {"s3://backup": "elsewhere"}

    @pytest.mark.parametrize("value", [5, "backup", {"backup": "x"}, {"s3://": ""}, {"s3://": 3}, {"s3://": "a b"}])
    def test_what_is_none_is_refused(self, value):
        with pytest.raises(ConfigError, match=r"vault.profiles.* must be a table .* to the name of a profile, such as"):
            settings.load(environ={}, overrides={"vault": {"profiles": value}})


class TestNearRecords:
    def test_what_was_kept_is_found_for_its_mark_alone(self, tmp_path):
        records = NearRecords(tmp_path)
        assert records.find("games/a", "mark") is None
        for data in (b"", b"\n", b"text\nmore\n"):
            records.keep("games/a", "mark", data)
            assert NearRecords(tmp_path).find("games/a", "mark") == data
            assert records.find("games/a", "another") is None
        assert [path.name for path in (tmp_path / "games").iterdir()] == ["a"]

    def test_no_damage_is_taken_for_good(self, tmp_path):
        records = NearRecords(tmp_path)
        records.keep("a", "mark", b"text")
        whole = (tmp_path / "a").read_bytes()
        for place in range(len(whole)):
            (tmp_path / "a").write_bytes(whole[:place])
            assert records.find("a", "mark") is None
            (tmp_path / "a").write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            assert records.find("a", "mark") is None

    def test_a_disk_that_takes_nothing_is_no_error(self, tmp_path):
        (tmp_path / "file").write_text("")
        records = NearRecords(tmp_path / "file")
        records.keep("games/a", "mark", b"text")
        assert records.find("games/a", "mark") is None


class TestAddresses:
    @pytest.mark.parametrize(
        "url",
        [
            "s3://key:secret@bucket",
            "s3://key:sec/ret@bucket/vault",
            "s3://bucket:9000/secret",
            "s3://bucket/vault?key=secret",
            "s3://bucket/vault#secret",
            "s3://bucket/a secret",
            "simplecache::s3://bucket/secret",
            "s3://",
        ],
    )
    def test_one_that_holds_keys_is_refused_and_not_repeated(self, url):
        with pytest.raises(VaultError, match="holds no keys") as told:
            Vault.open(url)
        assert "secret" not in str(told.value)

    def test_a_store_that_cannot_create_where_nothing_is_is_refused(self):
        for url in ("gs://bucket/vault", "ftp://host/vault", "github://vault"):
            with pytest.raises(VaultError, match=f"no way to {url}: a vault is a folder or lies at s3://"):
                Vault.open(url)


class TestSpaceOfCopies:
    def test_the_disk_of_the_copies_pauses_producers_and_takes_no_more_copies(self, distant, monkeypatch):
        old, new = put(distant, b"old"), put(distant, b"new")
        distant.path(old)
        monkeypatch.setattr(backends.shutil, "disk_usage", lambda _: SimpleNamespace(used=97, free=3))
        capacity = distant.capacity()
        assert (capacity.level, capacity.allows_more) == (Level.PAUSE, False)
        assert distant._near.url in capacity.reason
        assert "RR_CACHE: copies of memory://bucket/vault) is 97.0% full" in capacity.reason
        assert distant.get(put(distant, b"what was made all the same")) == b"what was made all the same"
        assert distant.path(old).read_bytes() == b"old"
        with pytest.raises(DiskFullError, match="97.0% full"):
            distant.path(new)
        assert distant.get(new) == b"new"


class TestSnapshot:
    def test_every_folder_is_listed_once_and_own_writes_are_seen(self, distant, monkeypatch):
        first = put(distant, b"1")
        put(distant, b"games", kind="games", suffix=".parquet")
        seen = distant.snapshot()
        listed = []
        honest = seen._backend._files.ls
        monkeypatch.setattr(seen._backend._files, "ls", lambda path, **how: listed.append(path) or honest(path, **how))
        for _ in range(3):
            assert seen.cards("checkpoint", CONFIG) == [first]
            assert len(seen.cards("games", CONFIG)) == 1
            assert seen.cards("dataset", CONFIG) == []
        assert listed == []
        put(distant, b"2")
        assert seen.cards("checkpoint", CONFIG) == [first]  # what others write is not seen
        third = put(seen, b"3")
        assert seen.cards("checkpoint", CONFIG)[-1] == third
        seen.claim(CONFIG, 10)
        assert seen.claim(CONFIG, 10).start == 10

    def test_a_folder_of_this_machine_is_simply_asked(self, local):
        seen = local.snapshot()
        card = put(local, b"1")
        assert seen.cards("checkpoint", CONFIG) == [card]
