"""Progress: the texts, which lines are told, and where commands show them."""

import json
import os
import pty
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba.core import event
from typer.testing import CliRunner

from benchmarks.served import hears_ctrl_c
from rr_engine import cli, progress
from rr_engine.progress import BYTES, Count, Lines, Task, compiling, left, logged, share_of, span, told_of, typed

GAMES = Task("games", 400, rate="decisions")
FILES = Task(BYTES, 5_300_000_000, rate=BYTES)


@pytest.mark.parametrize(
    ("task", "done", "amount", "seconds", "told"),
    [
        (GAMES, 120, 11_555, 5.0, "120 of 400 games, 2,311 decisions/s, about 12 s left"),
        (GAMES, 0, 0, 0.0, "0 of 400 games, 0 s so far"),
        (GAMES, 0, 60, 4.0, "0 of 400 games, 15.0 decisions/s, 4 s so far"),
        (GAMES, 400, 400, 200.0, "400 of 400 games, 2.0 decisions/s, 3 min in all"),
        (GAMES, 402, 0, 3.0, "402 of 402 games, 3 s in all"),
        (Task("games", 400, expected=1000.0), 0, 250, 10.0, "0 of 400 games, about 30 s left"),
        (Task("games", 400, expected=1000.0), 300, 250, 30.0, "300 of 400 games, about 10 s left"),
        (Task("games", 400, expected=1000.0), 0, 2000, 98.0, "0 of 400 games, about 2 s left"),
        (Task("configs", 12), 5, 0, 10.0, "5 of 12 configs, about 14 s left"),
        (Task("configs", 0), 0, 0, 0.0, "0 of 0 configs, 0 s in all"),
        (Task("games"), 1_234, 0, 7_200.0, "1,234 games, 2.0 h so far"),
        (FILES, 1_200_000_000, 1_200_000_000, 4.0, "1.2 of 5.3 GB, 300 MB/s, about 14 s left"),
        (Task(BYTES, 900), 450, 0, 1.0, "450 of 900 bytes, about 1 s left"),
        (Task(BYTES, 52_000), 500, 0, 1.0, "0.5 of 52.0 kB, about 2 min left"),
    ],
)
def test_a_text_says_how_far_how_fast_and_how_long(task, done, amount, seconds, told):
    assert told_of(task, done, amount, seconds) == told


@given(
    done=st.integers(0, 10**12),
    total=st.none() | st.integers(0, 10**12),
    amount=st.integers(0, 10**15),
    seconds=st.floats(0, 1e7),
    expected=st.floats(0, 1e15),
    unit=st.sampled_from(["games", BYTES]),
)
def test_every_stand_has_a_share_and_a_text_without_nonsense(done, total, amount, seconds, expected, unit):
    task = Task(unit, total, rate=unit, expected=expected)
    assert 0 <= share_of(task, done, amount) <= 1
    told = told_of(task, done, amount, seconds)
    assert "-" not in told and "inf" not in told and "nan" not in told
    assert told.endswith((" left", " so far", " in all"))


def test_times_are_in_the_unit_that_fits():
    assert [span(seconds) for seconds in (0.4, 99, 100, 3600, 9000)] == ["0 s", "99 s", "2 min", "60 min", "2.5 h"]
    assert left(12.3) == "about 12 s left"


@pytest.fixture
def clock(monkeypatch):
    """Time that stands still unless it is moved."""
    now = SimpleNamespace(s=0.0)
    monkeypatch.setattr(progress, "time", SimpleNamespace(perf_counter=lambda: now.s))
    return now


def work(lines: Lines, clock, *, steps: int, step_s: float, task: Task | None = None) -> None:
    count = lines(task or Task("steps", steps))
    for _ in range(steps):
        clock.s += step_s
        count.add()


def test_who_waits_hears_nothing_of_what_is_quick_and_then_one_line_each_five_seconds(clock):
    told: list[str] = []
    work(typed(told.append), clock, steps=15, step_s=0.125)
    assert told == []
    lines = typed(told.append)
    work(lines, clock, steps=40, step_s=0.125)
    work(lines, clock, steps=160, step_s=0.125, task=Task("steps", 160, "more"))
    assert [line.partition(",")[0] for line in told] == [
        "16 of 40 steps",
        *(f"more: {done} of 160 steps" for done in (16, 56, 96, 136)),
    ]


