"""Every command and snippet that a page shows is run, from a clean shell in a project's folder; links lead somewhere.

A command that no table here names is run as it stands, and has to end with status 0. The tables are exact: an entry
that no page needs any more fails.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from benchmarks.served import DAGSTER, free_port, hears_ctrl_c
from benchmarks.serving import running_server, until_it_answers
from rr_engine.notebook import open_games
from rr_engine.records import trace
from rr_engine.vault import Vault
from tests import documented
from tests.documented import LANGUAGES, LINKS, NO_COMMANDS, PAGES, PARTS, ROOT, SNIPPETS
from tests.engine.servers import serving
from tests.graph.conftest import HEX, clean_shell
from tests.test_commands import APPS, OPTIONS

_FIRST = "make run"  # what it leaves is where all others are run

# What stands for something -> what it is filled with.
FILLED = {
    "CHECKPOINT_HASH": "{checkpoint}",
    "HASH": "{checkpoint}",
    "NAME": "{game}",
    "CONFIG": HEX.key,
    "FILE...": "more.jsonl",
    "tests/data/games.jsonl.gz": f"{ROOT}/tests/data/games.jsonl.gz",
    "A B": "data second",
}
# What takes long -> the same, short: only numbers differ.
SHORT = {
    "search:heuristic:64 --config hex8_2p --games 200": "search:heuristic:2 --config hex8_2p --games 2",
    "--games 100": "--games 2",
    "winner = 1 and turns > 40": "winner = 1 and turns > 4",
    "--hours 24": "--hours 0.1",
    '"hex8_2p", 400), ("square8_3p", 100)': '"hex8_2p", 4), ("square8_3p", 2)',
}
# Servers -> a page that each has.
SERVERS = {"rr serve --port 8017": "/boards"}

_CLUSTER = "needs the servers of a cluster"
_MINUTES = "takes minutes"
_OTHERS = "changes the machine"
_TURN = "is typed by `make run`, with more assets"
_ELSEWHERE = "needs another machine"
_DEFAULT = "is run with its options by their defaults"
_HERE = "test_a_command_works"
# Not run here -> why, and the test that runs the same thing, or what it starts.
NOT_RUN = {
    _FIRST: ("has been run before all others", "turned"),
    "make run CONFIG=square8_3p": ("is `make run` of another config", "test_every_config_turns"),
    "make test": ("is what runs this test", None),
    "make coverage": (_MINUTES, None),
    "make ui": ("runs until it is stopped", "test_live_loop"),
    "make soak": (_MINUTES, "test_cluster_loses_nothing_when_shaken"),
    "make cluster-up": (_CLUSTER, "test_cluster_says_who_works"),
    "make cluster-down": (_CLUSTER, "test_cluster_says_who_works"),
    "eval $(.venv/bin/rr-cluster env)": (_CLUSTER, "test_cluster_says_who_works"),
    "rr-cluster up --gpu-workers 3": (_CLUSTER, "test_cluster_says_who_works"),
    "rr-cluster status": (_CLUSTER, "test_cluster_says_who_works"),
    "RR_MIRROR__TO=s3://bucket/prefix make ui": (
        "is `make ui` with a setting",
        "test_the_second_vault_gets_all_that_a_turn_leaves_and_all_of_it_is_indexed",
    ),
    "rr games replay NAME": (_DEFAULT, _HERE),
    "rr-status --config hex8_2p": ("is `rr-status` of one config", "test_what_waits_is_told_without_a_home_being_set"),
    'rr pause square19_4p "the node with the memory is away"': ("is run for another reason", _HERE),
    "rr serve": ("is started by `make ui`", "test_live_loop"),
    "rr vault mirror data s3://bucket/backup": ("is run to another place", _HERE),
    "rr vault verify --config hex8_2p": ("is `rr vault verify` of one config", "test_verify_prints_a_line_per_problem"),
    "rr games export --config hex8_2p --out games.jsonl.gz": ("is run with a condition", _HERE),
    "rr games import FILE...": ("is run with two files", _HERE),
    'rr sql "select count(*) from games" --config hex8_2p': ("is run with another query", _HERE),
    "rr play": (_DEFAULT, _HERE),
    "rr play --config hex8_2p --vs heuristic": ("is run against the champion", _HERE),
    "rr yardstick": (_MINUTES, "test_the_yardstick_prints_a_row_per_match"),
    "rr bench engine": (_MINUTES, "test_one_row_per_config_with_rates_that_agree"),
    "rr bench engine --peers --parallel --starts": (_MINUTES, "test_a_start_is_a_new_process_that_plays_a_game"),
    "rr bench selfplay": (_MINUTES, "test_the_bench_counts_both_ways"),
    "rr bench selfplay --json": (_MINUTES, "test_the_bench_counts_both_ways"),
    "rr bench training": (_MINUTES, "test_the_bench_measures_training_beside_the_bare_network"),
    "rr bench training --json": (_MINUTES, "test_the_bench_measures_training_beside_the_bare_network"),
    "rr bench training --config hex8_2p --seconds 5 --runs 1": (
        _MINUTES,
        "test_the_bench_measures_training_beside_the_bare_network",
    ),
    "RR_SETTINGS=benchmarks/learning.toml python benchmarks/learning.py --config hex8_2p --minutes 60": (
        _MINUTES,
        "test_learning_turns_the_real_loop_and_ends_with_a_match",
    ),
    "RR_SETTINGS=benchmarks/learning.toml python benchmarks/learning.py --config hex8_2p --minutes 60"
    " --search-games 200": (_MINUTES, "test_learning_turns_the_real_loop_and_ends_with_a_match"),
    "python -m benchmarks.serving --clients 8 --simulations 32 --seconds 20": (
        _MINUTES,
        "test_the_move_server_is_measured_by_clients_that_play",
    ),
    "python -m benchmarks.overhead --turns 6 --generations 1000": (_MINUTES, "test_live_loop"),
    "python -m benchmarks.overhead --cluster --turns 4 --generations 0": (_CLUSTER, "test_cluster_says_who_works"),
    "python -m benchmarks.overhead --cluster --turns 4": (_CLUSTER, "test_cluster_says_who_works"),
    "python -m benchmarks.backfill --out docs/backfill.png": (_MINUTES, "test_live_loop"),
    "python benchmarks/transfers.py": (_MINUTES, None),
    "python benchmarks/mirror.py --shards 100000 --differ 10": (
        _MINUTES,
        "test_mirroring_exchanges_little_beside_the_shards",
    ),
    "python -m benchmarks.soak": (_CLUSTER, "test_cluster_loses_nothing_when_shaken"),
    "python -m benchmarks.soak --minutes 20 --kills 50 --seed 1": (_CLUSTER, "test_cluster_loses_nothing_when_shaken"),
    "RR_FUZZ_SEED=7 pytest tests/engine/test_fuzz.py": (
        _MINUTES,
        "test_what_is_damaged_is_refused_or_loaded_as_it_is",
    ),
    'rr match "external:python3 my_player.py" heuristic': (
        "is the match of docs/protocol.md with more games",
        "test_the_documented_example_plays_whole_games",
    ),
    "dagster asset materialize -m rr_assets --select games_db --partition hex8_2p": (
        "is run beside the platform",
        "test_one_asset_materialises_from_a_clean_shell",
    ),
    "RR_SELFPLAY__GAMES=50 dagster asset materialize ...": (
        "is the line above with a setting",
        "test_one_asset_materialises_from_a_clean_shell",
    ),
    "dagster asset materialize -m rr_assets --select npz_dataset --partition hex8_2p": (_TURN, "turned"),
    "dagster asset materialize -m rr_assets --select checkpoint --partition hex8_2p": (_TURN, "turned"),
    "dagster asset materialize": ("is a name", "test_one_asset_materialises_from_a_clean_shell"),
    "dagster dev": ("runs until it is stopped", "test_live_loop"),
    "dagster instance migrate": (_CLUSTER, "test_cluster_says_who_works"),
    "dagster code-server start -h 127.0.0.1 -p 4000 -m rr_assets": (_CLUSTER, "test_cluster_says_who_works"),
    "dagster-webserver -h 127.0.0.1 -p 3000 -w WORKSPACE": (_CLUSTER, "test_cluster_says_who_works"),
    "dagster-daemon run -w WORKSPACE": (_CLUSTER, "test_cluster_says_who_works"),
    "rr-worker gpu": (_CLUSTER, "test_cluster_says_who_works"),
    "rr-worker cpu --slots 4": (_CLUSTER, "test_cluster_says_who_works"),
    "RR_NODE__ROLE=trainer rr-worker gpu --name gpu0 --gpu 0": (_CLUSTER, "test_cluster_says_who_works"),
    "RR_NODE__ROLE=ephemeral rr-worker gpu": (_CLUSTER, "test_cluster_says_who_works"),
    "docker compose -f dagster_home/compose.yaml --profile coordinator run --rm daemon dagster instance migrate": (
        _ELSEWHERE,
        "test_commands_exist_with_these_options",
    ),
    "ssh -L": (_ELSEWHERE, None),
    "ssh -L 3000:127.0.0.1:3000 -L 8017:127.0.0.1:8017": (_ELSEWHERE, None),
    "rsync --no-links": (_ELSEWHERE, None),
    "apt-get install postgresql redis-server": (_OTHERS, None),
    "apt-get install chromium": (_OTHERS, None),
    "pip install torch==2.13.0 -c constraints.txt && pip install -e '.[cluster]' -c constraints.txt": (_OTHERS, None),
}
# Snippets not run here, by their page -> the test that runs them.
SNIPPETS_ELSEWHERE = {"docs/protocol.md": "test_the_documented_example_plays_whole_games"}
# Languages of fenced blocks that are neither -> the test that looks at them, if their texts can be wrong.
OTHER_LANGUAGES = {"sql": "test_a_question_of_the_docs_is_answered_in_the_columns_shown", "text": None}
# Indented blocks that are none to type, by their first lines.
OTHER_BLOCKS = {
    "S0:0,9:10;M3:1,5:0;C7:1;H5,5;E0,0;T0,1;Fmove;P0;A-;R0;L-",
    "[vault.bandwidth_mb_s]      # MB/s of each process, both ways together; no entry, no limit",
    "[profile elsewhere]                 # ~/.aws/config, mode 600",
}


def _replaced(text: str, table: Mapping[str, str]) -> str:
    for key, value in table.items():
        text = re.sub(rf"(?<![\w$]){re.escape(key)}(?![\w=])", lambda _, value=value: value, text)
    return text


@cache
def _command(app: str) -> Any:
    return typer.main.get_command(APPS[app])


def _is_name(command: str) -> bool:
    """Whether a text speaks of one of our commands by its name: of a group, or of one that needs arguments."""
    first, *words = command.split()
    if first not in APPS:
        return False
    found = _command(first)
    for word in words:
        found = getattr(found, "commands", {}).get(word)
    return found is not None and (hasattr(found, "commands") or any(param.required for param in found.params))


def _passages() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Commands to run, each once, as they stand together; with the page."""
    seen = set(NOT_RUN)
    for part in PARTS:
        new = {_replaced(command, FILLED): command for command in part.commands if not _is_name(command)}
        if typed := tuple(command for run, command in new.items() if run not in seen and command not in seen):
            yield part.page, typed
        seen |= new.keys()


