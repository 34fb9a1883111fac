"""A whole cluster on this machine, for trial and tests: real servers on loopback, run by supervisord.

Its folder (RR_CLUSTER, else one in the system's folder for temporary files) holds settings, logs and the database; the
objects of its S3 server live in that server's memory and end with it.
"""

import configparser
import hashlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import boto3
import psycopg2
import redis
import yaml
from botocore.exceptions import BotoCoreError, ClientError
from supervisor.xmlrpc import SupervisorTransport

from rr_assets.cluster import store
from rr_assets.cluster.worker import THREADS
from rr_assets.nodes import VISIBLE_VARIABLE, gpu_numbers
from rr_engine.errors import ConfigError
from rr_engine.progress import UNWATCHED, Task, Watch

FOLDER_VARIABLE = "RR_CLUSTER"
ROOT = Path(__file__).resolve().parents[2]
_BIN = Path(sys.executable).parent
_BUCKET = "ringrift"
_SERVERS = ("database", "broker", "store")
_STILL = ("STOPPED", "EXITED", "FATAL")  # states of a part that does not run
_START_S = 120  # seconds that the parts have to answer
HOW_TO_GET = "apt-get install postgresql redis-server, and make .venv/.installed"


@dataclass(frozen=True)
class Addresses:
    """Ports on loopback, and the secrets of this cluster alone."""

    database: int
    broker: int
    store: int
    code: int
    pages: int
    play: int
    password: str = field(repr=False)

    @classmethod
    def new(cls) -> "Addresses":
        """Free ports, and a new password."""
        sockets = [socket.socket() for _ in range(6)]
        for taken in sockets:
            taken.bind(("127.0.0.1", 0))
        ports = [taken.getsockname()[1] for taken in sockets]
        for taken in sockets:
            taken.close()
        return cls(*ports, password=secrets.token_hex(16))


