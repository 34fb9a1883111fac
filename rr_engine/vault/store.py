"""The vault: put, get and list artefacts, and point at champions. Knows no format of what it keeps."""

import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rr_engine.errors import VaultError
from rr_engine.settings import VaultSettings
from rr_engine.vault.backends import Backend, Digest, LocalBackend, ObjectBackend, digest_of
from rr_engine.vault.card import (
    CARD_SUFFIX,
    POINTER_KIND,
    Card,
    Pointer,
    card_place,
    check_place,
    code_version,
    decode,
    encode,
    pointer_place,
)

URL_VARIABLE = "RR_VAULT"
CACHE_VARIABLE = "RR_CACHE"

_CARD_FILE = re.compile(r"([0-9a-f]{64})" + re.escape(CARD_SUFFIX))
_POINTER_FILE = re.compile(r"([0-9]{8})\.json")


class Vault:
    """Artefacts named by their SHA-256, each with a card beside it; a listing of cards is the manifest.

    Nothing in it is ever changed: content that is there is not written again, and its first card stays.
    """

    def __init__(self, backend: Backend, *, near: LocalBackend, settings: VaultSettings) -> None:
        self._backend = backend
        self._near = near  # where artefacts have a path: the backend itself, or a cache of it
        self._settings = settings

    @classmethod
    def open(cls, url: str | None = None, *, settings: VaultSettings | None = None) -> "Vault":
        """The vault at `url`, else at `RR_VAULT`, else in `data` beside the project.

        `url` is a path or what fsspec reads (`s3://bucket/prefix`). Local copies of a distant vault go to `RR_CACHE`.
        """
        settings = settings or VaultSettings()
        url = url or os.environ.get(URL_VARIABLE) or str(Path(__file__).resolve().parents[2] / "data")
        if "://" not in url or url.startswith("file://"):
            local = LocalBackend(Path(url.removeprefix("file://")).expanduser().resolve())
            return cls(local, near=local, settings=settings)
        cache = Path(os.environ.get(CACHE_VARIABLE) or Path.home() / ".cache" / "ringrift").resolve()
        return cls(ObjectBackend(url, settings), near=LocalBackend(cache), settings=settings)

    @property
    def url(self) -> str:
        """Where it is, for people."""
        return self._backend.url

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
        """Keep a file or bytes; returns its card, the first one if the content is known. `Card` explains the fields.

        The card follows its artefact, so no listing names what is missing. Raises `VaultError` on names or facts that
        no card can hold, and when the disk is too full.
        """
        if kind == POINTER_KIND:
            raise VaultError(f"{POINTER_KIND} holds pointers; write one with write_pointer")
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
        text = encode(card)
        self._refuse_when_full()
        known = self._find(kind, config, sha256)
        name = (known or card).name
        if known is None or self._backend.digest(name) != digest:
            self._backend.write(name, source, digest)
        if known is None and self._backend.create(card.place, text):
            return decode(Card, text, place=card.place)
        return known or self.card(kind, config, sha256)

    def get(self, card: Card) -> bytes:
        """The artefact's bytes; raises `VaultError` if they are missing or not what the card says."""
        data = self._backend.read(card.name)
        if data is None or digest_of(data) != card.digest:
            raise _mismatch(self._backend, card, None if data is None else digest_of(data))
        return data

    def path(self, card: Card) -> Path:
        """A local file with the artefact's bytes, to be read only; raises as `get` does. Distant vaults are copied."""
        found = self._near.digest(card.name)
        if self._near is not self._backend and found != card.digest:
            self._near.write(card.name, self.get(card), card.digest)
        elif found != card.digest:
            raise _mismatch(self._near, card, found)
        return self._near.path(card.name)

    def card(self, kind: str, config: str, sha256: str) -> Card:
        """The card of that artefact; raises `VaultError` if there is none."""
        card = self._find(kind, config, sha256)
        if card is None:
            raise VaultError(f"{self.url} holds no {kind} {sha256} of {config}")
        return card

    def cards(self, kind: str, config: str) -> list[Card]:
        """All cards of that kind and config, oldest first; raises `VaultError` if one is damaged."""
        check_place(kind, config)
        matches = map(_CARD_FILE.fullmatch, self._backend.names(f"{kind}/{config}"))
        found = [self.card(kind, config, match[1]) for match in matches if match]
        return sorted(found, key=lambda card: (card.created, card.sha256))

    def write_pointer(self, card: Card, *, facts: Mapping[str, Any] | None = None) -> Pointer:
        """Make `card`'s artefact the champion of its config, under the next number that nobody has taken."""
        self.card(card.kind, card.config, card.sha256)
        self._refuse_when_full()
        number = max(self._numbers(card.config), default=-1)
        while True:
            number += 1
            pointer = Pointer(
                config=card.config,
                number=number,
                kind=card.kind,
                sha256=card.sha256,
                created=_now(),
                code_version=code_version(),
                facts=facts or {},
            )
            text = encode(pointer)
            if self._backend.create(pointer.place, text):
                return decode(Pointer, text, place=pointer.place)

    def pointer(self, config: str) -> Pointer | None:
        """The pointer that counts, or None before the first champion."""
        numbers = self._numbers(config)
        return self._pointer_at(config, numbers[-1]) if numbers else None

    def pointers(self, config: str) -> list[Pointer]:
        """All pointers ever written, the one that counts last."""
        return [self._pointer_at(config, number) for number in self._numbers(config)]

    def used_share(self) -> float:
        """How full the disk below the vault is, from 0 to 1; 0 for an object store."""
        return self._backend.used_share()

    def _find(self, kind: str, config: str, sha256: str) -> Card | None:
        check_place(kind, config, sha256)
        place = card_place(kind, config, sha256)
        data = self._backend.read(place)
        return None if data is None else decode(Card, data, place=place)

    def _numbers(self, config: str) -> list[int]:
        check_place(POINTER_KIND, config)
        matches = map(_POINTER_FILE.fullmatch, self._backend.names(f"{POINTER_KIND}/{config}"))
        return [int(match[1]) for match in matches if match]

    def _pointer_at(self, config: str, number: int) -> Pointer:
        place = pointer_place(config, number)
        data = self._backend.read(place)
        if data is None:
            raise VaultError(f"{self.url}/{place} has vanished; pointers must never be removed")
        return decode(Pointer, data, place=place)

    def _refuse_when_full(self) -> None:
        used, limit = self.used_share(), self._settings.refuse_full
        if used >= limit:
            raise VaultError(f"{self.url} is {used:.1%} full; from {limit:.0%} on nothing is written: free some space")


def _mismatch(backend: Backend, card: Card, found: Digest | None) -> VaultError:
    what = "nothing" if found is None else f"{found[0]} with {found[1]} bytes"
    return VaultError(f"{backend.url}/{card.name}: expected {card.sha256} with {card.size} bytes, found {what}")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
