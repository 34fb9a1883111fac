"""Games as traces, out of the vault and into it. Each is replayed before it counts, on either way."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rr_engine.boards import Config
from rr_engine.errors import ConfigError, DataError, TraceError, in_line, shown
from rr_engine.game import Game
from rr_engine.progress import UNWATCHED, Task, Watch
from rr_engine.records import shard, trace
from rr_engine.records.record import GameRecord, check_replays, digest_of, record_of_moves
from rr_engine.records.views import ask_rows
from rr_engine.settings import Settings
from rr_engine.stages import games
from rr_engine.vault import CLAIM_KIND, Card, Claim, Vault

_TOLD = 5  # wrong games of a file that are named
_LONGEST_NAME = 80  # of a player, characters


@dataclass(frozen=True)
class Imported:
    """What became of the games of one config in some files."""

    config: str
    read: int
    imported: int
    known: int  # were in the vault before
    repeated: int  # stand in the files more than once


@dataclass(frozen=True)
class _Found:
    """A game of a file that replays."""

    config: Config
    pie: bool
    moves: tuple[int, ...]
    players: tuple[str, ...]


@dataclass
class _Reading:
    """The games of some files, and what is wrong with those of the present one."""

    configs: Collection[Config]  # that are wanted; all if there is none
    found: list[_Found] = field(default_factory=list[_Found])
    problems: list[str] = field(default_factory=list[str])

    def add(self, line: int, record: dict[str, Any]) -> None:
        """Replay a record; it is a game found, a problem, or of a config that is not wanted."""
        try:
            config = trace.config_of(record)
        except ConfigError as error:
            self.problems.append(f"line {line}: {error}")
            return
        if self.configs and config not in self.configs:
            return
        replay = trace.replay(record)
        where = f"line {line}, game {replay.name}"
        if "text" in record:
            self.problems.append(f"{where}: a position, but only whole games from the usual start can be imported")
        elif replay.difference:
            self.problems.append(f"{where}: {in_line(replay.difference)}")
        elif (players := _players(record, config)) is None:
            told = f"`players` must be {config.players} texts of 1 to {_LONGEST_NAME} characters, one for each seat"
            self.problems.append(f"{where}: {told}")
        else:
            self.found.append(_Found(config, bool(record["swap"]), replay.moves, players))


def export_games(
    vault: Vault, config: Config, *, where: str = "", limit: int | None = None, watch: Watch = UNWATCHED
) -> Iterator[dict[str, Any]]:
    """The traces of stored games, the oldest first, each once; `where` is a condition in SQL over the view `games`.

    Beside what a trace has stand `players` by the seat they opened at, `seed`, `generation` and `shard`. Raises
    DataError where there is no game, or one does not replay.
    """
    cards = games.all_shards(vault, config)
    chosen = _chosen(vault, config, cards, where, limit, watch)
    count = watch(Task("games", len(chosen)))
    for card in cards:
        wanted = {game for game, place in chosen.items() if place == card.sha256}
        for record in shard.decode(vault.path(card)) if wanted else ():
            if record.digest in wanted:
                wanted.remove(record.digest)
                yield _trace_of(record, card)
                count.add()


def _chosen(
    vault: Vault, config: Config, cards: Sequence[Card], where: str, limit: int | None, watch: Watch
) -> dict[str, str]:
    """The shard where each game that is asked for stands first."""
    condition = f"where (\n{where}\n)" if where else ""  # on lines of its own: it may end with a comment
    chosen: dict[str, str] = {}
    connection = games.open_games(vault, cards, watch=watch)
    for row in ask_rows(connection, f"select game, shard from games {condition}", watch=watch):
        if limit is not None and len(chosen) >= limit:
            break
        chosen.setdefault(row["game"], row["shard"])
    if not chosen:
        raise DataError(f"no game of {config.key} is one where {shown(where)}")
    return chosen


def _trace_of(record: GameRecord, card: Card) -> dict[str, Any]:
    check_replays(record)
    game = Game(record.config, pie=record.pie)
    game.play_all(record.moves.tolist())
    return trace.record_of_game(
        game,
        name=record.digest,
        players=list(record.players),
        seed=record.seed,
        generation=record.generation,
        shard=card.sha256,
    )


def import_games(
    vault: Vault,
    files: Sequence[Path],
    settings: Settings,
    *,
    configs: Collection[Config] = (),
    watch: Watch = UNWATCHED,
) -> list[Imported]:
    """Take the games of trace files into the vault, those of `configs` or all; a game that is there is not taken again.

    Every file is read and every game replayed before anything is written: state, legal moves and result as the trace
    has them. Raises TraceError, naming the first wrong games of the first wrong file, if there is one. Shards are
    durable one by one, each under a claim of its own, so what an interruption leaves is whole, and the same call again
    brings the rest; the same call at once makes the same shards.

    A trace says who moved where and who won, not what anybody thought: the games have no policy targets and no
    chances, and teach a network by their results. They count as made now, by nobody's champion but the present one.
    """
    vault.demand_room()
    reading = _Reading(configs)
    count = watch(Task("games", sum(map(trace.lines_in, files))))
    for path in files:
        for line, record in count.each(trace.read_numbered(path)):
            reading.add(line, record)
            if len(reading.problems) == _TOLD:
                break
        if reading.problems:
            raise TraceError(f"{path}: nothing was imported: {'; '.join(reading.problems)}")
    if not reading.found:
        wanted = ", ".join(config.key for config in configs)
        raise TraceError(f"nothing was imported: no game of {wanted} in {', '.join(map(str, files))}")
    by_config: dict[Config, list[_Found]] = {}
    for game in reading.found:
        by_config.setdefault(game.config, []).append(game)
    return [_import(vault, config, found, settings, watch) for config, found in sorted(by_config.items())]


def _players(record: dict[str, Any], config: Config) -> tuple[str, ...] | None:
    """Who played, as far as the trace says it; None if what it says is of another form."""
    names = record.get("players", [games.IMPORTED] * config.players)
    if not isinstance(names, list) or len(names) != config.players:
        return None
    if not all(isinstance(name, str) and 0 < len(name) <= _LONGEST_NAME for name in names):
        return None
    return tuple(names)


def _import(vault: Vault, config: Config, found: Sequence[_Found], settings: Settings, watch: Watch) -> Imported:
    """Keep the games of one config that are new."""
    by_digest: dict[str, _Found] = {}
    for game in found:
        by_digest.setdefault(digest_of(config, game.moves, pie=game.pie), game)
    cards = vault.cards(games.KIND, config.key)
    known: set[str] = set()
    if cards:
        stored = ask_rows(games.open_games(vault, cards, watch=watch), "select distinct game from games", watch=watch)
        known = {row["game"] for row in stored} & by_digest.keys()
    new = {digest: game for digest, game in by_digest.items() if digest not in known}
    if new:
        _keep(vault, config, new, settings.selfplay.shard_games, watch)
    return Imported(config.key, len(found), len(new), len(known), len(found) - len(by_digest))


def _keep(vault: Vault, config: Config, found: Mapping[str, _Found], shard_games: int, watch: Watch) -> None:
    """Keep games, by their digests, as shards of so many."""
    usual, digests = games.usual_decisions(vault, config), list(found)
    count = watch(Task("games", len(found), f"{config.key}, kept"))
    for first in range(0, len(found), shard_games):
        chosen = digests[first : first + shard_games]
        claim = _claim(vault, config, {digest: found[digest].players for digest in chosen})
        made = {"claim": claim.number, "player": games.IMPORTED, "planned_share": 0.0, "usual_decisions": usual}
        records = _records(vault, config, [found[digest] for digest in chosen], claim)
        games.keep(vault, config, records, made, producer=games.IMPORTED)
        count.add(len(chosen))
    vault.index(CLAIM_KIND, config.key)
    vault.index(games.KIND, config.key)


def _claim(vault: Vault, config: Config, players: Mapping[str, Sequence[str]]) -> Claim:
    """The first claim for just these games with their players, made if there is none: seeds of nobody else.

    Who imports them at once, or again after an interruption, gets the same one, so makes the same shard.
    """
    claimed = hashlib.sha256(json.dumps(list(players.items())).encode()).hexdigest()

    def first() -> Claim | None:
        return next((claim for claim in vault.claims(config.key) if claim.facts.get("games") == claimed), None)

    if (known := first()) is not None:
        return known
    own = vault.claim(
        config.key, len(players), facts={"batch": games.IMPORTED, "player": games.IMPORTED, "games": claimed}
    )
    return first() or own


def _records(vault: Vault, config: Config, found: Sequence[_Found], claim: Claim) -> list[GameRecord]:
    """Games as records, of the champion that there was when they were claimed."""
    champions = [pointer for pointer in vault.pointers(config.key) if pointer.created <= claim.created]
    return [
        record_of_moves(
            config,
            game.moves,
            pie=game.pie,
            seed=seed,
            players=game.players,
            generation=champions[-1].number if champions else -1,
        )
        for seed, game in zip(range(claim.start, claim.stop), found, strict=True)
    ]
