"""The two ways a kernel is compiled, and where compiled code is kept.

A `kernel` is called by other kernels only; an `entry` can be called from Python and is cached on disk with all that it
calls. Numba's cache notices a change in the file of the entry but not in the kernels below it, so the cache folder is
named by a digest of this package's sources: code compiled from other kernels is never found. An entry elsewhere keeps
all its own kernels in its own file.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, TypeVar

import numba
import numpy as np
from numba import njit
from numba.core import config
from numpy.typing import NDArray

_Scalar = TypeVar("_Scalar", bound=np.generic)

_SOURCES = Path(__file__).parent


def _source_digest() -> str:
    digest = hashlib.sha256(numba.__version__.encode())
    for path in sorted(_SOURCES.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def read_only(array: NDArray[_Scalar]) -> NDArray[_Scalar]:
    """A view of an argument that is only read: Numba compiles once for arrays that may be written, once for others."""
    view = array.view()
    view.setflags(write=False)
    return view


_chosen = config.CACHE_DIR  # NUMBA_CACHE_DIR, where the user set it
_base = Path(_chosen) if _chosen else _SOURCES / "__pycache__"
config.CACHE_DIR = str(_base / f"kernels-{_source_digest()}")

kernel: Any = njit(nogil=True, no_cfunc_wrapper=True, no_cpython_wrapper=True)
entry: Any = njit(nogil=True, cache=True)
