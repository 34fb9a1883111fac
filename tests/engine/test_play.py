"""`rr play`: a game in the terminal, with everything that can be typed; `rr serve` says where it cannot listen."""

import socket

import pytest
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
