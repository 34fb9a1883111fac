"""What it takes to compare and mirror two large vaults that hardly differ.

    python benchmarks/mirror.py --shards 100000 --differ 10

Two vaults with so many shards of games in one folder, the second without some. They are compared and mirrored twice: as
vaults on this machine, whose folders are listed, and as vaults in an object store (fsspec's file system under another
name), whose stored roots are trusted. Shards are tiny, cards are as long as those of real games.

`beside_artefacts` counts every byte that goes to or comes from either vault but those of shards: nodes and roots of the
trees, read in both, written in the second and read back; cards read, written and read back; names in listings of
distant folders. What a vault on this machine lists and reads to know its own files is not exchanged, and not counted.
One JSON line.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fsspec.implementations.local import LocalFileSystem

from rr_engine.settings import VaultSettings
from rr_engine.stages.mirror import keep
from rr_engine.vault import Card, Vault
from rr_engine.vault.backends import LocalBackend, digest_of
from rr_engine.vault.compare import compare
from rr_engine.vault.index import Folder, Index
from rr_engine.vault.objects import ObjectBackend
from rr_engine.vault.traffic import CountedBackend, Traffic

GAMES = Folder("games", "hex8_2p")
_BYTES = 64  # of a shard


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=int, default=100_000)
    parser.add_argument("--differ", type=int, default=10)
    parser.add_argument(
        "--folder", type=Path, default=None, help="where to make the vaults; else where temporary files go"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        print(json.dumps(measure(Path(folder), arguments.shards, arguments.differ)))


def measure(folder: Path, shards: int, differ: int) -> dict[str, Any]:
    """Make two vaults, let them differ, and bring them together; twice."""
    rng = random.Random(0)
    first, second = (Vault.open(str(folder / name)) for name in ("first", "second"))
    _fill(first, second, shards, differ, rng)
    indexing = [_timed(lambda vault=vault: vault.index(*GAMES))[1] for vault in (first, second)]
    distant = [_distant(vault) for vault in (first, second)]
    row = {
        "shards": shards,
        "differ": differ,
        "nodes": sum(1 for _ in (folder / "first" / "tree").rglob("*.gz")),
        "first_index_s": round(max(indexing), 2),
        "diff": _compared(first, second, differ),
        "diff_distant": _compared(*distant, differ),
        "mirror_distant": _mirrored(*distant, differ),
    }
    for _ in range(differ):
        put(first, rng)
    traffic = Traffic()
    seconds = _timed(lambda: Index(CountedBackend(first.backend, traffic)).refresh(GAMES))[1]
    row["index_after_run"] = {**traffic.facts(), "seconds": round(seconds, 2)}
    row["mirror"] = _mirrored(first, second, differ)
    return row


def _distant(vault: Vault) -> Vault:
    """The vault as one in an object store, reached through fsspec."""
    settings = VaultSettings()
    near = LocalBackend(Path(f"{vault.url}-copies"))
    backend = ObjectBackend(f"local://{vault.url}", LocalFileSystem(), near=near.root, settings=settings)
    return Vault(backend, near=near, settings=settings)


def _fill(first: Vault, second: Vault, shards: int, differ: int, rng: random.Random) -> None:
    """Write shards and their cards past the vault, which would flush each to the medium."""
    example = put(first, rng)
    text = first.backend.read(example.place) or b""
    folders = [Path(vault.url) / str(GAMES) for vault in (first, second)]
    folders[1].mkdir(parents=True)
    for number in range(shards):
        data = rng.randbytes(_BYTES)
        sha256 = digest_of(data)[0]
        card = text.replace(example.sha256.encode(), sha256.encode())
        for name, content in ((f"{sha256}.parquet", data), (f"{sha256}.card.json", card)):
            (folders[0] / name).write_bytes(content)
            if number < shards - differ:
                (folders[1] / name).hardlink_to(folders[0] / name)
    for name in (example.name, example.place):
        first.backend.remove(name)


def put(vault: Vault, rng: random.Random) -> Card:
    """A shard with a card like those of real games."""
    terms = {name: rng.random() for name in ("decisive", "length", "starts", "targets", "balance")}
    return vault.put(
        *GAMES,
        rng.randbytes(_BYTES),
        suffix=".parquet",
        producer="games_db",
        rows=200,
        schema_version=3,
        parents=(digest_of(b"a network")[0],),
        facts={
            "claim": 1234,
            "player": "checkpoint:0123456789ab:32",
            "planned_share": 0.25,
            "usual_decisions": 77.25,
            "seeds": [246_800, 247_000],
            "generation": 12,
            "games_against_opponent": 100,
            "wins_against_it": 87,
            "decisions": 15_450,
            "distinct": 200,
            "wins_by_seat": [101, 99],
            "quality": {"games": 200, **terms},
        },
    )


def _compared(a: Vault, b: Vault, differ: int) -> dict[str, Any]:
    found, seconds = _timed(lambda: compare(a, b))
    assert len(found.differences[GAMES].only_a) == 2 * differ
    return {**(found.a + found.b).facts(), "seconds": round(seconds, 2)}


def _mirrored(a: Vault, b: Vault, differ: int) -> dict[str, Any]:
    kept, seconds = _timed(lambda: keep(a, b))
    assert (kept.problems, kept.facts["files_copied"], kept.facts["folders_equal"]) == ((), 2 * differ, 1)
    return {**kept.facts["bytes_exchanged"], "seconds": round(seconds, 2)}


def _timed(action: Callable[[], Any]) -> tuple[Any, float]:
    began = time.perf_counter()
    return action(), time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