PASSAGES = list(_passages())
MENTIONED = {command for part in PARTS for command in part.commands}


@pytest.fixture(scope="module")
def turned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project's folder around the installed packages, after `make run` with tiny settings in it."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("benchmarks", "workspace.yaml"):
        (folder / name).symlink_to(ROOT / name)
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "docs", folder / "docs")
    (folder / "dagster_home").mkdir()
    for path in (ROOT / "dagster_home").glob("*.yaml"):
        shutil.copy(path, folder / "dagster_home")
    (folder / ".venv").mkdir()
    for path in Path(sys.prefix).iterdir():
        (folder / ".venv" / path.name).symlink_to(path)
    (folder / ".venv" / ".installed").unlink(missing_ok=True)
    (folder / ".venv" / ".installed").touch()
    done = _run(_FIRST, folder)
    assert done.returncode == 0, done.stderr
    assert re.search(r"champion, generation 0\n", done.stdout)
    shutil.copytree(folder / "data", folder / "second")
    (folder / "my_player.py").write_text(dict(SNIPPETS)["docs/protocol.md"])
    own = [game for game in trace.read(ROOT / "tests/data/games.jsonl.gz") if trace.config_of(game) == HEX]
    (folder / "more.jsonl").write_text("".join(json.dumps(game) + "\n" for game in own[:2]))
    return folder


