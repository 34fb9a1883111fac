"""The index of a folder: it follows from the files, costs little, and is made anew where it is wanting."""

import gzip
from concurrent.futures import ThreadPoolExecutor

import pytest

from rr_engine.errors import IndexDamageError, TransferError, VaultError
from rr_engine.vault import Vault
from rr_engine.vault.backends import digest_of
from rr_engine.vault.index import Folder, Index, node_place
from rr_engine.vault.merkle import Trie
from rr_engine.vault.names import Role, named
from rr_engine.vault.traffic import CountedBackend, Traffic
from tests.engine.vaults import CONFIG, Death, DiedError, fill, mortal, put

pytestmark = pytest.mark.usefixtures("unflushed")

GAMES = Folder("games", CONFIG)


def shard(vault, number, **fields):
    return put(vault, f"shard {number}".encode(), kind="games", suffix=".parquet", **fields)


def true_root(vault, folder=GAMES):
    """The root of what lies in a folder, every file hashed."""
    listed = [name for name in vault.backend.names(str(folder)) if named(name) is not None]
    return Trie().updated({name: vault.backend.digest(f"{folder}/{name}")[0] for name in listed}).root


def overtaken(vault, monkeypatch, *, by):
    """An index that, when it has listed once, sleeps while others put these shards and index each."""
    slow = Index(vault.backend)
    listed = slow.listed

    def sleeps(*args, **kwargs):
        seen = listed(*args, **kwargs)
        monkeypatch.setattr(slow, "listed", listed)
        for number in by:
            shard(vault, number)
            vault.index(*GAMES)
        return seen

    monkeypatch.setattr(slow, "listed", sleeps)
    return slow


def reopened(vault):
    return Vault(vault.backend, near=vault._near, settings=vault._settings)


def spent(vault, folder=GAMES):
    """What indexing a folder costs."""
    traffic = Traffic()
    Index(CountedBackend(vault.backend, traffic)).refresh(folder)
    return traffic


class TestRoots:
    def test_it_is_the_root_of_all_that_lies_there(self, vault):
        for number in range(40):
            shard(vault, number)
        root = vault.index("games", CONFIG)
        assert root == true_root(vault)
        assert Index(vault.backend).newest(GAMES).root == root
        shard(vault, 7)  # one more card of the same bytes
        shard(vault, 99)
        assert vault.index("games", CONFIG) == true_root(vault) != root

    def test_pointers_and_claims_have_one_too(self, vault):
        fill(vault)
        for kind in ("champion", "seeds"):
            assert Index(vault.backend).newest(Folder(kind, CONFIG)).root == true_root(vault, Folder(kind, CONFIG))

    def test_two_vaults_with_the_same_files_have_the_same_roots(self, local, distant):
        for number in range(3):
            shard(local, number)
        for name in local.backend.walk(""):
            data = local.backend.read(name)
            distant.backend.write(name, data, digest_of(data))
        assert local.index("games", CONFIG) == distant.index("games", CONFIG)

    def test_what_is_gone_is_gone_from_it(self, vault):
        cards = [shard(vault, number) for number in range(40)]
        before = vault.index("games", CONFIG)
        for card in cards[:20]:
            vault.backend.remove(card.place)
            vault.backend.remove(card.name)
        assert vault.index("games", CONFIG) == true_root(vault) != before

    def test_leftovers_and_strangers_are_not_in_it(self, vault):
        shard(vault, 1)
        root = vault.index("games", CONFIG)
        for name in (f".{'0' * 32}.tmp", "notes.txt", "00000001.json.bak"):
            vault.backend.create(f"games/{CONFIG}/{name}", b"half")
        assert vault.index("games", CONFIG) == root

    def test_an_empty_folder_leaves_nothing(self, vault):
        vault.index("games", CONFIG)
        assert vault.backend.walk("") == {}

    def test_it_cannot_leave_the_vault_and_holds_no_artefacts(self, vault):
        with pytest.raises(VaultError, match="names nothing in a vault"):
            vault.index("..", CONFIG)
        for kind in ("tree", "root"):
            with pytest.raises(VaultError, match="holds the index"):
                put(vault, kind=kind)

    def test_it_is_no_kind_of_its_own(self, vault):
        fill(vault)
        kinds = {folder.kind for folder in Index(vault.backend).folders()}
        assert kinds == {"games", "dataset", "checkpoint", "matches", "ratings", "plan", "seeds", "champion"}
        assert Index(vault.backend).newest_of_all().keys() == set(Index(vault.backend).folders())

    def test_an_artefact_has_no_suffix_of_the_vaults_own(self, vault):
        for suffix in (".card.json", ".retired.json"):
            with pytest.raises(VaultError, match="own records"):
                put(vault, suffix=suffix)


