"""What Celery loads on a worker: the task that executes a run, and the command by which a worker tells what it is.

Everything a run may import is loaded here, before Celery forks: a worker runs one version of the code as long as it
lives, and a run begins at once. None of it starts a thread or touches a GPU, so forking is safe; CUDA begins in the
process that runs.
"""

import importlib
import os
import pkgutil
from dataclasses import asdict
from typing import Any

from celery.signals import worker_process_init
from celery.worker import state
from celery.worker.control import inspect_command
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import unpack_value
from dagster._utils.interrupts import setup_interrupt_handlers
from dagster_celery.make_app import make_app
from dagster_celery.tasks import create_execute_job_task

import rr_engine
from rr_assets.cluster.broker import NODE_COMMAND, SETTINGS, broker_url
from rr_assets.nodes import own_node
from rr_engine.settings import load
from rr_engine.vault.store import cache_folder

LANE_VARIABLE = "RR_WORKER_LANE"  # set by `rr-worker` for Celery, which reads this module

app = make_app({"broker": broker_url(), "backend": broker_url(), "config_source": SETTINGS})
execute_job = create_execute_job_task(app)


def load_everything() -> None:
    """Import the graph and all of the engine."""
    importlib.import_module("rr_assets")
    for module in pkgutil.walk_packages(rr_engine.__path__, "rr_engine."):
        importlib.import_module(module.name)


@worker_process_init.connect
def _stop_like_dagster(**_: Any) -> None:
    """A run that is stopped ends as stopped, with what it was at put away: Celery's SIGTERM becomes an interrupt."""
    setup_interrupt_handlers()


@inspect_command(name=NODE_COMMAND)
def describe_node(panel: Any) -> dict[str, Any]:
    """What this worker is and does, asked anew each time."""
    settings = load()
    node = own_node(
        os.environ[LANE_VARIABLE],
        settings.node.role,
        settings,
        name=panel.hostname,
        slots=panel.consumer.pool.num_processes,
        disk=cache_folder(),
        runs=tuple(sorted(_run_of(request) for request in state.active_requests)),
    )
    return asdict(node)


def _run_of(request: Any) -> str:
    return unpack_value(request.kwargs["execute_job_args_packed"], as_type=ExecuteRunArgs).run_id
