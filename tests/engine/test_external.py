"""Outside programs: the good play on, the bad lose by rule, and nothing they do holds up a match or stays behind."""

import gc
import json
import os
import re
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from rr_engine.arena import MatchResult, play_match
from rr_engine.boards import Config
from rr_engine.cli import app
from rr_engine.errors import PlayerError
from rr_engine.game import Game
from rr_engine.players import Table, player
from rr_engine.players.asked import think
from rr_engine.players.external import PATIENCE, ExternalPlayer, closing
from rr_engine.settings import MatchSettings
from tests.engine.test_players import positions_of

HEX = Config.parse("hex8_2p")
PROTOCOL = Path(__file__).parents[2] / "docs" / "protocol.md"
QUICK = MatchSettings(move_time_ms=250, start_time_ms=1500)
HEAD = """
import os, sys, time
def say(*words):
    print(*words, flush=True)
def hear():
    line = sys.stdin.readline()
    return line.split() if line else sys.exit()
def greet():
    hear()
    say("ringrift 1 test")
def until_go():
    while hear()[0] != "go":
        pass
def play():
    say("legal")
    say("move", hear()[1])
"""

Make = Callable[..., ExternalPlayer]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """A player from the source of its program; all are ended, and nothing may be left of them."""
    made: list[ExternalPlayer] = []

    def maker(source: str, settings: MatchSettings = QUICK) -> ExternalPlayer:
        path = tmp_path / f"program_{len(made)}.py"
        path.write_text(HEAD + source, encoding="utf-8")
        made.append(ExternalPlayer(command_of(path), settings))
        return made[-1]

    yield maker
    with closing(*made):
        pass
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def command_of(path: Path) -> str:
    return f"{shlex.quote(sys.executable)} -I -S {shlex.quote(str(path))}"


