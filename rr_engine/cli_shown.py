"""What every command shows, and how it is asked for: results on stdout, progress on stderr."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rr_engine.progress import UNWATCHED, Count, Task, Watch, compiling, typed

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from rr_engine.vault import Vault

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress on stderr.")]
ConfigKey = Annotated[str, typer.Option(help="Board and seats, such as hex8_2p.")]
ConfigKeys = Annotated[list[str] | None, typer.Option(help="Only this config; may be repeated.")]
EACH_BOARD = "each board"
_DRAWN_EVERY_S = 0.1


@contextmanager
def watching(*, quiet: bool, rules_of: str = "") -> Generator[Watch]:
    """Whom to tell of progress: bars on a terminal, lines elsewhere, nobody if `quiet`.

    `rules_of` is the board that is played on: should its rules have to be compiled, that is told.
    """
    if quiet:
        yield UNWATCHED
        return
    from rich.console import Console

    console = Console(stderr=True)
    with ExitStack() as open_bars:
        if console.is_terminal:
            watch = open_bars.enter_context(_Bars(console))
        else:
            watch = typed(lambda line: typer.echo(line, err=True))
        if rules_of:
            open_bars.enter_context(compiling(watch, rules_of))
        yield watch


def say(facts: Mapping[str, Any], text: str, *, as_json: bool) -> None:
    """One result, as a JSON object on a line or as text."""
    typer.echo(json.dumps(facts) if as_json else text)


def opened_vault(url: str | None = None, *, expected: bool = False) -> Vault:
    """The vault at `url`, else at `RR_VAULT`, else in `data`, as the settings `vault` say.

    Raises VaultError where one is `expected` to be there already, and is not.
    """
    from rr_engine.settings import load
    from rr_engine.vault import Vault

    vault = Vault.open(url, settings=load().vault)
    if expected:
        vault.demand_there()
    return vault


def print_table(rows: Sequence[Mapping[str, Any]], *, as_json: bool, right: bool = True) -> None:
    """Rows as JSON lines, or as columns under their names, leaning to the `right` or to the left."""
    from rr_engine.render.table import columns

    if as_json:
        for row in rows:
            typer.echo(json.dumps(row))
        return
    typer.echo(columns(rows, right=right))


def _progress_on(console: Console) -> Progress:
    """Bars that are drawn when there is something new, by no thread: what is measured meanwhile has the core alone."""
    from rich.progress import BarColumn, Progress, TextColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[told]}", markup=False),
        console=console,
        auto_refresh=False,
        transient=True,
        redirect_stdout=sys.stdout.isatty(),  # results go above the bars, but never to stderr if they have a place
    )


class _Bars:
    """A bar per task, gone at the end; before the first task the terminal is left alone."""

    def __init__(self, console: Console) -> None:
        self._progress = _progress_on(console)
        self._drawn = 0.0

    def __enter__(self) -> _Bars:
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __call__(self, task: Task) -> Count:
        self._progress.start()
        number = self._progress.add_task(task.name, total=task.total, told="")

        def draw(count: Count) -> None:
            now = time.perf_counter()
            if now - self._drawn >= _DRAWN_EVERY_S or count.share == 1:
                self._drawn = now
                self._progress.update(number, completed=count.share * (task.total or 0), told=count.told, refresh=True)

        return Count(task, draw)

    def say(self, text: str) -> None:
        self._progress.console.print(text, markup=False, highlight=False)
