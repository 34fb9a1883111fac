"""The command `rr`. Parses arguments and prints; what is done is done elsewhere and imported when it is asked for."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rr_engine.cli_games import games, report
from rr_engine.cli_play import play, serve
from rr_engine.cli_vault import vault
from rr_engine.errors import EngineError

if TYPE_CHECKING:
    from rr_engine.arena import MatchResult

app = typer.Typer(
    help="RingRift: rules engine, players and measurements.", no_args_is_help=True, pretty_exceptions_enable=False
)
_PLAYERS = (
    "A player: random, greedy, heuristic, search:heuristic:64, champion, checkpoint:HASH, file:PATH, external:COMMAND "
    "(docs/protocol.md); networks take :SIMULATIONS behind."
)
_ConfigKey = Annotated[str, typer.Option(help="Board and seats, such as hex8_2p.")]
_ConfigKeys = Annotated[list[str] | None, typer.Option(help="Only this config; may be repeated.")]
_AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
_Seconds = Annotated[float, typer.Option(min=1, help="Of one run.")]
_Runs = Annotated[int, typer.Option(min=1, help="The best of so many runs counts.")]
_LINE_EVERY_S = 5.0  # of progress, where it is no terminal
bench = typer.Typer(help="Measure what takes seconds.", no_args_is_help=True)
app.add_typer(bench, name="bench")
app.add_typer(games, name="games")
app.command()(play)
app.command()(report)
app.command()(serve)
app.add_typer(vault, name="vault")


def main() -> None:
    """Run `rr`."""
    run_command(app, "rr")


def run_command(command: typer.Typer, name: str, *others: type[Exception]) -> None:
    """Run a command; an error of the engine's own, or one of `others`, is one line on stderr and exit status 2."""
    try:
        command()
    except (EngineError, *others) as error:
        typer.echo(f"{name}: {' '.join(str(error).split())}", err=True)
        sys.exit(2)


@app.command()
def configs(keys: Annotated[list[str] | None, typer.Argument(help="Only these, if they exist.")] = None) -> None:
    """The twelve configs, boards with their numbers of players; a wrong key is refused and the right ones named."""
    from rr_engine.boards import CONFIGS, Config

    for config in [Config.parse(key) for key in keys] if keys else CONFIGS:
        typer.echo(config.key)


@app.command()
def verify_traces(files: Annotated[list[Path], typer.Argument(help="Trace files, plain or gzip.")]) -> None:
    """Replay trace files and compare every decision and result; exit status 1 unless all agree."""
    from rr_engine.records import trace

    games = decisions = mismatches = 0
    for path in files:
        found = trace.verify(path)
        first, *others = found.mismatches or ("",)
        numbers = f"games={found.games} decisions={found.decisions} mismatches={len(found.mismatches)}"
        typer.echo(f"{path} {numbers}{': ' if first else ''}{first}")
        for other in others:
            typer.echo(f"{path}: {other}", err=True)
        games += found.games
        decisions += found.decisions
        mismatches += len(found.mismatches)
    typer.echo(f"TOTAL games={games} decisions={decisions} mismatches={mismatches}")
    if mismatches or not games:
        raise typer.Exit(1)


@app.command()
def play_random(
    config: _ConfigKey = "hex8_2p",
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same game.")] = 0,
    show: Annotated[bool, typer.Option("--show", help="Draw the board at every turn.")] = False,
) -> None:
    """Play one uniformly random game and tell how it ends."""
    import random

    from rr_engine.game import Game
    from rr_engine.render.text import draw

    rng = random.Random(seed)
    game = Game(config)
    while not game.is_over:
        if show and game.phase == "place":
            typer.echo(draw(game) + "\n")
        move = int(rng.choice(game.legal_moves()))
        if show:
            typer.echo(f"seat {game.player} {game.phase}: {game.move_text(move)}")
        game.play(move)
    typer.echo(draw(game))
    typer.echo(f"{len(game.moves_played)} decisions; {game.outcome()}")


