"""What a cluster refuses, and what it keeps to itself."""

import json
from pathlib import Path

import dagster as dg
import psutil
import psycopg2
import redis
from dagster._serdes import serialize_value
from kombu import Connection, Exchange, Producer

from benchmarks.running import Running
from rr_assets.cluster.broker import queue_of
from rr_assets.nodes import code_version


def test_cluster_workers_refuse_whatever_is_not_json(cluster: Running, tmp_path: Path) -> None:
    made = tmp_path / "made"
    queue = queue_of("cpu", code_version())
    with Connection(cluster.trial.environment["RR_BROKER"]) as connection, connection.channel() as channel:
        producer = Producer(channel, exchange=Exchange(queue, type="direct"), routing_key=queue)
        body = f"cos\nsystem\n(S'touch {made}'\ntR.".encode()  # as pickle would write a call of os.system
        headers = {"task": "execute_job", "id": "harmful", "lang": "py"}
        producer.publish(
            body, content_type="application/x-python-serialize", content_encoding="binary", headers=headers
        )
        producer.publish(json.dumps([[], {"execute_job_args_packed": {"__class__": "os.system"}}, {}]), headers=headers)
    log = cluster.trial.folder / "log" / "cpu.log"
    cluster.wait(lambda: "Refusing to deserialize" in log.read_text(), 30)
    assert cluster.wait_ended(cluster.launch("selfplay_plan")) is dg.DagsterRunStatus.SUCCESS  # it goes on
    assert not made.exists()


def test_cluster_keeps_its_secrets(cluster: Running) -> None:
    """No log, no row of the database and no message holds a password."""
    assert cluster.wait_ended(cluster.launch("selfplay_plan")) is dg.DagsterRunStatus.SUCCESS
    own = cluster.trial.addresses
    for log in (cluster.trial.folder / "log").glob("*.log"):
        assert own.password not in log.read_text(errors="replace"), log.name
    for name in ("cluster.json", "redis.conf"):
        assert (cluster.trial.folder / name).stat().st_mode & 0o077 == 0
    connection = psycopg2.connect(
        host="127.0.0.1", port=own.database, user="ringrift", password=own.password, dbname="ringrift"
    )
    with connection, connection.cursor() as cursor:
        cursor.execute("select table_name from information_schema.tables where table_schema = 'public'")
        tables = [name for (name,) in cursor.fetchall()]
        assert {"runs", "event_logs", "instigators"} <= set(tables)
        for table in tables:
            cursor.execute(f'select count(*) from "{table}" as row where row::text like %s', (f"%{own.password}%",))
            assert cursor.fetchone() == (0,), table
    connection.close()
    assert own.password not in serialize_value(cluster.instance.get_ref())  # which goes along with every run
    broker = redis.Redis.from_url(cluster.trial.environment["RR_BROKER"])
    for key in broker.scan_iter("celery-task-meta-*"):
        assert own.password not in str(broker.get(key))


def test_cluster_listens_on_loopback_alone(cluster: Running) -> None:
    children = {process.pid for process in psutil.Process(cluster.trial.pid).children(recursive=True)}
    heard = {
        (link.laddr.ip, link.laddr.port)
        for link in psutil.net_connections("inet")
        if link.status == psutil.CONN_LISTEN and link.pid in children
    }
    own = cluster.trial.addresses
    assert {own.database, own.broker, own.store, own.code, own.pages, own.play} <= {port for _, port in heard}
    assert {ip.removeprefix("::ffff:") for ip, _ in heard} <= {"127.0.0.1", "::1"}
