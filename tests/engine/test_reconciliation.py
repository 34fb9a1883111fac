"""Two vaults: what differs is found, what is missing is copied whole and in order, and nothing else is touched."""

import os
import random
import stat
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from rr_engine.errors import DiskFullError, IndexDamageError, VaultError
from rr_engine.settings import MirrorSettings, Settings
from rr_engine.stages.mirror import ORDER, keep, keep_second
from rr_engine.vault import Vault, backends
from rr_engine.vault.audit import Audit
from rr_engine.vault.backends import digest_of
from rr_engine.vault.compare import compare
from rr_engine.vault.index import Folder, Index
from rr_engine.vault.mirror import mirror
from tests.engine.vaults import CONFIG, QUICK, Death, DiedError, file_of, fill, index, mortal, names, put, rewrite

pytestmark = pytest.mark.usefixtures("unflushed")

GAMES = Folder("games", CONFIG)


@pytest.fixture
def second(tmp_path):
    """A second vault in a folder."""
    return Vault.open(str(tmp_path / "second"))


@pytest.fixture
def cloud(distant):
    """A second vault in the object store of `distant`."""
    return Vault.open("memory://bucket/second", settings=QUICK)


@pytest.fixture(params=["local to local", "local to distant", "distant to local", "distant to distant"])
def pair(request):
    """A filled vault and an empty second one."""
    here, _, there = request.param.partition(" to ")
    source = request.getfixturevalue(here)
    target = request.getfixturevalue("second" if there == "local" else "cloud")
    request.getfixturevalue("distant")
    fill(source)
    return source, target


def shard(vault, number, **fields):
    return put(vault, f"shard {number}".encode(), kind="games", suffix=".parquet", **fields)


def complete(source, target):
    return mirror(source, target, order=ORDER)


def difference(a, b, folder=GAMES, **fields):
    return compare(a, b, **fields).differences.get(folder)


def wrong(vault):
    """What is wrong with a vault but that its index is behind."""
    return [problem for problem in Audit(vault).problems() if "rr vault index" not in problem]


class TestDiff:
    def test_two_equal_vaults_differ_in_nothing(self, pair):
        source, target = pair
        complete(source, target)
        found = compare(source, target)
        assert (found.folders, found.differences) == (8, {})

    def test_it_names_what_only_one_has_and_what_is_not_the_same(self, pair):
        source, target = pair
        complete(source, target)
        here, there = shard(source, 100), shard(target, 200)
        both = shard(source, 300), shard(target, 300)  # the same bytes, made twice: two cards under one name
        for vault in pair:
            index(vault)
        found = difference(source, target)
        assert {f"{GAMES}/{name}" for name in found.only_a} == {here.name, here.place}
        assert {f"{GAMES}/{name}" for name in found.only_b} == {there.name, there.place}
        assert {f"{GAMES}/{name}" for name in found.other} == {both[0].place} == {both[1].place}
        assert compare(source, target).differences.keys() == {GAMES}

    def test_a_local_folder_is_listed_whatever_its_index_says(self, local, second):
        fill(local)
        complete(local, second)
        card = shard(local, 100)
        before = local.backend.walk("")
        assert set(difference(local, second).only_a) == {name.rpartition("/")[2] for name in (card.name, card.place)}
        assert local.backend.walk("") == before  # and nothing was written

    def test_a_distant_folder_is_listed_where_it_has_no_index_or_that_is_asked_for(self, distant, cloud):
        fill(distant)
        complete(distant, cloud)
        shard(distant, 100)
        assert difference(distant, cloud) is None  # its index is behind, and trusted
        assert len(difference(distant, cloud, lists=True).only_a) == 2
        for name in [*distant.backend.walk("root")]:
            distant.backend.remove(name)
        assert len(difference(distant, cloud).only_a) == 2
        assert len(compare(distant, cloud).differences) == 1

    def test_an_index_that_cannot_be_read_is_told_of_or_made_anew(self, distant, local):
        fill(distant, shards=50)
        complete(distant, local)
        shard(distant, 100)
        index(distant)
        for name in [*distant.backend.walk(f"tree/{GAMES}")]:
            distant.backend.remove(name)
        with pytest.raises(IndexDamageError, match="`rr vault index`"):
            compare(distant, local)
        assert len(difference(distant, local, lists=True).only_a) == 2
        for name in [*local.backend.walk("tree")]:
            local.backend.remove(name)
        index(distant)
        Index(distant.backend).refresh(GAMES, thorough=True)
        assert len(difference(distant, local).only_a) == 2

    def test_a_folder_that_is_not_there_is_no_empty_vault(self, local, second):
        fill(local)
        for one, other in ((local, second), (second, local)):
            with pytest.raises(VaultError, match="there is no vault at .*second"):
                compare(one, other)


