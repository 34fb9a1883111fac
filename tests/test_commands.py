"""What every command can be asked: `--quiet` where it may take over 2 seconds, `--json` where it prints facts."""

from collections.abc import Iterator

import pytest
import typer

from rr_assets import liveness
from rr_assets.cluster import command, worker
from rr_engine import cli

APPS = {"rr": cli.app, "rr-cluster": command.app, "rr-status": liveness.app, "rr-worker": worker.app}
SERVER = "it works until it is stopped, and logs"
NO_QUIET = {
    "rr configs": "knows what it prints",
    "rr games replay": "looks up one game",
    "rr pause": "writes one record",
    "rr resume": "writes one record",
    "rr serve": SERVER,
    "rr standings": "reads the ratings of one config",
    "rr-cluster env": "knows what it prints",
    "rr-cluster status": "is one question to supervisord",
    "rr-worker": SERVER,
}
NO_JSON = {
    "rr games replay": "writes a page",
    "rr play": "talks to a person",
    "rr report": "writes a page; its numbers, by --metrics, are JSON anyway",
    "rr serve": SERVER,
    "rr-cluster down": "says only that it is done",
    "rr-cluster env": "is read by a shell",
    "rr-worker": SERVER,
}


def commands(path: str, command: object) -> Iterator[tuple[str, set[str]]]:
    """Every command with all its options."""
    if inner := getattr(command, "commands", None):
        for name, found in inner.items():
            yield from commands(f"{path} {name}", found)
    else:
        yield path, {option for parameter in command.params for option in parameter.opts}


OPTIONS = {path: options for name, app in APPS.items() for path, options in commands(name, typer.main.get_command(app))}


@pytest.mark.parametrize(("option", "short", "exceptions"), [("--quiet", "-q", NO_QUIET), ("--json", "", NO_JSON)])
def test_every_command_has_the_option_or_a_reason(option: str, short: str, exceptions: dict[str, str]) -> None:
    with_it = {path for path, options in OPTIONS.items() if option in options}
    assert OPTIONS.keys() - with_it == exceptions.keys()
    assert all(short in OPTIONS[path] for path in with_it if short)


def test_the_tree_is_walked() -> None:
    assert len(OPTIONS) >= 25
    assert {"rr match", "rr vault gc", "rr bench engine", "rr-cluster up", "rr-status", "rr-worker"} <= OPTIONS.keys()
