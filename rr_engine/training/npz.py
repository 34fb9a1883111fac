"""NPZ files, read so that none takes more memory than it was said to: no pickle, no array that was not asked for.

What a file declares is looked at before anything is unpacked or allocated. Knows no dataset.
"""

from __future__ import annotations

import io
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from rr_engine.errors import DataError, in_line

_SUFFIX = ".npy"
_KINDS = "biufU"  # of the types that are read: truth, whole numbers, floats, texts
_HEADER_BYTES = 10_000  # of one array, at most
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DAMAGE = (
    OSError,
    ValueError,
    EOFError,
    KeyError,
    TypeError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
)
_NO_HEADER = (ValueError, KeyError, TypeError, SyntaxError, RecursionError, MemoryError, tokenize.TokenError)


@dataclass(frozen=True)
class Declared:
    """What a file says of one of its arrays."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    begins: int  # bytes of the header before its data

    @property
    def size(self) -> int:
        """Bytes of its data."""
        return math.prod(self.shape) * self.dtype.itemsize


class ArrayFile:
    """An open NPZ file of exactly the arrays wanted; every method raises DataError for a damaged one."""

    def __init__(self, source: Path | bytes, wanted: Collection[str], *, most: int) -> None:
        """Read what the file declares, at most `most` bytes of data in all."""
        self._archive = _guarded(zipfile.ZipFile, io.BytesIO(source) if isinstance(source, bytes) else source)
        members = [info.filename.removesuffix(_SUFFIX) for info in self._archive.infolist()]
        if len(set(members)) < len(members) or set(members) != set(wanted):
            differing = ", ".join(sorted(set(members) ^ set(wanted))) or "one that stands twice"
            raise DataError(f"not a dataset: arrays differ from the schema by {differing[:200]}")
        self.declared = {name: _guarded(self._declared, name) for name in members}
        if (total := sum(array.size for array in self.declared.values())) > most:
            raise DataError(f"not a dataset: its arrays have {total} bytes, {most} are allowed")

    def __enter__(self) -> ArrayFile:
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.close()

    def read(self, name: str) -> NDArray[Any]:
        """One array."""
        return _guarded(self._read, name)

    def _declared(self, name: str) -> Declared:
        info = self._archive.getinfo(f"{name}{_SUFFIX}")
        if info.compress_type not in _METHODS:
            raise ValueError(f"{name} is packed by method {info.compress_type}")
        with self._archive.open(info) as member:
            shape, dtype = _header(member)
            declared = Declared(shape, dtype, member.tell())
        if dtype.kind not in _KINDS or dtype.hasobject or min(shape, default=0) < 0:
            raise ValueError(f"{name} is {dtype} {shape}")
        if declared.begins + declared.size != info.file_size:
            raise ValueError(f"{name} declares {declared.size} bytes and has {info.file_size - declared.begins}")
        return declared

    def _read(self, name: str) -> NDArray[Any]:
        declared = self.declared[name]
        with self._archive.open(f"{name}{_SUFFIX}") as member:
            member.read(declared.begins)
            data = bytearray(declared.size)
            view = memoryview(data)
            while view:
                if not (count := member.readinto(view)):  # pyright: ignore[reportAttributeAccessIssue] - BufferedIOBase
                    raise EOFError(f"{name} ends early")
                view = view[count:]
            if member.read(1):  # reads to the end, where the sum over all is checked
                raise ValueError(f"{name} goes on behind its end")
        return np.frombuffer(data, declared.dtype).reshape(declared.shape)


def _header(member: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type; only C order is read."""
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    try:
        version = np.lib.format.read_magic(member)
        shape, fortran, dtype = readers[version](member, max_header_size=_HEADER_BYTES)
    except _NO_HEADER as error:  # out of memory, too, is the parser's word for a header that is nested too deeply
        raise ValueError(f"no header of an array: {error}") from error
    if fortran and len(shape) > 1:
        raise ValueError("an array is not in C order")
    return shape, dtype


def _guarded(action: Any, argument: Any) -> Any:
    try:
        return action(argument)
    except _DAMAGE as error:
        raise DataError(f"not a readable dataset: {in_line(error)}") from error
