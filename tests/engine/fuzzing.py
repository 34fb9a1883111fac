"""Every reader on damaged inputs: `python -m tests.engine.fuzzing SEED FOLDER` says in one line of JSON how each went.

It runs in a process of its own, with little memory to take: a reader that crashes, hangs or takes too much ends it,
and the file `at` in the folder names the input. An input is the same for the same seed, reader and number.
"""

import json
import os
import random
import resource
import signal
import sys
from pathlib import Path
from typing import Any

from rr_engine.errors import EngineError
from rr_engine.vault import Vault
from tests.engine import readers as files
from tests.engine import readers_of_texts as texts
from tests.engine.games import make_records
from tests.engine.readers import Reader
from tests.engine.vaults import CONFIG

LIMIT_S = 10  # of one input
MEMORY = 3 << 30  # bytes that all inputs may take, beyond what was taken before the first
LONGEST = 1000  # characters of an error


def all_readers(folder: Path) -> dict[str, Reader]:
    """By name; together 10,000 inputs."""
    records = make_records(CONFIG, 3)
    vault = Vault.open(str(folder / "vault"))
    return {
        "card": files.cards(),
        "node": files.nodes(),
        "ratings": files.ratings(),
        "dataset": files.datasets(vault, records),
        "shard": files.shards(vault, records),
        "checkpoint": files.checkpoints(vault),
        "state": files.states(),
        "settings": texts.settings(folder),
        "environment": texts.environment(),
        "trace": texts.traces(folder),
        "protocol": texts.protocol(),
    }


def run(name: str, reader: Reader, seed: str, at: int) -> dict[str, Any]:
    """How all inputs of a reader went; raises what is no EngineError, with the input's number."""
    loaded = 0
    for number in range(reader.inputs):
        rng = random.Random(f"{seed} {name} {number}")
        given = reader.make(rng)
        os.pwrite(at, f"{name} {number}".ljust(40).encode(), 0)
        signal.alarm(LIMIT_S)  # nobody handles it: it ends the process, whatever it is in
        try:
            reader.read(given)
            loaded += 1
        except EngineError as error:
            text = str(error)
            assert text and "\n" not in text and len(text) <= LONGEST, f"{name} {number}: no clear error: {text[:3000]}"
        except BaseException as error:
            error.add_note(f"input {number} of {name}, seed {seed}")
            raise
    signal.alarm(0)
    return {"reader": name, "inputs": reader.inputs, "loaded": loaded, "seconds": round(sum(os.times()[:2]), 1)}


def main(seed: str, folder: Path) -> None:
    """Run all readers."""
    readers = all_readers(folder)
    at = os.open(folder / "at", os.O_RDWR | os.O_CREAT)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, taken + MEMORY))
    for name, reader in readers.items():
        sys.stdout.write(f"{json.dumps(run(name, reader, seed, at))}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
