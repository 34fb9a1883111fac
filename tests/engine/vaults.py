"""Vaults for tests: putting into them, and tampering with what lies there."""

import json
from pathlib import Path

from rr_engine.settings import VaultSettings

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
