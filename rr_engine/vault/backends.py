"""Where bytes lie: a local folder or an object store. Knows names and bytes, neither cards nor what they mean.

A name is a relative path with `/`. A file appears whole or not at all, and is on the medium before its name is.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar
from uuid import uuid4

from rr_engine.errors import EngineError, TransferError, VaultError
from rr_engine.settings import VaultSettings

Digest = tuple[str, int]  # SHA-256 in hex, size in bytes
Answer = TypeVar("Answer")


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
        """Put `data` at `name` if nothing is there, decided by the store itself; says whether it did."""
        ...

    def read(self, name: str) -> bytes | None:
        """All bytes at `name`, or None if nothing is there."""
        ...

    def digest(self, name: str) -> Digest | None:
        """Digest of the bytes at `name`, read now, or None if nothing is there."""
        ...

    def names(self, folder: str) -> list[str]:
        """Last parts of the names directly under `folder`, in order."""
        ...

    def used_share(self) -> float:
        """How full the medium is, from 0 to 1; 0 where it has no end."""
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
        """Where `name` lies, or would lie."""
        return self.root / name

    def write(self, name: str, source: Path | bytes, digest: Digest) -> None:
        with self._told(name), self._aside(name, source) as temporary:
            if (arrived := digest_of(temporary)) != digest:
                raise VaultError(f"{self.path(name)} was to be {digest}, but {arrived} arrived: its source has changed")
            temporary.replace(self.path(name))

    def create(self, name: str, data: bytes) -> bool:
        with self._told(name), self._aside(name, data) as temporary:
            try:
                self.path(name).hardlink_to(temporary)
            except FileExistsError:
                return False
        return True

    def read(self, name: str) -> bytes | None:
        with self._told(name):
            try:
                return self.path(name).read_bytes()
            except FileNotFoundError:
                return None

    def digest(self, name: str) -> Digest | None:
        with self._told(name):
            try:
                return digest_of(self.path(name))
            except FileNotFoundError:
                return None

    def names(self, folder: str) -> list[str]:
        with self._told(folder):
            try:
                return sorted(path.name for path in self.path(folder).iterdir())
            except FileNotFoundError:
                return []

    def used_share(self) -> float:
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

    @contextmanager
    def _told(self, name: str) -> Generator[None, None, None]:
        """Where the system refuses, say so as a `VaultError`: a file in place of a folder, no rights, no space."""
        try:
            yield
        except OSError as error:
            raise VaultError(f"{self.path(name)} cannot be used: {error.strerror}") from error

    @contextmanager
    def _aside(self, name: str, source: Path | bytes) -> Generator[Path, None, None]:
        """A hidden file beside `name`, complete and flushed; after use it is gone and the folder is flushed too."""
        folder = self.path(name).parent
        _make_folder(folder)
        temporary = folder / f".{uuid4().hex}.tmp"
        try:
            with temporary.open("xb") as file:
                if isinstance(source, bytes):
                    file.write(source)
                else:
                    with source.open("rb") as original:
                        shutil.copyfileobj(original, file, length=1 << 20)
                file.flush()
                os.fsync(file.fileno())
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)
            _flush_folder(folder)


class ObjectBackend:
    """A prefix of any store fsspec knows; what fails on the way is tried again, with growing waits."""

    def __init__(self, url: str, settings: VaultSettings) -> None:
        from fsspec.core import url_to_fs

        try:
            files, root = url_to_fs(url, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            raise VaultError(f"no way to {url}: {error}") from error
        self._files: Any = files  # fsspec's own types do not tell bytes from text
        self._root = root.rstrip("/")
        self._settings = settings
        self.url = url.rstrip("/")

    def write(self, name: str, source: Path | bytes, digest: Digest) -> None:
        def put_and_read_back() -> None:
            if isinstance(source, bytes):
                self._files.pipe_file(self._at(name), source)
            else:
                self._files.put_file(str(source), self._at(name))
            if (arrived := self._digest(name)) != digest:
                raise TransferError(f"{self.url}/{name} was to be {digest}, but {arrived} arrived")

        self._transfer(name, put_and_read_back)

    def create(self, name: str, data: bytes) -> bool:
        def create_whole() -> bool:
            try:
                self._files.pipe_file(self._at(name), data, mode="create")
            except FileExistsError:
                return self._files.cat_file(self._at(name)) == data  # an earlier try may have got through unheard
            return True

        return bool(self._transfer(name, create_whole))

    def read(self, name: str) -> bytes | None:
        def read_all() -> bytes:
            return self._files.cat_file(self._at(name))

        return self._transfer(name, read_all)

    def digest(self, name: str) -> Digest | None:
        return self._transfer(name, lambda: self._digest(name))

    def names(self, folder: str) -> list[str]:
        def list_paths() -> list[str]:
            return self._files.ls(self._at(folder), detail=False)

        return sorted(path.rstrip("/").rpartition("/")[2] for path in self._transfer(folder, list_paths) or [])

    def used_share(self) -> float:
        return 0.0

    def remove(self, name: str) -> None:
        self._transfer(name, lambda: self._files.rm_file(self._at(name)))

    def found(self, name: str) -> Found | None:
        def told() -> Found:
            return _told_of(name, self._files.info(self._at(name)))

        return self._transfer(name, told)

    def walk(self, folder: str) -> dict[str, Found]:
        def find_all() -> dict[str, dict[str, Any]]:
            return self._files.find(self._at(folder).rstrip("/"), detail=True)

        told = self._transfer(folder, find_all) or {}
        names = {path: path.removeprefix(f"{self._root}/") for path in sorted(told)}
        return {name: _told_of(name, told[path]) for path, name in names.items()}

    def _at(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _digest(self, name: str) -> Digest:
        with self._files.open(self._at(name), "rb") as file:
            total, size = hashlib.sha256(), 0
            while block := file.read(1 << 20):
                total.update(block)
                size += len(block)
        return total.hexdigest(), size

    def _transfer(self, name: str, action: Callable[[], Answer]) -> Answer | None:
        """Do `action` until it comes through; None if what it reads is not there."""
        from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential

        def once() -> Answer | None:
            try:
                return action()
            except FileNotFoundError:
                return None
            except PermissionError as error:
                raise VaultError(f"{self.url}/{name} is not ours to use: {error}") from error
            except OSError as error:
                raise TransferError(f"{self.url}/{name} could not be reached: {error}") from error

        retrying = Retrying(
            stop=stop_after_attempt(self._settings.attempts),
            wait=wait_exponential(multiplier=self._settings.first_wait_s),
            retry=retry_if_exception(lambda error: isinstance(error, EngineError) and error.retryable),
            reraise=True,
        )
        return retrying(once)


def _unless_missing(error: OSError) -> None:
    """For `os.walk`, which passes over what it cannot read: only what is not there may be passed over."""
    if not isinstance(error, FileNotFoundError):
        raise error


_WHEN = ("LastModified", "mtime", "last_modified", "updated", "created")  # what stores call a file's last change


def _told_of(name: str, info: dict[str, Any]) -> Found:
    """What fsspec's listing of one file tells; its keys are the store's own."""
    when = next((info[key] for key in _WHEN if info.get(key) is not None), None)
    if isinstance(when, datetime):
        when = when.timestamp()
    if not isinstance(when, int | float):
        raise VaultError(f"the store of {name} does not tell how old it is: {sorted(info)}")
    return Found(int(info["size"]), float(when))


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