@pytest.fixture(scope="module")
def filled(turned: Path) -> Mapping[str, str]:
    """What stands for something -> what it is in that folder."""
    vault = Vault.open(str(turned / "data"))
    [checkpoint] = vault.cards("checkpoint", HEX.key)
    with open_games(HEX.key, vault=vault.url) as games:
        [[game]] = games.execute("select name from games limit 1").fetchall()
    return {key: value.format(checkpoint=checkpoint.sha256, game=game) for key, value in FILLED.items()}


@pytest.fixture
def project(turned: Path, tmp_path: Path) -> Path:
    """A copy of one's own."""
    return shutil.copytree(turned, tmp_path / "project", symlinks=True)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The variables that lead to an S3 store with the bucket of the pages."""
    boto3 = pytest.importorskip("boto3", reason="needs the extras `cluster` and `trial`: make .venv/.installed")
    with serving() as address:
        keys = {"aws_access_key_id": "a-key-for-tests", "aws_secret_access_key": "a-secret-for-tests"}
        boto3.client("s3", endpoint_url=address, region_name="us-east-1", **keys).create_bucket(Bucket="bucket")
        place = {"AWS_ENDPOINT_URL": address, "AWS_DEFAULT_REGION": "us-east-1"}
        cache = {"RR_CACHE": str(tmp_path_factory.mktemp("cache"))}
        yield place | cache | {key.upper(): value for key, value in keys.items()}


def _environ(folder: Path) -> dict[str, str]:
    clean = clean_shell(folder / "dagster_home")
    return clean | {"RR_VAULT": str(folder / "data"), "PATH": f"{DAGSTER.parent}{os.pathsep}{clean['PATH']}"}


def _run(command: str, folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Typed in that folder, by somebody who answers `quit` when asked."""
    return subprocess.run(
        ["bash", "-c", command], cwd=folder, env=_environ(folder) | environ, input="quit\n",
        capture_output=True, text=True, check=False, timeout=200,
    )  # fmt: skip


