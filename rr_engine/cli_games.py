"""`rr games` and `rr report`: stored games one by one or as files, and what all of them have come to.

Parses arguments and prints; what is done is done in `stages` and `render`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from rr_engine.cli_shown import AsJson, ConfigKey, ConfigKeys, Quiet, opened_vault, print_table, say, watching
from rr_engine.progress import Task

games = typer.Typer(help="Look at stored games, write them to files and read them from there.", no_args_is_help=True)


@games.command()
def replay(
    name: Annotated[str, typer.Argument(help="As the pages of games_db and elo tell it.")],
    config: ConfigKey = "hex8_2p",
    out: Annotated[Path | None, typer.Option(help="The file to write; else replay-GAME.html here.")] = None,
) -> None:
    """Write a stored game as one HTML page that needs nothing else: step, play, jump to what matters."""
    from rr_engine.boards import Config
    from rr_engine.render.replay import replay_page
    from rr_engine.stages.highlights import find_game

    page = replay_page(find_game(opened_vault(), Config.parse(config), name))
    path = out or Path(f"replay-{name.replace(':', '-')}.html")
    path.write_text(page, encoding="utf-8")
    typer.echo(f"open {path.resolve().as_uri()}")


@games.command("export")
def export_(
    config: ConfigKey,
    out: Annotated[str, typer.Option(help="A file, .jsonl or .jsonl.gz; - is the standard output.")] = "-",
    where: Annotated[str, typer.Option(help="Only these, in SQL over the view `games`: generation > 3.")] = "",
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many, the oldest.")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Write stored games as JSON lines in the trace format; what was in the file is replaced once all are written."""
    from rr_engine.boards import Config
    from rr_engine.errors import TraceError
    from rr_engine.records import trace
    from rr_engine.stages.exchange import export_games

    if out != "-" and not out.endswith((".jsonl", ".jsonl.gz")):
        raise TraceError(f"{out}: a file of traces is called .jsonl, or .jsonl.gz and is compressed")
    chosen, vault = Config.parse(config), opened_vault(expected=True)
    with watching(quiet=quiet) as watch:
        traces = export_games(vault, chosen, where=where, limit=limit, watch=watch)
        if out == "-":
            for record in traces:
                typer.echo(trace.line_of(record), nl=False)
            return
        written = trace.write(Path(out), traces)
    facts = {"config": chosen.key, "games": written, "file": out}
    say(facts, f"{written} games of {chosen.key} in {out}", as_json=as_json)


@games.command("import")
def import_(
    files: Annotated[list[Path], typer.Argument(help="Files of traces, plain or gzip.")],
    config: ConfigKeys = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Take games of trace files into the vault: all are replayed first, and if one differs none is taken.

    A game that is there already, or stands in the files twice, counts once.
    """
    from dataclasses import asdict

    from rr_engine.boards import Config
    from rr_engine.settings import load
    from rr_engine.stages.exchange import import_games

    configs = [Config.parse(key) for key in config or ()]
    with watching(quiet=quiet) as watch:
        taken = import_games(opened_vault(), files, load(), configs=configs, watch=watch)
    print_table(list(map(asdict, taken)), as_json=as_json)


def report(
    out: Annotated[Path | None, typer.Option(help="The file to write; else ringrift-report.html here.")] = None,
    metrics: Annotated[bool, typer.Option("--metrics", help="Only the numbers, one JSON object per config.")] = False,
    config: Annotated[list[str] | None, typer.Option(help="Numbers of this config only; may be repeated.")] = None,
    quiet: Quiet = False,
) -> None:
    """Write the leaderboard with the curves of every config as one HTML page, or print its numbers.

    Of a config that cannot be read, both say why; numbers end with exit status 2 then.
    """
    from datetime import UTC, datetime

    from rr_engine.errors import ConfigError
    from rr_engine.settings import load
    from rr_engine.stages.report import report_page, with_all_curves

    if metrics and out:
        raise ConfigError("--out names the page to write, and --metrics prints: leave out one of them")
    if config and not metrics:
        raise ConfigError("--config chooses numbers, and the page has every config: add --metrics")
    if metrics:
        _print_metrics(config, quiet=quiet)
        return
    vault = opened_vault().snapshot()
    with watching(quiet=quiet) as watch:
        page, _ = report_page(vault, load(), datetime.now(UTC), watch=watch)
        page = with_all_curves(vault, page, watch=watch)
    path = out or Path("ringrift-report.html")
    path.write_text(page, encoding="utf-8")
    typer.echo(f"open {path.resolve().as_uri()}")


def _print_metrics(keys: list[str] | None, *, quiet: bool) -> None:
    from datetime import UTC, datetime

    from rr_engine.boards import CONFIGS, Config
    from rr_engine.errors import DataError, VaultError, in_line
    from rr_engine.stages.report import kept_pages, metrics_of

    configs = [Config.parse(key) for key in keys] if keys else CONFIGS
    vault, now = opened_vault().snapshot(), datetime.now(UTC)
    pages, status = kept_pages(vault), 0
    with watching(quiet=quiet) as watch:
        for chosen in watch(Task("configs", len(configs))).each(configs):
            try:
                facts = metrics_of(vault, chosen, now, pages=pages)
            except (VaultError, DataError) as error:
                facts, status = {"config": chosen.key, "error": in_line(error)}, 2
            typer.echo(json.dumps(facts))
    raise typer.Exit(status)
