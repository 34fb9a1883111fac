"""What can be asked over HTTP, and what is answered: the shapes, and how they are made of games."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from rr_engine import move as moves_of
from rr_engine.boards import CONFIGS, Config
from rr_engine.errors import ConfigError, DataError
from rr_engine.game import Game
from rr_engine.players.asked import Thought
from rr_engine.players.registry import ADVISER
from rr_engine.render.svg import on_cells

_MOVES, _POSITIONS = 8192, 64  # that one question may hold
_TOLD = 12  # moves that an answer weighs, the best ones
_Text = Annotated[str, StringConstraints(max_length=256)]


def _known_key(key: str) -> str:
    try:
        return Config.parse(key).key
    except ConfigError as error:
        raise ValueError(str(error)) from error


Key = Annotated[
    str,
    AfterValidator(_known_key),
    Field(json_schema_extra={"enum": [config.key for config in CONFIGS]}),
]
_Name = Annotated[
    str,
    StringConstraints(max_length=128),
    Field(
        description=f"A player; `{ADVISER}` is the champion or, before there is one, a search by the heuristic.",
        examples=["champion", "heuristic", ADVISER],
    ),
]


def _whole(number: object) -> object:
    """JSON has one kind of number: 3.0 is 3."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class ByMoves(_Strict):
    """Where a game stands, by its moves."""

    config: Key
    moves: Annotated[list[_Text], Field(max_length=_MOVES, description="Since the start, oldest first.")] = []


class ByState(_Strict):
    """Where a game stands, by a state text of the trace format."""

    config: Key
    state: Annotated[str, StringConstraints(max_length=20_000)]


Position = ByMoves | ByState


class Positions(_Strict):
    """Positions to tell of."""

    positions: Annotated[list[Position], Field(min_length=1, max_length=_POSITIONS)]


class Thinking(Positions):
    """Positions to think about, none over."""

    player: _Name = "champion"
    seed: Annotated[
        int,
        Field(ge=0, lt=2**31, description="Same position, player and seed, same answer."),
        BeforeValidator(_whole),
    ] = 0


class Refusal(BaseModel):
    """Why a question was refused."""

    detail: str


class LegalMove(BaseModel):
    """A move that may be played."""

    move: str
    cells: list[int]  # it ends on the last; of a line or a region all


class Result(BaseModel):
    """How a game ended."""

    winner: int
    end: str
    ranks: list[int]


class Stand(BaseModel):
    """All of a position: who decides what, and what is where."""

    config: str
    state: str
    seat: int | None  # that decides, None when the game is over
    phase: str
    swapped: bool  # agents have changed places under the pie rule
    on_cells: list[str]
    hand: list[int]
    eliminated: list[int]
    territory: list[int]
    goals: dict[str, int]
    legal: list[LegalMove]
    last: list[int]  # cells of the last move
    result: Result | None


class Decision(BaseModel):
    """A player's move."""

    move: str
    cells: list[int]
    seat: int
    chances: list[float] | None  # to win, by seat


class Weighed(BaseModel):
    """A legal move and how much speaks for it."""

    move: str
    cells: list[int]
    share: float
    value: float | None  # the mover's chance to win after it, of moves that a search looked at


class Evaluation(BaseModel):
    """What a player thinks of a position."""

    seat: int
    chances: list[float] | None  # to win, by seat
    best: list[Weighed]


class Stands(BaseModel):
    """One for each position asked about."""

    answers: list[Stand]


class Decisions(BaseModel):
    """One for each position asked about."""

    answers: list[Decision]


class Evaluations(BaseModel):
    """One for each position asked about."""

    answers: list[Evaluation]


def game_at(position: Position) -> Game:
    """The game there; raises an EngineError that says what is wrong with it."""
    config = Config.parse(position.config)
    if isinstance(position, ByState):
        return Game.from_text(config, position.state)
    game = Game(config)
    game.play_all(position.moves)
    return game


def games_at(positions: Sequence[Position]) -> list[Game]:
    """The games there, to think about; raises DataError for one that is over."""
    games = [game_at(position) for position in positions]
    if over := [index for index, game in enumerate(games) if game.is_over]:
        raise DataError(f"position {over[0]}: the game is over, there is nothing to decide")
    return games


def stand_of(game: Game) -> Stand:
    """All that a page shows of a position."""
    whole, seats, outcome = game.state, game.config.players, game.outcome()
    state = whole[0]
    return Stand(
        config=game.config.key,
        state=game.to_text(),
        seat=game.player,
        phase=game.phase,
        swapped=game.is_swapped,
        on_cells=on_cells(game),
        hand=state["hand"][:seats].tolist(),
        eliminated=state["elim"][:seats].tolist(),
        territory=state["terr"][:seats].tolist(),
        goals={"elim": int(state["elim_goal"]), "terr": int(state["terr_goal"])},
        legal=[
            LegalMove(move=moves_of.to_text(game.board, whole, move), cells=moves_of.cells_of(game.board, whole, move))
            for move in game.legal_moves().tolist()
        ],
        last=_last(game),
        result=None if outcome is None else Result(winner=outcome.winner, end=outcome.end, ranks=list(outcome.ranks)),
    )


def decision_of(game: Game, thought: Thought) -> Decision:
    """A player's move in a position."""
    assert game.player is not None
    move = thought.move
    return Decision(move=game.move_text(move), cells=_cells(game, move), seat=game.player, chances=_chances(thought))


def evaluation_of(game: Game, thought: Thought) -> Evaluation:
    """What a player thinks of a position; one that weighs no moves is for its own move."""
    assert game.player is not None
    legal = game.legal_moves()
    shares = (legal == thought.move).astype(float) if thought.policy is None else thought.policy
    best = np.argsort(-shares, kind="stable")[:_TOLD].tolist()
    return Evaluation(
        seat=game.player,
        chances=_chances(thought),
        best=[
            Weighed(
                move=game.move_text(int(legal[index])),
                cells=_cells(game, int(legal[index])),
                share=round(float(shares[index]), 4),
                value=_known(float(thought.move_values[index])),
            )
            for index in best
            if shares[index] > 0
        ],
    )


def _chances(thought: Thought) -> list[float] | None:
    return None if thought.chances is None else [round(float(chance), 4) for chance in thought.chances]


def _known(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 4)


def _cells(game: Game, move: int) -> list[int]:
    return moves_of.cells_of(game.board, game.state, move)


def _last(game: Game) -> list[int]:
    """Cells of the move that led here."""
    if not game.moves_played:
        return []
    before = game.copy()
    move = before.undo()
    return moves_of.cells_of(before.board, before.state, move)
