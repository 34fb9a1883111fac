"""Vaults for tests: putting into them, and tampering with what lies there."""

import json
from pathlib import Path

from rr_engine.settings import VaultSettings
from rr_engine.vault import Vault
from rr_engine.vault.backends import LocalBackend
from rr_engine.vault.index import INDEX_KINDS, Index

CONFIG = "hex8_2p"
QUICK = VaultSettings(first_wait_s=0.0)


def put(vault, source=b"weights", *, kind="checkpoint", config=CONFIG, suffix=".safetensors", **fields):
    fields = {"producer": "test", "rows": 3, "schema_version": 1} | fields
    return vault.put(kind, config, source, suffix=suffix, **fields)


def file_of(vault, name):
    return Path(vault.url) / name


def rewrite(vault, place, changes):
    path = file_of(vault, place)
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def fill(vault, shards=3):
    """One of everything that a loop leaves, and some shards of games; everything is indexed."""
    games = [put(vault, f"shard {n}".encode(), kind="games", suffix=".parquet") for n in range(shards)]
    data = put(vault, b"window", kind="dataset", suffix=".npz", parents=tuple(card.sha256 for card in games))
    net = put(vault, b"weights", parents=(data.sha256,), facts={"dataset": data.sha256, "started_from": None})
    put(vault, b"weights", parents=(data.sha256,), facts={"dataset": data.sha256, "started_from": None})  # once more
    matches = put(vault, b"matches", kind="matches", suffix=".json.gz", parents=(net.sha256,))
    put(vault, b"ratings", kind="ratings", suffix=".json", parents=(matches.sha256,))
    put(vault, b"plan", kind="plan", config="all", suffix=".json")
    vault.claim(CONFIG, 10)
    vault.claim(CONFIG, 10)
    vault.write_pointer(net)
    vault.write_pointer(net)
    index(vault)
    return net


def index(vault):
    """Bring every tree of a vault up to date, and return the roots by folder."""
    trees = Index(vault.backend)
    return {str(folder): trees.refresh(folder) for folder in trees.folders()}


def names(vault):
    """Every file of a vault that is not its index."""
    return sorted(name for name in vault.backend.walk("") if name.partition("/")[0] not in INDEX_KINDS)


OPERATIONS = ("write", "create", "read", "read_all", "blocks", "digest", "names", "remove", "found", "walk")


class DiedError(Exception):
    """The process is gone."""


class Death:
    """Comes at operation number `at` of the stores it is given to: before it, or after its effect, unheard."""

    def __init__(self, at, *, after):
        self.at, self.after, self.done = at, after, 0

    @property
    def came(self):
        return self.done >= self.at

    def within(self, method):
        def operation(*args):
            self.done += 1
            if self.done == self.at and not self.after:
                raise DiedError
            answer = method(*args)
            if self.done == self.at:
                raise DiedError
            return answer

        return operation


def mortal(vault, death):
    """The same vault, whose user dies when death comes."""
    kind = type(vault.backend)
    backend = object.__new__(type(kind.__name__, (kind,), {}))
    backend.__dict__ = {
        **vars(vault.backend),
        **{name: death.within(getattr(vault.backend, name)) for name in OPERATIONS},
    }
    near = backend if isinstance(backend, LocalBackend) else vault._near
    return Vault(backend, near=near, settings=QUICK)