class TestCost:
    @pytest.fixture
    def large(self, local):
        """A vault with many shards, made without the cards' flushing."""
        folder = local.backend.root / str(GAMES)
        folder.mkdir(parents=True)
        for number in range(1500):
            sha256 = digest_of(f"shard {number}".encode())[0]
            (folder / f"{sha256}.parquet").write_bytes(f"shard {number}".encode())
            (folder / f"{sha256}.card.json").write_bytes(f"card {number}".encode())
        local.index(*GAMES)
        return local

    def test_after_a_run_only_what_is_new_is_read_and_written(self, large):
        assert spent(large).operations == 4  # listings of roots and folder, the root, its node
        for number in range(2):
            shard(large, 10_000 + number)
        traffic = spent(large)
        assert traffic.operations <= 20
        assert traffic.beside_artefacts - traffic.bytes["listings"] < 20_000
        assert Index(large.backend).newest(GAMES).root == true_root(large)

    def test_old_roots_do_not_pile_up(self, local):
        for number in range(12):
            shard(local, number)
            local.index(*GAMES)
        assert [name.rpartition("/")[2] for name in local.backend.walk("root")] == [
            "00000009.json",
            "00000010.json",
            "00000011.json",
        ]
        local.index(*GAMES)  # nothing is new
        assert len(local.backend.walk("root")) == 3


class TestMending:
    def filled(self, vault):
        for number in range(100):
            shard(vault, number)
        return vault.index(*GAMES)

    def nodes(self, vault):
        return list(vault.backend.walk("tree"))

    @pytest.mark.parametrize(
        "damage",
        [b"", b"\x1f\x8b", gzip.compress(b'{"leaf":{}}'), gzip.compress(b"[]"), None],
        ids=["empty", "cut", "another", "no node", "missing"],
    )
    def test_a_damaged_node_is_never_believed_and_made_anew(self, local, damage):
        root = self.filled(local)
        whole = {name: local.backend.read(name) for name in self.nodes(local)}
        for name in whole:
            local.backend.remove(name)
            if damage is not None:
                local.backend.create(name, damage)
            index = Index(local.backend)
            with pytest.raises(IndexDamageError, match=f"{name} is missing or damaged: `rr vault index`"):
                index.stored(GAMES, root).entries()
            assert index.refresh(GAMES, thorough=True) == root
            assert {node: local.backend.read(node) for node in self.nodes(local)} == whole

    def test_a_damaged_node_on_the_way_of_new_files_is_made_anew_by_any_run(self, local):
        self.filled(local)
        for name in self.nodes(local):
            local.backend.remove(name)
        shard(local, 1000)
        assert local.index(*GAMES) == true_root(local)
        assert len(Index(local.backend).stored(GAMES, true_root(local)).entries()) == 202

    def test_a_node_that_names_what_no_vault_holds_is_damaged(self, local):
        evil = Trie().updated({"no such name": "0" * 64})
        Index(local.backend)._keep(GAMES, evil.root, evil.new[evil.root])
        with pytest.raises(IndexDamageError):
            Index(local.backend).stored(GAMES, evil.root).entries()

    def test_a_node_that_unpacks_to_more_than_any_node_is_damaged(self, local):
        local.backend.create(node_place(GAMES, "0" * 64), gzip.compress(b" " * (1 << 27)))
        with pytest.raises(IndexDamageError):
            Index(local.backend).stored(GAMES, "0" * 64).entries()

    @pytest.mark.parametrize("damage", [b"", b"{}", b'{"number": 1}'])
    def test_where_the_newest_root_is_damaged_the_one_before_it_serves(self, local, damage):
        before = self.filled(local)
        shard(local, 1000)
        local.index(*GAMES)
        (local.backend.root / "root" / str(GAMES) / "00000001.json").write_bytes(damage)
        assert Index(local.backend).newest(GAMES).root == before
        assert local.index(*GAMES) == true_root(local)
        assert Index(local.backend).newest(GAMES).number == 2
        for number in range(3):
            (local.backend.root / "root" / str(GAMES) / f"{number:08d}.json").write_bytes(damage)
        assert Index(local.backend).newest(GAMES) is None
        assert Index(local.backend).add(GAMES, {}) == true_root(local)  # from a listing, since nothing is known

    def test_a_tree_of_another_schema_is_made_anew(self, local, monkeypatch):
        self.filled(local)
        monkeypatch.setattr("rr_engine.vault.index.INDEX_SCHEMA", 2)
        assert Index(local.backend).newest(GAMES) is None
        local.index(*GAMES)
        assert Index(local.backend).newest(GAMES).schema_version == 2

    def test_a_store_that_cannot_be_reached_is_no_damage(self, distant, monkeypatch):
        self.filled(distant)

        def lost(*_):
            raise TransferError("the way is lost")

        monkeypatch.setattr(distant.backend, "read", lost)
        with pytest.raises(TransferError):
            distant.index(*GAMES)