@app.command()
def match(
    a: Annotated[str, typer.Argument(help=_PLAYERS)],
    b: Annotated[str, typer.Argument(help="The other player; with more than two seats it takes all others.")],
    config: _ConfigKey = "hex8_2p",
    games: Annotated[
        int, typer.Option(min=1, help="Rounded up, so that every opening is played from every seat.")
    ] = 200,
    as_json: Annotated[bool, typer.Option("--json", help="The result as one JSON object on the last line.")] = False,
) -> None:
    """Play two players against each other from varied openings, seats rotated."""
    import signal

    from rich.console import Console

    from rr_engine.arena import play_match
    from rr_engine.arena.yardstick import as_table
    from rr_engine.boards import Config
    from rr_engine.players import player
    from rr_engine.players.external import closing
    from rr_engine.settings import load

    chosen, settings = Config.parse(config), load()
    one, other = (player(name, chosen, settings=settings, by_hand=True) for name in (a, b))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that programs end then too
    with closing(one, other), _Bars() as bars:
        result = play_match(
            one,
            other,
            chosen,
            games=games,
            opening_decisions=settings.match.opening_decisions,
            seed=settings.match.seed,
            temperature=settings.match.temperature,
            progress=bars.add(f"{a} - {b}", -(-games // chosen.players) * chosen.players),
        )
    for reason, number in result.forfeit_reasons.items():
        typer.echo(f"{number} forfeited by {reason}", err=True)
    if as_json:
        typer.echo(json.dumps(result.to_json()))
    else:
        Console(width=140).print(as_table([result]))


@app.command()
def yardstick(
    games: Annotated[int, typer.Option(min=1, help="Of each match.")] = 400,
    config: _ConfigKeys = None,
    opponent: Annotated[list[str] | None, typer.Option(help="Only this opponent; may be repeated.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a match.")] = False,
) -> None:
    """How good the heuristic is: against random, greedy and flat Monte Carlo, seats rotated."""
    from rich.console import Console

    from rr_engine.arena import yardstick as measure
    from rr_engine.boards import Config
    from rr_engine.settings import load

    configs = [Config.parse(key) for key in config or measure.CONFIGS]
    results: list[MatchResult] = []
    with _Bars() as bars:
        matches = measure.yardstick(
            configs,
            games=games,
            settings=load().match,
            opponents=opponent or measure.OPPONENTS,
            watch=lambda played, name: bars.add(f"{played.key}: heuristic - {name}", games),
        )
        try:
            for result in matches:
                results.append(result)
                if as_json:
                    typer.echo(json.dumps(result.to_json()))
        finally:  # after an interrupt too: what was measured is shown
            if results and not as_json:
                Console(width=140).print(measure.as_table(results))


class _Bars:
    """Progress on stderr, with the time left: a bar per match, or lines where nobody sees bars."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        decisions = TextColumn("{task.fields[decisions]} decisions")
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            decisions,
            TimeRemainingColumn(),
        )
        self._progress = Progress(*columns, console=Console(stderr=True))

    def __enter__(self) -> _Bars:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def add(self, what: str, games: int) -> Callable[[int, int], None]:
        """A bar for a match; returns whom to tell how many games have newly ended, after how many decisions."""
        task = self._progress.add_task(what, total=games, decisions=0)
        began = told = time.monotonic()
        done = in_all = 0

        def tell(ended: int, decisions: int) -> None:
            nonlocal done, in_all, told
            done, in_all = done + ended, in_all + decisions
            self._progress.update(task, advance=ended, decisions=in_all)
            now = time.monotonic()
            if not self._progress.console.is_terminal and now - told >= _LINE_EVERY_S:
                told = now
                left = f", about {(now - began) * (games - done) / done:.0f} s left" if done else ""
                typer.echo(f"{what}: {done} of {games} games, {in_all} decisions{left}", err=True)

        return tell


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help="SQL over the views `games`, `decisions` and `chains`.")],
    config: _ConfigKey = "hex8_2p",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a row, and every row.")] = False,
) -> None:
    """Ask the games database of a config, for example: select "end", count(*) from games group by 1."""
    from rr_engine.notebook import open_games
    from rr_engine.records.views import ask, ask_rows

    connection = open_games(config)
    if not as_json:
        typer.echo(ask(connection, query))
        return
    for row in ask_rows(connection, query):
        typer.echo(json.dumps(row, default=lambda value: float(value) if isinstance(value, Decimal) else str(value)))


@app.command()
def standings(
    config: _ConfigKey = "hex8_2p",
    as_json: _AsJson = False,
) -> None:
    """The ratings of everyone who ever played in a config, and who is champion."""
    from rr_engine.boards import Config
    from rr_engine.stages.fleet import ratings_table
    from rr_engine.vault import Vault

    _print_table(ratings_table(Vault.open(), Config.parse(config)), as_json=as_json)


@app.command()
def pause(
    config: Annotated[str, typer.Argument(help="Board and seats, such as hex8_2p.")],
    reason: Annotated[str, typer.Argument(help="Why; its page says so.")],
) -> None:
    """Let a config rest: nothing starts games for it until `rr resume`."""
    from rr_engine.boards import Config
    from rr_engine.stages import pauses
    from rr_engine.vault import Vault

    pauses.pause(Vault.open(), Config.parse(config), reason, by="hand")
    typer.echo(
        f"{config} pauses; a platform that runs takes notice within a minute, runs queued or under way end as usual"
    )


@app.command()
def resume(config: Annotated[str, typer.Argument(help="Board and seats, such as hex8_2p.")]) -> None:
    """End the pause of a config, whoever paused it; exit status 1 if it is not paused."""
    from rr_engine.boards import Config
    from rr_engine.stages import pauses
    from rr_engine.vault import Vault

    vault, parsed = Vault.open(), Config.parse(config)
    held = pauses.pause_of(vault, parsed)
    if held is None:
        typer.echo(f"{config} is not paused", err=True)
        raise typer.Exit(1)
    pauses.resume(vault, parsed, "resumed by hand", by="hand")
    typer.echo(f"{config} was paused since {held.since}: {held.reason}; a platform that runs goes on within a minute")


@app.command()
def crown(
    config: Annotated[str, typer.Argument(help="Board and seats, such as hex8_2p.")],
    checkpoint: Annotated[str, typer.Argument(help="Its hash, or the first 8 digits or more.")],
    reason: Annotated[str, typer.Argument(help="Why; the pointer says so.")],
) -> None:
    """Make a stored checkpoint the champion by hand, for example the one before; the present one is kept."""
    from rr_engine.boards import Config
    from rr_engine.settings import load
    from rr_engine.stages import crown as crowning
    from rr_engine.vault import Vault

    pointer = crowning.crown_by_hand(Vault.open(), Config.parse(config), checkpoint, reason, load())
    follows = "the next games use it" if pointer.facts["proven"] else "it is not proven: the heuristic makes the games"
    typer.echo(f"generation {pointer.number} of {config} is {pointer.sha256[:12]}; {follows}")


@bench.command("engine")
def bench_engine(
    as_json: _AsJson = False,
    config: _ConfigKeys = None,
    peers: Annotated[bool, typer.Option("--peers", help="Also OpenSpiel on the same core, and ratios to it.")] = False,
    parallel: Annotated[bool, typer.Option("--parallel", help="Also thousands of games at once, all cores.")] = False,
    starts: Annotated[bool, typer.Option("--starts", help="Also warm start and cold compile per board.")] = False,
    runs: _Runs = 5,
) -> None:
    """Random games a second on one core: CPU time, all rules on, every legal move listed at every decision."""
    from rr_engine.bench import engine as measure
    from rr_engine.boards import CONFIGS, Config

    configs = [Config.parse(key) for key in config] if config else list(CONFIGS)
    tables = measure.measure_engine(configs, peers=peers, runs=runs)
    if parallel:
        tables.append(measure.measure_parallel(configs, runs=runs))
    if starts:
        boards = dict.fromkeys(chosen.board_name for chosen in configs)
        tables.append(measure.measure_starts(boards, cold=True))
    for table in tables:
        _print_table(table, as_json=as_json)


@bench.command("selfplay")
def bench_selfplay(
    config: _ConfigKey = "hex8_2p",
    as_json: _AsJson = False,
    seconds: _Seconds = 20,
    runs: _Runs = 3,
) -> None:
    """Decisions and evaluations a second of self-play, every search full, and of the bare network in the same run."""
    from rr_engine.bench.selfplay import measure_selfplay
    from rr_engine.boards import Config
    from rr_engine.settings import load

    loaded = load()
    row = measure_selfplay(
        Config.parse(config),
        network=loaded.network,
        settings=loaded.selfplay,
        search=loaded.selfplay_search,
        seconds=seconds,
        runs=runs,
    )
    _print_table([row], as_json=as_json)


@bench.command("training")
def bench_training(
    config: _ConfigKey = "hex8_2p",
    as_json: _AsJson = False,
    seconds: _Seconds = 10,
    runs: _Runs = 3,
) -> None:
    """Samples a second of training, and of the bare network forward and back in the same run."""
    from rr_engine.bench.training import measure_training
    from rr_engine.boards import Config
    from rr_engine.settings import load

    loaded = load()
    row = measure_training(
        Config.parse(config), network=loaded.network, settings=loaded.training, seconds=seconds, runs=runs
    )
    _print_table([row], as_json=as_json)


def _print_table(rows: list[dict[str, Any]], *, as_json: bool) -> None:
    """Rows as JSON lines, or as aligned columns under their names."""
    from rr_engine.render.table import columns

    if as_json:
        for row in rows:
            typer.echo(json.dumps(row))
        return
    typer.echo(columns(rows) + "\n")