class TestMirror:
    def test_the_second_vault_becomes_the_first(self, pair):
        source, target = pair
        done = complete(source, target)
        assert (done.complete, done.equal, done.folders, done.files) == (True, 8, 8, len(names(source)))
        assert names(target) == names(source)
        assert all(target.backend.read(name) == source.backend.read(name) for name in names(source))
        assert [*Audit(target).problems()] == []
        assert target.pointer(CONFIG) == source.pointer(CONFIG)
        assert target.cards("checkpoint", CONFIG) == source.cards("checkpoint", CONFIG)

    def test_the_next_time_it_copies_what_is_new(self, pair):
        source, target = pair
        complete(source, target)
        assert complete(source, target).files == 0
        shard(source, 100)
        source.claim(CONFIG, 5)
        index(source)
        done = complete(source, target)
        assert (done.files, done.complete) == (3, True)
        assert names(target) == names(source)

    def test_what_only_the_second_has_stays(self, pair):
        source, target = pair
        mine = shard(target, 500)
        done = complete(source, target)
        assert (done.complete, done.only_there, done.equal) == (True, 2, done.folders - 1)
        assert target.get(mine) == b"shard 500"
        source.backend.remove(source.cards("plan", "all")[0].place)
        index(source)
        assert complete(source, target).only_there == 3
        assert len(target.cards("plan", "all")) == 1

    def test_a_conflict_is_told_and_nothing_is_overwritten(self, pair):
        source, target = pair
        card = source.cards("games", CONFIG)[0]
        other = put(target, source.get(card), kind="games", suffix=".parquet", facts={"mine": True})
        before = target.backend.read(other.place)
        for _ in range(2):
            done = complete(source, target)
            assert (done.conflicts, done.problems, done.complete) == ([card.place], [], False)
            assert target.backend.read(other.place) == before
        assert set(names(source)) == set(names(target))  # everything else was copied

    def test_numbers_that_part_ways_are_not_mixed(self, pair):
        source, target = pair
        target.claim(CONFIG, 1000)
        claims = target.claims(CONFIG)
        done = complete(source, target)
        assert done.conflicts == [claims[0].place]
        assert "numbers before them mean something else there" in done.problems[0]
        assert target.claims(CONFIG) == claims
        assert target.pointers(CONFIG) == source.pointers(CONFIG)

    @pytest.mark.parametrize("kind", ["games", "dataset", "checkpoint"])
    def test_a_damaged_artefact_is_not_copied_and_its_card_neither(self, local, second, kind):
        fill(local)
        card = local.cards(kind, CONFIG)[0]
        file_of(local, card.name).write_bytes(b"damaged")
        done = complete(local, second)
        assert any(problem.startswith(f"{card.name} is damaged") for problem in done.problems)
        assert not any(card.sha256 in name for name in names(second) if name.startswith(kind))
        assert second.pointers(CONFIG) == ([] if kind == "checkpoint" else local.pointers(CONFIG))
        if kind == "checkpoint":
            assert any("which could not be copied" in problem for problem in done.problems)
        file_of(local, card.name).unlink()
        assert any("its artefact is missing" in problem for problem in complete(local, second).problems)
        assert not any(card.sha256 in name for name in names(second) if name.startswith(kind))

    def test_damaged_records_are_not_copied(self, local, second):
        fill(local)
        cards = local.cards("games", CONFIG)
        rewrite(local, cards[0].place, {"rows": 7})  # since it was indexed
        rewrite(local, local.pointers(CONFIG)[1].place, {"number": 9})
        (file_of(local, f"games/{CONFIG}/{'1' * 64}.card.json")).write_text("{}")
        done = complete(local, second)
        assert len(done.problems) == 3
        assert {card.sha256 for card in second.cards("games", CONFIG)} == {card.sha256 for card in cards[1:]}
        assert second.pointers(CONFIG) == local.pointers(CONFIG)[:1]

    def test_damage_in_the_second_is_told_and_left_alone(self, local, cloud):
        fill(local)
        complete(local, cloud)
        card = local.cards("games", CONFIG)[0]
        cloud.backend.remove(card.place)
        MemoryFileSystem().pipe_file(f"/bucket/second/{card.name}", b"damaged")
        for name in [*cloud.backend.walk("root"), *cloud.backend.walk("tree")]:
            cloud.backend.remove(name)
        done = complete(local, cloud)
        assert (done.conflicts, done.complete) == ([card.name], False)
        assert card.sha256 not in {card.sha256 for card in cloud.cards("games", CONFIG)}

    def test_a_pointer_brings_what_no_index_knows_of_yet(self, distant, second):
        fill(distant)
        net = put(distant, b"better")
        put(distant, b"better")
        distant.write_pointer(net)
        distant.index("champion", CONFIG)  # and not the checkpoint, as after a run that died
        assert complete(distant, second).complete
        assert second.get(second.card("checkpoint", CONFIG, second.pointer(CONFIG).sha256)) == b"better"

    def test_a_card_brings_the_artefact_that_the_listing_had_missed(self, local, second, monkeypatch):
        fill(local)
        card = local.cards("games", CONFIG)[0]
        listed = local.backend.names
        own = card.name.rpartition("/")[2]
        monkeypatch.setattr(local.backend, "names", lambda folder: [name for name in listed(folder) if name != own])
        assert complete(local, second).complete
        assert second.get(card) == local.get(card)

    def test_what_goes_while_it_copies_is_no_problem(self, local, second):
        fill(local)
        card = local.cards("plan", "all")[0]

        def gone(folder, _):
            if folder == "plan/all":
                local.backend.remove(card.place)
                local.backend.remove(card.name)

        done = mirror(local, second, order=ORDER, on_folder=gone)
        assert done.complete
        assert set(done.vanished) == {card.name, card.place}

    def test_retired_bytes_are_not_missed(self, pair):
        source, target = pair
        card = source.cards("dataset", CONFIG)[0]
        source.retire(card)
        index(source)
        assert complete(source, target).complete
        assert wrong(target) == []
        with pytest.raises(VaultError, match="was retired"):
            target.get(card)

    def test_it_goes_claims_first_and_pointers_last(self, local, second):
        fill(local)
        seen = []
        mirror(local, second, order=ORDER, on_folder=lambda folder, _: seen.append(folder.partition("/")[0]))
        assert seen == ["seeds", "games", "dataset", "checkpoint", "matches", "ratings", "plan", "champion"]

    def test_a_full_disk_stops_it(self, local, second, monkeypatch):
        fill(local)
        monkeypatch.setattr(backends.shutil, "disk_usage", lambda _: SimpleNamespace(used=96, free=4))
        with pytest.raises(DiskFullError, match=r"second is 96.0% full"):
            complete(local, second)

    def test_a_vault_is_no_mirror_of_itself(self, local):
        fill(local)
        for place in (local.url, f"{local.url}/backup", str(Path(local.url).parent)):
            with pytest.raises(VaultError, match="must be another place"):
                complete(local, Vault.open(place))

    def test_a_record_that_does_not_arrive_whole_is_not_there(self, local, second, monkeypatch):
        fill(local)
        monkeypatch.setattr(
            backends.os, "fsync", lambda file: file if stat.S_ISDIR(os.fstat(file).st_mode) else os.ftruncate(file, 3)
        )
        with pytest.raises(VaultError, match="arrived"):
            complete(local, second)
        assert names(second) == []
        monkeypatch.undo()
        assert complete(local, second).complete