@contextmanager
def _served(command: str, folder: Path) -> Iterator[str]:
    """Its address while it runs; it ends on Ctrl-C."""
    port = free_port()
    command = f"{command.partition(' --port')[0]} --port {port}"
    server = subprocess.Popen(
        ["bash", "-c", command], cwd=folder, env=_environ(folder), start_new_session=True, preexec_fn=hears_ctrl_c
    )
    try:
        yield f"http://127.0.0.1:{port}"
        os.killpg(server.pid, signal.SIGINT)
        server.wait(60)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


@pytest.mark.parametrize("commands", [pytest.param(typed, id=f"{page}: {typed[0]}") for page, typed in PASSAGES])
def test_a_command_works(
    commands: tuple[str, ...], project: Path, filled: Mapping[str, str], request: pytest.FixtureRequest
) -> None:
    for shown in commands:
        command = _replaced(_replaced(shown, SHORT), filled)
        if shown in SERVERS:
            with _served(command, project) as url:
                until_it_answers(url + SERVERS[shown])
        elif shown.startswith("curl "):
            _curl(command, project)
        else:
            environ = request.getfixturevalue("store") if "s3://" in command else {}
            done = _run(command, project, **environ)
            assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


def _curl(command: str, folder: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("left out, for this machine has no curl")
    with running_server(folder / "data") as url:
        done = _run(command.replace("localhost:8017", url), folder)
    assert done.returncode == 0, done.stderr
    assert "detail" not in json.loads(done.stdout), done.stdout


@pytest.mark.parametrize(
    "snippet", [pytest.param(code, id=page) for page, code in SNIPPETS if page not in SNIPPETS_ELSEWHERE]
)
def test_a_snippet_works(snippet: str, project: Path) -> None:
    (project / "snippet.py").write_text(_replaced(snippet, SHORT))
    done = _run("python snippet.py", project)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("page", "target"), list(dict.fromkeys(LINKS)))
