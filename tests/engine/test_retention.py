"""`rr vault gc`: what nothing needs goes, what anything needs stays, and nothing goes that is young."""

import hashlib
import os
import time
from datetime import UTC, datetime, timedelta

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from rr_engine.errors import RetiredError, VaultError
from rr_engine.settings import RetentionSettings
from rr_engine.stages import retention
from rr_engine.vault import Vault
from rr_engine.vault.audit import Audit
from rr_engine.vault.index import Folder, Index
from rr_engine.vault.sweep import remove
from tests.engine.vaults import CONFIG, Death, DiedError, file_of, fill, index, mortal, names, put

pytestmark = pytest.mark.usefixtures("unflushed")

NOW = RetentionSettings(grace_hours=0.0, plans=2, pages=1, datasets=2)
ORPHAN = f"games/{CONFIG}/{hashlib.sha256(b'put').hexdigest()}.parquet"
LATER = timedelta(seconds=5)  # so that what was just written is older than no grace at all


def removable(vault, settings=NOW, **later):
    now = datetime.now(UTC) + (timedelta(**later) if later else LATER)
    return {name: removal.why for removal in retention.removable(vault, settings, now) for name in removal.files}


def clear(vault, settings=NOW, **later):
    gone = []
    now = datetime.now(UTC) + (timedelta(**later) if later else LATER)
    retention.clear(vault, settings, now, on_removed=lambda removal: gone.extend(removal.files))
    return gone


def plans(vault, count, *, kind="plan", version=1):
    return [
        put(vault, f"{kind} {version} {n}".encode(), kind=kind, config="all", suffix=".json", schema_version=version)
        for n in range(count)
    ]


def state(vault, data, step, *, start=None, settings="s"):
    facts = {"dataset": data.sha256, "started_from": start, "settings": settings, "step": step}
    return put(vault, f"state {data.sha256} {start} {settings} {step}".encode(), kind="training", facts=facts)


def dataset(vault, number):
    return put(vault, f"window {number}".encode(), kind="dataset", suffix=".npz")


def net(vault, data, *, start=None, name="net"):
    return put(vault, name.encode(), facts={"dataset": data.sha256, "started_from": start}, parents=(data.sha256,))