def example() -> str:
    """The program that the documentation shows."""
    found = re.search(r"```python\n(.*?)```", PROTOCOL.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    return found[1]


def played(a: object, b: object, *, games: int = 4, key: str = "hex8_2p") -> MatchResult:
    config = Config.parse(key)
    one, other = (player(agent, config, by_hand=True) if isinstance(agent, str) else agent for agent in (a, b))
    return play_match(one, other, config, games=games, opening_decisions=3, seed=5)


@pytest.mark.parametrize("key", ["hex8_2p", "square8_3p"])
def test_the_documented_example_plays_whole_games(make: Make, key: str):
    result = played(make(example()), make(example()), games=6, key=key)
    assert result.forfeits == (0, 0)
    assert result.distinct == 6
    for record in result.played:
        game = Game(key)
        game.play_all(record.moves)
        outcome = game.outcome()
        assert outcome is not None
        assert outcome.winner == record.winner


def test_a_program_loses_and_wins_like_anybody(make: Make):
    lost = played(make(example()), "heuristic", games=10)
    won = played("heuristic", make(example()), games=10)
    assert lost.wins <= 1
    assert won.wins >= 9
    assert lost.to_json()["forfeits"] == {"a": 0, "b": 0}


def test_a_program_hears_every_game_once_and_every_move(make: Make, tmp_path: Path):
    log = tmp_path / "log"
    source = f"""
out = open({str(log)!r}, "w")
greet()
while True:
    words = hear()
    print(*words, file=out, flush=True)
    if words[0] == "go":
        play()
"""
    result = played(make(source), "random", games=2)
    games = log.read_text(encoding="utf-8").split("newgame hex8_2p pie=1\n")[1:]
    assert len(games) == 2
    for told, record in zip(games, result.played, strict=True):
        game = Game("hex8_2p")
        heard = " ".join(line.removeprefix("play ") for line in told.splitlines() if line.startswith("play ")).split()
        game.play_all(heard)
        assert game.moves_played == record.moves[: len(heard)]
        assert len(record.moves) - len(heard) < 30  # what was played after its last move
        assert set(re.findall("^[a-z]+ ?[0-9]*$", told, re.MULTILINE)) == {"go 250"}


FAULTS = {
    "dies at once": ("sys.exit(3)", "ended with exit status 3"),
    "dies with last words": ("raise ValueError('no luck')", "ended with exit status 1: ValueError: no luck"),
    "kills itself": ("greet(); until_go(); os.kill(os.getpid(), 9)", "was ended by signal 9"),
    "hangs at the start": ("time.sleep(60)", "no answer within 1500 ms"),
    "hangs on go": ("greet(); until_go(); time.sleep(60)", "no answer within 250 ms"),
    "never reads": ("print('ringrift 1', flush=True); time.sleep(60)", "no answer within 250 ms"),
    "greets in another tongue": ("hear(); say('uciok'); time.sleep(60)", "answered 'uciok' to the greeting"),
    "talks garbage": ("greet(); until_go(); say('I resign')", "said 'I resign', which is no answer"),
    "says nothing of a move": ("greet(); until_go(); say('move')", "said 'move', which is no answer"),
    "plays no move": ("greet(); until_go(); say('move P99')", "P99"),
    "plays an illegal move": ("greet(); until_go(); say('move F7')", "F7 is not legal"),
    "floods with info": ("greet(); until_go()\nwhile True: say('info')", "no answer within 250 ms"),
    "floods without an end of line": ("greet(); until_go()\nwhile True: print(end='x' * 999)", "more than 65536 bytes"),
    "floods with bytes": ("greet()\nwhile True: os.write(1, bytes(range(1, 250)))", "out of turn|no answer"),
    "asks without reading": ("greet(); until_go()\nwhile True: say('legal')", "does not read|no answer"),
    "closes its output": ("greet(); until_go(); os.close(1); time.sleep(60)", "closed its output"),
    "closes its input": ("greet(); os.close(0); time.sleep(60)", "no answer within 250 ms"),
    "speaks twice": (
        "greet(); until_go(); play(); say('move F7'); time.sleep(60)",
        "said 'move F7' out of turn|F7 is not legal",
    ),
}


@pytest.mark.parametrize("source", FAULTS.values(), ids=FAULTS)
def test_a_program_that_fails_forfeits_and_holds_up_nobody(make: Make, source: tuple[str, str]):
    began = time.monotonic()
    result = played(make(source[0]), "random", games=10)
    assert time.monotonic() - began < 9
    assert result.forfeits == (10, 0)
    assert (result.wins, result.games) == (0, 10)
    reasons = [record.forfeit or "" for record in result.played]
    assert all(re.search(source[1], reason) for reason in reasons), reasons
    assert sum("not started again" in reason for reason in reasons) == 10 - PATIENCE
    assert all(record.winner is None for record in result.played)
    assert sum(result.forfeit_reasons.values()) == 10


@pytest.mark.parametrize("key", ["square8_3p", "hex8_4p"])
def test_with_more_seats_the_other_side_is_credited(make: Make, key: str):
    seats = Config.parse(key).players
    lost = played(make("sys.exit(1)"), "random", games=seats, key=key)
    won = played("random", make("sys.exit(1)"), games=seats, key=key)
    assert (lost.wins, lost.forfeits) == (0, (seats, 0))
    assert (won.wins, won.forfeits) == (seats, (0, seats))
    assert won.wins_by_seat == (1,) * seats


def test_a_program_is_started_again_and_a_good_game_clears_its_record(make: Make, tmp_path: Path):
    count = tmp_path / "count"
    source = f"""
from pathlib import Path
count = Path({str(count)!r})
number = int(count.read_text()) if count.exists() else 0
greet()
while True:
    words = hear()
    if words[0] == "newgame":
        number += 1
        count.write_text(str(number))
    elif words[0] == "go":
        if number % 3:
            sys.exit(1)  # two games of three, over and over
        play()
"""
    result = played(make(source), "random", games=8)
    assert [record.forfeit is not None for record in result.played] == [True, True, False] * 2 + [True, True]


def test_what_a_program_started_ends_with_it(make: Make, tmp_path: Path):
    note = tmp_path / "child"
    source = f"""
import subprocess
child = subprocess.Popen(["sleep", "60"])
open({str(note)!r}, "w").write(str(child.pid))
greet(); until_go(); sys.exit(0)
"""
    result = played(make(source), "random", games=2)
    assert result.forfeits == (2, 0)
    pid, deadline = int(note.read_text()), time.monotonic() + 2
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.01)  # killed, it may need a moment to be gone
    assert not is_running(pid)


