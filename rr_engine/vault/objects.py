"""An object store: a prefix of any store fsspec knows. Knows names and bytes, as `backends` does.

What is asked of the store is a request: bounded in time, booked on the line to that store, tried again with growing
waits where trying can help. Bytes travel in parts, so that each request stays small, whatever the file.
"""

import hashlib
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from copy import copy
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from rr_engine.errors import EngineError, TransferError, VaultError
from rr_engine.settings import VaultSettings
from rr_engine.vault.backends import RECORD_BYTES, Digest, Found, digest_of, too_long
from rr_engine.vault.near import NearRecords
from rr_engine.vault.pace import pace_of

PARTS_AT_ONCE = 4  # parts of one file under way; each is held in memory

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://[^\s@?#:]+")

Answer = TypeVar("Answer")
Item = TypeVar("Item")


class ObjectBackend:
    """The part of a store below `url`, reached through `files`, a file system of fsspec's."""

    _faults: tuple[type[Exception], ...] = (OSError,)  # what a request may raise

    def __init__(self, url: str, files: Any, *, near: Path, settings: VaultSettings) -> None:
        self.url = url.rstrip("/")
        self._files = files  # fsspec's own types do not tell bytes from text
        self._root = self.url.partition("://")[2]
        self._settings = settings
        self._part = settings.part_mib << 20
        self._bound = {"timeout": settings.timeout_s} if files.async_impl else {}  # ends a request whatever it does
        self._pace = pace_of(self.url, settings.bandwidth_mb_s)
        self._records = NearRecords(near / ".records" / hashlib.sha256(self.url.encode()).hexdigest()[:16])
        self._marks: dict[str, str] = {}  # what the last listing said of each name's content
        self._listed: dict[str, list[str]] | None = None  # of a snapshot: names by folder
        self._written: set[str] = set()  # folders in which it wrote or removed something itself

    def write(self, name: str, source: Path | bytes, digest: Digest) -> None:
        self._write_under(name)
        arrived: Digest | None = None
        for _ in range(self._settings.attempts):
            self._send(name, source)
            if (arrived := self.digest(name)) == digest:
                return
            if digest_of(source) != digest:
                raise VaultError(f"{self.url}/{name} was to be {digest}, but {arrived} arrived: its source has changed")
        raise TransferError(f"{self.url}/{name} was to be {digest}, but {arrived} arrived")

    def create(self, name: str, data: bytes) -> bool:
        self._write_under(name)
        digest = digest_of(data)
        try:
            self._send(name, data, create=True)
        except FileExistsError:
            return self.digest(name) == digest  # an earlier try may have got through unheard
        if self.digest(name) != digest:
            self.write(name, data, digest)  # the name is ours: what arrived damaged is put right
        return True

    def read(self, name: str, most: int = RECORD_BYTES) -> bytes | None:
        blocks = self.blocks(name)
        if blocks is None:
            return None
        data = bytearray()
        for block in blocks:
            data += block
            if len(data) > most:
                raise too_long(f"{self.url}/{name}", most)
        return bytes(data)

    def read_all(self, names: Sequence[str]) -> list[bytes | None]:
        return list(side_by_side(self._read_record, names, at_once=self._settings.at_once))

    def blocks(self, name: str) -> Iterator[bytes] | None:
        first = self._block(name, 0)
        return None if first is None else self._all_blocks(name, first)

    def digest(self, name: str) -> Digest | None:
        blocks = self.blocks(name)
        if blocks is None:
            return None
        total, size = hashlib.sha256(), 0
        for block in blocks:
            total.update(block)
            size += len(block)
        return total.hexdigest(), size

    def snapshot(self) -> "ObjectBackend":
        """The same, with every folder of two parts listed now, side by side, and not again unless it writes there."""
        kinds = self.names("")
        configs = side_by_side(self.names, kinds, at_once=self._settings.at_once)
        folders = [f"{kind}/{config}" for kind, found in zip(kinds, configs, strict=True) for config in found]
        listed = side_by_side(self.names, folders, at_once=self._settings.at_once)
        frozen = copy(self)
        frozen._listed, frozen._written = dict(zip(folders, listed, strict=True)), set()
        return frozen

    def names(self, folder: str) -> list[str]:
        if self._listed is not None and folder.count("/") == 1 and folder not in self._written:
            return list(self._listed.get(folder, ()))
        entries = [(path.rstrip("/").rpartition("/")[2], mark) for path, mark in self._list(folder)]
        self._marks |= {f"{folder}/{last}": mark for last, mark in entries if mark}
        return sorted(last for last, _ in entries)

    def remove(self, name: str) -> None:
        self._write_under(name)
        self._transfer(name, lambda: self._files.rm_file(self._at(name)))

    def found(self, name: str) -> Found | None:
        def told() -> Found:
            return found_of(name, self._files.info(self._at(name), **self._bound))

        return self._transfer(name, told)

    def walk(self, folder: str) -> dict[str, Found]:
        found = self._walk(self._at(folder).rstrip("/"))
        return {path.partition(f"{self._root}/")[2]: told for path, told in sorted(found)}

    def _walk(self, path: str) -> list[tuple[str, Found]]:
        """Path, size and age of every file below one."""

        def find_all() -> list[tuple[str, Found]]:
            told = self._files.find(path, detail=True, **self._bound)
            return [(place, found_of(place, info)) for place, info in told.items()]

        return self._transfer(path, find_all) or []

    def _write_under(self, name: str) -> None:
        self._written.add(name.rpartition("/")[0])

    def _at(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _send(self, name: str, source: Path | bytes, *, create: bool = False) -> None:
        """Put all of `source` at `name`; with `create` only where nothing is, else FileExistsError."""
        data = source if isinstance(source, bytes) else source.read_bytes()
        self._book(len(data))
        self._transfer(name, lambda: self._put(self._at(name), data, "create" if create else "overwrite"))

    def _put(self, path: str, data: bytes, mode: str) -> None:
        self._files.pipe_file(path, data, mode=mode, **self._bound)

    def _get(self, path: str, start: int) -> bytes:
        """One part, or what there is of it; empty past the end."""
        return self._files.cat_file(path, start=start, end=start + self._part, **self._bound)

    def _list(self, folder: str) -> list[tuple[str, str]]:
        """Path and mark of all that lies directly under `folder`."""

        def list_all() -> list[tuple[str, str]]:
            return [(entry["name"], "") for entry in self._files.ls(self._at(folder), detail=True, **self._bound)]

        return self._transfer(folder, list_all) or []

    def _block(self, name: str, start: int) -> bytes | None:
        data = self._transfer(name, lambda: self._get(self._at(name), start))
        self._book(len(data or b""))
        return data

    def _all_blocks(self, name: str, first: bytes) -> Iterator[bytes]:
        yield first
        if len(first) == self._part:
            size = self._transfer(name, lambda: int(self._files.info(self._at(name), **self._bound)["size"])) or 0
            starts = range(self._part, size, self._part)
            for block in side_by_side(lambda start: self._block(name, start), starts, at_once=PARTS_AT_ONCE):
                yield block or b""

    def _read_record(self, name: str) -> bytes | None:
        """As `read`, from this machine where the copy has the mark that the last listing saw."""
        mark = self._marks.get(name)
        if mark is None:
            return self.read(name)
        if (data := self._records.find(name, mark)) is None and (data := self.read(name)) is not None:
            self._records.keep(name, mark, data)
        return data

    def _book(self, size: int) -> None:
        if self._pace is not None:
            self._pace.take(size)

    def _transfer(self, name: str, action: Callable[[], Answer]) -> Answer | None:
        """Do `action`, one request, until it comes through; None if what it asks for is not there."""
        from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter

        def once() -> Answer | None:
            try:
                return action()
            except self._faults as fault:
                if (meant := self._meaning(f"{self.url}/{name}", fault)) is None:
                    return None
                raise meant from fault

        settings, first = self._settings, self._settings.first_wait_s
        retrying = Retrying(
            stop=stop_after_attempt(settings.attempts),
            wait=wait_exponential_jitter(multiplier=first, max=settings.longest_wait_s, jitter=first),
            retry=retry_if_exception(lambda error: isinstance(error, EngineError) and error.retryable),
            reraise=True,
        )
        return retrying(once)

    def _meaning(self, place: str, fault: Exception) -> VaultError | FileExistsError | None:
        """What a fault says: that something is there already, that nothing is (None), or what went wrong."""
        if isinstance(fault, FileNotFoundError):
            return None
        if isinstance(fault, FileExistsError):
            return FileExistsError(place)
        if isinstance(fault, PermissionError):
            return VaultError(f"{place} is not ours to use: {fault}")
        if isinstance(fault, TimeoutError):
            return TransferError(
                f"{place} took more than {self._settings.timeout_s:g} s{f': {fault}' if str(fault) else ''}"
            )
        return TransferError(f"{place} could not be reached: {str(fault) or type(fault).__name__}")


def open_objects(url: str, *, near: Path, settings: VaultSettings) -> ObjectBackend:
    """The backend for such an address; raises VaultError for one that no vault can have.

    Only stores are let in that are known to create a file where none is and nowhere else, by their own decision.
    """
    if not _ADDRESS.fullmatch(url):  # it is not shown, for it may hold a secret
        raise VaultError(
            "a vault's address is scheme://bucket/prefix and holds no keys, ports or queries: keys belong into "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a store's own address into AWS_ENDPOINT_URL"
        )
    scheme = url.partition("://")[0]
    if scheme == "memory":  # of this process, for tests
        from fsspec.implementations.memory import MemoryFileSystem

        return ObjectBackend(url, MemoryFileSystem(), near=near, settings=settings)
    if scheme != "s3":
        raise VaultError(f"no way to {url}: a vault is a folder or lies at s3://bucket/prefix")
    try:
        from rr_engine.vault.s3 import S3Backend
    except ImportError as error:
        raise VaultError(f"no way to {url}: {error}; it takes the extra `cluster`") from error
    return S3Backend(url, near=near, settings=settings)


_WHEN = ("LastModified", "mtime", "last_modified", "updated", "created")  # what stores call a file's last change


def found_of(name: str, info: Mapping[str, Any]) -> Found:
    """What a listing tells of one file; its keys are the store's own. Raises VaultError where it tells no age."""
    when = next((info[key] for key in _WHEN if info.get(key) is not None), None)
    if isinstance(when, datetime):
        when = when.timestamp()
    if not isinstance(when, int | float):
        raise VaultError(f"the store of {name} does not tell how old it is: {sorted(info)}")
    return Found(int(next(info[key] for key in ("size", "Size") if key in info)), float(when))


def side_by_side(action: Callable[[Item], Answer], items: Iterable[Item], *, at_once: int) -> Iterator[Answer]:
    """What `action` makes of each item, in order, so many at once; at most twice as many answers are held."""
    with ThreadPoolExecutor(at_once) as pool:
        under_way: deque[Future[Answer]] = deque()
        try:
            for item in items:
                under_way.append(pool.submit(action, item))
                if len(under_way) == 2 * at_once:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