class TestWhatGoes:
    def test_a_vault_with_nothing_to_spare_keeps_everything(self, vault):
        fill(vault)
        assert removable(vault) == {}

    def test_artefacts_without_a_card(self, vault):
        fill(vault)
        vault.backend.create(ORPHAN, b"put")
        assert removable(vault) == {ORPHAN: "no card describes it"}
        assert clear(vault) == [ORPHAN]
        assert [*Audit(vault).problems()] == []

    def test_but_not_those_that_a_card_or_pointer_names(self, local):
        card = fill(local)
        for edition in (1, 0):
            file_of(local, card.place.replace(".card", f".{edition}.card") if edition else card.place).unlink()
        assert removable(local) == {}  # the pointer names the checkpoint
        for pointer in local.pointers(CONFIG):
            file_of(local, pointer.place).unlink()
        assert removable(local) == {}  # so do the matches
        file_of(local, local.cards("matches", CONFIG)[0].place).write_text("{")
        with pytest.raises(VaultError, match="is not a card"):  # who knows what that one named
            removable(local)

    def test_what_writes_that_died_have_left(self, local):
        fill(local)
        left = [f"{folder}/.{'0' * 32}.tmp" for folder in (f"games/{CONFIG}", f"tree/games/{CONFIG}", "champion")]
        for name in left:
            file_of(local, name).write_bytes(b"half")
        file_of(local, f"games/{CONFIG}/.notes.tmp").write_bytes(b"of somebody")
        assert removable(local) == dict.fromkeys(left, "left by a write that died")

    def test_nodes_of_trees_that_were(self, vault):
        for number in range(60):
            put(vault, f"shard {number}".encode(), kind="games", suffix=".parquet")
            if number % 20 == 0:
                index(vault)
        before = set(vault.backend.walk("tree"))
        index(vault)
        found = removable(vault)
        assert set(found) == before - kept_nodes(vault)
        assert len(found) > 3
        clear(vault)
        assert set(vault.backend.walk("tree")) == kept_nodes(vault)
        assert [*Audit(vault).problems()] == []

    def test_plans_and_pages_but_the_newest_of_each_version(self, vault):
        fill(vault)
        old, pages, new = plans(vault, 5, version=2), plans(vault, 3, kind="leaderboard"), plans(vault, 3, version=3)
        again = put(vault, b"plan 2 0", kind="plan", config="all", suffix=".json", schema_version=2)  # now the newest
        kept = {old[4].name, again.name, pages[2].name, new[1].name, new[2].name}
        found = removable(vault)
        assert {name for name in found if not name.endswith("card.json")} == {
            card.name for card in (*old, *pages, *new)
        } - kept
        assert set(found.values()) == {"not among the newest 2", "not among the newest 1"}
        clear(vault)
        assert {card.name for kind in ("plan", "leaderboard") for card in vault.cards(kind, "all")} >= kept
        assert [*Audit(vault).problems()] == []

    def test_all_cards_of_what_was_made_more_than_once_go_and_the_newest_goes_first(self, vault):
        plans(vault, 1)
        plans(vault, 1)
        plans(vault, 3, kind="plan", version=1)[0]
        sha256 = vault.cards("plan", "all")[-1].sha256
        plans(vault, 1)
        gone = clear(vault, RetentionSettings(grace_hours=0.0, plans=1))
        assert len(gone) == 2 + 2
        assert not any(name.startswith(f"plan/all/{sha256}") for name in names(vault))
        assert len(vault.cards("plan", "all")) == 1

    def test_states_that_no_training_goes_on_from(self, vault):
        first, second = dataset(vault, 1), dataset(vault, 2)
        old = state(vault, first, 10)
        done = [state(vault, second, step) for step in (10, 20)]
        net(vault, second)
        going = [state(vault, second, step, start="a" * 64) for step in (10, 30, 20)]
        other = state(vault, second, 5, start="a" * 64, settings="t")
        found = removable(vault)
        assert {name for name in found if name.startswith("training")} == {
            name for card in (old, *done, going[0], going[2]) for name in (card.name, card.place)
        }
        assert {found[old.name], found[done[0].name]} == {"no training goes on from it"}
        clear(vault)
        assert vault.cards("training", CONFIG) == [going[1], other]

    def test_bytes_of_old_datasets_but_not_their_cards(self, vault):
        data = [dataset(vault, number) for number in range(5)]
        net(vault, data[1])
        found = removable(vault)
        assert set(found) == {data[0].name, data[2].name}  # the newest candidate is checked against data[1]
        assert "not among the newest 2 of hex8_2p, and its card stays" in found[data[0].name]
        clear(vault)
        assert vault.cards("dataset", CONFIG) == data
        assert [vault.get(card) for card in (data[1], *data[3:])] == [b"window 1", b"window 3", b"window 4"]
        assert not any(name.startswith("dataset") for name in removable(vault))
        index(vault)
        assert [*Audit(vault).problems()] == []

    def test_a_dataset_that_a_training_under_way_will_be_checked_against_stays(self, vault):
        data = [dataset(vault, number) for number in range(5)]
        state(vault, data[0], 1)
        grace = RetentionSettings(grace_hours=1.0, datasets=2)
        assert data[0].name not in removable(vault, grace, minutes=30)
        assert data[0].name in removable(vault, grace, minutes=90)


class TestRetired:
    def test_reading_them_says_what_became_of_them(self, vault):
        data = [dataset(vault, number) for number in range(3)]
        clear(vault)
        for read in (vault.get, vault.path):
            with pytest.raises(RetiredError, match=r"was retired: .* run test to make a new one"):
                read(data[0])
        assert vault.card("dataset", CONFIG, data[0].sha256) == data[0]

    def test_they_can_be_made_again(self, vault):
        data = [dataset(vault, number) for number in range(3)]
        clear(vault)
        again = dataset(vault, 0)
        assert (again.sha256, again.edition) == (data[0].sha256, 1)
        assert vault.get(again) == vault.path(again).read_bytes() == b"window 0"
        assert clear(vault) == [data[1].name]

    def test_bytes_that_are_only_lost_are_told_otherwise(self, vault):
        card = dataset(vault, 0)
        vault.backend.remove(card.name)
        with pytest.raises(VaultError, match="found nothing") as told:
            vault.get(card)
        assert not isinstance(told.value, RetiredError)


