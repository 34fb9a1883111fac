"""The files for real nodes: what they publish, which secrets they want from whom, and that their commands exist."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "dagster_home" / "compose.yaml").read_text()
SERVICES = yaml.safe_load(TEXT)["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
SECRET = re.compile(r"PASSWORD|SECRET|KEY|AUTH|POSTGRES$|BROKER$")


def given(text: str) -> str:
    """A line with the defaults of its variables in it."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


def test_nothing_is_published_but_on_loopback_by_default():
    published = [given(port) for service in SERVICES.values() for port in service.get("ports", ())]
    assert len(published) >= 3
    assert {port.rpartition(":")[0].rpartition(":")[0] for port in published} == {"127.0.0.1"}


def test_no_secret_is_written_down():
    environment = {name: value for service in SERVICES.values() for name, value in service["environment"].items()}
    secrets = {name: value for name, value in environment.items() if SECRET.search(name) and name != "POSTGRES_USER"}
    assert len(secrets) >= 5
    assert all(re.fullmatch(r"\$\{\w+:[-?].*\}", value) for value in secrets.values()), secrets
    assert not [value for value in secrets.values() if given(value) not in ("", value)]  # nor as a default


def test_a_node_with_a_gpu_needs_no_secret_of_the_coordinator():
    needed = set(re.findall(r"(?<!\$)\$\{(\w+):\?", TEXT))
    assert needed == {"RR_POSTGRES", "RR_BROKER", "RR_VAULT", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}


LOADED = """
import sys
sys.modules |= dict.fromkeys(("boto3", "flask", "flask_cors", "moto", "supervisor"))  # what there is no such module of
from rr_assets.cluster import app
app.load_everything()
"""


def test_a_worker_needs_nothing_of_a_trial():
    environ = os.environ | {"RR_BROKER": "redis://127.0.0.1:6379/0"}
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", LOADED], env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_process_reads_the_same_settings():
    assert {tuple(file["path"] for file in service["env_file"]) for service in OURS.values()} == {("settings.env",)}


@pytest.mark.parametrize("name", OURS)
def test_commands_exist_with_these_options(name):
    program, *words = shlex.split(given(OURS[name]["command"]))
    done = subprocess.run(
        [Path(sys.executable).with_name(program), *words, "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    for word in words:
        assert not word.endswith(".yaml") or (ROOT / word).exists()
