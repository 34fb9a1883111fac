"""A Merkle radix trie over the entries of one folder. Knows names and digests, neither files nor a store.

An entry is the name of a file and the SHA-256 of its bytes. What stands before the first dot of a name is its stem: an
artefact and its cards share one, and so a leaf. A leaf takes up to `LEAF_STEMS` stems; what is more splits sixteenfold,
by the next hex digit of the SHA-256 of the stem. So the shape follows from the set of entries alone, and so does the
root, whatever the order they came in.

A branch also says of each child how many stems are below it, and a sum over their names: whoever lists a folder finds
what is new in it without reading the nodes where nothing is. That sum is no proof of anything; the hashes are.
"""

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, NamedTuple, TypeVar

from rr_engine.errors import IndexDamageError, VaultError

LEAF_STEMS = 32  # of a leaf, at most
EMPTY = hashlib.sha256(b'{"leaf":{}}').hexdigest()  # the root of no entries
_DEPTH = 64  # hex digits of a key
_SUM_DIGITS = 16  # hex digits of a sum over names
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SUM = re.compile(rf"[0-9a-f]{{{_SUM_DIGITS}}}")


class Child(NamedTuple):
    """What a branch says of a node below it."""

    sha256: str
    names: str  # the sum over the names below
    stems: int  # below


@dataclass(frozen=True)
class Leaf:
    """Some entries: name -> SHA-256."""

    entries: Mapping[str, str]


@dataclass(frozen=True)
class Branch:
    """Up to sixteen nodes by the next hex digit."""

    children: Mapping[str, Child]


Node = Leaf | Branch


@dataclass(frozen=True)
class Difference:
    """How the entries of two tries differ: name -> SHA-256, or both."""

    only_a: dict[str, str] = field(default_factory=dict[str, str])
    only_b: dict[str, str] = field(default_factory=dict[str, str])
    other: dict[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])

    def __bool__(self) -> bool:
        return bool(self.only_a or self.only_b or self.other)


def key_of(name: str) -> str:
    """Where an entry belongs: 64 hex digits, the same for all names of one stem."""
    return hashlib.sha256(_stem(name).encode()).hexdigest()


def encode(node: Node) -> bytes:
    """The canonical JSON of a node, whose SHA-256 names it. An artefact's digest is its stem, and is not repeated."""
    if isinstance(node, Branch):
        return _canonical({"branch": node.children})
    stems: dict[str, dict[str, str]] = defaultdict(dict)
    for name, digest in node.entries.items():
        stem = _stem(name)
        stems[stem][name[len(stem) :]] = "" if digest == stem else digest
    return _canonical({"leaf": stems})


