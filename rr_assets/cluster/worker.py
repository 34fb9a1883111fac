"""`rr-worker`: a worker of the cluster, for the runs of one lane."""

import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from dotenv import load_dotenv
from filelock import FileLock, Timeout

from rr_assets.cluster.broker import LANE_VARIABLE, queue_of
from rr_assets.nodes import CPU, GPU, gpu_numbers, own_node, use_gpu
from rr_engine.cli import run_command
from rr_engine.errors import ConfigError
from rr_engine.settings import load
from rr_engine.vault.store import cache_folder

THREADS = ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")  # of torch and of the engine, for each run

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class Lane(StrEnum):
    """Which runs a worker is there for."""

    GPU = GPU
    CPU = CPU


def main() -> None:
    """Run `rr-worker`; it reads `.env` in the folder where it is called."""
    load_dotenv(Path.cwd() / ".env")
    run_command(app, "rr-worker")


@app.command()
def work(
    lane: Annotated[Lane, typer.Argument(help="gpu: self-play and training, one run at a time; cpu: all the rest.")],
    name: Annotated[str, typer.Option(help="Of this worker; two of one host need different ones.")] = "",
    gpu: Annotated[int | None, typer.Option(min=0, help="The GPU that it has to itself; else the first one.")] = None,
    slots: Annotated[int, typer.Option(min=1, help="Runs at once, on the lane cpu.")] = 1,
) -> None:
    """Take runs from the broker (RR_BROKER) until it is stopped; `node.role` of the settings says which.

    Runs share the cores of the node evenly; where it has several workers, OMP_NUM_THREADS and NUMBA_NUM_THREADS say how
    many each may use. SIGTERM lets it end what it is at and take no more; a second one, or SIGQUIT, stops at once: the
    platform tries again elsewhere.
    """
    settings = load()
    if lane is Lane.GPU and settings.node.role == "coordinator":
        raise ConfigError("node.role = 'coordinator' takes no games: a worker of lane gpu needs another role")
    share = max(1, (os.cpu_count() or 1) // (slots if lane is Lane.CPU else 1))
    for variable in THREADS:
        os.environ.setdefault(variable, str(share))  # runs that wait for each other's cores take ten times as long
    number = next(iter(gpu_numbers()), 0) if gpu is None else gpu
    use_gpu(number if lane is Lane.GPU else None)
    node = own_node(lane, settings.node.role, settings, disk=cache_folder())
    if not node.takes:
        raise ConfigError("the memory of this node holds no network of any config: it would take no run")
    with _alone(number, needed=lane is Lane.GPU and bool(node.gpus)):
        os.environ[LANE_VARIABLE] = lane
        from rr_assets.cluster import app as celery_app

        celery_app.load_everything()
        celery_app.app.worker_main(
            [
                "worker",
                "--pool=prefork",
                f"--concurrency={slots if lane is Lane.CPU else 1}",
                f"--hostname={name or lane}@%h",
                f"--queues={','.join(queue_of(work, node.code) for work in node.takes)}",
                "--loglevel=INFO",
                "--without-gossip",
                "--without-mingle",
            ]
        )


@contextmanager
def _alone(gpu: int, *, needed: bool) -> Generator[None]:
    """Hold a GPU against other workers of this host; raises ConfigError where one has it."""
    if not needed:
        yield
        return
    try:
        with FileLock(Path(tempfile.gettempdir()) / f"ringrift-gpu-{gpu}.lock", timeout=0):
            yield
    except Timeout as error:
        raise ConfigError(f"another worker of this host has GPU {gpu}: name a free one by --gpu") from error
