"""How fast the move server answers: clients that play games against it side by side, each waiting for its answer.

    python -m benchmarks.serving --clients 8 --simulations 32 --seconds 30

Starts `rr serve` on a vault of its own with a network of the default size, new weights, as champion. Each client plays
games of `--config` from the start, both seats by `/move`, so positions are of every part of a game. What loads and
compiles is not counted: one client plays alone before, for five seconds. That the server looks every half minute who
is champion is counted. One JSON line: answers a second, and milliseconds until an answer, as the client sees it.
"""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import numpy as np

from benchmarks.served import free_port
from rr_engine.boards import Config
from rr_engine.nn.checkpoint import save_checkpoint, untrained
from rr_engine.settings import load
from rr_engine.stages import crown
from rr_engine.vault import Vault

_BIN = Path(sys.executable).parent
_BEGIN_S = 180.0  # `make ui` beside a cluster that is shaken took over 60


@contextmanager
def running_server(vault: Path, port: int | None = None) -> Iterator[str]:
    """`rr serve` on a vault, at a free port unless one is named; gives its address."""
    port = port or free_port()
    server = subprocess.Popen(
        [_BIN / "rr", "serve", "--port", str(port)],
        env=os.environ | {"RR_VAULT": str(vault)},
        stdout=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        until_it_answers(f"{url}/boards")
        yield url
    finally:
        server.terminate()
        server.wait()


def until_it_answers(url: str) -> None:
    """Return once a GET is answered; raises TimeoutError where it is not within three minutes."""
    deadline = time.monotonic() + _BEGIN_S
    while time.monotonic() < deadline:
        try:
            httpx2.get(url)
        except httpx2.TransportError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(f"{url} does not answer")


def vault_with_champion(folder: Path, config: Config) -> Path:
    """A vault whose champion is a network of the size that the settings say, as it begins."""
    vault, settings = Vault.open(str(folder)), load()
    network = untrained(config, settings.network, seed=1)
    card = vault.put(
        "checkpoint", config.key, save_checkpoint(network), suffix=".safetensors", producer="benchmark",
        rows=network.parameters, schema_version=1, facts={},
    )  # fmt: skip
    crown.crown_by_hand(vault, config, card.sha256, "to be measured", settings)
    return folder


async def _play(url: str, config: str, player: str, until: float, times: list[float]) -> None:
    async with httpx2.AsyncClient(base_url=url, timeout=60) as client:
        moves: list[str] = []
        seed = 0
        while time.monotonic() < until:
            began = time.perf_counter()
            body = {"positions": [{"config": config, "moves": moves}], "player": player, "seed": seed}
            answer = await client.post("/move", json=body)
            if answer.status_code == 409:  # the game is over
                moves, seed = [], seed + 1
                continue
            times.append(time.perf_counter() - began)
            moves.append(answer.raise_for_status().json()["answers"][0]["move"])


async def _measure(url: str, config: str, player: str, clients: int, seconds: float) -> list[float]:
    warm: list[float] = []
    await _play(url, config, player, time.monotonic() + 5, warm)  # the first answer loads and compiles
    times: list[float] = []
    until = time.monotonic() + seconds
    await asyncio.gather(*(_play(url, config, player, until, times) for _ in range(clients)))
    return times


def measure(config: Config, *, clients: int, simulations: int, seconds: float) -> dict[str, Any]:
    """One row."""
    with tempfile.TemporaryDirectory() as folder, running_server(vault_with_champion(Path(folder), config)) as url:
        times = asyncio.run(_measure(url, config.key, f"champion:{simulations}", clients, seconds))
    low, high = np.percentile(times, [50, 95])
    return {
        "config": config.key,
        "clients": clients,
        "simulations": simulations,
        "answers_per_s": round(len(times) / seconds, 1),
        "median_ms": round(1000 * float(low), 1),
        "p95_ms": round(1000 * float(high), 1),
        "worst_ms": round(1000 * max(times), 1),
    }


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", default="hex8_2p")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--simulations", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=30)
    asked = parser.parse_args()
    row = measure(
        Config.parse(asked.config), clients=asked.clients, simulations=asked.simulations, seconds=asked.seconds
    )
    print(json.dumps(row))


if __name__ == "__main__":
    sys.exit(main())