def decode(data: bytes) -> Node:
    """Read a node; raises VaultError for whatever `encode` would not have written so."""
    try:
        [(kind, content)] = json.loads(data).items()
        node = {"leaf": _leaf, "branch": _branch}[kind](content)
    except (ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        raise VaultError(f"not a node of a Merkle tree: {type(error).__name__}") from error
    if encode(node) != data:
        raise VaultError("not a node of a Merkle tree: it is not written canonically")
    return node


def hash_of(node: Node) -> str:
    """The SHA-256 that names a node."""
    return hashlib.sha256(encode(node)).hexdigest()


def _missing(sha256: str) -> Node:
    raise VaultError(f"node {sha256} of a Merkle tree is nowhere")


@dataclass(frozen=True)
class Trie:
    """The entries below a root. Nodes come from `new`, those made here and stored nowhere, else from `fetch`."""

    root: str = EMPTY
    fetch: Callable[[str], Node] = _missing  # by SHA-256; raises VaultError
    new: Mapping[str, Node] = field(default_factory=dict[str, Node])

    def node(self, sha256: str, path: str = "", told: Child | None = None) -> Node:
        """The node of that name, `path` digits below the root, where a branch has `told` that of it.

        Raises what `fetch` raises, and IndexDamageError for a node that does not belong there: every entry below a
        node lies on its path, and a branch sums up what is below it. So no tree can be longer than its entries, or hide
        one by a sum that is none.
        """
        if len(path) > _DEPTH:
            raise IndexDamageError(f"node {sha256} of a Merkle tree lies deeper than {_DEPTH} levels")
        if sha256 in self.new:
            return self.new[sha256]
        node = Leaf({}) if sha256 == EMPTY else self.fetch(sha256)
        astray = isinstance(node, Leaf) and not all(key_of(name).startswith(path) for name in node.entries)
        if astray or (told is not None and _told_of(node, sha256) != told):
            raise IndexDamageError(f"node {sha256} of a Merkle tree does not belong where it hangs, below {path!r}")
        return node

    def entries(self) -> dict[str, str]:
        """All of them: name -> SHA-256. Reads every node."""
        return dict(self.below(self.node(self.root), ""))

    def below(self, node: Node | None, path: str) -> Iterator[tuple[str, str]]:
        """The entries below a node; none below None."""
        if isinstance(node, Leaf):
            yield from node.entries.items()
        elif node is not None:
            for digit, child in node.children.items():
                yield from self.below(self.node(child.sha256, path + digit, child), path + digit)

    def child(self, told: Child | None, path: str) -> Node | None:
        """The node that a branch tells of, None if it tells of none."""
        return None if told is None else self.node(told.sha256, path, told)

    def nodes(self) -> set[str]:
        """The names of all nodes. Reads the branches only: what holds more stems than a leaf does is one."""
        found = {self.root}
        level: list[tuple[str, str, Child | None]] = [(self.root, "", None)]
        while level:
            nodes = [(self.node(*place), place[1]) for place in level]
            level = []
            for node, path in nodes:
                for digit, child in node.children.items() if isinstance(node, Branch) else ():
                    if child.stems > LEAF_STEMS and child.sha256 not in found:
                        level.append((child.sha256, path + digit, child))
                    found.add(child.sha256)
        return found

    def compared(self, names: Iterable[str], *, thorough: bool = False) -> tuple[set[str], set[str]]:
        """(names that have no entry, entries that have no name). Reads only where they differ, else every node."""
        added, removed = set[str](), set[str]()
        self._compare(self.node(self.root), _by_key(names), "", (added, removed), thorough=thorough)
        return added, removed

    def _compare(
        self, node: Node, names: Sequence["_Name"], path: str, found: tuple[set[str], set[str]], *, thorough: bool
    ) -> None:
        added, removed = found
        if isinstance(node, Leaf):
            listed = {name.name for name in names}
            added |= listed - node.entries.keys()
            removed |= node.entries.keys() - listed
            return
        parts = dict(_parts(names, len(path)))
        for digit, part in parts.items():
            if digit not in node.children:
                added |= {name.name for name in part}
        for digit, child in node.children.items():
            part = parts.get(digit, [])
            if thorough or not part or _told(sum(name.weight for name in part)) != child.names:
                below = self.node(child.sha256, path + digit, child)
                self._compare(below, part, path + digit, found, thorough=thorough)

    def updated(self, added: Mapping[str, str], removed: Collection[str] = ()) -> "Trie":
        """The trie with entries added, or changed, and others removed. Reads only the nodes on their way."""
        changes = {name: None for name in removed} | dict(added)
        rows = sorted(_Row(key_of(name), name, digest) for name, digest in changes.items())
        maker = _Maker(self)
        child = maker.changed(self.node(self.root), rows, "")
        root = EMPTY if child is None else child.sha256
        return replace(self, root=root, new=_in_use(root, {**self.new, **maker.made}))


def differences(a: Trie, b: Trie) -> Difference:
    """How two tries differ. Reads only nodes that are not in both."""
    found = Difference()
    if a.root != b.root:
        _differ((a, a.node(a.root)), (b, b.node(b.root)), "", found)
    return found


def _differ(a: tuple[Trie, Node | None], b: tuple[Trie, Node | None], path: str, found: Difference) -> None:
    """Add to `found` how what is below one node differs from what is below the other; None: nothing is."""
    (one, node_a), (other, node_b) = a, b
    if isinstance(node_a, Branch) and isinstance(node_b, Branch):
        for digit in sorted(node_a.children.keys() | node_b.children.keys()):
            child_a, child_b = node_a.children.get(digit), node_b.children.get(digit)
            if child_a is None or child_b is None or child_a.sha256 != child_b.sha256:
                below = path + digit
                _differ((one, one.child(child_a, below)), (other, other.child(child_b, below)), below, found)
        return
    in_a, in_b = dict(one.below(node_a, path)), dict(other.below(node_b, path))
    found.only_a.update({name: digest for name, digest in in_a.items() if name not in in_b})
    found.only_b.update({name: digest for name, digest in in_b.items() if name not in in_a})
    for name in in_a.keys() & in_b.keys():
        if in_a[name] != in_b[name]:
            found.other[name] = in_a[name], in_b[name]


class _Name(NamedTuple):
    key: str
    name: str
    weight: int  # that it adds to the sum over names


class _Row(NamedTuple):
    key: str
    name: str
    digest: str | None  # None: to be removed


Keyed = TypeVar("Keyed", _Name, _Row)


class _Maker:
    """Makes the nodes of a changed trie."""

    def __init__(self, trie: Trie) -> None:
        self.made: dict[str, Node] = {}
        self._trie = trie

    def changed(self, node: Node | None, rows: Sequence[_Row], path: str) -> Child | None:
        """What takes the place of a node after some changes below it; None: nothing is, or is left."""
        if not isinstance(node, Branch):
            entries = dict(node.entries if node else {}) | {row.name: row.digest for row in rows}
            return self._built({name: digest for name, digest in entries.items() if digest is not None}, len(path))
        children = dict(node.children)
        for digit, part in _parts(rows, len(path)):
            before = self._trie.child(children.pop(digit, None), path + digit)
            child = self.changed(before, part, path + digit)
            if child is not None:
                children[digit] = child
        if sum(child.stems for child in children.values()) > LEAF_STEMS:
            return self._keep(Branch(children))
        made = Trie(EMPTY, self._trie.fetch, {**self._trie.new, **self.made})
        return self._built(dict(made.below(Branch(children), path)), len(path))

    def _built(self, entries: Mapping[str, str], depth: int) -> Child | None:
        """The node over some entries whose keys agree in their first `depth` digits."""
        rows = sorted(_Row(key_of(name), name, digest) for name, digest in entries.items())
        return self._build(rows, depth)

    def _build(self, rows: Sequence[_Row], depth: int) -> Child | None:
        if not rows:
            return None
        if len({row.key for row in rows}) <= LEAF_STEMS:
            return self._keep(Leaf({row.name: row.digest for row in rows if row.digest is not None}))
        children = {digit: self._build(part, depth + 1) for digit, part in _parts(rows, depth)}
        return self._keep(Branch({digit: child for digit, child in children.items() if child is not None}))

    def _keep(self, node: Node) -> Child:
        sha256 = hash_of(node)
        self.made[sha256] = node
        return _told_of(node, sha256)


def _in_use(root: str, made: Mapping[str, Node]) -> dict[str, Node]:
    """Those of some nodes that a root reaches through them."""
    used: dict[str, Node] = {}
    waiting = [root]
    while waiting:
        sha256 = waiting.pop()
        if sha256 in made and sha256 not in used:
            used[sha256] = node = made[sha256]
            if isinstance(node, Branch):
                waiting += [child.sha256 for child in node.children.values()]
    return used


def _by_key(names: Iterable[str]) -> list[_Name]:
    return sorted(_Name(key_of(name), name, _weight(name)) for name in names)


def _parts(rows: Sequence[Keyed], depth: int) -> list[tuple[str, list[Keyed]]]:
    """Sorted rows by the digit of their keys that counts at `depth`."""
    return [(digit, list(part)) for digit, part in groupby(rows, key=lambda row: row.key[depth])]


def _told_of(node: Node, sha256: str) -> Child:
    """What a branch says of a node."""
    if isinstance(node, Leaf):
        total = sum(_weight(name) for name in node.entries)
        return Child(sha256, _told(total), len({_stem(name) for name in node.entries}))
    children = node.children.values()
    total = sum(int(child.names, 16) for child in children)
    return Child(sha256, _told(total), sum(child.stems for child in children))


def _weight(name: str) -> int:
    return int(hashlib.sha256(name.encode()).hexdigest()[:_SUM_DIGITS], 16)


def _told(total: int) -> str:
    return f"{total % 16**_SUM_DIGITS:0{_SUM_DIGITS}x}"


def _stem(name: str) -> str:
    return name.partition(".")[0]


def _canonical(content: object) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def _leaf(stems: Any) -> Leaf:
    entries = {stem + rest: digest or stem for stem, rests in stems.items() for rest, digest in rests.items()}
    if not all(_is(digest, _SHA256) and "/" not in name for name, digest in entries.items()):
        raise ValueError
    if len({_stem(name) for name in entries}) > LEAF_STEMS:
        raise ValueError
    return Leaf(entries)


def _branch(children: Any) -> Branch:
    read = {digit: Child(*child) for digit, child in children.items()}
    for digit, child in read.items():
        if not (_is(digit, re.compile("[0-9a-f]")) and _is(child.sha256, _SHA256) and _is(child.names, _SUM)):
            raise ValueError
        if type(child.stems) is not int or child.stems < 1:
            raise ValueError
    if sum(child.stems for child in read.values()) <= LEAF_STEMS:
        raise ValueError
    return Branch(read)


def _is(text: object, pattern: re.Pattern[str]) -> bool:
    return isinstance(text, str) and pattern.fullmatch(text) is not None
