"""The trie: one root per set of entries, and the difference of two sets found in the nodes that differ."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rr_engine.errors import VaultError
from rr_engine.vault import merkle
from rr_engine.vault.merkle import EMPTY, LEAF_STEMS, Branch, Child, Leaf, Trie, decode, differences, encode, hash_of


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def shard(number):
    """An artefact and its card."""
    sha256 = digest(f"shard {number}")
    return {f"{sha256}.parquet": sha256, f"{sha256}.card.json": digest(f"card {number}")}


def shards(*numbers):
    return {name: sha256 for number in numbers for name, sha256 in shard(number).items()}


def trie(entries):
    return Trie().updated(entries)


class Reads:
    """Fetches nodes of a trie and counts them."""

    def __init__(self, whole):
        self._nodes = whole.new
        self.read = []

    def __call__(self, sha256):
        self.read.append(sha256)
        return self._nodes[sha256]


def stored(whole):
    """The trie as it is read from where its nodes are kept."""
    reads = Reads(whole)
    return Trie(whole.root, reads), reads


# Few stems with many names each, and enough of both to split a leaf three times.
names = st.builds(
    lambda stem, rest: f"{stem:08d}{rest}",
    st.integers(0, 400),
    st.sampled_from([".json", ".card.json", ".1.card.json"]),
)
sets = st.dictionaries(names, st.integers(0, 2).map(lambda number: digest(str(number))), max_size=300)


class TestRoots:
    @given(sets, sets)
    def test_two_sets_have_one_root_only_if_they_are_one(self, a, b):
        assert (trie(a).root == trie(b).root) == (a == b)

    @given(sets, st.randoms())
    def test_the_order_in_which_entries_come_does_not_matter(self, entries, rng):
        rest, grown = list(entries.items()), Trie()
        rng.shuffle(rest)
        while rest:
            some = rng.randint(1, 60)
            grown, rest = grown.updated(dict(rest[:some])), rest[some:]
        assert grown.root == trie(entries).root

    @given(sets, sets, st.randoms())
    def test_what_is_added_and_removed_leaves_the_root_of_what_is_left(self, entries, added, rng):
        removed = {name for name in entries if rng.random() < 0.7} - added.keys()
        left = {name: sha256 for name, sha256 in entries.items() if name not in removed} | added
        whole, _ = stored(trie(entries))
        assert whole.updated(added, removed).root == trie(left).root
        assert whole.updated(added, removed).entries() == left

    def test_no_entries_have_a_root_too(self):
        assert Trie().root == EMPTY == trie({}).root == hash_of(Leaf({}))
        assert trie(shards(*range(99))).updated({}, shards(*range(99))).root == EMPTY

    def test_the_root_of_some_entries_never_changes(self):
        assert trie(shards(*range(100))).root == "a745df1da1b41ac09290c138f6f3201f97919c9487220368a7b6223ffbbcaa7d"


class TestShape:
    def test_a_leaf_takes_so_many_stems_then_it_splits_and_grows_back_together(self):
        full = trie(shards(*range(LEAF_STEMS)))
        assert isinstance(full.node(full.root), Leaf)
        more = full.updated(shard(LEAF_STEMS))
        root = more.node(more.root)
        assert isinstance(root, Branch)
        assert sum(child.stems for child in root.children.values()) == LEAF_STEMS + 1
        assert more.updated({}, shard(LEAF_STEMS)).root == full.root

    def test_an_artefact_and_all_its_cards_are_one_stem(self):
        sha256 = digest("made often")
        cards = {f"{sha256}.{edition}.card.json": digest(str(edition)) for edition in range(1, 200)}
        whole = trie({f"{sha256}.npz": sha256, f"{sha256}.card.json": digest("0"), **cards})
        assert whole.nodes() == {whole.root} == set(whole.new)

    def test_its_nodes_are_all_named_without_reading_a_leaf(self):
        whole, reads = stored(trie(shards(*range(3000))))
        assert whole.nodes() == set(trie(shards(*range(3000))).new)
        assert all(isinstance(trie(shards(*range(3000))).new[sha256], Branch) for sha256 in reads.read[:3])
        assert len(reads.read) < len(whole.nodes()) / 8

    def test_only_nodes_that_are_used_are_new(self):
        grown = Trie()
        for number in range(100):
            grown = grown.updated(shard(number))
        assert set(grown.new) == grown.nodes()


class TestDifference:
    @given(sets, sets)
    def test_it_is_exact(self, a, b):
        found = differences(stored(trie(a))[0], stored(trie(b))[0])
        assert found.only_a == {name: sha256 for name, sha256 in a.items() if name not in b}
        assert found.only_b == {name: sha256 for name, sha256 in b.items() if name not in a}
        assert found.other == {name: (a[name], b[name]) for name in a.keys() & b.keys() if a[name] != b[name]}
        assert bool(found) == (a != b)

    def test_only_what_differs_is_read(self):
        a, reads_a = stored(trie(shards(*range(5000))))
        b, reads_b = stored(trie(shards(*range(5000), 7777)))
        assert differences(a, b).only_b == shard(7777)
        assert len(reads_a.read) == len(reads_b.read) <= 4
        assert differences(a, a) == merkle.Difference()
        assert len(reads_a.read) <= 4


class TestListing:
    @given(sets, sets)
    def test_it_tells_which_names_are_new_and_which_are_gone(self, before, now):
        for thorough in (False, True):
            added, removed = stored(trie(before))[0].compared(now, thorough=thorough)
            assert (added, removed) == (now.keys() - before.keys(), before.keys() - now.keys())

    def test_it_reads_only_nodes_above_new_names(self):
        before = shards(*range(5000))
        whole, reads = stored(trie(before))
        assert whole.compared(before) == (set(), set())
        assert reads.read == [whole.root]
        assert whole.compared([*before, *shard(7777)]) == (set(shard(7777)), set())
        assert len(reads.read) <= 5
        reads.read.clear()
        whole.compared(before, thorough=True)
        assert set(reads.read) == whole.nodes()


class TestNodes:
    @given(sets)
    def test_they_are_read_as_they_were_written(self, entries):
        for sha256, node in trie(entries).new.items():
            assert decode(encode(node)) == node
            assert hash_of(node) == sha256

    @pytest.mark.parametrize(
        "content",
        [
            None,
            [],
            {},
            {"leaf": {}, "branch": {}},
            {"twig": {}},
            {"leaf": []},
            {"leaf": {"a": []}},
            {"leaf": {"a": {".json": ""}}},  # not the digest of its stem
            {"leaf": {"a": {".json": "0" * 63}}},
            {"leaf": {"a": {".json": 1}}},
            {"leaf": {"../a": {"": "0" * 64}}},
            {"leaf": {"a": {"/../b": "0" * 64}}},
            {"leaf": {"a.b": {".json": "0" * 64}}},  # stands under the stem `a`
            {"branch": {"x": ["0" * 64, "0" * 16, 1]}},
            {"branch": {"00": ["0" * 64, "0" * 16, 1]}},
            {"branch": {"0": ["0" * 64, "0" * 16]}},
            {"branch": {"0": ["0" * 64, "0" * 15, 1]}},
            {"branch": {"0": ["0" * 64, "0" * 16, 0]}},
            {"branch": {"0": ["0" * 64, "0" * 16, True]}},
            {"branch": {"0": ["0" * 64, "0" * 16, 1.0]}},
            {"branch": {"0": ["../" + "0" * 61, "0" * 16, 1]}},
            {"branch": {"0": 1}},
        ],
    )
    def test_what_is_none_is_refused(self, content):
        data = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
        with pytest.raises(VaultError, match="not a node"):
            decode(data)

    @pytest.mark.parametrize(
        "data", [b"", b"{", b"\xff", b'{"leaf": {}}', b'{"leaf":{},"leaf":{}}', b"[" * 10**5, b'{"leaf":{"a":{}}}']
    )
    def test_what_is_written_otherwise_is_refused(self, data):
        with pytest.raises(VaultError, match="not a node"):
            decode(data)

    def test_a_tree_that_never_ends_is_refused(self):
        def deeper(sha256):
            return Branch({"0": Child(digest(sha256), "0" * 16, 99)})

        endless, whole = Trie(digest("root"), deeper), trie(shards(*range(99)))
        for read in (endless.entries, endless.nodes, lambda: differences(endless, whole)):
            with pytest.raises(VaultError, match="deeper than 64"):
                read()
