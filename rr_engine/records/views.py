"""Questions in SQL: typed DuckDB views over shards, and the one SELECT that may be asked of them.

`games` has one row a game, `decisions` one row a decision, `chains` one row a chain of captures; docs/queries.md says
what each column holds. What stands in no shard is derived here, moves as text by the owner of their form.
"""

from __future__ import annotations

import atexit
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from rr_engine import move as moves_of
from rr_engine.boards import Board, Config
from rr_engine.errors import DataError, in_line
from rr_engine.progress import UNWATCHED, Task, Watch
from rr_engine.records.record import replayed

if TYPE_CHECKING:
    import duckdb

SHARD_DIGITS = 12  # of a shard's hash in the name of a game
_OPEN: WeakSet[Any] = WeakSet()
_ASKED_EVERY_S = 0.1  # how far a query is

_STORED_VIEW = f"""
create view stored as select *, parse_filename(filename, true) as shard,
    left(shard, {SHARD_DIGITS}) || ':' || game as name
from shards
"""

_GAMES_VIEW = """
create view games as select game, name, shard, config, seed, pie, swapped, players, player_hashes, generation, opening,
    decisions, winner, players[1 + case when swapped then 1 - winner else winner end] as won_by,
    "end", ranks, terr, elim, markers, "out", turns
from stored
"""

# The kinds and phases are those of kernels.layout, in order; a swap is move 1, and `swap` the number of decisions up to
# it. Agents are numbered by the seat they opened at.
_DECISIONS_VIEW = """
create view decisions as select game, name, config, seed, decision, seat, players[agent + 1] as player,
    agent = case when swapped then 1 - winner else winner end as won, phase, kind, a, b, c,
    case when kind in ('place', 'pay', 'forced') then a when kind = 'capture' then c
         when kind in ('move', 'slide', 'strike', 'slide_line', 'slide_window') then b end as cell,
    move, case when kind = 'claim' then claim_text(config, pie, moves[:decision + 1]) else move_text(config, move) end
        as text,
    legal, recorded, case when recorded then list_transform(target, lambda share: share / 65535.0) end as policy,
    chances[seat + 1] / 65535.0 as chance, list_transform(chances, lambda share: share / 65535.0) as "values"
from (
    select *, case when decision >= swap then 1 - seat else seat end as agent,
        ['skip', 'swap', 'place', 'move', 'capture', 'slide', 'strike', 'slide_line', 'slide_window', 'line',
         'line_window', 'pay', 'claim', 'forced'][(move & 15) + 1] as kind,
        (move >> 4) & 4095 as a, (move >> 16) & 4095 as b, (move >> 28) & 4095 as c
    from (
        select game, name, config, seed, pie, players, swapped, winner, moves, list_position(moves, 1) as swap,
            unnest(generate_series(0, decisions - 1)) as decision, unnest(seats) as seat,
            ['place', 'move', 'cap', 'chain', 'line', 'lelim', 'terr', 'telim', 'fe'][unnest(phases) + 1] as phase,
            unnest(moves) as move, unnest(recorded) as recorded, unnest(policy) as target, len(target) as legal,
            unnest("values") as chances
        from stored))
"""

_CHAINS_VIEW = """
create view chains as select game, name, config, seed, min(decision) as decision, any_value(seat) as seat,
    any_value(player) as player, any_value(won) as won, count(*) as captures
from (
    select *, count(*) filter (phase != 'chain') over (partition by name, seed order by decision) as link
    from decisions)
where kind = 'capture' group by game, name, config, seed, link
"""

_MEASURING = ("set enable_progress_bar_print = false", "set enable_progress_bar = true")
_CLOSED = (
    "set allowed_configs = ['enable_progress_bar', 'enable_progress_bar_print']",  # all others are locked below
    "set python_enable_replacements = false",
    "set temp_directory = ''",
    "set enable_external_access = false",
    "set lock_configuration = true",
)


