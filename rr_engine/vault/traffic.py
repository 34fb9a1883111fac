"""How many bytes pass between a program and a store, by what they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from rr_engine.vault.backends import RECORD_BYTES, Backend, Digest, Found
from rr_engine.vault.card import ROOT_KIND, TREE_KIND
from rr_engine.vault.names import Role, named

Names = TypeVar("Names", bound=Iterable[str])

ARTEFACTS = "artefacts"
_ROLES = {Role.ARTEFACT: ARTEFACTS, Role.RETIRED: "cards", Role.CARD: "cards", Role.NUMBERED: "pointers and claims"}


@dataclass
class Traffic:
    """Bytes that passed, and how many operations it took; names in a listing count one byte more than they have."""

    bytes: Counter[str] = field(default_factory=Counter[str])  # by what they are
    operations: int = 0

    def __add__(self, other: Traffic) -> Traffic:
        return Traffic(self.bytes + other.bytes, self.operations + other.operations)

    @property
    def beside_artefacts(self) -> int:
        """All bytes but those of artefacts."""
        return self.bytes.total() - self.bytes[ARTEFACTS]

    def facts(self) -> dict[str, int]:
        """All of it as JSON."""
        return {
            **{what: number for what, number in sorted(self.bytes.items()) if number},
            "beside_artefacts": self.beside_artefacts,
            "operations": self.operations,
        }


class CountedBackend:
    """A store, and how much goes there and back. What is written and read back to be verified counts twice."""

    def __init__(self, backend: Backend, traffic: Traffic) -> None:
        self.url = backend.url
        self._backend = backend
        self._traffic = traffic

    def write(self, name: str, source: Path | bytes, digest: Digest) -> None:
        self._count(name, 2 * digest[1])
        self._backend.write(name, source, digest)

    def create(self, name: str, data: bytes) -> bool:
        self._count(name, 2 * len(data))
        return self._backend.create(name, data)

    def read(self, name: str, most: int = RECORD_BYTES) -> bytes | None:
        data = self._backend.read(name, most)
        self._count(name, len(data or b""))
        return data

    def read_all(self, names: Sequence[str]) -> list[bytes | None]:
        found = self._backend.read_all(names)
        for name, data in zip(names, found, strict=True):
            self._count(name, len(data or b""))
        return found

    def blocks(self, name: str) -> Iterator[bytes] | None:
        blocks = self._backend.blocks(name)
        self._count(name, 0)
        return None if blocks is None else self._counted(name, blocks)

    def digest(self, name: str) -> Digest | None:
        digest = self._backend.digest(name)
        self._count(name, 0 if digest is None else digest[1])
        return digest

    def names(self, folder: str) -> list[str]:
        return self._listed(self._backend.names(folder))

    def remove(self, name: str) -> None:
        self._count(name, 0)
        self._backend.remove(name)

    def found(self, name: str) -> Found | None:
        self._count(name, 0)
        return self._backend.found(name)

    def walk(self, folder: str) -> dict[str, Found]:
        found = self._backend.walk(folder)
        self._listed(found)
        return found

    def _counted(self, name: str, blocks: Iterator[bytes]) -> Iterator[bytes]:
        for block in blocks:
            self._traffic.bytes[_what(name)] += len(block)
            yield block

    def _count(self, name: str, size: int) -> None:
        self._traffic.operations += 1
        self._traffic.bytes[_what(name)] += size

    def _listed(self, names: Names) -> Names:
        self._traffic.operations += 1
        self._traffic.bytes["listings"] += sum(len(name) + 1 for name in names)
        return names


def _what(name: str) -> str:
    """What the file of that name is, in words."""
    kind = name.partition("/")[0]
    if kind in (TREE_KIND, ROOT_KIND):
        return {TREE_KIND: "nodes", ROOT_KIND: "roots"}[kind]
    said = named(name.rpartition("/")[2])
    return "others" if said is None else _ROLES[said.role]