class TestWhatStays:
    def litter(self, vault):
        fill(vault)
        plans(vault, 5)
        for number in range(4):
            dataset(vault, number)
        vault.backend.create(ORPHAN, b"put")
        index(vault)

    def test_what_is_younger_than_the_grace_period(self, vault):
        self.litter(vault)
        settings = RetentionSettings(grace_hours=1.0, plans=2, pages=1, datasets=2)
        assert removable(vault, settings, minutes=59) == {}
        found = removable(vault, settings, minutes=61)
        assert sum(not name.startswith("tree") for name in found) == 2 * 4 + 2 + 1

    def test_what_was_written_again_since_it_was_found(self, local):
        self.litter(local)
        past = time.time() - 7200
        for name in local.backend.walk(""):
            os.utime(file_of(local, name), (past, past))
        settings = RetentionSettings(grace_hours=1.0)
        found = retention.removable(local, settings, datetime.now(UTC))
        assert ORPHAN in {name for removal in found for name in removal.files}
        file_of(local, ORPHAN).touch()
        assert ORPHAN not in clear(local, settings)

    def test_an_artefact_whose_card_has_come_since(self, vault, monkeypatch):
        fill(vault)
        vault.backend.create(ORPHAN, b"put")
        found = retention.removable(vault, NOW, datetime.now(UTC) + LATER)
        vault.backend.create(ORPHAN.replace(".parquet", ".card.json"), b"{}")
        monkeypatch.setattr(retention, "removable", lambda *_, **__: found)
        assert clear(vault) == []
        assert vault.backend.read(ORPHAN) == b"put"

    def test_everything_where_the_store_tells_no_age(self, distant, monkeypatch):
        fill(distant)
        find = MemoryFileSystem.find
        monkeypatch.setattr(
            MemoryFileSystem,
            "find",
            lambda *args, **kwargs: {
                path: {key: told[key] for key in ("name", "size")} for path, told in find(*args, **kwargs).items()
            },
        )
        with pytest.raises(VaultError, match="does not tell how old it is"):
            removable(distant)

    @pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
    def test_all_that_is_needed_whenever_it_dies(self, vault, after):
        at, death = 0, Death(0, after=after)
        while death.came:
            at += 1
            self.litter(vault)
            needed = {card.name for kind in ("games", "checkpoint", "matches") for card in vault.cards(kind, CONFIG)}
            found = retention.removable(vault, NOW, datetime.now(UTC) + LATER)
            death = Death(at, after=after)
            try:
                remove(mortal(vault, death), found, before=time.time() + 5, on_removed=lambda _: None)
            except DiedError:
                assert death.came
            reader = Vault(vault.backend, near=vault._near, settings=vault._settings)
            assert [told for told in Audit(reader).problems() if "in the index" not in told] == []
            clear(reader)
            assert needed <= set(names(reader))
            assert len(reader.cards("plan", "all")) == 2
            assert sum(name.endswith(".npz") for name in names(reader)) == 3  # two, and the candidate's
            for folder in Index(reader.backend).folders():
                reader.index(*folder)
            assert [*Audit(reader).problems()] == []
            for name in vault.backend.walk(""):
                vault.backend.remove(name)
            vault = reader
        assert at > 40

    def test_a_reader_that_had_listed_what_goes_leaves_it_out(self, vault, monkeypatch):
        made = plans(vault, 5)
        listed = vault.backend.names

        def then_cleared(folder):
            seen = listed(folder)
            monkeypatch.setattr(vault.backend, "names", listed)
            clear(Vault(vault.backend, near=vault._near, settings=vault._settings))
            return seen

        reader = Vault(vault.backend, near=vault._near, settings=vault._settings)
        monkeypatch.setattr(vault.backend, "names", then_cleared)
        assert reader.cards("plan", "all") == made[3:]


def kept_nodes(vault):
    """The nodes that newest roots reach."""
    trees = Index(vault.backend)
    return {
        f"tree/{folder}/{sha256}.json.gz"
        for folder, root in trees.newest_of_all().items()
        for sha256 in trees.stored(Folder(*folder), root.root).nodes()
    }
