"""Copies of a store's records on this machine. Knows neither the store nor what a record says."""

import hashlib
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from rr_engine.vault.names import is_inside


class NearRecords:
    """Small files, each kept for the mark by which its store tells one content from another (S3: the ETag).

    Whatever is not what was kept, under that mark, counts as not there: half a file, a flipped bit, another content.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, name: str, mark: str) -> bytes | None:
        """What is kept at `name` for `mark`, or None."""
        if not is_inside(name):
            return None
        try:
            seal, _, data = (self._folder / name).read_bytes().partition(b"\n")
        except OSError:
            return None
        return data if seal == _seal(mark, data) else None

    def keep(self, name: str, mark: str, data: bytes) -> None:
        """Keep `data` for later processes. It is not flushed, and a disk that takes no more costs time only."""
        if not is_inside(name):
            return
        path = self._folder / name
        aside = path.with_name(f".{uuid4().hex}.tmp")
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                aside.write_bytes(_seal(mark, data) + b"\n" + data)
                aside.replace(path)
            finally:
                aside.unlink(missing_ok=True)


def _seal(mark: str, data: bytes) -> bytes:
    return hashlib.sha256(mark.encode() + b"\0" + data).hexdigest().encode()
