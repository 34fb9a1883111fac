"""A real browser before real servers: Debian's Chromium, `rr serve`, Dagster's pages; left out where there is none."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from benchmarks.served import DAGSTER, ROOT, free_port
from benchmarks.serving import running_server, until_it_answers
from tests.graph.conftest import HEX, LOOP, TINY, Loop

_CHROMIUM = "chromium"
HOW_TO_GET = "apt-get install chromium, and make .venv/.installed"
_PATIENCE_MS = 60_000  # the first answer of a player compiles it
_WIDE, _PHONE = (1280, 900), (390, 844)


@pytest.fixture(scope="module")
def port() -> int:
    """Where `rr serve` will be, which what is materialised links to."""
    return free_port()


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[Path]:
    """What two turns of the loop on tiny settings leave; its folder is a Dagster home, too, which saw them."""
    home = tmp_path_factory.mktemp("home")
    shutil.copy(ROOT / "dagster_home" / "dagster.yaml", home)
    with pytest.MonkeyPatch.context() as patch, dg.DagsterInstance.from_config(str(home)) as instance:
        patch.setenv("RR_SETTINGS", str(TINY))
        patch.setenv("RR_MIRROR__TO", str(home / "second"))
        patch.setenv("RR_SERVE__URL", f"http://127.0.0.1:{port}")
        loop = Loop(str(home / "vault"), instance)
        for _ in range(2):
            assert loop.materialize(*LOOP, config=HEX.key).success
            assert loop.materialize("selfplay_plan", "leaderboard").success
        assert loop.materialize("mirror").success
    return home / "vault"


@pytest.fixture(scope="module")
def chromium(vault: Path) -> Iterator[Browser]:
    """After the vault: while it is open an event loop runs, which Dagster would stumble over."""
    assert vault.exists()
    program = shutil.which(_CHROMIUM)
    if program is None:
        told = f"left out, for this machine has no {_CHROMIUM}; to get it: {HOW_TO_GET}"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(told)
    expect.set_options(timeout=_PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def served(vault: Path, port: int) -> Iterator[str]:
    """The address of `rr serve` on that vault."""
    with running_server(vault, port) as url:
        yield url


@pytest.fixture(scope="module")
def dagster(vault: Path, served: str) -> Iterator[str]:
    """The address of Dagster's pages on that home, beside `rr serve`; no daemon, so nothing starts."""
    assert served
    port, home = free_port(), vault.parent
    with (home / "pages.log").open("w") as log:
        pages = subprocess.Popen(
            [DAGSTER.with_name("dagster-webserver"), "-h", "127.0.0.1", "-p", str(port)],
            cwd=ROOT, env=os.environ | {"DAGSTER_HOME": str(home), "RR_VAULT": str(vault)},
            stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        until_it_answers(f"http://127.0.0.1:{port}/server_info")
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(pages.pid, signal.SIGTERM)
        pages.wait(30)


def _opened(browser: Browser, size: tuple[int, int], *, touch: bool = False, refused: str = "") -> Iterator[Page]:
    """A window of that size; a fault in the page's script or a request that fails is one of the test.

    Requests may fail as `refused` says.
    """
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, has_touch=touch)
    context.set_default_timeout(_PATIENCE_MS)
    page, faults = context.new_page(), list[str]()

    def hear(said: ConsoleMessage) -> None:
        if said.type == "error" and not (refused and refused in said.text):
            faults.append(said.text)

    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", hear)
    yield page
    context.close()
    assert not faults


@pytest.fixture
def window(chromium: Browser) -> Iterator[Page]:
    yield from _opened(chromium, _WIDE)


@pytest.fixture
def phone(chromium: Browser) -> Iterator[Page]:
    yield from _opened(chromium, _PHONE, touch=True)


@pytest.fixture
def refused_window(chromium: Browser) -> Iterator[Page]:
    """As `window`; the server may refuse positions."""
    yield from _opened(chromium, _WIDE, refused="409")


@pytest.fixture
def dagster_window(chromium: Browser) -> Iterator[Page]:
    """As `window`; what Dagster's own pages complain of is not ours."""
    context = chromium.new_context(viewport={"width": _WIDE[0], "height": _WIDE[1]})
    context.set_default_timeout(_PATIENCE_MS)
    yield context.new_page()
    context.close()