def is_running(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_program_ends_on_an_interrupt_and_with_its_player(make: Make, tmp_path: Path):
    note = tmp_path / "pid"
    source = f"open({str(note)!r}, 'w').write(str(os.getpid()))\ngreet()\nwhile True:\n    until_go(); play()"
    agent = make(source)

    def interrupt(_ended: int, decisions: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), closing(agent):
        play_match(agent, agent, HEX, games=2, opening_decisions=2, seed=1, progress=interrupt)
    assert not is_running(int(note.read_text()))
    another = ExternalPlayer(agent.name.removeprefix("external:"), QUICK)
    another.choose(Table(HEX, np.array([1], np.uint64)).positions())
    assert is_running(pid := int(note.read_text()))
    del another
    gc.collect()
    assert not is_running(pid)


def test_many_games_at_once_are_begun_anew_each_time(make: Make):
    agent = make(example())
    table = Table(HEX, np.arange(1, 6, dtype=np.uint64))
    for _ in range(8):
        choice = agent.choose(table.positions())
        assert not choice.forfeits
        table.step(choice.moves)  # raises if one is not legal


def test_a_dropped_game_leaves_the_others_alone():
    table, alone = (Table(HEX, np.array(seeds, np.uint64)) for seeds in ([7, 8, 9], [7, 9]))
    dice = player("random", HEX)
    for turn in range(60):
        if turn == 20:
            table.drop(np.array([1]))
        for games in (table, alone):
            games.step(dice.choose(games.positions()).moves)
    assert [table.histories[0], table.histories[2]] == alone.histories
    assert len(table.histories[1]) == 20


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("external:", "write external:COMMAND"),
        ("external", "write external:COMMAND"),
        ("external:there_is_no_such_program 3", "there is no program there_is_no_such_program"),
        ("external:python 'x", "No closing quotation"),
    ],
)
def test_what_is_no_command_is_refused_at_once(name: str, reason: str):
    with pytest.raises(PlayerError, match=reason):
        player(name, HEX, by_hand=True)


def test_a_program_needs_to_know_the_moves_and_its_files_tell_it_apart(make: Make):
    one, other, same = make("greet()"), make("greet() "), make("greet()")
    assert len({one.digest, other.digest, same.digest}) == 3  # the command names the file
    with pytest.raises(PlayerError, match="follows whole games"):
        one.choose(positions_of([Game("hex8_2p")]))
    path = Path(shlex.split(one.name)[-1])
    path.write_text("changed", encoding="utf-8")
    assert player(one.name, HEX, by_hand=True).digest != one.digest


def test_a_question_that_a_program_does_not_answer_is_refused_with_the_reason(make: Make):
    with pytest.raises(PlayerError, match="has forfeited: ended with exit status 3"):
        think(make("sys.exit(3)"), [Game("hex8_2p")], [0])


def test_the_command_line_counts_forfeits(tmp_path: Path):
    good, bad = tmp_path / "good.py", tmp_path / "bad.py"
    good.write_text(example(), encoding="utf-8")
    bad.write_text("raise SystemExit('never mind')", encoding="utf-8")
    names = [f"external:{command_of(path)}" for path in (good, bad)]
    told = CliRunner().invoke(app, ["match", *names, "--games", "3", "--json"])
    assert told.exit_code == 0
    result = json.loads(told.stdout.splitlines()[-1])
    assert (result["games"], result["wins"], result["wins_by_seat"]) == (4, 4, [2, 2])
    assert result["forfeits"] == {"a": 0, "b": 4}
    assert "3 forfeited by b: ended with exit status 1: never mind" in told.stderr
