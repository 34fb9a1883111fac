"""An S3 server that tests of the vault have for themselves."""

import importlib.util
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@contextmanager
def serving():
    """Address of an S3 server of these tests' own."""
    if not all(map(importlib.util.find_spec, ("s3fs", "moto", "boto3"))):
        pytest.skip("needs the extras `cluster` and `trial`: make .venv/.installed")
    process = subprocess.Popen(
        [sys.executable, "-m", "rr_assets.cluster.store", "0"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process.stdout.readline().strip()
    finally:
        process.kill()  # whatever it is at
        process.wait()