class TestWriters:
    def test_a_run_that_dies_anywhere_is_made_up_for_by_the_next(self, vault):
        for number in range(40):
            shard(vault, number)
        vault.index(*GAMES)
        at, death = 0, Death(0, after=True)
        while death.came:
            at += 1
            for after in (False, True):
                shard(vault, 1000 + 2 * at + after)
                death = Death(at, after=after)
                try:
                    mortal(vault, death).index(*GAMES)
                except DiedError:
                    assert death.came
                root = Index(vault.backend).newest(GAMES)
                assert len(Index(vault.backend).stored(GAMES, root.root).entries()) >= 80  # whole, if out of date
            assert vault.index(*GAMES) == true_root(vault)
        assert at > 10

    def test_of_two_at_once_none_loses_what_the_other_has_brought_in(self, vault, monkeypatch):
        shard(vault, 1)
        vault.index(*GAMES)
        slow = overtaken(vault, monkeypatch, by=[3])
        shard(vault, 2)
        assert slow.refresh(GAMES) == true_root(vault)
        assert Index(vault.backend).newest(GAMES).root == true_root(vault)

    def test_one_that_slept_while_its_number_was_pruned_begins_again(self, vault, monkeypatch):
        shard(vault, 0)
        vault.index(*GAMES)
        slow = overtaken(vault, monkeypatch, by=range(10, 20))
        shard(vault, 2)
        assert slow.refresh(GAMES) == true_root(vault) == Index(vault.backend).newest(GAMES).root

    def test_many_at_once_end_with_everything(self, local):
        def make(number):
            shard(local, number)
            local.index(*GAMES)

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(make, range(24)))
        assert Index(local.backend).newest(GAMES).root == true_root(local)

    def test_adding_without_a_listing_loses_nothing_either(self, vault):
        shard(vault, 1)
        vault.index(*GAMES)
        card = shard(vault, 2)
        names = (card.name, card.place)
        added = {name.rpartition("/")[2]: vault.backend.digest(name)[0] for name in names}
        traffic = Traffic()
        assert Index(CountedBackend(vault.backend, traffic)).add(GAMES, added) == true_root(vault)
        assert traffic.bytes["cards"] == 0


def test_names_say_what_a_file_is():
    sha256 = "0" * 64
    assert named(f"{sha256}.npz") == (Role.ARTEFACT, sha256, 0)
    assert named(f"{sha256}.json.gz") == (Role.ARTEFACT, sha256, 0)
    assert named(f"{sha256}.card.json") == (Role.CARD, sha256, 0)
    assert named(f"{sha256}.12.card.json") == (Role.CARD, sha256, 12)
    assert named(f"{sha256}.retired.json") == (Role.RETIRED, sha256, 0)
    assert named("00000012.json") == (Role.NUMBERED, "00000012", 12)
    for stranger in (
        "",
        sha256,
        f"{sha256[:-1]}.npz",
        f"{sha256}.012.card.json",
        f"{sha256}.npz\n",
        "0.json",
        "../x.json",
    ):
        assert named(stranger) is None
