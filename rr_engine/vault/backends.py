"""Where bytes lie: what a vault asks of its store, and a local folder. Knows names and bytes, not what they mean.

A name is a relative path with `/`. A file appears whole or not at all, and is on the medium before its name is.
"""

import errno
import hashlib
import os
import shutil
import stat
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import NamedTuple, Protocol
from uuid import uuid4

from rr_engine.errors import VaultError, shown
from rr_engine.vault.names import is_inside

Digest = tuple[str, int]  # SHA-256 in hex, size in bytes

RECORD_BYTES = 1 << 24  # of a card, pointer, claim or node, at most
ARTEFACT_BYTES = 1 << 32  # of an artefact that is read into memory, at most
_BLOCK = 1 << 20  # bytes of a file in memory at once


class Found(NamedTuple):
    """A file as a listing tells of it."""

    size: int  # bytes
    changed: float  # seconds since 1970, by the clock of the store


class Backend(Protocol):
    """What a vault asks of its store."""

    url: str  # for people

    def write(self, name: str, source: Path | bytes, digest: Digest) -> None:
        """Put `source` at `name`, over what is there; raises `VaultError` unless what arrives has that digest."""
        ...

    def create(self, name: str, data: bytes) -> bool:
        """Put `data` at `name` if nothing is there, decided by the store itself; says whether it did.

        Raises `VaultError` unless what arrives is `data`.
        """
        ...

    def read(self, name: str, most: int = RECORD_BYTES) -> bytes | None:
        """All bytes at `name`, or None if nothing is there; raises `VaultError` if there are more than `most`."""
        ...

    def read_all(self, names: Sequence[str]) -> list[bytes | None]:
        """What `read` says of each of many small files that never change; they may come from a copy on this machine."""
        ...

    def blocks(self, name: str) -> Iterator[bytes] | None:
        """The bytes at `name`, piece by piece, or None if nothing is there."""
        ...

    def digest(self, name: str) -> Digest | None:
        """Digest of the bytes at `name`, read now, or None if nothing is there."""
        ...

    def names(self, folder: str) -> list[str]:
        """Last parts of the names directly under `folder`, in order."""
        ...

    def remove(self, name: str) -> None:
        """Take away what is at `name`, if anything is."""
        ...

    def found(self, name: str) -> Found | None:
        """Size and age of the file at `name`, or None if nothing is there."""
        ...

    def walk(self, folder: str) -> dict[str, Found]:
        """Every file anywhere below `folder`, by its whole name; of the vault itself if that is empty."""
        ...


def too_long(place: str, most: int) -> VaultError:
    """The error of a file with more bytes than its reader takes."""
    return VaultError(f"{place} has more than the {most} bytes that it may have")


def digest_of(source: Path | bytes) -> Digest:
    """SHA-256 and size of bytes, or of a file without holding it in memory."""
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest(), len(source)
    with source.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), file.tell()


