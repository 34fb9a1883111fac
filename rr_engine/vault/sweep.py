"""What may go from a vault: what no card or pointer reaches. Knows no kinds; which cards are superseded is told it.

Everything that goes is older than a grace period, since a put under way has written an artefact whose card is still to
come, and everything is looked at once more before it goes.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rr_engine.progress import UNWATCHED, Task, Watch
from rr_engine.vault.backends import Found
from rr_engine.vault.card import POINTER_KIND, TREE_KIND, Card, Pointer, card_place, decode
from rr_engine.vault.index import INDEX_KINDS, NODE_SUFFIX, Folder, Index
from rr_engine.vault.names import Role, is_leftover, named
from rr_engine.vault.store import Vault


@dataclass(frozen=True)
class Removal:
    """Files that go together, in this order, and why."""

    files: Mapping[str, Found]
    why: str
    orphan: str = ""  # the card that must still be missing
    retires: Card | None = None  # the card that stays, and will say so

    @property
    def size(self) -> int:
        """Bytes that it frees."""
        return sum(found.size for found in self.files.values())


class Sweep:
    """One look over a vault for what is not needed."""

    def __init__(self, vault: Vault, *, before: float) -> None:
        """Only files last changed `before` (seconds since 1970) may go."""
        self._vault = vault
        self._before = before
        self._files = vault.backend.walk("")

    def leftovers(self) -> Iterator[Removal]:
        """Temporary files of writes that died."""
        for name in self._files:
            if is_leftover(name.rpartition("/")[2]):
                yield from self._removal([name], "left by a write that died")

    def nodes(self) -> Iterator[Removal]:
        """Nodes of Merkle trees that the newest root of their folder does not reach; raises IndexDamageError."""
        index = Index(self._vault.backend)
        kept: dict[Folder, Collection[str]] = {}
        for name in self._files:
            parts = name.split("/")
            if parts[0] != TREE_KIND or len(parts) != 4 or not parts[3].endswith(NODE_SUFFIX):
                continue
            folder = Folder(parts[1], parts[2])
            if folder not in kept:
                root = index.newest(folder)
                kept[folder] = () if root is None else index.stored(folder, root.root).nodes()
            if parts[3].removesuffix(NODE_SUFFIX) not in kept[folder]:
                yield from self._removal([name], f"the newest tree of {folder} does not reach it")

    def orphans(self) -> Iterator[Removal]:
        """Artefacts without a card that no pointer and no other card names.

        If there are any, all cards are read, and one that is damaged raises VaultError: what it names is not known.
        """
        carded, bare = set[tuple[Folder, str]](), dict[str, tuple[Folder, str]]()
        for name in self._files:
            *folder, last = name.split("/")
            said = named(last)
            if said is None or len(folder) != 2 or folder[0] in INDEX_KINDS:
                continue
            if said.role is Role.CARD:
                carded.add((Folder(*folder), said.stem))
            elif said.role is Role.ARTEFACT:
                bare[name] = Folder(*folder), said.stem
        bare = {name: named_by for name, named_by in bare.items() if named_by not in carded}
        if not bare:
            return
        reached = self._reached()
        for name, (folder, sha256) in bare.items():
            if sha256 not in reached:
                place = card_place(*folder, sha256, 0)
                yield from self._removal([name], "no card describes it", orphan=place)

    def superseded(self, cards: Sequence[Card], why: str) -> Iterator[Removal]:
        """Artefacts with all their cards, the newest card first: of what is left meanwhile none is missing before."""
        for card in cards:
            places = [card_place(card.kind, card.config, card.sha256, n) for n in range(card.edition, -1, -1)]
            yield from self._removal([*places, card.name], why)

    def retired(self, cards: Sequence[Card], why: str) -> Iterator[Removal]:
        """The bytes of artefacts whose cards stay."""
        for card in cards:
            yield from self._removal([card.name], why, retires=card)

    def _removal(
        self, names: Sequence[str], why: str, *, orphan: str = "", retires: Card | None = None
    ) -> Iterator[Removal]:
        """Of those files that are there, if all are old enough."""
        files = {name: self._files[name] for name in names if name in self._files}
        if files and all(found.changed < self._before for found in files.values()):
            yield Removal(files, why, orphan, retires)

    def _reached(self) -> set[str]:
        """Artefacts that a pointer or a card names, of whatever kind."""
        reached: set[str] = set()
        for place, data in self._read(Role.CARD):
            reached |= set(decode(Card, data, place=place).parents)
        for place, data in self._read(Role.NUMBERED, POINTER_KIND):
            reached.add(decode(Pointer, data, place=place).sha256)
        return reached

    def _read(self, role: Role, kind: str = "") -> Iterator[tuple[str, bytes]]:
        """(name, bytes) of all records of a role, of one kind or all."""
        places: list[str] = []
        for place in self._files:
            *folder, last = place.split("/")
            said = named(last)
            if said is not None and said.role is role and len(folder) == 2 and folder[0] not in INDEX_KINDS:
                places += [place] if kind in ("", folder[0]) else []
        for place, data in zip(places, self._vault.backend.read_all(places), strict=True):
            if data is not None:
                yield place, data


def remove(
    vault: Vault,
    removals: Sequence[Removal],
    *,
    before: float,
    on_removed: Callable[[Removal], None],
    watch: Watch = UNWATCHED,
) -> None:
    """Let what a sweep found go, if it is still as old, and index the folders it lay in."""
    backend = vault.backend
    touched: set[Folder] = set()
    count = watch(Task("files", sum(len(removal.files) for removal in removals), "removed"))
    for removal in removals:
        count.add(len(removal.files))
        if any((found := backend.found(name)) is None or found.changed >= before for name in removal.files):
            continue  # written again since, or gone already
        if removal.orphan and backend.found(removal.orphan) is not None:
            continue  # its card has come
        if removal.retires is not None:
            vault.retire(removal.retires)
        for name in removal.files:
            backend.remove(name)
            kind, *config = name.split("/")[:-1]
            if kind not in INDEX_KINDS and len(config) == 1:
                touched.add(Folder(kind, *config))
        on_removed(removal)
    for folder in sorted(touched):
        vault.index(*folder)
