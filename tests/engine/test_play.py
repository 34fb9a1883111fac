"""`rr play`: a game in the terminal, with everything that can be typed; `rr serve` says where it cannot listen."""

import re
import shlex
import socket
import sys
from pathlib import Path

import pytest
import uvicorn
from typer.testing import CliRunner

from rr_engine.cli import app
from rr_engine.errors import ConfigError, PlayerError


def typed(*words: str, vs: str = "random", seat: int = 1) -> str:
    answer = CliRunner().invoke(
        app, ["play", "--config", "hex8_2p", "--vs", vs, "--seat", str(seat)], input="\n".join(words) + "\n"
    )
    assert answer.exit_code == 0, answer.output
    return answer.output


def test_words_are_understood_and_wrong_moves_explained() -> None:
    said = typed("list", "P99x1", "P30x2", "undo", "hint", "board", "quit", vs="search:heuristic:4")
    assert "you are a" in said and "P0x1 P0x2 P0x3" in said
    assert "P99x1" in said and "may play" in said.replace("\n", " ")
    assert "chances to win: " in said


def test_all_moves_are_listed_for_who_asks() -> None:
    some, every = typed("list", "quit"), typed("list all", "quit")
    there = int(re.search(r"(\d+) moves, such as", some)[1])
    assert f"... {there - 60} more: list all" in some
    assert [len(re.findall(r"\bP\d+x[123]\b", said)) for said in (some, every)] == [60 + 12, there + 12]


def test_hints_have_values_whoever_plays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RR_VAULT", str(tmp_path / "vault"))
    said = typed("hint", "quit", vs="random")
    assert "chances to win: " in said
    assert re.search(r"\d+%  P\d+x[123], wins \d+%", said)


def test_a_program_that_ends_is_told(tmp_path: Path) -> None:
    program = tmp_path / "ends.py"
    program.write_text("raise SystemExit('no more')", encoding="utf-8")
    command = f"external:{shlex.quote(sys.executable)} -I -S {shlex.quote(str(program))}"
    answer = CliRunner().invoke(app, ["play", "--vs", command, "--seat", "2"])
    assert isinstance(answer.exception, PlayerError)
    assert "has forfeited: ended with exit status 1: no more" in str(answer.exception)


def test_undo_goes_back_to_ones_own_decision_and_not_behind_the_start() -> None:
    said = typed("undo", "P30x2", "undo", "quit")
    assert "this is the start" in said
    assert said.count("hex8_2p  turn 0  a decides in phase place") >= 2


@pytest.mark.parametrize("seat", [1, 2])
def test_a_game_is_played_to_its_end(seat: int) -> None:
    words: list[str] = []
    while True:  # always the first move there is, as the game goes
        said = typed(*words, "quit", seat=seat)
        if " wins by " in said:
            break
        offered = said.rpartition(" moves, such as ")[2].partition("; yours")[0].split()
        words.append(offered[0])
        assert len(words) < 300
    assert "over: " in said and "random plays " in said


def test_what_cannot_be_played_is_refused() -> None:
    run = CliRunner().invoke
    assert "seat 3" in str(run(app, ["play", "--seat", "3"]).exception)
    assert isinstance(run(app, ["play", "--vs", "nobody"]).exception, PlayerError)
    assert isinstance(run(app, ["play", "--config", "hex9_2p"]).exception, ConfigError)


def test_a_port_that_is_taken_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        error = CliRunner().invoke(app, ["serve", "--port", str(port)]).exception
    assert isinstance(error, ConfigError)
    assert f"cannot listen at 127.0.0.1:{port}: Address already in use; name another by --port" in str(error)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_any_address_of_this_machine_will_do(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if host == "::1" and not _has_ipv6():
        pytest.skip("this machine has no IPv6")
    ran: list[object] = []
    monkeypatch.setattr(uvicorn, "run", lambda _, **where: ran.append(where["host"]))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    answer = CliRunner().invoke(app, ["serve", "--host", host, "--port", str(port)])
    assert (answer.exit_code, ran) == (0, [host]), answer.output
    assert f"open http://{'[::1]' if host == '::1' else host}:{port}" in answer.output


def test_an_address_that_nobody_has_is_told() -> None:
    error = CliRunner().invoke(app, ["serve", "--host", "no.such.invalid"]).exception
    assert isinstance(error, ConfigError)
    assert "cannot listen at no.such.invalid" in str(error)


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as tried:
            tried.bind(("::1", 0))
    except OSError:
        return False
    return True
