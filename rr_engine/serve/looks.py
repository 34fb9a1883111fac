"""What there is to look at: stored games as replays and as pictures, curves, the leaderboard."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from fastapi.responses import HTMLResponse, Response

from rr_engine.boards import Config
from rr_engine.render.leaderboard import with_curves
from rr_engine.render.replay import replay_page
from rr_engine.serve.questions import Key
from rr_engine.stages import curves
from rr_engine.stages.highlights import find_game, picture
from rr_engine.stages.report import find_budget_chart, newest_page
from rr_engine.vault import Vault

_Name = Annotated[str, Path(max_length=128)]
_Number = Annotated[int, Path(ge=0, le=100_000)]


def _linked(config: str) -> list[str]:
    """Curves that are drawn when they are looked at."""
    places = [place for of in curves.STAGES for place in curves.places(config, of)]
    return [f'<img loading="lazy" alt="curve" width="331" height="180" src="{place}">' for place in places]


class _Svg(Response):
    media_type = "image/svg+xml"


def to_look_at(vault: Vault) -> APIRouter:
    """Pages and pictures of what a vault holds; what it has not is refused in words."""
    router = APIRouter()

    @router.get("/replay/{config}/{name}", response_class=HTMLResponse)
    def replay(config: Key, name: _Name) -> str:
        """A stored game, to look at."""
        return replay_page(find_game(vault, Config.parse(config), name))

    @router.get("/board/{config}/{name}/{at}", response_class=_Svg)
    def board_at(config: Key, name: _Name, at: _Number) -> str:
        """A picture of a stored game, before decision `at`."""
        return picture(find_game(vault, Config.parse(config), name), at)

    @router.get("/curves/{config}/{of}/{number}", response_class=_Svg)
    def curve(config: Key, of: _Name, number: _Number) -> str:
        """A curve of a config as it is now, by the asset that adds points to it."""
        return curves.draw(vault, Config.parse(config), of, number)

    @router.get("/plan/{sha256}/0", response_class=_Svg)
    def budgets(sha256: _Name) -> str:
        """How a plan shares the compute, and why."""
        return find_budget_chart(vault, sha256)

    @router.get("/leaderboard", response_class=HTMLResponse)
    def leaderboard() -> str:
        """All configs on one page, as the newest plan left it, with curves as they are now."""
        return with_curves(newest_page(vault), _linked)

    return router
