"""Whether a vault is what it claims to be: every byte hashed again, every record read, every name followed.

Cards are never removed but those of kinds that nothing is made from (`rr vault gc`), so every parent must have a card.
The bytes of a parent may be retired; then a record beside its card says so.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from rr_engine.errors import DataError, VaultError
from rr_engine.progress import BYTES, UNWATCHED, Count, Task, Watch
from rr_engine.vault.backends import Backend, Digest, digest_of
from rr_engine.vault.card import CLAIM_KIND, Card, Claim, Pointer, Record, Retirement, decode
from rr_engine.vault.index import Folder, Index
from rr_engine.vault.mirror import NUMBERED_KINDS
from rr_engine.vault.names import Named, Role, named
from rr_engine.vault.store import Vault


@dataclass
class Audit:
    """An audit of a vault, or of some configs of it."""

    vault: Vault
    configs: Collection[str] = ()  # all, if there are none
    watch: Watch = UNWATCHED
    artefacts: int = 0  # hashed so far
    bytes: int = 0  # of them

    def problems(self) -> Iterator[str]:
        """Each thing that is wrong, as it is found. Reads every artefact.

        Raises VaultError for a config that is not there, TransferError.
        """
        index = Index(self.vault.backend)
        listed: dict[Folder, dict[str, Named]] = {}
        for folder in index.folders():
            said = {name: named(name) for name in self.vault.backend.names(str(folder))}
            listed[folder] = {name: found for name, found in said.items() if found is not None}
        if unknown := set(self.configs) - (known := {folder.config for folder in listed}):
            has = ", ".join(sorted(known)) or "nothing"
            raise VaultError(f"{self.vault.url} holds nothing of {', '.join(sorted(unknown))}; it holds {has}")
        carded = {said.stem for names in listed.values() for said in names.values() if said.role is Role.CARD}
        chosen = [folder for folder in listed if not self.configs or folder.config in self.configs]
        count = self.watch(Task(BYTES, sum(map(self._size_of, chosen)), rate=BYTES))
        for folder in chosen:
            yield from _FolderAudit(self, folder, listed[folder], carded, count).problems(index)

    def _size_of(self, folder: Folder) -> int:
        """Bytes that lie in a folder."""
        return sum(found.size for found in self.vault.backend.walk(str(folder)).values())


@dataclass
class _FolderAudit:
    """The part of an audit that looks at one folder."""

    whole: Audit
    folder: Folder
    names: dict[str, Named]
    carded: Collection[str]  # artefacts that have a card anywhere in the vault
    count: Count
    digests: dict[str, Digest] = field(default_factory=dict[str, Digest])  # of what was read so far

    def problems(self, index: Index) -> Iterator[str]:
        yield from self._artefacts()
        if self.folder.kind in NUMBERED_KINDS:
            yield from self._claims() if self.folder.kind == CLAIM_KIND else self._pointers()
        else:
            yield from self._cards()
        yield from self._indexed(index)

    @property
    def _backend(self) -> Backend:
        return self.whole.vault.backend

    def _artefacts(self) -> Iterator[str]:
        for name in self._of(Role.ARTEFACT):
            digest = self._backend.digest(f"{self.folder}/{name}")
            if digest is None:
                continue  # removed since it was listed; its card, if one is left, will tell
            self._note(name, digest)
            self.whole.artefacts += 1
            self.whole.bytes += digest[1]
            if digest[0] != self.names[name].stem:
                yield f"{self.folder}/{name} is damaged: its bytes have the SHA-256 {digest[0]}"

    def _cards(self) -> Iterator[str]:
        editions = {(self.names[name].stem, self.names[name].number) for name in self._of(Role.CARD)}
        retired = {self.names[name].stem for name in self._of(Role.RETIRED)}
        for name in self._of(Role.RETIRED):
            record = self._read(Retirement, name)
            if isinstance(record, str):
                yield record
        for name in self._of(Role.CARD):
            card = self._read(Card, name)
            if card is None or isinstance(card, str):
                yield from [] if card is None else [card]
                continue
            place, own = f"{self.folder}/{name}", self.digests.get(card.name.rpartition("/")[2])
            if own is None and card.sha256 not in retired:
                yield f"{place}: its artefact {card.name} is missing"
            if own is not None and own[0] == card.sha256 and own[1] != card.size:
                yield f"{place} says {card.size} bytes, its artefact has {own[1]}"
            if card.edition > 0 and (card.sha256, card.edition - 1) not in editions:
                yield f"{place}: the edition before it is missing"
            for parent in card.parents:
                if parent not in self.carded:
                    yield f"{place}: its parent {parent} has no card in this vault"

    def _claims(self) -> Iterator[str]:
        stop = 0
        for name, claim in self._numbered(Claim):
            if isinstance(claim, str):
                yield claim
                continue
            if claim.start < stop:
                yield f"{self.folder}/{name} claims seeds that one before it has claimed"
            stop = max(stop, claim.stop)

    def _pointers(self) -> Iterator[str]:
        for name, pointer in self._numbered(Pointer):
            if isinstance(pointer, str):
                yield pointer
            elif pointer.sha256 not in self.carded:
                yield f"{self.folder}/{name} points at {pointer.kind} {pointer.sha256}, which has no card in this vault"

    def _numbered(self, kind: type[Record]) -> Iterator[tuple[str, Record | str]]:
        """(name, record or what is wrong) of each number."""
        for number, name in enumerate(self._of(Role.NUMBERED)):
            if self.names[name].number != number:
                yield name, f"{self.folder}/{name}: a number before it is missing"
                return
            record = self._read(kind, name)
            if record is not None:
                yield name, record

    def _indexed(self, index: Index) -> Iterator[str]:
        """Where the Merkle tree of the folder does not say what lies there."""
        cure = "the next run there, or `rr vault index`,"
        root = index.newest(self.folder)
        if root is None:
            yield from [f"{self.folder} has no index; {cure} makes one"] if self.digests else []
            return
        try:
            entries = index.stored(self.folder, root.root).entries()
        except VaultError as error:
            yield str(error)
            return
        for name in sorted(entries.keys() | self.digests.keys()):
            if name not in entries:
                yield f"{self.folder}/{name} is not in the index yet; {cure} brings it in"
            elif name not in self.digests:
                if self._backend.found(f"{self.folder}/{name}") is not None:
                    continue  # it came after the listing
                yield f"{self.folder}/{name} is in the index and missing"
            elif entries[name] != self.digests[name][0] and self.names[name].role is not Role.ARTEFACT:
                yield f"{self.folder}/{name} has other bytes than when it was indexed"

    def _note(self, name: str, digest: Digest) -> None:
        self.digests[name] = digest
        self.count.add(digest[1], digest[1])

    def _of(self, role: Role) -> list[str]:
        return [name for name, said in self.names.items() if said.role is role]

    def _read(self, kind: type[Record], name: str) -> Record | str | None:
        """A record, or what is wrong with it; None if it was removed since it was listed."""
        place = f"{self.folder}/{name}"
        data = self._backend.read(place)
        if data is None:
            return None
        self._note(name, digest_of(data))
        try:
            return decode(kind, data, place=place)
        except (VaultError, DataError) as error:
            return str(error)
