"""The door to the rules: a game that checks what it is asked and explains what it refuses."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from rr_engine import move as move_text
from rr_engine import state as states
from rr_engine.boards import Board, Config
from rr_engine.errors import IllegalMoveError, StateTextError, shown
from rr_engine.kernels import layout, turn
from rr_engine.outcome import Outcome, outcome_of

_LARGEST = 2**63 - 1  # that an array of moves can hold


class Game:
    """One game of RingRift, from its start position or a text, with undo.

    Moves are ints from `legal_moves`; `play` also takes their text. Every call that refuses raises an `EngineError` and
    leaves the game as it was.
    """

    def __init__(
        self, config: Config | str, *, pie: bool | None = None, rings: int | None = None, lps_rounds: int = 3
    ) -> None:
        """`pie`: pie rule, by default on with two seats; `rings`: per seat; `lps_rounds`: rules 6.4."""
        self.config = states.config_of(config)
        self._start(states.new_state(self.config, pie=pie, rings=rings, lps_rounds=lps_rounds))
        self._advance()

    def _start(self, state: NDArray[np.void]) -> None:
        self._state = state
        self._past: list[tuple[NDArray[np.void], int]] = []
        self._scratch = np.zeros(1, layout.SCRATCH)
        self._legal: NDArray[np.int64] = np.empty(0, np.int64)

    def _advance(self, move: int = int(layout.NO_MOVE)) -> None:
        buffer = np.empty(self.config.legal_capacity, np.int64)
        count = turn.advance(self.board.geometry[0], self._state[0], self._scratch[0], move, buffer)
        self._legal = buffer[:count].copy()
        self._legal.setflags(write=False)

    @classmethod
    def from_text(cls, config: Config | str, text: str, *, acted: bool = False) -> Game:
        """The position that a state text describes.

        A text cannot say everything. Not in it, and set here to: the turn number (0), the running last-player-standing
        round (none begun; counted rounds are kept), who was out since when (nobody yet), the pie rule (off), rings per
        seat (the board's), and whether the seat to move has already changed the board this turn: say so with `acted`
        (implied by the phase where the phase implies it). Raises StateTextError for a text that is malformed,
        contradicts itself, or offers no decision in the phase it names.
        """
        game = cls.__new__(cls)
        game.config = states.config_of(config)
        game._start(states.from_text(game.config, text, acted=acted))
        before = game._state.tobytes()
        game._advance()
        if game._state.tobytes() != before:
            raise StateTextError(f"state text {shown(text)}: nothing to decide in the phase it names")
        return game

    @property
    def board(self) -> Board:
        """The board the game is played on."""
        return self.config.board

    @property
    def state(self) -> NDArray[np.void]:
        """A copy of the present state, an array of one record (`kernels.layout`)."""
        return self._state.copy()

    @property
    def player(self) -> int | None:
        """The seat to move, None when the game is over."""
        return None if self.is_over else int(self._state[0]["player"])

    @property
    def phase(self) -> str:
        """Phase code of the trace format, `over` at the end."""
        return states.PHASES[int(self._state[0]["phase"])]

    @property
    def is_over(self) -> bool:
        """Whether the game has ended."""
        return bool(self._state[0]["phase"] == layout.OVER)

    @property
    def is_swapped(self) -> bool:
        """Whether the agents have changed places under the pie rule (rules 5.9)."""
        return bool(self._state[0]["swapped"])

    def agent_at(self, seat: int) -> int:
        """Which agent sits at `seat`: agent i opened at seat i; after a swap the two have changed places."""
        return 1 - seat if self.is_swapped else seat

    @property
    def moves_played(self) -> tuple[int, ...]:
        """The decisions since the start of this object, oldest first."""
        return tuple(move for _, move in self._past)

    def legal_moves(self) -> NDArray[np.int64]:
        """All legal moves of the present decision, read only; empty when the game is over."""
        return self._legal

    def legal_texts(self) -> list[str]:
        """The legal moves as text, in byte order as the trace format has it."""
        place, state = self.board, self._state
        return sorted(move_text.to_text(place, state, move) for move in self._legal.tolist())

    def move_text(self, move: int) -> str:
        """The text of a move legal here; raises IllegalMoveError for any other."""
        self._require_legal(move)
        return move_text.to_text(self.board, self._state, move)

    def parse(self, text: str) -> int:
        """The legal move that `text` writes; raises IllegalMoveError if it is malformed or not legal here."""
        if move_text.is_region_text(text):
            for move in self._legal.tolist():
                if move & 15 == layout.REGION and move_text.to_text(self.board, self._state, move) == text:
                    return move
            raise self._refusal(text)
        try:
            move = move_text.parse(self.board, text)
        except IllegalMoveError as error:
            raise IllegalMoveError(f"{error}; {self._choices()}") from None
        self._require_legal(move, text)
        return move

    def _require_legal(self, move: object, text: str = "") -> None:
        if not (states.is_whole(move, 0, _LARGEST) and np.any(self._legal == move)):
            raise self._refusal(text or shown(move))

    def _refusal(self, text: str) -> IllegalMoveError:
        return IllegalMoveError(f"move {text} is not legal: {self._choices()}")

    def _choices(self) -> str:
        if self.is_over:
            return "the game is over"
        texts = self.legal_texts()
        some = " ".join(texts[:12]) + (f" ... ({len(texts)} in all)" if len(texts) > 12 else "")
        return f"seat {self.player} in phase {self.phase} may play {some}"

    def play(self, move: int | str) -> None:
        """Play a legal move, given as int or text; raises IllegalMoveError otherwise."""
        if isinstance(move, str):
            move = self.parse(move)
        else:
            self._require_legal(move)
        self._past.append((self._state.copy(), int(move)))
        self._advance(int(move))

    def play_all(self, played: Iterable[int | str]) -> None:
        """Play several moves in order; stops at the first illegal one with IllegalMoveError."""
        for move in played:
            self.play(move)

    def undo(self) -> int:
        """Take the last decision back and return it; raises IllegalMoveError if there is none."""
        if not self._past:
            raise IllegalMoveError("nothing to undo: no move has been played on this game object")
        before, move = self._past.pop()
        self._state = before.copy()  # a copy of this game may share its past
        self._advance()
        return move

    def copy(self) -> Game:
        """An independent game in the same position, with the same past."""
        twin = Game.__new__(Game)
        twin.config = self.config
        twin._start(self._state.copy())
        twin._past = list(self._past)
        twin._legal = self._legal
        return twin

    def outcome(self) -> Outcome | None:
        """The result, None while the game goes on."""
        return outcome_of(self._state)

    def to_text(self) -> str:
        """The state text of the trace format."""
        return states.to_text(self.config, self._state)

    def __repr__(self) -> str:
        return f"Game({self.config.key}, {self.to_text()})"
