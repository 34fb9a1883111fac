"""How coordinator and workers speak through the broker: JSON only, and a queue per work and version of the code."""

import os
from collections.abc import Sequence
from typing import Any

from celery import Celery
from dagster_celery.config import DEFAULT_CONFIG

from rr_assets.nodes import Node
from rr_engine.errors import ConfigError, DataError

BROKER_VARIABLE = "RR_BROKER"
LANE_VARIABLE = "RR_WORKER_LANE"  # set by `rr-worker` for `app`, which Celery reads
NODE_COMMAND = "describe_node"
ASK_S = 1.0  # seconds that workers have to answer

SETTINGS: dict[str, Any] = DEFAULT_CONFIG | {
    # Nothing but JSON goes in or out.
    "task_serializer": "json",
    "result_serializer": "json",
    "event_serializer": "json",
    "accept_content": ["json"],
    "result_accept_content": ["json"],
    # A worker takes a run when it can begin it: none waits behind a long one while another worker is free.
    "worker_prefetch_multiplier": 1,
    "worker_disable_prefetch": True,
    "task_acks_late": False,  # what a vanished worker was at is told by the run's own monitoring, not sent again
    "worker_proc_alive_timeout": 120.0,
    "worker_max_tasks_per_child": 50,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "broker_transport_options": {"queue_order_strategy": "priority", "socket_timeout": 60.0},
    "result_backend_always_retry": True,
    "result_expires": 7 * 24 * 3600,
    "redis_socket_timeout": 60.0,
    "redis_retry_on_timeout": True,
    "worker_send_task_events": False,
    "worker_hijack_root_logger": True,
}


def broker_url() -> str:
    """The broker's address, from the environment alone, for it holds a password; raises ConfigError without one."""
    url = os.environ.get(BROKER_VARIABLE, "")
    if not url.startswith(("redis://", "rediss://")):
        raise ConfigError(f"{BROKER_VARIABLE} must name the broker, such as redis://:PASSWORD@HOST:6379/0")
    return url


def queue_of(work: str, code: str) -> str:
    """The queue for a work on workers of that code; one with other code does not know it."""
    return f"{work}@{code}"


def ask_nodes(app: Celery, *, enough: int | None = None) -> list[Node]:
    """The workers that answer within `ASK_S`, by name; as soon as `enough` have, no more are waited for.

    Raises kombu's OperationalError where there is no broker.
    """
    answers: Sequence[dict[str, Any]] = (
        app.control.broadcast(NODE_COMMAND, reply=True, timeout=ASK_S, limit=enough) or []
    )
    found = [_node(answer) for reply in answers for answer in reply.values()]
    return sorted((node for node in found if node is not None), key=lambda node: node.name)


def _node(answer: Any) -> Node | None:
    try:
        return Node.read(answer)
    except DataError:
        return None  # of a worker that is none of ours, or of code that tells other things: it gets no runs
