"""The command `rr`. Parses arguments and prints; what is done is done elsewhere and imported when it is asked for."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rr_engine.cli_games import games, report
from rr_engine.cli_play import play, serve
from rr_engine.cli_shown import (
    EACH_BOARD,
    AsJson,
    ConfigKey,
    ConfigKeys,
    Quiet,
    opened_vault,
    print_table,
    say,
    watching,
)
from rr_engine.cli_vault import vault
from rr_engine.errors import EngineError
from rr_engine.progress import Task

if TYPE_CHECKING:
    from rr_engine.arena import MatchResult

app = typer.Typer(
    help="RingRift: rules engine, players and measurements.", no_args_is_help=True, pretty_exceptions_enable=False
)
_PLAYERS = (
    "A player: random, greedy, heuristic, search:heuristic:64, champion, checkpoint:HASH, file:PATH, external:COMMAND "
    "(docs/protocol.md); networks take :SIMULATIONS behind."
)
_Seconds = Annotated[float, typer.Option(min=1, help="Of one run.")]
_Runs = Annotated[int, typer.Option(min=1, help="The best of so many runs counts.")]
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
def configs(
    keys: Annotated[list[str] | None, typer.Argument(help="Only these, if they exist.")] = None,
    as_json: AsJson = False,
) -> None:
    """The twelve configs, boards with their numbers of players; a wrong key is refused and the right ones named."""
    from rr_engine.boards import CONFIGS, Config

    for config in [Config.parse(key) for key in keys] if keys else CONFIGS:
        facts = {"config": config.key, "board": config.board_name, "players": config.players}
        say(facts, config.key, as_json=as_json)


@app.command()
def verify_traces(
    files: Annotated[list[Path], typer.Argument(help="Trace files, plain or gzip.")],
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Replay trace files and compare every decision and result; exit status 1 unless all agree.

    A line per file, the last one counts them all.
    """
    from rr_engine.records import trace

    games = decisions = mismatches = 0
    with watching(quiet=quiet, rules_of=EACH_BOARD) as watch:
        count = watch(Task("games", sum(map(trace.lines_in, files)), rate="decisions"))
        for path in files:
            found = trace.verify(path, on_replay=lambda replayed: count.add(1, replayed.decisions))
            first, *others = found.mismatches or ("",)
            facts = {"games": found.games, "decisions": found.decisions, "mismatches": len(found.mismatches)}
            told = f"{path} {_as_words(facts)}{': ' if first else ''}{first}"
            say({"file": str(path), **facts, "told": list(found.mismatches)}, told, as_json=as_json)
            for other in [] if as_json else others:
                typer.echo(f"{path}: {other}", err=True)
            games += found.games
            decisions += found.decisions
            mismatches += len(found.mismatches)
    facts = {"games": games, "decisions": decisions, "mismatches": mismatches}
    say({"files": len(files), **facts}, f"TOTAL {_as_words(facts)}", as_json=as_json)
    if mismatches or not games:
        raise typer.Exit(1)


def _as_words(facts: Mapping[str, int]) -> str:
    return " ".join(f"{name}={value}" for name, value in facts.items())