class Trial:
    """The cluster in a folder, whether it runs or not."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file = folder / "cluster.json"
        self._socket = folder / "supervisor.sock"

    @property
    def addresses(self) -> Addresses:
        """Where its parts are; raises ConfigError before the first start."""
        if not self._file.exists():
            raise ConfigError(f"there is no cluster in {self.folder}: make one by `rr-cluster up`")
        try:
            return Addresses(**json.loads(self._file.read_text()))
        except TypeError as error:
            raise ConfigError(f"the cluster in {self.folder} is of another version: remove that folder") from error

    def prepare(self) -> None:
        """Choose ports and secrets, unless that was done before."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self._file.exists():
            _write_secret(self._file, json.dumps(asdict(Addresses.new())))

    @property
    def environment(self) -> dict[str, str]:
        """Variables by which a process is part of it."""
        own = self.addresses
        return {
            "DAGSTER_HOME": str(self.folder / "home"),
            "RR_POSTGRES": f"postgresql+psycopg2://ringrift:{own.password}@127.0.0.1:{own.database}/ringrift",
            "RR_BROKER": f"redis://:{own.password}@127.0.0.1:{own.broker}/0",
            "RR_VAULT": f"s3://{_BUCKET}/vault",
            "RR_CACHE": str(self.folder / "cache"),
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{own.store}",
            "AWS_ACCESS_KEY_ID": "ringrift",
            "AWS_SECRET_ACCESS_KEY": own.password,
            "AWS_DEFAULT_REGION": "us-east-1",
            "RR_SERVE__URL": self.play,
        }

    @property
    def pages(self) -> str:
        """Address of Dagster's pages."""
        return f"http://127.0.0.1:{self.addresses.pages}"

    @property
    def play(self) -> str:
        """Address of the page to play on, of replays and of the leaderboard."""
        return f"http://127.0.0.1:{self.addresses.play}"

    @property
    def pid(self) -> int:
        """Of supervisord, the parent of all that runs; raises ConfigError when nothing does."""
        if not self.processes():
            raise ConfigError(f"no cluster runs in {self.folder}")
        return int(self._supervisor().getPID())

    def processes(self) -> list[dict[str, Any]]:
        """What supervisord says of every part; empty when it does not run."""
        try:
            return list(self._supervisor().getAllProcessInfo())
        except (OSError, xmlrpc.client.Error):
            return []

    def up(
        self,
        workers: Mapping[str, str],
        *,
        cpu_slots: int = 2,
        environ: Mapping[str, str] | None = None,
        watch: Watch = UNWATCHED,
    ) -> None:
        """Start everything: a worker of lane gpu per entry of `workers` (name -> role), one of lane cpu.

        Raises ConfigError where a program is missing, or a cluster runs in the folder.
        """
        self.serve(workers, cpu_slots=cpu_slots, environ=environ, watch=watch)
        for process in self.processes():
            if process["name"] not in _SERVERS:
                self.start(process["name"])

    def serve(
        self,
        workers: Mapping[str, str],
        *,
        cpu_slots: int = 2,
        environ: Mapping[str, str] | None = None,
        watch: Watch = UNWATCHED,
    ) -> None:
        """The first half of `up`: database, broker and store answer, nothing of the platform runs yet."""
        if self.processes():
            raise ConfigError(f"a cluster runs in {self.folder}: rr-cluster down")
        self._write(_programs(), workers, cpu_slots)
        subprocess.run(
            [_BIN / "supervisord", "-c", self.folder / "supervisord.conf"],
            check=True, cwd=ROOT, env={**os.environ, **self.environment, **(environ or {})},
        )  # fmt: skip
        deadline = time.monotonic() + _START_S
        servers = {
            "the database": self._database_answers,
            "the broker": self._broker_answers,
            "the store": self._store_answers,
        }
        for what, answers in watch(Task("servers", len(servers))).each(servers.items()):
            _wait(what, answers, deadline)
        watch.say("preparing the database")
        migrated = subprocess.run(
            [_BIN / "dagster", "instance", "migrate"],
            cwd=ROOT, env=os.environ | self.environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if migrated.returncode:
            raise ConfigError(f"the database cannot be prepared: {migrated.stderr[-500:]}")

    def start(self, part: str) -> None:
        """Start a part that stands still."""
        self._supervisor().startProcess(part, False)

    def stop(self, part: str) -> None:
        """Stop a part, and keep it stopped."""
        supervisor = self._supervisor()
        supervisor.stopProcess(part, False)  # who lets supervisord wait keeps a core of it busy

        def has_ended() -> bool:
            return supervisor.getProcessInfo(part)["statename"] in _STILL

        _wait(f"the end of {part}", has_ended, time.monotonic() + _START_S)

    def down(self, watch: Watch = UNWATCHED) -> None:
        """Stop what `up` started, and nothing else; raises ConfigError if it does not run."""
        pid, supervisor = self.pid, self._supervisor()
        deadline = time.monotonic() + _START_S
        parts = self._at_work()
        for part in parts:  # all at once, while the servers still answer them
            supervisor.stopProcess(part, False)
        count = watch(Task("parts", len(parts), "stopped"))

        def all_ended() -> bool:
            count.reach(len(parts) - len(self._at_work()))
            return count.done == len(parts)

        _wait("the end of the platform", all_ended, deadline)
        supervisor.stopAllProcesses()
        supervisor.shutdown()
        _wait("its end", lambda: not Path(f"/proc/{pid}").exists(), deadline)

    def _at_work(self) -> list[str]:
        """The parts that are no servers and do not stand still."""
        return [p["name"] for p in self.processes() if p["name"] not in _SERVERS and p["statename"] not in _STILL]

    def _supervisor(self) -> Any:
        transport = SupervisorTransport(serverurl=f"unix://{self._socket}")
        return xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport).supervisor

    def _write(self, programs: Mapping[str, Path], workers: Mapping[str, str], cpu_slots: int) -> None:
        """Everything that the parts read."""
        self.prepare()
        for name in ("home", "log"):
            (self.folder / name).mkdir(exist_ok=True)
        own = self.addresses
        shutil.copy(ROOT / "dagster_home" / "dagster.cluster.yaml", self.folder / "home" / "dagster.yaml")
        server = {"host": "127.0.0.1", "port": own.code, "location_name": "rr_assets"}
        (self.folder / "workspace.yaml").write_text(yaml.safe_dump({"load_from": [{"grpc_server": server}]}))
        _write_secret(
            self.folder / "redis.conf",
            f"bind 127.0.0.1\nport {own.broker}\nrequirepass {own.password}\nappendonly yes\ndir {self.folder}\n",
        )
        self._make_database(programs["initdb"], own)
        parser = configparser.RawConfigParser()
        parser.read_dict(self._supervised(programs, own, workers, cpu_slots))
        with (self.folder / "supervisord.conf").open("w") as file:
            parser.write(file)

    def _make_database(self, initdb: Path, own: Addresses) -> None:
        data = self.folder / "database"
        if (data / "PG_VERSION").exists():
            return
        data.mkdir(mode=0o700, exist_ok=True)
        word = self.folder / "database.pw"
        _write_secret(word, own.password)
        words = [initdb, "-D", data, "-U", "ringrift", f"--pwfile={word}", "-A", "scram-sha-256", "-E", "UTF8"]
        if os.geteuid() == 0:
            for path in (data, word):
                shutil.chown(path, "postgres", "postgres")
            words = ["runuser", "-u", "postgres", "--", *words]
        made = subprocess.run(words, capture_output=True, text=True, check=False, cwd=self.folder)
        word.unlink()
        if made.returncode:
            raise ConfigError(f"no database can be made in {data}: {made.stderr.strip()[-500:]}")

    def _supervised(
        self, programs: Mapping[str, Path], own: Addresses, workers: Mapping[str, str], cpu_slots: int
    ) -> dict[str, dict[str, str]]:
        """The sections of supervisord.conf."""
        database = f"{programs['postgres']} -D {self.folder}/database -h 127.0.0.1 -p {own.database} -k ''"
        platform = {
            "code": f"{_BIN}/dagster code-server start -h 127.0.0.1 -p {own.code} -m rr_assets",
            "pages": f"{_BIN}/dagster-webserver -h 127.0.0.1 -p {own.pages} -w {self.folder}/workspace.yaml",
            "daemon": f"{_BIN}/dagster-daemon run -w {self.folder}/workspace.yaml",
            "play": f"{_BIN}/rr serve --port {own.play}",
        }
        sections = {
            "unix_http_server": {"file": str(self._socket), "chmod": "0700"},
            "supervisord": {
                "logfile": f"{self.folder}/log/supervisord.log",
                "pidfile": f"{self.folder}/supervisord.pid",
                "childlogdir": f"{self.folder}/log",
            },
            "rpcinterface:supervisor": {
                "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
            },
            "program:database": self._program(database, stopsignal="INT")
            | ({"user": "postgres"} if os.geteuid() == 0 else {}),
            "program:broker": self._program(f"{programs['redis-server']} {self.folder}/redis.conf"),
            "program:store": self._program(f"{sys.executable} -m {store.__name__} {own.store}"),
        }
        for name, command in platform.items():
            sections[f"program:{name}"] = self._program(command, autostart="false", priority="1000")
        threads = max(1, (os.cpu_count() or 1) // (len(workers) + cpu_slots))
        gpus = chain(gpu_numbers(), repeat(None))
        for (name, role), gpu in zip(workers.items(), gpus, strict=False):
            sections[f"program:{name}"] = self._worker(f"gpu --name {name}", role, threads, gpu)
        sections["program:cpu"] = self._worker(f"cpu --name cpu --slots {cpu_slots}", "coordinator", threads)
        return sections

    def _program(self, command: str, **fields: str) -> dict[str, str]:
        fixed = {
            "autorestart": "true",
            "startsecs": "0",
            "startretries": "1000",
            "stopasgroup": "true",
            "killasgroup": "true",
            "priority": "1",
        }
        logs = {"redirect_stderr": "true", "stdout_logfile": f"{self.folder}/log/%(program_name)s.log"}
        return {"command": command, **fixed, **logs, "stopwaitsecs": "10", **fields}

    def _worker(self, words: str, role: str, threads: int, gpu: int | None = None) -> dict[str, str]:
        """It is stopped at once, not after the run it is at; without a GPU of its own it sees none.

        It lets all else on this machine go first: its runs take every core there is.
        """
        visible = "" if gpu is None else str(gpu)
        own = {"RR_NODE__ROLE": role, VISIBLE_VARIABLE: visible} | dict.fromkeys(THREADS, str(threads))
        environment = ",".join(f'{name}="{value}"' for name, value in own.items())
        command = f"nice -n 10 {_BIN}/rr-worker {words}"
        return self._program(command, autostart="false", priority="1001", environment=environment, stopsignal="QUIT")

    def _database_answers(self) -> bool:
        own = self.addresses
        try:
            connection = psycopg2.connect(
                host="127.0.0.1",
                port=own.database,
                user="ringrift",
                password=own.password,
                dbname="postgres",
                connect_timeout=2,
            )
        except psycopg2.OperationalError:
            return False
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("select 1 from pg_database where datname = 'ringrift'")
            if cursor.fetchone() is None:
                cursor.execute("create database ringrift")
        connection.close()
        return True

    def _broker_answers(self) -> bool:
        try:
            return bool(redis.Redis.from_url(self.environment["RR_BROKER"]).ping())
        except redis.RedisError:
            return False

    def _store_answers(self) -> bool:
        own = self.environment
        client = boto3.client(
            "s3",
            endpoint_url=own["AWS_ENDPOINT_URL"],
            aws_access_key_id=own["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=own["AWS_SECRET_ACCESS_KEY"],
            region_name=own["AWS_DEFAULT_REGION"],
        )
        try:
            client.create_bucket(Bucket=_BUCKET)
        except (BotoCoreError, ClientError):
            return False
        return True


def default_folder() -> Path:
    """Of the cluster of this copy of the project."""
    named = os.environ.get(FOLDER_VARIABLE)
    if named:
        return Path(named).resolve()
    mark = hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]
    return Path(tempfile.gettempdir()) / f"ringrift-{os.geteuid()}-{mark}"


def missing_programs() -> list[str]:
    """What a cluster needs and this machine lacks."""
    return [name for name, path in _found().items() if path is None]


def _found() -> dict[str, Path | None]:
    database = [str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    paths = os.pathsep.join([str(_BIN), *database, os.environ.get("PATH", "")])
    names = ("initdb", "postgres", "redis-server", "supervisord")
    return {name: None if (path := shutil.which(name, path=paths)) is None else Path(path) for name in names}


def _programs() -> dict[str, Path]:
    found = _found()
    if missing := [name for name, path in found.items() if path is None]:
        raise ConfigError(f"a cluster needs {', '.join(missing)}: {HOW_TO_GET}")
    return {name: path for name, path in found.items() if path is not None}


def _write_secret(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


def _wait(what: str, answers: Callable[[], bool], deadline: float) -> None:
    while not answers():
        if time.monotonic() > deadline:
            raise ConfigError(f"{what} did not come within {_START_S} s; its log tells more")
        time.sleep(0.2)
