"""The Merkle tree of each folder of a vault: made from a listing, kept beside what it lists, trusted or not.

`tree/{kind}/{config}/{sha256}.json.gz` holds a node, named by the hash of its JSON; `root/{kind}/{config}/{n:08d}.json`
says which root counts. Everything here follows from the files of the folder, so what is missing, damaged or out of date
is made anew, and no artefact needs it.

Who publishes a root has listed the folder after the root before it was there, or adds to that root what is durable. So
no root loses what an earlier one held, however many write at once.
"""

import gzip
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from rr_engine.errors import DataError, IndexDamageError, TransferError, VaultError
from rr_engine.reading import unpacked
from rr_engine.vault.backends import RECORD_BYTES, Backend, digest_of
from rr_engine.vault.card import INDEX_SCHEMA, ROOT_KIND, TREE_KIND, Root, check_place, decode, encode, is_word
from rr_engine.vault.merkle import EMPTY, Leaf, Node, Trie, hash_of
from rr_engine.vault.merkle import decode as decode_node
from rr_engine.vault.merkle import encode as encode_node
from rr_engine.vault.names import Role, named

INDEX_KINDS = (TREE_KIND, ROOT_KIND)
NODE_SUFFIX = ".json.gz"
_ROOTS_KEPT = 3  # the newest: who has just listed them may still read one


class Folder(NamedTuple):
    """A folder of artefacts, pointers or claims."""

    kind: str
    config: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.config}"


