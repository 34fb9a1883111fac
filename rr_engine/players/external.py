"""An outside program as a player, over its standard input and output: docs/protocol.md says how they talk.

Whatever the program does, it costs a game at most: a fault forfeits the game, ends the program, and is told to whoever
asked. Knows nothing of matches.
"""

from __future__ import annotations

import hashlib
import shlex
import shutil
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rr_engine.boards import Config
from rr_engine.errors import IllegalMoveError, PlayerError
from rr_engine.game import Game
from rr_engine.players.positions import Choice, Positions
from rr_engine.players.program import Deadline, FaultError, Program
from rr_engine.settings import MatchSettings

VERSION = "1"  # of the protocol
PATIENCE = 3  # games forfeited in a row after which the program is not started again


class ExternalPlayer:
    """A program that follows one game at a time. Asked about another it begins that one, from its first move on."""

    def __init__(self, command: str, settings: MatchSettings) -> None:
        """`command` as in a shell, but without one; raises PlayerError unless it names a program."""
        self._words = _words(command)
        self.name = f"external:{command}"
        self.digest = _digest(self._words, settings)
        self._settings = settings
        self._program: Program | None = None
        self._game: Game | None = None  # as the program knows it
        self._history: Sequence[int] | None = None  # of the game it follows, growing in place; None after a fault
        self._faults: list[str] = []  # one per game, since a game went well

    def choose(self, positions: Positions) -> Choice:
        """One legal move of each game, but for games that the program forfeits."""
        if positions.histories is None:
            raise PlayerError(f"{self.name} follows whole games and was shown positions without their moves")
        moves = positions.moves[positions.offsets[:-1]]
        forfeits: dict[int, str] = {}
        for index, history in enumerate(positions.histories):
            try:
                moves[index] = self._decide(positions.config, history)
            except FaultError as fault:
                forfeits[index] = str(fault)
                self._give_up(str(fault))
        return Choice(moves, forfeits=forfeits)

    def close(self) -> None:
        """End the program; the next game would start it again."""
        if self._program is not None:
            self._program.quit()
        self._program = self._history = None

    def _give_up(self, fault: str) -> None:
        """End the program because of a fault."""
        if self._program is not None:
            self._program.kill()
        self._program = self._history = None
        if len(self._faults) < PATIENCE:
            self._faults.append(fault)

    def _decide(self, config: Config, history: Sequence[int]) -> int:
        """The program's move; raises FaultError."""
        if self._history is not history or self._program is None or self._game is None:
            program, game = self._begin(config, history)
        else:
            program, game = self._program, self._game
        limit_ms = self._settings.move_time_ms
        deadline = Deadline(limit_ms)
        program.require_silence(deadline)
        if news := history[len(game.moves_played) :]:
            program.say(f"play {' '.join(_played(game, news))}")
        program.say(f"go {limit_ms}")
        return _answer(program, game, deadline)

    def _begin(self, config: Config, history: Sequence[int]) -> tuple[Program, Game]:
        if self._history is not None:
            self._faults.clear()  # the game before went well
        if len(self._faults) >= PATIENCE:
            raise FaultError(f"not started again after {PATIENCE} games forfeited in a row, last: {self._faults[-1]}")
        if self._program is None:
            self._program = Program(self._words)
            _shake_hands(self._program, self._settings)
        self._history, self._game = history, Game(config)
        self._program.say(f"newgame {config.key} pie={int(config.players == 2)}")
        return self._program, self._game


@contextmanager
def closing(*agents: object) -> Generator[None]:
    """End the programs among `agents` on the way out, however that is."""
    try:
        yield
    finally:
        for agent in agents:
            if isinstance(agent, ExternalPlayer):
                agent.close()


def _shake_hands(program: Program, settings: MatchSettings) -> None:
    program.say(f"ringrift {VERSION}")
    answer = program.line(Deadline(settings.start_time_ms))
    if answer.split()[:2] != ["ringrift", VERSION]:
        raise FaultError(f"answered {answer[:60]!r} to the greeting, not 'ringrift {VERSION} NAME'")


def _played(game: Game, moves: Sequence[int]) -> Iterator[str]:
    """Play `moves` and give their texts."""
    for move in moves:
        yield game.move_text(move)
        game.play(move)


def _answer(program: Program, game: Game, deadline: Deadline) -> int:
    """The move that the program names, after what it asks has been told."""
    while True:
        match program.line(deadline).split():
            case ["move", text]:
                try:
                    return game.parse(text)
                except IllegalMoveError as error:
                    raise FaultError(str(error)[:160]) from error
            case ["legal"]:
                program.say(f"legal {' '.join(game.legal_texts())}")
            case ["state"]:
                program.say(f"state {game.to_text()}")
            case words:
                raise FaultError(f"said {' '.join(words)[:60]!r}, which is no answer to go")


def _words(command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise PlayerError(f"player external:{command}: {error}") from error
    if not words:
        raise PlayerError("player external: write external:COMMAND, for example external:'python3 my_player.py'")
    if shutil.which(words[0]) is None:
        raise PlayerError(f"player external:{command}: there is no program {words[0]}")
    return words


def _digest(words: Sequence[str], settings: MatchSettings) -> str:
    """Of the command, the time it has, and every file it names."""
    digest = hashlib.sha256(f"{words} {settings.move_time_ms}".encode())
    for word in words:
        path = Path(shutil.which(word) or word)
        if path.is_file():
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()