def test_a_log_has_ten_lines_and_one_each_half_minute(clock):
    told: list[str] = []
    lines = logged(told.append)
    work(lines, clock, steps=1000, step_s=0.0009)
    assert told == []  # it was quick
    work(lines, clock, steps=1000, step_s=0.012)
    assert [line.partition(" of")[0] for line in told] == [f"{done:,}" for done in range(100, 1100, 100)]
    for _ in range(20):
        work(lines, clock, steps=100, step_s=0.3)
    assert len(told) == pytest.approx(10 + 20 * 30 / 30, abs=1)


def test_items_count_when_the_next_one_is_asked_for():
    seen: list[int] = []
    count = Count(Task("items", 3), lambda count: seen.append(count.done))
    assert [(item, count.done) for item in count.each("abc")] == [("a", 0), ("b", 1), ("c", 2)]
    assert seen == [1, 2, 3]


def test_that_rules_are_compiled_is_said_once_and_only_if_they_are():
    told: list[str] = []
    with compiling(typed(told.append), "hex8"):
        assert told == []
        for _ in range(2):
            with event.trigger_event("numba:compile"):
                pass
    with event.trigger_event("numba:compile"):
        pass
    assert told == ["compiling the rules of hex8, half a minute the first time"]


MATCH = ("match", "greedy", "random", "--games", "6", "--json")


def rr(*words):
    return CliRunner().invoke(cli.app, words)


def test_progress_is_on_stderr_and_results_are_alone_on_stdout(monkeypatch):
    monkeypatch.setattr(progress, "_TYPED_FIRST_S", 0.0)
    done = rr(*MATCH)
    assert json.loads(done.stdout)["games"] == 6
    assert "greedy - random: " in done.stderr and " of 6 games, " in done.stderr


@pytest.mark.parametrize("word", ["-q", "--quiet"])
def test_quiet_says_nothing(monkeypatch, word):
    monkeypatch.setattr(progress, "_TYPED_FIRST_S", 0.0)
    done = rr(*MATCH, word)
    assert (done.exit_code, done.stderr) == (0, "")
    assert json.loads(done.stdout)["games"] == 6


def on_a_terminal(*words):
    """The command with its stderr on a terminal of its own; returns the process and the terminal."""
    ours, theirs = pty.openpty()
    code = "from rr_engine import cli; cli.main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs, preexec_fn=hears_ctrl_c,
    )  # fmt: skip
    os.close(theirs)
    return process, ours


def read_until(terminal: int, text: str) -> str:
    """What a terminal shows up to `text`, or to its end if that is empty."""
    shown = ""
    while not text or text not in shown:
        try:
            shown += os.read(terminal, 4096).decode(errors="replace")
        except OSError:  # nobody writes to it any more
            break
    return shown


def test_a_terminal_gets_bars_and_a_pipe_the_results():
    words = ("--games", "2", "--config", "hex8_2p", "--opponent", "random", "--opponent", "greedy")
    process, terminal = on_a_terminal("yardstick", *words, "--json")
    shown = read_until(terminal, "")
    out, _ = process.communicate()
    os.close(terminal)
    assert process.returncode == 0
    assert [json.loads(line)["b"]["name"] for line in out.splitlines()] == ["random", "greedy"]
    assert "hex8_2p: heuristic - greedy" in shown and "2 of 2 games, " in shown
    assert '"wilson_low"' not in shown


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_match_that_is_stopped_leaves_terminal_and_stdout_clean(sent, status):
    process, terminal = on_a_terminal("match", "greedy", "random", "--games", "100000", "--json")
    read_until(terminal, "of 100,000 games")
    process.send_signal(sent)
    shown = read_until(terminal, "")
    out, _ = process.communicate()
    os.close(terminal)
    assert (process.returncode, out) == (status, b"")
    assert "\x1b[?25h" in shown  # the cursor is back
    assert "Traceback" not in shown