class TestDeath:
    """A mirror that dies at any of its operations, in either vault, before or after the effect."""

    @pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
    @pytest.mark.parametrize("there", ["second", "cloud"])
    def test_nothing_wrong_is_readable_and_the_next_one_goes_on(self, local, there, after, request):
        target = request.getfixturevalue(there)
        games = shard(local, 1)
        net = put(local, b"weights", parents=(games.sha256,))
        put(local, b"weights", parents=(games.sha256,))
        local.claim(CONFIG, 10)
        local.write_pointer(net)
        index(local)
        at, death = 0, Death(0, after=after)
        while death.came:
            at += 1
            for name in target.backend.walk(""):
                target.backend.remove(name)
            death = Death(at, after=after)
            try:
                complete(mortal(local, death), mortal(target, death))
            except DiedError:
                assert death.came
            reader = Vault(target.backend, near=target._near, settings=QUICK)
            if Index(target.backend).folders():
                assert [problem for problem in wrong(reader) if "its parent" not in problem] == []
            assert complete(local, reader).complete
            assert names(reader) == names(local)
            assert [*Audit(reader).problems()] == []
        assert at > 60


class TestTraffic:
    def test_of_many_shards_few_differ_and_little_is_exchanged(self, local, distant):
        """As `benchmarks/mirror.py` with 100,000: 10 differ. All that goes to or comes from either vault counts."""
        rng = random.Random(1)
        facts = {"quality": {name: rng.random() for name in ("decisive", "length", "starts", "targets", "balance")}}
        example = shard(local, -1, facts=facts)
        text = local.backend.read(example.place).decode()
        for number in range(2000):
            data = rng.randbytes(64)
            sha256 = digest_of(data)[0]
            card = text.replace(example.sha256, sha256).replace('"size": 8', '"size": 64')
            for vault in (local, distant) if number < 1990 else (local,):
                if vault is local:
                    file_of(local, f"{GAMES}/{sha256}.parquet").write_bytes(data)
                    file_of(local, f"{GAMES}/{sha256}.card.json").write_text(card)
                else:
                    MemoryFileSystem().pipe_file(f"/bucket/vault/{GAMES}/{sha256}.parquet", data)
                    MemoryFileSystem().pipe_file(f"/bucket/vault/{GAMES}/{sha256}.card.json", card.encode())
        for vault in (local, distant):
            vault.index(*GAMES)
        compared = compare(local, distant)
        assert len(compared.differences[GAMES].only_a) == 22
        assert 10_000 < (compared.a + compared.b).beside_artefacts < 60_000
        done = complete(local, distant)
        assert (done.complete, done.equal, done.files) == (True, 1, 22)
        assert done.exchanged.beside_artefacts < 120_000
        assert compare(local, distant).differences == {}


class TestSecondVault:
    def test_without_one_nothing_happens_and_it_says_so(self, local):
        fill(local)
        kept = keep_second(local, Settings())
        assert kept.problems == ()
        assert kept.facts == {"second_vault": "there is none: mirror.to names no vault"}

    def test_the_one_that_is_named_is_brought_up_to_date(self, local, second):
        fill(local)
        kept = keep_second(local, replace(Settings(), mirror=MirrorSettings(to=second.url)))
        assert (kept.problems, kept.facts["second_vault"], kept.facts["files_copied"]) == (
            (),
            second.url,
            len(names(local)),
        )
        assert names(second) == names(local)

    def test_what_it_could_not_copy_is_a_problem(self, local, second):
        fill(local)
        second.claim(CONFIG, 7)
        problems = keep(local, second).problems
        assert problems[0] == f"seeds/{CONFIG}/00000000.json has other bytes in {second.url}; nothing was overwritten"
