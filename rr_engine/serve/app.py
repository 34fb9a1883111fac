"""The server: three questions about positions as JSON, the page to play on, replays of stored games."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import cache
from html import escape
from pathlib import Path
from typing import Any, TypeVar

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response

from rr_engine.boards import CONFIGS, board
from rr_engine.errors import EngineError, PlayerError, VaultError
from rr_engine.game import Game
from rr_engine.players.asked import Thought
from rr_engine.players.registry import ADVISER
from rr_engine.render.page import filled, framed, part
from rr_engine.render.replay import place_data
from rr_engine.serve import questions
from rr_engine.serve.desk import BusyError, Desk, TooMuchError
from rr_engine.serve.looks import to_look_at
from rr_engine.serve.questions import Decisions, Evaluations, Positions, Refusal, Stands, Thinking
from rr_engine.serve.roster import Roster
from rr_engine.settings import Settings
from rr_engine.vault import Vault

Answer = TypeVar("Answer")

_NO_TEXT, _NOT_THERE, _CANNOT_BE, _WRONG_FORM, _CANNOT_NOW = 400, 404, 409, 422, 503
_REFUSED: dict[int | str, dict[str, Any]] = {
    status: {"description": told, "content": {"application/json": {"schema": Refusal.model_json_schema()}}}
    for status, told in (
        (_NO_TEXT, "The body is no text."),
        (_NOT_THERE, "There is no such player, game, curve or page."),
        (_CANNOT_BE, "The question has the right form, but no game comes to that position, or it is over there."),
        (_WRONG_FORM, "The question has not the right form, or asks for too much work."),
        (_CANNOT_NOW, "What is stored cannot be read, or too many wait already."),
    )
}
_SUGGESTED = ("champion", "champion:32", "heuristic", "search:heuristic:64", "greedy", "random")  # of all players


def make_app(vault: Vault, settings: Settings) -> FastAPI:
    """The application: players come from the vault, none that opens files or starts programs."""
    app = FastAPI(title="RingRift", version="1", description=__doc__ or "", responses=_REFUSED)

    roster = Roster(vault, settings)
    desk = Desk(roster.player, roster.work)

    async def answers(request: Request, asked: Thinking, answer: Callable[[Game, Thought], Answer]) -> list[Answer]:
        """An answer for each position; games are played and read in threads, where they hold up nobody."""
        games = await run_in_threadpool(questions.games_at, asked.positions)
        thoughts = await _unless_gone(request, desk.think(asked.player, games, seed=asked.seed))
        return await run_in_threadpool(lambda: list(map(answer, games, thoughts)))

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
    async def move(request: Request, asked: Thinking) -> Decisions:
        """What a player plays."""
        return Decisions(answers=await answers(request, asked, questions.decision_of))

    @app.post("/evaluate")
    async def evaluate(request: Request, asked: Thinking) -> Evaluations:
        """What a player thinks of positions: chances to win, and the moves it weighs most."""
        return Evaluations(answers=await answers(request, asked, questions.evaluation_of))

    @app.get("/boards")
    def boards() -> dict[str, Any]:
        """What a page has to know to draw: boards, configs, some players, the name of who gives hints."""
        return _boards()

    app.include_router(to_look_at(vault))

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    def page() -> str:
        return _page()

    return app


async def _unless_gone(request: Request, thinking: Coroutine[Any, Any, list[Thought]]) -> list[Thought]:
    """What was thought; if who asked goes before, the question is taken back and BusyError raised."""
    thoughts, gone = asyncio.ensure_future(thinking), asyncio.ensure_future(_goes(request))
    try:
        await asyncio.wait((thoughts, gone), return_when=asyncio.FIRST_COMPLETED)
        if not thoughts.done():
            raise BusyError("who asked has gone")
        return thoughts.result()
    finally:
        thoughts.cancel()
        gone.cancel()


async def _goes(request: Request) -> None:
    """Returns when who asked closes the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _status(request: Request, error: EngineError) -> int:
    if isinstance(error, VaultError | BusyError):
        return _CANNOT_NOW
    if isinstance(error, TooMuchError):
        return _WRONG_FORM
    return _NOT_THERE if isinstance(error, PlayerError) or request.method == "GET" else _CANNOT_BE


@cache
def _boards() -> dict[str, Any]:
    names = dict.fromkeys(config.board_name for config in CONFIGS)
    return {
        "configs": [{"key": config.key, "board": config.board_name, "seats": config.players} for config in CONFIGS],
        "boards": {name: place_data(board(name)) for name in names},
        "players": list(_SUGGESTED),
        "adviser": ADVISER,
    }


@cache
def _page() -> str:
    own = Path(__file__).parent
    script = part("board.js") + part("frame.js") + (own / "page.js").read_text(encoding="utf-8")
    return framed("RingRift", filled((own / "page.html").read_text(encoding="utf-8"), {"script": script}))
