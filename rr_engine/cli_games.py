"""`rr games` and `rr report`: stored games one by one, and what all of them have come to.

Parses arguments and prints; what is done is done in `stages` and `render`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from rr_engine.cli_shown import Quiet, watching
from rr_engine.progress import Task

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


def report(
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("ringrift-report.html"),
    metrics: Annotated[bool, typer.Option("--metrics", help="Only the numbers, one JSON object per config.")] = False,
    config: Annotated[list[str] | None, typer.Option(help="Only this config's numbers; may be repeated.")] = None,
    quiet: Quiet = False,
) -> None:
    """Write the leaderboard with the curves of every config as one HTML page, or print its numbers."""
    from datetime import UTC, datetime

    from rr_engine.boards import CONFIGS, Config
    from rr_engine.settings import load
    from rr_engine.stages.report import metrics_of, report_page
    from rr_engine.vault import Vault

    settings, now = load(), datetime.now(UTC)
    vault = Vault.open(settings=settings.vault).snapshot()
    if metrics:
        configs = [Config.parse(key) for key in config] if config else CONFIGS
        with watching(quiet=quiet) as watch:
            for chosen in watch(Task("configs", len(configs))).each(configs):
                typer.echo(json.dumps(metrics_of(vault, chosen, now)))
        return
    with watching(quiet=quiet) as watch:
        page, _ = report_page(vault, settings, now, watch=watch)
    out.write_text(page, encoding="utf-8")
    typer.echo(f"open {out.resolve().as_uri()}")