def open_views(paths: Iterable[Path]) -> duckdb.DuckDBPyConnection:
    """A DuckDB connection in memory with the views over the shards at `paths`, each called by its hash.

    What is asked through it can read these files and no others, and neither change that nor see Python's variables.
    Raises DataError if there is no shard or one is damaged.
    """
    import duckdb

    files = [str(path) for path in paths]
    if not files:
        raise DataError("no shard to query")
    connection = duckdb.connect()
    _OPEN.add(connection)
    try:
        connection.from_parquet(files, filename=True).create_view("shards")
        connection.create_function("move_text", _move_text, ["VARCHAR", "BIGINT"], "VARCHAR")
        connection.create_function("claim_text", _claim_text, ["VARCHAR", "BOOLEAN", "BIGINT[]"], "VARCHAR")
        for view in (_STORED_VIEW, _GAMES_VIEW, _DECISIONS_VIEW, _CHAINS_VIEW):
            connection.execute(view)
    except duckdb.Error as error:
        raise DataError(f"the shards cannot be queried: {_told(error)}") from error
    connection.execute("set allowed_paths = ?", [files])
    for closed in _CLOSED:
        connection.execute(closed)
    return connection


@atexit.register
def _close_all() -> None:
    """A connection that is open when Python ends, as that of a notebook, would complain of its functions."""
    for connection in list(_OPEN):
        connection.close()


def ask(connection: duckdb.DuckDBPyConnection, query: str, *, watch: Watch = UNWATCHED) -> str:
    """The answer to one SELECT as a table of text; raises DataError for any other statement and for one that fails.

    A file that may be read could be written, too: COPY is no SELECT.
    """
    return _answer(connection, query, str, watch)


def ask_rows(connection: duckdb.DuckDBPyConnection, query: str, *, watch: Watch = UNWATCHED) -> list[dict[str, Any]]:
    """The answer as rows by name of column; else as `ask`. Raises DataError, too, where two columns have one name."""
    names, rows = _answer(connection, query, lambda found: (found.columns, found.fetchall()), watch)
    if len(set(names)) < len(names):
        raise DataError(f"columns {', '.join(names)}: name them apart, as in `count(*) as games`")
    return [dict(zip(names, row, strict=True)) for row in rows]


def _answer(connection: duckdb.DuckDBPyConnection, query: str, read: Callable[[Any], Any], watch: Watch) -> Any:
    import duckdb

    try:
        statements = connection.extract_statements(query)
        if [statement.type for statement in statements] != [duckdb.StatementType.SELECT]:
            raise DataError("a query is one SELECT; statements that change or copy something are refused")
        return _told_meanwhile(connection, lambda: read(connection.sql(query)), watch)
    except duckdb.Error as error:
        raise DataError(f"the query failed: {_told(error)}") from error


def _told_meanwhile(connection: duckdb.DuckDBPyConnection, answer: Callable[[], Any], watch: Watch) -> Any:
    """What `answer` gives, from a thread of its own: DuckDB tells how far it is to whoever asks from another."""
    count = watch(Task("%", 100, "query"))
    for measuring in _MEASURING:
        connection.execute(measuring)
    with ThreadPoolExecutor(1) as pool:
        answered = pool.submit(answer)
        try:
            while wait([answered], timeout=_ASKED_EVERY_S).not_done:
                count.reach(max(count.done, round(connection.query_progress())))
        except KeyboardInterrupt:
            while wait([answered], timeout=_ASKED_EVERY_S).not_done:
                connection.interrupt()
            raise
    count.reach(100)
    return answered.result()


def _told(error: Exception) -> str:
    return in_line(str(error).partition("\nLINE ")[0])  # behind it the query stands once more


@cache
def _board(config: str) -> Board:
    return Config.parse(config).board


def _move_text(config: str, move: int) -> str:
    return moves_of.plain_text(_board(config), move)


def _claim_text(config: str, pie: bool, moves: list[int]) -> str:
    """The text of the last of these moves from the start, which claims a region: the state tells its cells."""
    parsed = Config.parse(config)
    made = replayed(parsed, moves, pie=pie).made
    if made < len(moves):
        raise DataError(f"decision {made} is not legal on replay")
    return moves_of.to_text(parsed.board, replayed(parsed, moves[:-1], pie=pie).state, moves[-1])
