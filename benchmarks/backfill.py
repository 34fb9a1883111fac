"""A backfill of all twelve partitions of games_db, launched from the web page as a person would; keeps a picture of it.

    pip install -e '.[pages]'; apt install chromium
    python -m benchmarks.backfill --out docs/backfill.png

`dagster dev` runs on a fresh home with tiny settings, every config paused: nothing but the backfill starts games.
Prints one JSON line; a partition that is not materialised, or a run without the tags of automation, is an error.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import dagster as dg
from playwright.sync_api import Page, sync_playwright

from benchmarks.served import ROOT, Dev, dagster_dev, let_rest
from rr_engine.boards import CONFIGS
from rr_engine.vault import Vault

ASSET = "games_db"
_LONGEST_S = 540  # seconds that all partitions may take
_SHOWN_S = 120  # seconds until the page, too, has seen them all


def launch(page: Page, dev: Dev) -> None:
    """Press the buttons."""
    page.goto(f"{dev.url}/assets/{ASSET}?view=partitions")
    page.get_by_role("button", name="Materialize…").click()
    page.get_by_role("button", name="All", exact=True).click()
    page.get_by_role("button", name="Launch backfill").click()
    page.get_by_text("Launch runs to materialize").wait_for(state="hidden")


def wait_for_runs(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    """The runs of the backfill, once every one has ended."""
    deadline = time.monotonic() + _LONGEST_S
    while time.monotonic() < deadline:
        runs = [run for run in instance.get_runs() if "dagster/backfill" in run.tags]
        if len(runs) == len(CONFIGS) and all(run.is_finished for run in runs):
            return runs
        time.sleep(2)
    raise TimeoutError(f"the backfill has not ended after {_LONGEST_S} s")


def judge(instance: dg.DagsterInstance, runs: list[dg.DagsterRun]) -> dict[str, Any]:
    """What came of it; raises AssertionError where something is missing."""
    made = instance.get_materialized_partitions(dg.AssetKey(ASSET))
    assert made == {config.key for config in CONFIGS}, f"only {sorted(made)} are materialised"
    assert all(run.is_success for run in runs), "a run failed"
    for run in runs:
        config = run.tags["dagster/partition"]
        wanted = {"rr/lane": "gpu", "rr/config": config, f"rr/writes/{ASSET}": config}
        assert wanted.items() <= run.tags.items(), f"run {run.run_id} is tagged {run.tags}"
    return {"partitions": len(made), "runs": len(runs), "backfill": runs[0].tags["dagster/backfill"]}


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="a PNG file")
    parser.add_argument("--browser", default=shutil.which("chromium"), help="the program; default: chromium")
    arguments = parser.parse_args()
    if arguments.browser is None:
        parser.error("there is no chromium on the path: apt install chromium, or name one with --browser")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        shutil.copy(ROOT / "dagster_home" / "dagster.yaml", home)
        let_rest(Vault.open(str(home / "vault")))
        tiny = str(ROOT / "tests" / "data" / "tiny.toml")
        with (
            dagster_dev(home, RR_SETTINGS=tiny) as dev,
            dg.DagsterInstance.from_config(folder) as instance,
            sync_playwright() as play,
        ):
            browser = play.chromium.launch(executable_path=arguments.browser, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1280, "height": 480})
            began = time.monotonic()
            launch(page, dev)
            told = judge(instance, wait_for_runs(instance))
            told["seconds"] = round(time.monotonic() - began)
            page.goto(f"{dev.url}/runs/b/{told['backfill']}")
            page.get_by_text("100% completed").wait_for(timeout=1000 * _SHOWN_S)
            page.screenshot(path=arguments.out)
            browser.close()
    print(json.dumps(told))


if __name__ == "__main__":
    sys.exit(main())
