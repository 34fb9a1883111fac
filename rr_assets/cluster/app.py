"""What Celery loads on a worker: the task that executes a run, and the command by which a worker tells what it is.

Everything a run may import is loaded here, before Celery forks: a worker runs one version of the code as long as it
lives, and a run begins at once. None of it starts a thread or touches a GPU, so forking is safe; CUDA begins in the
process that runs.
"""

import gc
import importlib
import os
import pkgutil
from dataclasses import asdict, replace
from typing import Any

import dagster as dg
from celery.signals import task_prerun, worker_process_init, worker_ready
from celery.worker import state
from celery.worker.control import inspect_command
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import unpack_value
from dagster._utils.interrupts import setup_interrupt_handlers
from dagster_celery.make_app import make_app
from dagster_celery.tasks import create_execute_job_task
from numba.core import config

import rr_engine
from rr_assets.cluster.broker import LANE_VARIABLE, NODE_COMMAND, SETTINGS, broker_url, queue_of
from rr_assets.coordinator import WORKER_TAG
from rr_assets.nodes import Node, own_node
from rr_engine.settings import Settings, load
from rr_engine.vault.capacity import capacity_of
from rr_engine.vault.store import cache_folder

_LOOK_S = 60.0  # seconds between looks at the disk

app = make_app({"broker": broker_url(), "backend": broker_url(), "config_source": SETTINGS})
execute_job = create_execute_job_task(app)


def load_everything() -> None:
    """Load the graph and import all of the engine, with as many threads as the environment says now."""
    config.reload_config()
    importlib.import_module("rr_assets").code_location().get_repository_def()
    for module in pkgutil.walk_packages(rr_engine.__path__, "rr_engine."):
        importlib.import_module(module.name)
    for late in ("rr_assets.cluster.database", "pandas"):  # imported by Dagster's instance, by pyarrow
        importlib.import_module(late)
    gc.collect()
    gc.freeze()  # a run looks through what it made itself only, and what was loaded here stays shared


@worker_process_init.connect
def _stop_like_dagster(**_: Any) -> None:
    """A run that is stopped ends as stopped, with what it was at put away: Celery's SIGTERM becomes an interrupt."""
    setup_interrupt_handlers()


@worker_ready.connect
def _watch_disk(sender: Any, **_: Any) -> None:
    """Look at the disk now and then, by Celery's own timer."""
    sender.timer.call_repeatedly(_LOOK_S, take_what_fits, (sender,))
    take_what_fits(sender)


def take_what_fits(consumer: Any) -> None:
    """Listen to the queues of all that this node takes; to none while its disk is too full to produce anything."""
    settings = load()
    node = _own_node(settings)
    has_room = capacity_of(node.name, node.disk_used, settings.vault).allows_more
    wanted = {queue_of(work, node.code) for work in node.takes} if has_room else set[str]()
    heard = _heard(consumer)
    for queue in heard - wanted:
        consumer.cancel_task_queue(queue)
    for queue in wanted - heard:
        consumer.add_task_queue(queue)


@inspect_command(name=NODE_COMMAND)
def describe_node(panel: Any) -> dict[str, Any]:
    """What this worker is and does, asked anew each time."""
    node = _own_node(load())
    heard = _heard(panel.consumer)
    told = replace(
        node,
        name=panel.hostname,
        takes=tuple(work for work in node.takes if queue_of(work, node.code) in heard),
        slots=panel.consumer.pool.num_processes,
        runs=tuple(sorted(_run_of(request.kwargs) for request in state.active_requests)),
    )
    return asdict(told)


def _own_node(settings: Settings) -> Node:
    return own_node(os.environ[LANE_VARIABLE], settings.node.role, settings, disk=cache_folder())


def _heard(consumer: Any) -> set[str]:
    """The queues that a worker listens to."""
    return {queue.name for queue in consumer.task_consumer.queues}


@task_prerun.connect
def _tell_worker(task: Any, kwargs: Any, **_: Any) -> None:
    """The run says which worker is at it."""
    with dg.DagsterInstance.get() as instance:
        instance.add_run_tags(_run_of(kwargs), {WORKER_TAG: task.request.hostname})


def _run_of(kwargs: Any) -> str:
    return unpack_value(kwargs["execute_job_args_packed"], as_type=ExecuteRunArgs).run_id
