"""The server: three questions about positions as JSON, the page to play on, replays of stored games."""

from __future__ import annotations

from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response

from rr_engine.boards import CONFIGS, Config, board
from rr_engine.errors import DataError, EngineError, PlayerError, VaultError
from rr_engine.players import Player, player
from rr_engine.players.registry import BY_HAND, KINDS
from rr_engine.render.page import filled, framed, part
from rr_engine.render.replay import place_data
from rr_engine.render.svg import SEAT_COLOURS
from rr_engine.serve import questions
from rr_engine.serve.desk import Desk
from rr_engine.serve.looks import to_look_at
from rr_engine.serve.questions import Decisions, Evaluations, Positions, Refusal, Stands, Thinking
from rr_engine.settings import Settings
from rr_engine.vault import Vault

_NO_TEXT, _NOT_THERE, _CANNOT_BE, _WRONG_FORM, _UNREADABLE = 400, 404, 409, 422, 503
_REFUSED: dict[int | str, dict[str, Any]] = {
    status: {"description": told, "content": {"application/json": {"schema": Refusal.model_json_schema()}}}
    for status, told in (
        (_NO_TEXT, "The body is no text."),
        (_NOT_THERE, "There is no such player, game, curve or page."),
        (_CANNOT_BE, "The question has the right form, but no game comes to that position, or it is over there."),
        (_WRONG_FORM, "The question has not the right form."),
        (_UNREADABLE, "What is stored cannot be read."),
    )
}


def make_app(vault: Vault, settings: Settings) -> FastAPI:
    """The application: players come from the vault, none that opens files or starts programs."""
    app = FastAPI(title="RingRift", version="1", description=__doc__ or "", responses=_REFUSED)

    def make(name: str, config: Config) -> Player:
        try:
            return player(name, config, settings=settings, vault=vault)
        except DataError as error:  # a kind that only a command line may name
            raise PlayerError(str(error)) from error

    desk = Desk(make)

    @app.exception_handler(EngineError)
    async def refuse(request: Request, error: EngineError) -> Response:
        status, told = _status(request, error), " ".join(str(error).split())
        if "text/html" in request.headers.get("accept", ""):  # a person at a browser
            return HTMLResponse(framed("RingRift", f'<p>{escape(told)}</p>\n<p><a href="/">play</a></p>\n'), status)
        return JSONResponse({"detail": told}, status)

    @app.exception_handler(RequestValidationError)
    async def refuse_form(_: Request, error: RequestValidationError) -> JSONResponse:
        said = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()[:3])
        return JSONResponse({"detail": said}, status_code=_WRONG_FORM)

    @app.post("/legal")
    def legal(asked: Positions) -> Stands:
        """Positions, and what may be played in them."""
        return Stands(answers=[questions.stand_of(questions.game_at(position)) for position in asked.positions])

    @app.post("/move")
    async def move(asked: Thinking) -> Decisions:
        """What a player plays."""
        games = questions.games_at(asked.positions)
        thoughts = await desk.think(asked.player, games, seed=asked.seed)
        return Decisions(answers=list(map(questions.decision_of, games, thoughts)))

    @app.post("/evaluate")
    async def evaluate(asked: Thinking) -> Evaluations:
        """What a player thinks of positions: chances to win, and the moves it weighs most."""
        games = questions.games_at(asked.positions)
        thoughts = await desk.think(asked.player, games, seed=asked.seed)
        return Evaluations(answers=list(map(questions.evaluation_of, games, thoughts)))

    @app.get("/boards")
    def boards() -> dict[str, Any]:
        """What a page has to know to draw: boards, configs, colours of seats, how players are named."""
        return _boards()

    app.include_router(to_look_at(vault))

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    def page() -> str:
        return _page()

    return app


def _status(request: Request, error: EngineError) -> int:
    if isinstance(error, VaultError):
        return _UNREADABLE
    return _NOT_THERE if isinstance(error, PlayerError) or request.method == "GET" else _CANNOT_BE


@cache
def _boards() -> dict[str, Any]:
    names = dict.fromkeys(config.board_name for config in CONFIGS)
    return {
        "configs": [{"key": config.key, "board": config.board_name, "seats": config.players} for config in CONFIGS],
        "boards": {name: place_data(board(name)) for name in names},
        "colours": list(SEAT_COLOURS),
        "players": [form for kind, (_, form) in KINDS.items() if kind not in BY_HAND],
    }


@cache
def _page() -> str:
    own = Path(__file__).parent
    script = part("board.js") + (own / "page.js").read_text(encoding="utf-8")
    return framed("RingRift", filled((own / "page.html").read_text(encoding="utf-8"), {"script": script}))