@app.command()
def play_random(
    config: ConfigKey = "hex8_2p",
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same game.")] = 0,
    show: Annotated[bool, typer.Option("--show", help="Draw the board at every turn.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Play one uniformly random game and tell how it ends."""
    import random

    from rr_engine.boards import Config
    from rr_engine.game import Game
    from rr_engine.render.text import draw

    rng = random.Random(seed)
    chosen = Config.parse(config)
    with watching(quiet=quiet, rules_of=chosen.board_name):
        game = Game(chosen)
        while not game.is_over:
            if show and game.phase == "place" and not as_json:
                typer.echo(draw(game) + "\n")
            move = int(rng.choice(game.legal_moves()))
            if show:
                facts = {"seat": game.player, "phase": game.phase, "move": game.move_text(move)}
                say(facts, "seat {seat} {phase}: {move}".format(**facts), as_json=as_json)
            game.play(move)
    outcome = game.outcome()
    assert outcome is not None  # it is over
    decisions = len(game.moves_played)
    facts = {"config": config, "seed": seed, "decisions": decisions, **asdict(outcome)}
    say(facts, f"{draw(game)}\n{decisions} decisions; {outcome}", as_json=as_json)


@app.command()
def match(
    a: Annotated[str, typer.Argument(help=_PLAYERS)],
    b: Annotated[str, typer.Argument(help="The other player; with more than two seats it takes all others.")],
    config: ConfigKey = "hex8_2p",
    games: Annotated[
        int, typer.Option(min=1, help="Rounded up, so that every opening is played from every seat.")
    ] = 200,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Play two players against each other from varied openings, seats rotated."""
    import signal

    from rich.console import Console

    from rr_engine.arena import play_match, task_of
    from rr_engine.arena.yardstick import as_table
    from rr_engine.boards import Config
    from rr_engine.players import player
    from rr_engine.players.external import closing
    from rr_engine.settings import load

    chosen, settings = Config.parse(config), load()
    one, other = (player(name, chosen, settings=settings, by_hand=True) for name in (a, b))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that programs end then too
    with closing(one, other), watching(quiet=quiet, rules_of=chosen.board_name) as watch:
        count = watch(task_of(f"{a} - {b}", chosen, games))
        result = play_match(
            one,
            other,
            chosen,
            games=games,
            opening_decisions=settings.match.opening_decisions,
            seed=settings.match.seed,
            temperature=settings.match.temperature,
            progress=count.add,
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
    config: ConfigKeys = None,
    opponent: Annotated[list[str] | None, typer.Option(help="Only this opponent; may be repeated.")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """How good the heuristic is: against random, greedy and flat Monte Carlo, seats rotated."""
    from rich.console import Console

    from rr_engine.arena import yardstick as measure
    from rr_engine.boards import Config
    from rr_engine.settings import load

    configs = [Config.parse(key) for key in config or measure.CONFIGS]
    results: list[MatchResult] = []
    with watching(quiet=quiet, rules_of=EACH_BOARD) as watch:
        matches = measure.yardstick(
            configs, games=games, settings=load().match, opponents=opponent or measure.OPPONENTS, watch=watch
        )
        try:
            for result in matches:
                results.append(result)
                if as_json:
                    typer.echo(json.dumps(result.to_json()))
        finally:  # after an interrupt too: what was measured is shown
            if results and not as_json:
                Console(width=140).print(measure.as_table(results))


@app.command()
def sql(
    query: Annotated[str, typer.Argument(help="SQL over the views `games`, `decisions` and `chains`.")],
    config: ConfigKey = "hex8_2p",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a row, and every row.")] = False,
    quiet: Quiet = False,
) -> None:
    """Ask the games database of a config, for example: select "end", count(*) from games group by 1."""
    from rr_engine.notebook import open_games
    from rr_engine.records.views import ask, ask_rows

    with watching(quiet=quiet) as watch:
        connection = open_games(config, watch=watch)
        if as_json:
            lines = [json.dumps(row, default=_as_json) for row in ask_rows(connection, query, watch=watch)]
        else:
            lines = [ask(connection, query, watch=watch)]
    for line in lines:
        typer.echo(line)


def _as_json(value: object) -> float | str:
    return float(value) if isinstance(value, Decimal) else str(value)


@app.command()
def standings(
    config: ConfigKey = "hex8_2p",
    as_json: AsJson = False,
) -> None:
    """The ratings of everyone who ever played in a config, and who is champion."""
    from rr_engine.boards import Config
    from rr_engine.stages.fleet import ratings_table

    print_table(ratings_table(opened_vault(), Config.parse(config)), as_json=as_json)


@app.command()
def pause(
    config: Annotated[str, typer.Argument(help="Board and seats, such as hex8_2p.")],
    reason: Annotated[str, typer.Argument(help="Why; its page says so.")],
    as_json: AsJson = False,
) -> None:
    """Let a config rest: nothing starts games for it until `rr resume`."""
    from rr_engine.boards import Config
    from rr_engine.stages import pauses

    pauses.pause(opened_vault(), Config.parse(config), reason, by="hand")
    told = f"{config} pauses; a platform that runs takes notice within a minute, runs queued or under way end as usual"
    say({"config": config, "paused": True, "reason": reason}, told, as_json=as_json)


@app.command()
def resume(
    config: Annotated[str, typer.Argument(help="Board and seats, such as hex8_2p.")], as_json: AsJson = False
) -> None:
    """End the pause of a config, whoever paused it; exit status 1 if it is not paused."""
    from rr_engine.boards import Config
    from rr_engine.stages import pauses

    vault, parsed = opened_vault(), Config.parse(config)
    held = pauses.pause_of(vault, parsed)
    if held is None:
        typer.echo(f"{config} is not paused", err=True)
        raise typer.Exit(1)
    pauses.resume(vault, parsed, "resumed by hand", by="hand")
    told = f"{config} was paused since {held.since}: {held.reason}; a platform that runs goes on within a minute"
    facts = {"config": config, "paused": False, "since": held.since, "reason": held.reason}
    say(facts, told, as_json=as_json)


@app.command()
def crown(
    config: Annotated[str, typer.Argument(help="Board and seats, such as hex8_2p.")],
    checkpoint: Annotated[str, typer.Argument(help="Its hash, or the first 8 digits or more.")],
    reason: Annotated[str, typer.Argument(help="Why; the pointer says so.")],
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Make a stored checkpoint the champion by hand, for example the one before; the present one is kept."""
    from rr_engine.boards import Config
    from rr_engine.settings import load
    from rr_engine.stages import crown as crowning

    with watching(quiet=quiet) as watch:
        watch.say("loading the network")
        pointer = crowning.crown_by_hand(opened_vault(), Config.parse(config), checkpoint, reason, load())
    proven = pointer.facts["proven"]
    follows = "the next games use it" if proven else "it is not proven: the heuristic makes the games"
    facts = {"config": config, "generation": pointer.number, "checkpoint": pointer.sha256, "proven": proven}
    say(facts, f"generation {pointer.number} of {config} is {pointer.sha256[:12]}; {follows}", as_json=as_json)


@bench.command("engine")
def bench_engine(
    as_json: AsJson = False,
    config: ConfigKeys = None,
    peers: Annotated[bool, typer.Option("--peers", help="Also OpenSpiel on the same core, and ratios to it.")] = False,
    parallel: Annotated[bool, typer.Option("--parallel", help="Also thousands of games at once, all cores.")] = False,
    starts: Annotated[bool, typer.Option("--starts", help="Also warm start and cold compile per board.")] = False,
    runs: _Runs = 5,
    quiet: Quiet = False,
) -> None:
    """Random games a second on one core: CPU time, all rules on, every legal move listed at every decision."""
    from rr_engine.bench import engine as measure
    from rr_engine.boards import CONFIGS, Config

    configs = [Config.parse(key) for key in config] if config else list(CONFIGS)
    with watching(quiet=quiet, rules_of=EACH_BOARD) as watch:
        tables = measure.measure_engine(configs, peers=peers, runs=runs, watch=watch)
        if parallel:
            tables.append(measure.measure_parallel(configs, runs=runs, watch=watch))
        if starts:
            boards = list(dict.fromkeys(chosen.board_name for chosen in configs))
            tables.append(measure.measure_starts(boards, cold=True, watch=watch))
    for table in tables:
        print_table(table, as_json=as_json)
        if not as_json:
            typer.echo()


@bench.command("selfplay")
def bench_selfplay(
    config: ConfigKey = "hex8_2p",
    as_json: AsJson = False,
    seconds: _Seconds = 20,
    runs: _Runs = 3,
    quiet: Quiet = False,
) -> None:
    """Decisions and evaluations a second of self-play, every search full, and of the bare network in the same run."""
    from rr_engine.bench.selfplay import measure_selfplay
    from rr_engine.boards import Config
    from rr_engine.settings import load

    loaded, chosen = load(), Config.parse(config)
    with watching(quiet=quiet, rules_of=chosen.board_name) as watch:
        row = measure_selfplay(
            chosen,
            network=loaded.network,
            settings=loaded.selfplay,
            search=loaded.selfplay_search,
            seconds=seconds,
            runs=runs,
            watch=watch,
        )
    print_table([row], as_json=as_json)


@bench.command("training")
def bench_training(
    config: ConfigKey = "hex8_2p",
    as_json: AsJson = False,
    seconds: _Seconds = 10,
    runs: _Runs = 3,
    quiet: Quiet = False,
) -> None:
    """Samples a second of training, and of the bare network forward and back in the same run."""
    from rr_engine.bench.training import measure_training
    from rr_engine.boards import Config
    from rr_engine.settings import load

    loaded, chosen = load(), Config.parse(config)
    with watching(quiet=quiet, rules_of=chosen.board_name) as watch:
        row = measure_training(
            chosen, network=loaded.network, settings=loaded.training, seconds=seconds, runs=runs, watch=watch
        )
    print_table([row], as_json=as_json)
