"""`rr play` and `rr serve`: playing against the players, in the terminal and in a browser."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import TYPE_CHECKING, Annotated

import typer

from rr_engine.cli_shown import ConfigKey, Quiet, opened_vault, watching

if TYPE_CHECKING:
    from rr_engine.boards import Config
    from rr_engine.game import Game
    from rr_engine.players import Player

_HELP = "a move as it is listed, or: list, list all, hint, undo, board, quit"
_LISTED = 60  # moves, unless all are asked for
_PORT = 8017
_HINTS = 5  # moves, the best ones


def play(
    config: ConfigKey = "hex8_2p",
    vs: Annotated[
        str, typer.Option(help="Who has the other seats: champion, heuristic, ... as in `rr match`.")
    ] = "champion",
    seat: Annotated[int, typer.Option(min=1, max=4, help="Yours.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same answers.")] = 0,
    quiet: Quiet = False,
) -> None:
    """Play in the terminal, moves as text."""
    from rr_engine.boards import Config
    from rr_engine.errors import ConfigError
    from rr_engine.game import Game
    from rr_engine.players import player
    from rr_engine.players.external import closing
    from rr_engine.render.text import SEAT_LETTERS

    chosen = Config.parse(config)
    if seat > chosen.players:
        raise ConfigError(f"seat {seat}: {config} has seats 1 to {chosen.players}")
    other = player(vs, chosen, by_hand=True)
    adviser = cache(partial(_adviser, chosen))
    with closing(other), watching(quiet=quiet, rules_of=chosen.board_name):
        game = Game(chosen)
        typer.echo(f"you are {SEAT_LETTERS[seat - 1]}; {_HELP}")
        while not game.is_over:
            if game.agent_at(game.player or 0) == seat - 1:
                if not _decide(game, adviser, seat - 1):
                    return
            else:
                _answer(game, other, seed)
    typer.echo(_drawn(game))


def _answer(game: Game, other: Player, seed: int) -> None:
    """Let the other player move."""
    from rr_engine.players.asked import think

    [thought] = think(other, [game], [seed])
    typer.echo(f"{other.name} plays {game.move_text(thought.move)}")
    game.play(thought.move)


def _decide(game: Game, adviser: Callable[[], Player], agent: int) -> bool:
    """Ask until a move is played or a word changes the game; says whether to go on."""
    from rr_engine.errors import IllegalMoveError

    typer.echo(f"\n{_drawn(game)}\n")
    if len(legal := game.legal_texts()) == 1:
        typer.echo(f"you can only play {legal[0]}")
        game.play(legal[0])
        return True
    word = typer.prompt(f"{len(legal)} moves, such as {' '.join(legal[:6])}; yours").strip()
    match word:
        case "quit":
            return False
        case "list":
            more = f" ... {len(legal) - _LISTED} more: list all" if len(legal) > _LISTED else ""
            typer.echo(" ".join(legal[:_LISTED]) + more)
        case "list all":
            typer.echo(" ".join(legal))
        case "hint":
            _hint(game, adviser())
        case "undo":
            _undo(game, agent)
        case "board":
            pass
        case _:
            try:
                game.play(word)
            except IllegalMoveError as error:
                typer.echo(f"{error}\n{_HELP}", err=True)
    return True


def _adviser(config: Config) -> Player:
    """Who gives hints, here and on the page."""
    from rr_engine.players import player
    from rr_engine.players.registry import ADVISER, settled
    from rr_engine.settings import load

    settings, vault = load(), opened_vault()
    return player(settled(ADVISER, config, settings=settings, vault=vault), config, settings=settings, vault=vault)


def _hint(game: Game, adviser: Player) -> None:
    from rr_engine.players.asked import think

    [thought] = think(adviser, [game], [0])
    if thought.chances is not None:
        typer.echo("chances to win: " + " ".join(f"{chance:.0%}" for chance in thought.chances))
    assert thought.policy is not None  # advisers search
    rows = zip(thought.policy, thought.move_values, game.legal_moves().tolist(), strict=True)
    for share, value, move in sorted(rows, key=lambda row: -row[0])[:_HINTS]:
        typer.echo(f"{share:6.0%}  {game.move_text(move)}{'' if value != value else f', wins {value:.0%}'}")


def _undo(game: Game, agent: int) -> None:
    """Back to the last decision of one's own."""
    while game.moves_played:
        game.undo()
        if game.agent_at(game.player or 0) == agent and len(game.legal_moves()) > 1:
            return
    typer.echo("this is the start", err=True)


def _drawn(game: Game) -> str:
    from rr_engine.render.text import draw

    return draw(game)


def serve(
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Where to listen; else at the port of serve.url, 8017.")
    ] = None,
    host: Annotated[
        str, typer.Option(help="The address to listen at; others than this machine's let everybody in.")
    ] = "127.0.0.1",
) -> None:
    """A page to play on, and a move server: its questions are at /docs."""
    from urllib.parse import urlsplit

    import uvicorn

    from rr_engine.serve.app import make_app
    from rr_engine.settings import load

    settings = load()
    port = port or urlsplit(settings.serve.url).port or _PORT
    _require_free(host, port)
    typer.echo(f"open http://{f'[{host}]' if ':' in host else host}:{port}")
    uvicorn.run(make_app(opened_vault(), settings), host=host, port=port, log_level="warning")


def _require_free(host: str, port: int) -> None:
    """Raise ConfigError unless that address can be listened at."""
    import socket

    from rr_engine.errors import ConfigError

    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(address)
    except OSError as error:
        raise ConfigError(f"cannot listen at {host}:{port}: {error.strerror}; name another by --port") from error