def test_a_link_leads_somewhere(page: str, target: str) -> None:
    name, _, anchor = target.partition("#")
    there = ((ROOT / page).parent / name).resolve() if name else ROOT / page
    assert there.exists()
    if anchor:
        assert anchor in documented.anchors(there.relative_to(ROOT).as_posix())


def test_files_that_pages_name_are_there() -> None:
    assert documented.FILES
    assert [(page, name) for page, name in documented.FILES if not any(ROOT.glob(name))] == []


@cache
def _sources() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py"))


def test_what_is_run_elsewhere_is() -> None:
    named = {test for _, test in NOT_RUN.values()} | {*SNIPPETS_ELSEWHERE.values(), *OTHER_LANGUAGES.values()}
    assert [test for test in named - {None} if not re.search(rf"^def {test}\(", _sources(), re.MULTILINE)] == []


def test_what_is_not_run_exists_at_least() -> None:
    """Targets of make, extras of the package, our own commands, and options of these and of benchmarks."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    extras = set(re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text(), re.MULTILINE))
    for command in NOT_RUN:
        assert set(re.findall(r"\bmake ([\w-]+)", command)) <= targets
        assert set(re.findall(r"'\.\[(\w+)\]'", command)) <= extras
        for name in re.findall(r"python (?:-m )?(benchmarks[./]\w+)", command):
            source = (ROOT / name.replace(".", "/")).with_suffix(".py").read_text()
            assert [option for option in re.findall(r" (--[\w-]+)", command) if f'"{option}"' not in source] == []
        typed = re.sub(r"^(?:[A-Z_]+=\S+ )+", "", command)
        if typed.partition(" ")[0] in APPS:
            [options] = [known for path, known in OPTIONS.items() if f"{typed} ".startswith(f"{path} ")]
            assert set(re.findall(r" (--[\w-]+)", typed)) <= options, command


def test_the_tables_are_exact() -> None:
    shown = [*MENTIONED, *(code for _, code in SNIPPETS)]
    assert NOT_RUN.keys() <= MENTIONED
    assert SERVERS.keys() <= MENTIONED
    assert OTHER_LANGUAGES.keys() == LANGUAGES - {"python"}
    assert OTHER_BLOCKS == NO_COMMANDS
    assert SNIPPETS_ELSEWHERE.keys() <= dict(SNIPPETS).keys()
    unused = [key for key in (*SHORT, *FILLED) if all(_replaced(text, {key: "?"}) == text for text in shown)]
    assert unused == []
    for long, short in SHORT.items():
        assert re.sub(r"\d+(?:\.\d+)?", "0", long) == re.sub(r"\d+(?:\.\d+)?", "0", short)


def test_pages_are_read() -> None:
    assert {"README.md", "docs/cluster.md", "docs/runbook.md"} <= set(PAGES)
    assert len(MENTIONED) >= 80
    assert len(PASSAGES) >= 25
