"""How long a vault on S3 takes: cards listed for the first time and again, a large file there and back. JSON a line.

Without `--url` an S3 server is started on this machine; with it the environment says which one is meant.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from rr_engine.vault import Card, Vault

CONFIG = "hex8_2p"
Answer = TypeVar("Answer")


def put(vault: Vault, kind: str, source: bytes) -> Card:
    """Put a file that nobody reads, with a card of the usual size."""
    facts = {f"fact_{number}": number / 3 for number in range(20)}
    return vault.put(kind, CONFIG, source, suffix=".bin", producer="benchmark", rows=1, schema_version=1, facts=facts)


def timed(what: str, action: Callable[[], Answer], **more: object) -> Answer:
    """Do it, and print how long it took."""
    began = time.perf_counter()
    answer = action()
    line = {"what": what, "seconds": round(time.perf_counter() - began, 3), **more}
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
    return answer


def measure(url: str, cards: int, mib: int) -> None:
    """All of it, on a vault that holds nothing yet."""
    vault = Vault.open(url)
    timed("first put", lambda: put(vault, "games", b"first"))
    timed("second put", lambda: put(vault, "games", b"second"))

    def put_number(number: int) -> Card:
        return put(vault, "checkpoint", b"%d" % number)

    with ThreadPoolExecutor(16) as pool:
        timed("put, 16 at once", lambda: list(pool.map(put_number, range(cards))), cards=cards)
    for what in ("cards, none known here", "cards, all known here"):
        found = timed(what, lambda: Vault.open(url).cards("checkpoint", CONFIG), cards=cards)
        assert len(found) == cards
    large = os.urandom(mib << 20)
    card = timed("put a large file, hash read back", lambda: put(vault, "dataset", large), mib=mib)
    timed("get it", lambda: vault.get(card), mib=mib)


@contextmanager
def server() -> Generator[str, None, None]:
    """An S3 server with an empty bucket, and this process set up to use it; gives the vault's address."""
    import boto3

    command = [sys.executable, "-m", "rr_assets.cluster.store", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            os.environ |= {
                "AWS_ENDPOINT_URL": process.stdout.readline().strip(),
                "AWS_ACCESS_KEY_ID": "benchmark",
                "AWS_SECRET_ACCESS_KEY": "benchmark",
                "AWS_DEFAULT_REGION": "us-east-1",
            }
            boto3.client("s3").create_bucket(Bucket="benchmark")
            yield "s3://benchmark/vault"
        finally:
            process.terminate()


def main() -> None:
    """Print a line for everything that is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", help="an empty vault, s3://bucket/prefix")
    parser.add_argument("--cards", type=int, default=1000)
    parser.add_argument("--mib", type=int, default=64, help="size of the large file")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        os.environ["RR_CACHE"] = str(Path(cache) / "near")
        if asked.url:
            measure(asked.url, asked.cards, asked.mib)
        else:
            with server() as url:
                measure(url, asked.cards, asked.mib)


if __name__ == "__main__":
    main()
