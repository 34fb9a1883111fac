"""`rr games`: stored games, one by one. Parses arguments and prints; what is done is done in `stages` and `render`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

games = typer.Typer(help="Look at stored games.", no_args_is_help=True)


@games.callback()
def _games() -> None:
    """So that one command alone is named, too."""


@games.command()
def replay(
    name: Annotated[str, typer.Argument(help="As the pages of games_db and elo tell it.")],
    config: Annotated[str, typer.Option(help="Board and seats, such as hex8_2p.")] = "hex8_2p",
    out: Annotated[Path | None, typer.Option(help="The file to write; else replay-GAME.html here.")] = None,
) -> None:
    """Write a stored game as one HTML page that needs nothing else: step, play, jump to what matters."""
    from rr_engine.boards import Config
    from rr_engine.render.replay import replay_page
    from rr_engine.stages.highlights import find_game
    from rr_engine.vault import Vault

    page = replay_page(find_game(Vault.open(), Config.parse(config), name))
    path = out or Path(f"replay-{name.replace(':', '-')}.html")
    path.write_text(page, encoding="utf-8")
    typer.echo(f"open {path.resolve().as_uri()}")
