"""The vault: put, get and list artefacts, point at champions, claim seeds. Knows no format of what it keeps."""

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from rr_engine.errors import DiskFullError, RetiredError, VaultError
from rr_engine.settings import VaultSettings
from rr_engine.vault.backends import ARTEFACT_BYTES, Backend, Digest, LocalBackend, digest_of, too_long
from rr_engine.vault.capacity import Capacity, Level, capacity_of
from rr_engine.vault.card import (
    CLAIM_KIND,
    POINTER_KIND,
    AnyRecord,
    Card,
    Claim,
    Pointer,
    Record,
    Retirement,
    card_place,
    check_place,
    code_version,
    decode,
    encode,
    numbered_place,
)
from rr_engine.vault.index import INDEX_KINDS, Folder, Index
from rr_engine.vault.names import Named, Role, named
from rr_engine.vault.objects import ObjectBackend, open_objects

URL_VARIABLE = "RR_VAULT"
CACHE_VARIABLE = "RR_CACHE"

Numbered = TypeVar("Numbered", Pointer, Claim)


class Vault:
    """Artefacts named by their SHA-256, each with a card beside it; a listing of cards is the manifest.

    Nothing in it is ever changed. Content that is there is not written again, yet each `put` leaves a card of its own:
    putting A, B and A again leaves two artefacts and three cards, and A is the newest, for it was made last. Cards are
    numbered per artefact, pointers and claims per config; a number is taken by a write that the store itself refuses
    where something is, so of two writers one gets it and the other the next.
    """

    def __init__(self, backend: Backend, *, near: LocalBackend, settings: VaultSettings) -> None:
        self._backend = backend
        self._near = near  # where artefacts have a path: the backend itself, or a cache of it
        self._settings = settings
        self._known: dict[str, AnyRecord] = {}  # read before, by place: they never change

    @classmethod
    def open(cls, url: str | None = None, *, settings: VaultSettings | None = None) -> "Vault":
        """The vault at `url`, else at `RR_VAULT`, else in `data` beside the project.

        `url` is a path or `s3://bucket/prefix`. Local copies of a distant vault go to `RR_CACHE`.
        """
        settings = settings or VaultSettings()
        url = url or os.environ.get(URL_VARIABLE) or str(Path(__file__).resolve().parents[2] / "data")
        if "://" not in url or url.startswith("file://"):
            local = LocalBackend(Path(url.removeprefix("file://")).expanduser().resolve())
            return cls(local, near=local, settings=settings)
        near = LocalBackend(cache_folder())
        return cls(open_objects(url, near=near.root, settings=settings), near=near, settings=settings)

    @property
    def url(self) -> str:
        """Where it is, for people."""
        return self._backend.url

    def snapshot(self) -> "Vault":
        """The same vault as it is now, for who reads most of it at once: a distant one is listed once.

        What is written through it, it sees; what others write it may not.
        """
        if not isinstance(self._backend, ObjectBackend):
            return self
        return Vault(self._backend.snapshot(), near=self._near, settings=self._settings)

    @property
    def backend(self) -> Backend:
        """Its store, for what looks after whole vaults."""
        return self._backend

    def demand_there(self) -> None:
        """For who expects a vault to be there already: raises `VaultError` where its folder is missing."""
        if isinstance(self._backend, LocalBackend) and not self._backend.root.is_dir():
            raise VaultError(f"there is no vault at {self.url}: no such folder")

    def index(self, kind: str, config: str) -> str:
        """Bring the Merkle tree of a folder up to date and return its root; whoever wrote there calls it at last.

        Lists the folder once, and reads only the new files and the nodes above them. What a run that died did not
        index, the next one does.
        """
        return Index(self._backend).refresh(Folder(kind, config))

    def put(
        self,
        kind: str,
        config: str,
        source: Path | bytes,
        *,
        suffix: str,
        producer: str,
        rows: int,
        schema_version: int,
        parents: tuple[str, ...] = (),
        facts: Mapping[str, Any] | None = None,
    ) -> Card:
        """Keep a file or bytes and return the card of this making; `Card` explains the fields.

        The card follows its artefact, so no listing names what is missing. Known content keeps its suffix. Raises
        `VaultError` on names or facts that no card can hold, and when the disk is too full.
        """
        if kind in (POINTER_KIND, CLAIM_KIND):
            raise VaultError(f"{kind} holds no artefacts: use write_pointer or claim")
        if kind in INDEX_KINDS:
            raise VaultError(f"{kind} holds the index of the vault and no artefacts: name another kind")
        sha256, size = digest = digest_of(source)
        card = Card(
            kind=kind,
            config=config,
            sha256=sha256,
            suffix=suffix,
            size=size,
            rows=rows,
            schema_version=schema_version,
            parents=parents,
            producer=producer,
            created=_now(),
            code_version=code_version(),
            facts=facts or {},
        )
        encode(card)  # raises before anything is written
        self.refuse_when_full()
        known = self._find(kind, config, sha256)
        if known is not None:
            card = replace(card, suffix=known.suffix, edition=known.edition + 1)
        if known is None or self._backend.digest(card.name) != digest:
            self._backend.write(card.name, source, digest)
        while not self._backend.create(card.place, encode(card)):
            card = replace(card, edition=card.edition + 1)
        return decode(Card, encode(card), place=card.place)

    def get(self, card: Card, most: int = ARTEFACT_BYTES) -> bytes:
        """The artefact's bytes; raises `VaultError` if they are missing, not what the card says, or more than `most`.

        Bytes that were given up raise its child `RetiredError`.
        """
        if card.size > most:
            raise too_long(f"{self.url}/{card.name}", most)
        return b"".join(self._blocks(card))

    def path(self, card: Card) -> Path:
        """A local file with the artefact's bytes, to be read only; raises as `get` does. Distant vaults are copied."""
        found = self._near.digest(card.name)
        if found == card.digest:
            return self._near.path(card.name)
        if self._near is self._backend:
            raise self._mismatch(card, found)
        if (near := self._near_capacity()).level == Level.REFUSE:
            raise DiskFullError(near.reason)
        self._near.write(card.name, self._blocks(card), card.digest)
        return self._near.path(card.name)

    def card(self, kind: str, config: str, sha256: str) -> Card:
        """The newest card of that artefact; raises `VaultError` if there is none."""
        card = self._find(kind, config, sha256)
        if card is None:
            raise VaultError(f"{self.url} holds no {kind} {sha256} of {config}")
        return card

    def cards(self, kind: str, config: str) -> list[Card]:
        """The newest card of every artefact of that kind and config, the one made last at the end.

        Raises `VaultError` if one is damaged. What `rr vault gc` removes while they are read is left out.
        """
        check_place(kind, config)
        editions: dict[str, int] = {}
        for said in self._named(f"{kind}/{config}", Role.CARD):
            editions[said.stem] = max(said.number, editions.get(said.stem, 0))
        found = self._read_those_there(Card, [card_place(kind, config, *newest) for newest in editions.items()])
        return sorted(found, key=lambda card: (card.created, card.sha256))

    def write_pointer(self, card: Card, *, facts: Mapping[str, Any] | None = None) -> Pointer:
        """Make `card`'s artefact the champion of its config, under the next number that nobody has taken."""
        self.card(card.kind, card.config, card.sha256)

        def point(before: Pointer | None) -> Pointer:
            return Pointer(
                config=card.config,
                number=0 if before is None else before.number + 1,
                kind=card.kind,
                sha256=card.sha256,
                created=_now(),
                code_version=code_version(),
                facts=facts or {},
            )

        return self._write_next(Pointer, card.config, point)

    def pointer(self, config: str) -> Pointer | None:
        """The pointer that counts, or None before the first champion."""
        return self._newest(Pointer, config)

    def pointers(self, config: str) -> list[Pointer]:
        """All pointers ever written, the one that counts last."""
        return self._all(Pointer, config)

    def claim(self, config: str, seeds: int, *, least: int = 0, facts: Mapping[str, Any] | None = None) -> Claim:
        """Claim that many seeds for the caller alone: from `least` on, or from where the newest claim ends."""

        def follow(before: Claim | None) -> Claim:
            start = least if before is None else max(least, before.stop)
            return Claim(
                config=config,
                number=0 if before is None else before.number + 1,
                start=start,
                stop=start + seeds,
                token=uuid4().hex,
                created=_now(),
                code_version=code_version(),
                facts=facts or {},
            )

        return self._write_next(Claim, config, follow)

    def claims(self, config: str) -> list[Claim]:
        """All claims ever made, the newest last."""
        return self._all(Claim, config)

    def retirement(self, card: Card) -> Retirement | None:
        """What says that the artefact's bytes were given up, None if nothing does."""
        place = Retirement(card.kind, card.config, card.sha256).place
        data = self._backend.read(place)
        return None if data is None else decode(Retirement, data, place=place)

    def retire(self, card: Card) -> None:
        """Give up the artefact's bytes and keep its card; who reads them from then on is told so."""
        record = Retirement(card.kind, card.config, card.sha256)
        self._backend.create(record.place, encode(record))
        self._backend.remove(card.name)

    def capacity(self) -> Capacity:
        """How full the disk below the vault is, and what that allows.

        An object store is never full, but the disk of its copies on this machine is: that one only keeps from
        producing, for what is made does not go there.
        """
        near = self._near_capacity()
        if self._near is not self._backend and near.level == Level.REFUSE:
            return Capacity(Level.PAUSE, near.reason)
        return near

    def demand_room(self) -> None:
        """For whoever is about to produce something: raises DiskFullError where the disk is too full for that."""
        capacity = self.capacity()
        if not capacity.allows_more:
            raise DiskFullError(capacity.reason)

    def refuse_when_full(self) -> None:
        """For whoever is about to write: raises DiskFullError where the disk is too full even for that."""
        if (capacity := self.capacity()).level == Level.REFUSE:
            raise DiskFullError(capacity.reason)

    def _find(self, kind: str, config: str, sha256: str) -> Card | None:
        """The newest card of an artefact; there are few editions, and none is missing before the last."""
        check_place(kind, config, sha256)
        newest: Card | None = None
        place = card_place(kind, config, sha256, 0)
        while (data := self._backend.read(place)) is not None:
            newest = decode(Card, data, place=place)
            place = card_place(kind, config, sha256, newest.edition + 1)
        return newest

    def _blocks(self, card: Card) -> Iterator[bytes]:
        """The artefact's bytes as they come; raises behind the last if they were not what the card says."""
        blocks = self._backend.blocks(card.name)
        if blocks is None:
            raise self._mismatch(card, None)
        total, size = hashlib.sha256(), 0
        for block in blocks:
            total.update(block)
            if (size := size + len(block)) > card.size:
                raise too_long(f"{self.url}/{card.name}", card.size)
            yield block
        if (found := (total.hexdigest(), size)) != card.digest:
            raise self._mismatch(card, found)

    def _read(self, kind: type[Record], places: Sequence[str]) -> list[Record]:
        """The records at these places; raises `VaultError` if one is not there any more."""
        found = self._read_those_there(kind, places)
        if vanished := [place for place in places if place not in self._known]:
            raise VaultError(f"{self.url}/{vanished[0]} has vanished; what is in a vault must never be removed by hand")
        return found

    def _read_those_there(self, kind: type[Record], places: Sequence[str]) -> list[Record]:
        """The records at those of these places where any are, each read from the store once at most."""
        missing = [place for place in places if not isinstance(self._known.get(place), kind)]
        for place, data in zip(missing, self._backend.read_all(missing), strict=True):
            if data is not None:
                self._known[place] = decode(kind, data, place=place)
        return [record for place in places if isinstance(record := self._known.get(place), kind)]

    def _named(self, folder: str, role: Role) -> list[Named]:
        """What the names of that role in a folder say."""
        said = map(named, self._backend.names(folder))
        return [name for name in said if name is not None and name.role is role]

    def _numbers(self, kind: type[Pointer | Claim], config: str) -> list[int]:
        check_place(kind.FOLDER, config)
        return [name.number for name in self._named(f"{kind.FOLDER}/{config}", Role.NUMBERED)]

    def _all(self, kind: type[Numbered], config: str) -> list[Numbered]:
        return self._read(kind, [numbered_place(kind.FOLDER, config, number) for number in self._numbers(kind, config)])

    def _newest(self, kind: type[Numbered], config: str) -> Numbered | None:
        numbers = self._numbers(kind, config)
        return self._read(kind, [numbered_place(kind.FOLDER, config, numbers[-1])])[0] if numbers else None

    def _write_next(self, kind: type[Numbered], config: str, follow: Callable[[Numbered | None], Numbered]) -> Numbered:
        """Write what follows the newest record; who is overtaken looks again and follows the one that overtook."""
        self.refuse_when_full()
        while True:
            record = follow(self._newest(kind, config))
            text = encode(record)
            if self._backend.create(record.place, text):
                return decode(kind, text, place=record.place)

    def _near_capacity(self) -> Capacity:
        """What the disk of this vault's files on this machine allows."""
        apart = self._near is not self._backend
        what = f"the disk of {self._near.url} ({CACHE_VARIABLE}: copies of {self.url})" if apart else self.url
        return capacity_of(what, self._near.used_share(), self._settings)

    def _mismatch(self, card: Card, found: Digest | None) -> VaultError:
        if found is None and self.retirement(card) is not None:
            return RetiredError(
                f"{self.url}/{card.name} was retired: its bytes were given up to save room, its card is kept and names "
                f"what it was made from; run {card.producer} to make a new one"
            )
        what = "nothing" if found is None else f"{found[0]} with {found[1]} bytes"
        return VaultError(f"{self.url}/{card.name}: expected {card.sha256} with {card.size} bytes, found {what}")


def cache_folder() -> Path:
    """Where copies of a distant vault's artefacts go: `RR_CACHE`, else in the user's cache folder."""
    return Path(os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache" / "ringrift").resolve()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
