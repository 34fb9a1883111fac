"""Bringing a second vault to hold all that a first one holds. Removes nothing there and overwrites nothing.

Only what the trees of the two say differs is read. Every copy is read back. An artefact arrives before its cards, a
pointer after what it names, numbers in their order; so what a mirror that died has copied is whole, and the next one
goes on from there.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Any

from rr_engine.errors import DataError, IndexDamageError, VaultError
from rr_engine.progress import BYTES, UNWATCHED, Count, Task, Watch
from rr_engine.vault.backends import ARTEFACT_BYTES, digest_of
from rr_engine.vault.card import (
    CLAIM_KIND,
    POINTER_KIND,
    AnyRecord,
    Card,
    Claim,
    Pointer,
    Retirement,
    card_place,
    decode,
)
from rr_engine.vault.compare import Side
from rr_engine.vault.index import Folder
from rr_engine.vault.merkle import Difference, Trie, differences, key_of
from rr_engine.vault.names import Role, named
from rr_engine.vault.store import Vault
from rr_engine.vault.traffic import ARTEFACTS, Traffic

NUMBERED_KINDS = (POINTER_KIND, CLAIM_KIND)
_INDEXED_EVERY = 1000  # files copied: what is copied again at most, into a distant vault, after a mirror that died


@dataclass
class Mirrored:
    """What a mirroring did and found."""

    files: int = 0  # copied
    bytes: int = 0  # of artefacts copied
    only_there: int = 0  # files that only the second vault has, left alone
    folders: int = 0  # of the first vault
    equal: int = 0  # of them, with the same root in both at the end
    conflicts: list[str] = field(default_factory=list[str])  # names with other bytes there
    problems: list[str] = field(default_factory=list[str])  # what else could not be copied, and why
    vanished: list[str] = field(default_factory=list[str])  # removed from the first vault meanwhile
    exchanged: Traffic = field(default_factory=Traffic)  # with both

    @property
    def complete(self) -> bool:
        """Whether the second vault holds all that the first one did."""
        return not self.conflicts and not self.problems

    def facts(self) -> dict[str, Any]:
        """What it did as JSON."""
        shown = 20
        return {
            "files_copied": self.files,
            "bytes_copied": self.bytes,
            "folders": self.folders,
            "folders_equal": self.equal,
            "only_in_second": self.only_there,
            "conflicts": len(self.conflicts),
            "problems": len(self.problems),
            "vanished": len(self.vanished),
            "told": [*self.conflicts[:shown], *self.problems[:shown], *self.vanished[:shown]],
            "bytes_exchanged": self.exchanged.facts(),
        }


def mirror(
    source: Vault,
    target: Vault,
    *,
    order: Sequence[str] = (),
    lists: bool = False,
    on_folder: Callable[[str, int], None] | None = None,
    watch: Watch = UNWATCHED,
) -> Mirrored:
    """Copy into `target` what `source` has and it has not.

    Claims come first, then kinds in `order`, then all others, pointers last. `on_folder` hears of each folder that is
    not equal, and how many files are missing. Raises VaultError where this makes no sense, DiskFullError,
    TransferError.
    """
    _refuse_the_same(source, target)
    source.demand_there()
    first = Side(source, lists=lists)
    ranks = {CLAIM_KIND: -1, POINTER_KIND: len(order) + 1} | {kind: place for place, kind in enumerate(order)}
    folders = sorted(first.folders(), key=lambda folder: (ranks.get(folder.kind, len(order)), folder))
    copying = _Copying(first, Side(target, lists=lists))
    found = copying.differences(folders, watch(Task("folders", len(folders), "compared")))
    count = watch(Task("files", sum(len(of_one.difference.only_a) for of_one in found.values()), "copied", rate=BYTES))
    for folder in folders:
        copying.folder(folder, found[folder], on_folder, count)
    return copying.finished(len(folders))


def _refuse_the_same(source: Vault, target: Vault) -> None:
    """Raise VaultError for a vault and itself, or a folder inside it."""
    a, b = source.url, target.url
    nested = "://" not in a + b and (Path(a).is_relative_to(b) or Path(b).is_relative_to(a))
    if a == b or nested:
        raise VaultError(f"{b} is, or lies in, the vault {a} itself; a mirror must be another place")


class _Outcome(Enum):
    """What became of an artefact that was to be copied."""

    THERE = auto()
    MISSING = auto()  # from the source
    REFUSED = auto()  # and the reason is told


@dataclass(frozen=True)
class _Differing:
    """How a folder of the two vaults differs."""

    wanted: str  # its root in the source
    root: str  # and in the target
    difference: Difference


class _Copying:
    """One mirroring under way."""

    def __init__(self, source: Side, target: Side) -> None:
        self._source, self._target = source, target
        self._done = Mirrored()
        self._whole: set[str] = set()  # artefacts known to be whole in the target

    def finished(self, folders: int) -> Mirrored:
        """The report."""
        self._done.folders = folders
        self._done.exchanged = self._source.exchanged + self._target.exchanged
        return self._done

    def differences(self, folders: Sequence[Folder], count: Count) -> dict[Folder, _Differing]:
        """How all folders differ, for `folder` to copy in their order.

        Pointers are looked for first and copied last: what they name is there before they are.
        """
        trees = {folder: self._source.tree(folder) for folder in reversed(folders)}
        found: dict[Folder, _Differing] = {}
        for folder in count.each(folders):
            found[folder] = _Differing(trees[folder].root, *self._difference(folder, trees[folder]))
        return found

    def folder(
        self, folder: Folder, found: _Differing, on_folder: Callable[[str, int], None] | None, count: Count
    ) -> None:
        """Copy what is missing of a folder, indexing it as it goes."""
        self._whole.clear()
        root, difference = found.root, found.difference
        self._done.only_there += len(difference.only_b)
        self._done.conflicts += [f"{folder}/{name}" for name in sorted(difference.other)]
        missing = difference.only_a
        if missing and on_folder is not None:
            on_folder(str(folder), len(missing))
        if folder.kind in NUMBERED_KINDS and difference.other and missing:
            self._done.problems.append(
                f"{folder}: {len(missing)} are not copied, for numbers before them mean something else there"
            )
            missing = {}
        names = _in_order(missing)
        for start in range(0, len(names), _INDEXED_EVERY):
            copied: dict[str, str] = {}
            for name in names[start : start + _INDEXED_EVERY]:
                if self._copy(folder, name, missing[name]):
                    copied[name] = missing[name]
                count.reach(count.done + 1, self._done.bytes)
            if copied:
                root = self._target.index.add(folder, copied)
        self._done.equal += root == found.wanted

    def _difference(self, folder: Folder, tree: Trie) -> tuple[str, Difference]:
        """(the root of the folder in the target, how the two differ); an index of the target is mended."""
        target = self._target
        trusted = None if target.lists else target.roots.get(folder)
        root = target.own.refresh(folder) if trusted is None else trusted.root
        try:
            return root, differences(tree, target.index.stored(folder, root))
        except IndexDamageError:
            root = target.own.refresh(folder, thorough=True)
            again = self._source.tree(folder, thorough=True) if self._source.lists else tree
            return root, differences(again, target.index.stored(folder, root))

    def _copy(self, folder: Folder, name: str, sha256: str) -> bool:
        """Copy one file, and before it what it needs; says whether it is there now."""
        place, said = f"{folder}/{name}", named(name)
        assert said is not None  # no tree holds other names
        if said.role is Role.ARTEFACT:
            outcome = self._copy_artefact(place, sha256)
            if outcome is _Outcome.MISSING:
                self._done.vanished.append(place)
            return outcome is _Outcome.THERE
        data = self._source.backend.read(place)
        if data is None:
            self._done.vanished.append(place)
            return False
        if digest_of(data)[0] != sha256:
            return self._cannot(f"{place} is not what it was when it was indexed: it is damaged")
        try:
            record = decode(_kind_of(folder, said.role), data, place=place)
        except (VaultError, DataError) as error:
            return self._cannot(str(error))
        return self._may_follow(record) and self._create(place, data)

    def _copy_artefact(self, place: str, sha256: str) -> "_Outcome":
        if place in self._whole:
            return _Outcome.THERE
        there = self._target.backend.digest(place)
        if there is not None and there[0] != sha256:
            return self._conflicts(place)
        if there is None:
            source = self._source_of(place)
            if source is None:
                return _Outcome.MISSING
            digest = digest_of(source)
            if isinstance(source, Path):
                self._source.exchanged.bytes[ARTEFACTS] += digest[1]
            if digest[0] != sha256:
                self._cannot(f"{place} is damaged: its bytes have the SHA-256 {digest[0]}")
                return _Outcome.REFUSED
            self._target.vault.refuse_when_full()
            self._target.backend.write(place, source, digest)
            self._done.files += 1
            self._done.bytes += digest[1]
        self._whole.add(place)
        return _Outcome.THERE

    def _source_of(self, place: str) -> Path | bytes | None:
        """The bytes of an artefact, or the file that has them; None if it is missing."""
        if self._source.local is None:
            return self._source.backend.read(place, ARTEFACT_BYTES)
        path = self._source.local.path(place)
        return path if path.is_file() else None

    def _may_follow(self, record: AnyRecord) -> bool:
        """Whether the target holds what a record speaks of, brought there if need be."""
        if isinstance(record, Card):
            return self._has_artefact(record)
        if isinstance(record, Pointer):
            return self._has_card(record)
        return True

    def _has_artefact(self, card: Card) -> bool:
        outcome = self._copy_artefact(card.name, card.sha256)
        if outcome is not _Outcome.MISSING:
            return outcome is _Outcome.THERE
        retired = Retirement(card.kind, card.config, card.sha256)
        data = self._source.backend.read(retired.place)
        if data is None:
            return self._cannot(f"{card.place}: its artefact is missing")
        return self._create(retired.place, data)

    def _has_card(self, pointer: Pointer) -> bool:
        """Brings what a pointer names, should no index of the source know of it yet."""
        folder, edition = Folder(pointer.kind, pointer.config), 0
        told = f"{pointer.place} is not copied: it names {folder}/{pointer.sha256}, which"
        while True:
            place = card_place(*folder, pointer.sha256, edition)
            if self._target.backend.found(place) is None:
                if (data := self._source.backend.read(place)) is None:
                    break
                if not self._copy(folder, place.rpartition("/")[2], digest_of(data)[0]):
                    return self._cannot(f"{told} could not be copied")
            edition += 1
        return edition > 0 or self._cannot(f"{told} has no card")

    def _create(self, place: str, data: bytes) -> bool:
        """Write a record where nothing is; the store reads it back."""
        self._target.vault.refuse_when_full()
        if self._target.backend.create(place, data):
            self._done.files += 1
            return True
        if self._target.backend.digest(place) == digest_of(data):
            return True
        self._conflicts(place)
        return False

    def _conflicts(self, place: str) -> "_Outcome":
        if place not in self._done.conflicts:
            self._done.conflicts.append(place)
        return _Outcome.REFUSED

    def _cannot(self, problem: str) -> bool:
        if problem not in self._done.problems:
            self._done.problems.append(problem)
        return False


def _in_order(names: Iterable[str]) -> list[str]:
    """Numbers as they follow each other; else what belongs together, in the order of the tree, the artefact first."""

    def rank(name: str) -> tuple[bool, int, str, int, int]:
        said = named(name)
        assert said is not None  # no tree holds other names
        numbered = said.role is Role.NUMBERED
        return numbered, said.number if numbered else 0, key_of(name), said.role, said.number

    return sorted(names, key=rank)


def _kind_of(folder: Folder, role: Role) -> type[Card] | type[Pointer] | type[Claim] | type[Retirement]:
    if role is Role.NUMBERED:
        return Claim if folder.kind == CLAIM_KIND else Pointer
    return Retirement if role is Role.RETIRED else Card