class Index:
    """The trees of one vault."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._seen: dict[str, Node] = {}  # read before, by place: they never change

    def folders(self) -> list[Folder]:
        """All folders that hold something, by listing; those of the index itself are none."""
        kinds = [kind for kind in self._backend.names("") if is_word(kind) and kind not in INDEX_KINDS]
        return [Folder(kind, config) for kind in kinds for config in self._backend.names(kind) if is_word(config)]

    def newest_of_all(self) -> dict[Folder, Root]:
        """The root that counts of every folder that has one, from one listing."""
        numbers: dict[Folder, list[int]] = {}
        for name in self._backend.walk(ROOT_KIND):
            _, *folder, last = name.split("/")
            words = len(folder) == 2 and all(map(is_word, folder))
            if words and (said := named(last)) is not None and said.role is Role.NUMBERED:
                numbers.setdefault(Folder(*folder), []).append(said.number)
        found = {folder: self._readable(folder, sorted(known)) for folder, known in numbers.items()}
        return {folder: root for folder, root in found.items() if root is not None}

    def newest(self, folder: Folder) -> Root | None:
        """The root that counts, None if there is none that can be read."""
        return self._readable(folder, self._numbers(folder))

    def stored(self, folder: Folder, root: str) -> Trie:
        """The tree as it is kept; reading a node that is missing or damaged raises IndexDamageError."""
        return Trie(root, self._fetching(folder))

    def listed(self, folder: Folder, *, root: str = EMPTY, thorough: bool = False) -> Trie:
        """The tree of what lies in the folder now. Only files that the tree of `root` does not name are read.

        Nothing is written. Where a node on the way is missing or damaged, nothing of that tree is believed, and all
        is read and made anew. `thorough` looks at every node of it for that.
        """
        names = [name for name in self._backend.names(str(folder)) if named(name) is not None]
        known = self.stored(folder, root)
        try:
            added, removed = known.compared(names, thorough=thorough)
            digests = self._digests(folder, sorted(added))
            return known.updated(digests, removed) if digests or removed else known
        except IndexDamageError:
            return self.stored(folder, EMPTY).updated(self._digests(folder, sorted(names)))

    def refresh(self, folder: Folder, *, thorough: bool = False) -> str:
        """List the folder and publish the root of its tree, which is returned."""
        check_place(*folder)
        while True:
            numbers = self._numbers(folder)
            before = self._readable(folder, numbers)
            trie = self.listed(folder, root=EMPTY if before is None else before.root, thorough=thorough)
            if self._publish(folder, trie, before, number=numbers[-1] + 1 if numbers else 0):
                return trie.root

    def add(self, folder: Folder, entries: Mapping[str, str]) -> str:
        """Publish the newest root with `entries` added, which must be durable; it is returned.

        Nothing is listed, unless there is no tree that can be read.
        """
        check_place(*folder)
        while True:
            numbers = self._numbers(folder)
            before = self._readable(folder, numbers)
            if before is None:
                return self.refresh(folder)
            try:
                trie = self.stored(folder, before.root).updated(entries)
            except IndexDamageError:
                return self.refresh(folder)
            if self._publish(folder, trie, before, number=numbers[-1] + 1):
                return trie.root

    def _publish(self, folder: Folder, trie: Trie, before: Root | None, *, number: int) -> bool:
        """Keep a tree and say that it counts; False if somebody else was first."""
        for sha256, node in trie.new.items():
            self._keep(folder, sha256, node)
        if trie.root == (EMPTY if before is None else before.root):
            return True
        now = datetime.now(UTC).isoformat(timespec="microseconds")
        record = Root(*folder, number=number, root=trie.root, schema_version=INDEX_SCHEMA, created=now)
        if not self._backend.create(record.place, encode(record)):
            return False
        numbers = self._numbers(folder)
        if max(numbers, default=-1) != number:
            return False
        for old in numbers[:-_ROOTS_KEPT]:
            self._backend.remove(_root_place(folder, old))
        return True

    def _keep(self, folder: Folder, sha256: str, node: Node) -> None:
        data, place = gzip.compress(encode_node(node), mtime=0), node_place(folder, sha256)
        if not self._backend.create(place, data) and self._node(folder, sha256) is None:
            self._backend.write(place, data, digest_of(data))

    def _numbers(self, folder: Folder) -> list[int]:
        said = map(named, self._backend.names(f"{ROOT_KIND}/{folder}"))
        return [name.number for name in said if name is not None and name.role is Role.NUMBERED]

    def _readable(self, folder: Folder, numbers: Collection[int]) -> Root | None:
        """The newest of some roots that is whole and of this schema: an older one is only out of date."""
        for number in reversed(sorted(numbers)):
            place = _root_place(folder, number)
            try:
                data = self._backend.read(place)
                root = None if data is None else decode(Root, data, place=place)
            except TransferError:
                raise
            except VaultError:  # damaged, and the one before it serves
                continue
            if root is not None and root.schema_version == INDEX_SCHEMA:
                return root
        return None

    def _digests(self, folder: Folder, names: Sequence[str]) -> dict[str, str]:
        """The SHA-256 of listed files, but of those that have vanished since: an artefact's stands in its name."""
        said = {name: named(name) for name in names}
        found = {name: what.stem for name, what in said.items() if what is not None and what.role is Role.ARTEFACT}
        records = [name for name in names if name not in found]
        read = zip(records, self._backend.read_all([f"{folder}/{name}" for name in records]), strict=True)
        return found | {name: digest_of(data)[0] for name, data in read if data is not None}

    def _node(self, folder: Folder, sha256: str) -> Node | None:
        """A stored node, None if it is missing or damaged."""
        place = node_place(folder, sha256)
        if place in self._seen:
            return self._seen[place]
        try:
            data = self._backend.read(place)
            node = None if data is None else decode_node(unpacked(data, RECORD_BYTES))
        except TransferError:
            raise
        except (VaultError, DataError):
            return None
        if node is None:
            return None
        names = node.entries if isinstance(node, Leaf) else ()
        if hash_of(node) != sha256 or any(named(name) is None for name in names):
            return None
        self._seen[place] = node
        return node

    def _fetching(self, folder: Folder) -> Callable[[str], Node]:
        def fetch(sha256: str) -> Node:
            node = self._node(folder, sha256)
            if node is None:
                raise IndexDamageError(
                    f"{self._backend.url}/{node_place(folder, sha256)} is missing or damaged: `rr vault index` makes "
                    "the index of that vault anew"
                )
            return node

        return fetch


def node_place(folder: Folder, sha256: str) -> str:
    """Where that node lies."""
    return f"{TREE_KIND}/{folder}/{sha256}{NODE_SUFFIX}"


def _root_place(folder: Folder, number: int) -> str:
    return f"{ROOT_KIND}/{folder}/{number:08d}.json"