class LocalBackend:
    """A folder of this machine."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.url = str(root)

    def path(self, name: str) -> Path:
        """Where `name` lies, or would lie; raises `VaultError` for a name that leads out of the folder."""
        if not is_inside(name):
            raise VaultError(f"{shown(name)} names nothing in {self.url}: a name is a relative path without `..`")
        return self.root / name

    def write(self, name: str, source: Path | bytes | Iterator[bytes], digest: Digest) -> None:
        with self._told(name), self._aside(name, source) as temporary:
            if (arrived := digest_of(temporary)) != digest:
                raise VaultError(f"{self.path(name)} was to be {digest}, but {arrived} arrived: its source has changed")
            temporary.replace(self.path(name))

    def create(self, name: str, data: bytes) -> bool:
        with self._told(name), self._aside(name, data) as temporary:
            if (arrived := temporary.read_bytes()) != data:
                raise VaultError(f"{self.path(name)} was to have {len(data)} bytes, but {digest_of(arrived)} arrived")
            try:
                self.path(name).hardlink_to(temporary)
            except FileExistsError:
                return False
        return True

    def read(self, name: str, most: int = RECORD_BYTES) -> bytes | None:
        with self._told(name):
            try:
                with self._open(name) as file:
                    data = file.read(most + 1)
            except FileNotFoundError:
                return None
        if len(data) > most:
            raise too_long(f"{self.url}/{name}", most)
        return data

    def read_all(self, names: Sequence[str]) -> list[bytes | None]:
        return [self.read(name) for name in names]

    def blocks(self, name: str) -> Iterator[bytes] | None:
        with self._told(name):
            try:
                return self._rest_of(self._open(name), name)
            except FileNotFoundError:
                return None

    def digest(self, name: str) -> Digest | None:
        with self._told(name):
            try:
                with self._open(name) as file:
                    return hashlib.file_digest(file, "sha256").hexdigest(), file.tell()
            except FileNotFoundError:
                return None

    def names(self, folder: str) -> list[str]:
        with self._told(folder):
            try:
                return sorted(path.name for path in self.path(folder).iterdir())
            except FileNotFoundError:
                return []

    def used_share(self) -> float:
        """How full the disk is, from 0 to 1."""
        with self._told("."):
            _make_folder(self.root)
            usage = shutil.disk_usage(self.root)
        return usage.used / (usage.used + usage.free)  # as df counts: without what only root may fill

    def remove(self, name: str) -> None:
        with self._told(name):
            path = self.path(name)
            if path.exists():
                path.unlink(missing_ok=True)
                _flush_folder(path.parent)

    def found(self, name: str) -> Found | None:
        with self._told(name):
            try:
                status = self.path(name).stat()
            except FileNotFoundError:
                return None
        return Found(status.st_size, status.st_mtime)

    def walk(self, folder: str) -> dict[str, Found]:
        with self._told(folder):
            names = [
                f"{place}/{file}" if (place := Path(parent).relative_to(self.root).as_posix()) != "." else file
                for parent, _, files in os.walk(self.path(folder), onerror=_unless_missing)
                for file in files
            ]
        told = ((name, self.found(name)) for name in sorted(names))
        return {name: found for name, found in told if found is not None}

    def _open(self, name: str) -> BufferedReader:
        """A file to read; raises OSError for what has no end or nobody writes: a device, a pipe."""
        descriptor = os.open(self.path(name), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "it is no file")
        return os.fdopen(descriptor, "rb")

    def _rest_of(self, file: BufferedReader, name: str) -> Iterator[bytes]:
        with file, self._told(name):
            while block := file.read(_BLOCK):
                yield block

    @contextmanager
    def _told(self, name: str) -> Generator[None, None, None]:
        """Where the system refuses, say so as a `VaultError`: a file in place of a folder, no rights, no space."""
        try:
            yield
        except OSError as error:
            raise VaultError(f"{self.path(name)} cannot be used: {error.strerror}") from error

    @contextmanager
    def _aside(self, name: str, source: Path | bytes | Iterator[bytes]) -> Generator[Path, None, None]:
        """A hidden file beside `name`, complete and flushed; after use it is gone and the folder is flushed too."""
        folder = self.path(name).parent
        _make_folder(folder)
        temporary = folder / f".{uuid4().hex}.tmp"
        try:
            with temporary.open("xb") as file:
                if isinstance(source, Path):
                    with source.open("rb") as original:
                        shutil.copyfileobj(original, file, length=_BLOCK)
                else:
                    file.writelines([source] if isinstance(source, bytes) else source)
                file.flush()
                os.fsync(file.fileno())
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)
            _flush_folder(folder)


def _unless_missing(error: OSError) -> None:
    """For `os.walk`, which passes over what it cannot read: only what is not there may be passed over."""
    if not isinstance(error, FileNotFoundError):
        raise error


def _make_folder(folder: Path) -> None:
    """Make `folder` and those above it, each flushed into the one that holds it."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _flush_folder(folder.parent)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
