"""Games and vaults that several tests use."""

from __future__ import annotations

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from rr_engine.records.record import GameRecord
from rr_engine.vault import Vault, backends
from tests.engine.games import make_records
from tests.engine.vaults import QUICK


@pytest.fixture(scope="session")
def hex_records() -> list[GameRecord]:
    return make_records("hex8_2p", 12)


@pytest.fixture
def local(tmp_path):
    """A vault in a folder."""
    return Vault.open(str(tmp_path / "vault"))


@pytest.fixture
def distant(tmp_path, monkeypatch):
    """A vault in an object store."""
    monkeypatch.setenv("RR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(MemoryFileSystem, "store", {})
    monkeypatch.setattr(MemoryFileSystem, "pseudo_dirs", [""])
    return Vault.open("memory://bucket/vault", settings=QUICK)


@pytest.fixture
def unflushed(monkeypatch):
    """Writes that a power cut might lose: quick, where only processes die."""
    monkeypatch.setattr(backends.os, "fsync", lambda _: None)


@pytest.fixture(params=["local", "distant"])
def vault(request):
    """Either of them."""
    return request.getfixturevalue(request.param)
