"""What the engine can do, measured: random games a second, against OpenSpiel, in parallel, and how fast it starts.

Single-core figures are CPU time (`time.process_time`), the best of several runs; a run plays whole games with all rules
on and lists every legal move at every decision. Runs of different things alternate, so that a ratio compares minutes
that were alike.
"""

from __future__ import annotations

import importlib
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from rr_engine import state
from rr_engine.batch import KEEP, Batch
from rr_engine.boards import Config
from rr_engine.errors import ConfigError
from rr_engine.game import Game
from rr_engine.kernels import layout, playout
from rr_engine.progress import UNWATCHED, Task, Watch

RUNS = 5
RUN_SECONDS = 0.3  # of CPU time, about
_SEED = 20_231


@dataclass(frozen=True)
class Peer:
    """A game of OpenSpiel to compare with, and what the ratio of decisions to its moves should be."""

    game: str
    config: str
    floor: float
    aim: float


PEERS = (
    Peer("go(board_size=9)", "square8_2p", 0.6, 1.0),
    Peer("go(board_size=9)", "hex8_2p", 0.6, 1.0),
    Peer("go(board_size=19)", "square19_2p", 0.7, 1.1),
)

Run = tuple[int, int, float]  # games, decisions, seconds


class _Runner(Protocol):
    """Something that plays a number of random games and says how long it took."""

    games: int  # in a run of about `RUN_SECONDS`

    def run(self, games: int) -> Run: ...


class _OurRuns:
    """Random games of one config, inside the kernels."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._start = state.new_state(config)
        self._states = self._start.copy()
        self._scratch = np.zeros(1, layout.SCRATCH)
        self._out = np.empty(config.legal_capacity, np.int64)
        self._rng = np.array([_SEED], np.uint64)
        self.run(1)  # loads or compiles the kernels
        self.games = _games_for(self.run)

    def run(self, games: int) -> Run:
        started = time.process_time()
        decisions = playout.play_games(
            self._config.board.geometry[0], self._start, self._states, self._scratch[0], self._out, self._rng, games
        )
        return games, int(decisions), time.process_time() - started


class _PeerRuns:
    """Random games of OpenSpiel, by the faster of its two ways to play them inside C++.

    Its uniform bots leave the history to count moves in. Rollouts of its tree search, asked for one simulation from the
    start position, are faster but tell no length: theirs is the mean of the bots' games, which the same random play
    makes.
    """

    def __init__(self, spiel: Any, name: str) -> None:
        self._spiel = spiel
        self._game = spiel.load_game(name)
        self._bots = [spiel.make_uniform_random_bot(seat, _SEED + seat) for seat in range(2)]
        self._bot_games = self._bot_moves = 0
        self.games = _games_for(self._with_bots)

    def run(self, games: int) -> Run:
        return max(self._with_bots(games), self._with_rollouts(games), key=_decisions_per_s)

    def _with_bots(self, games: int) -> Run:
        moves = 0
        started = time.process_time()
        for number in range(games):
            position = self._game.new_initial_state()
            self._spiel.evaluate_bots(position, self._bots, _SEED + number)
            moves += position.move_number()
        seconds = time.process_time() - started
        self._bot_games += games
        self._bot_moves += moves
        return games, moves, seconds

    def _with_rollouts(self, games: int) -> Run:
        rollouts = self._spiel.RandomRolloutEvaluator(games, _SEED)
        search = self._spiel.MCTSBot(self._game, rollouts, 1.0, 1, 64, False, _SEED, False)
        position = self._game.new_initial_state()
        started = time.process_time()
        search.step(position)
        seconds = time.process_time() - started
        return games, round(games * self._bot_moves / self._bot_games), seconds


def _decisions_per_s(run: Run) -> float:
    return run[1] / run[2]


def _games_for(run: Callable[[int], Run]) -> int:
    """How many games make a run of about `RUN_SECONDS`."""
    games, seconds = 1, run(1)[2]
    while seconds < RUN_SECONDS / 10:
        games *= 4
        seconds = run(games)[2]
    return max(1, round(games * RUN_SECONDS / seconds))


def measure_engine(
    configs: Iterable[Config], *, peers: bool = False, runs: int = RUNS, watch: Watch = UNWATCHED
) -> list[list[dict[str, Any]]]:
    """Single core: a table with one row per config, and with `peers` a table of ratios to OpenSpiel.

    Raises ConfigError if OpenSpiel is not installed, or is to be compared with none of `configs`.
    """
    chosen = {config.key: config for config in configs}
    pairs = [peer for peer in PEERS if peer.config in chosen] if peers else []
    spiel = _open_spiel(pairs) if peers else None
    makers: dict[str, Callable[[], _Runner]] = {key: partial(_OurRuns, config) for key, config in chosen.items()}
    makers |= {peer.game: partial(_PeerRuns, spiel, peer.game) for peer in pairs}
    count = watch(Task("runs", len(makers) * (1 + runs), "one core"))  # the first of each warms up
    with _OneCore():
        players = {name: make() for name, make in count.each(makers.items())}
        rounds = [{name: player.run(player.games) for name, player in count.each(players.items())} for _ in range(runs)]
    best = {name: max((played[name] for played in rounds), key=_decisions_per_s) for name in players}
    tables = [[_engine_row(config, best[key]) for key, config in chosen.items()]]
    if pairs:
        tables.append([_ratio_row(peer, best[peer.config], best[peer.game]) for peer in pairs])
    return tables


def _open_spiel(pairs: list[Peer]) -> Any:
    if not pairs:
        raise ConfigError(f"--peers compares {', '.join(peer.config for peer in PEERS)}: none of them is chosen")
    try:
        return importlib.import_module("pyspiel")
    except ModuleNotFoundError as error:
        raise ConfigError("--peers needs OpenSpiel: install the extra `peers` (pip install -e '.[peers]')") from error


def _engine_row(config: Config, run: Run) -> dict[str, Any]:
    games, decisions, seconds = run
    return {
        "board": config.board_name,
        "players": config.players,
        "games_per_s": round(games / seconds, 1),
        "decisions_per_s": round(decisions / seconds),
        "state_bytes": config.board.state_dtype.itemsize,
    }


def _ratio_row(peer: Peer, ours: Run, theirs: Run) -> dict[str, Any]:
    config = Config.parse(peer.config)
    return {
        "board": config.board_name,
        "players": config.players,
        "peer": f"OpenSpiel {peer.game}",
        "our_decisions_per_s": round(_decisions_per_s(ours)),
        "peer_moves_per_s": round(_decisions_per_s(theirs)),
        "ratio": round(_decisions_per_s(ours) / _decisions_per_s(theirs), 2),
        "floor": peer.floor,
        "aim": peer.aim,
    }


class _OneCore:
    """Keeps this process on one core while it is open, where the system can."""

    def __enter__(self) -> None:
        self._before = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set[int]()
        if self._before:
            os.sched_setaffinity(0, {max(self._before)})

    def __exit__(self, *_: object) -> None:
        if self._before:
            os.sched_setaffinity(0, self._before)


def measure_parallel(
    configs: Sequence[Config], *, games: int = 4096, runs: int = RUNS, watch: Watch = UNWATCHED
) -> list[dict[str, Any]]:
    """`games` at once through `Batch`, on one thread and on one per core in turn; wall-clock time, best of `runs`."""
    cores = os.cpu_count() or 1
    rows: list[dict[str, Any]] = []
    count = watch(Task("runs", len(configs) * runs, "all cores"))
    for config in configs:
        alone, together = _BatchRuns(config, games, threads=1), _BatchRuns(config, games, threads=cores)
        speeds = [(alone.decisions_per_s(), together.decisions_per_s()) for _ in count.each(range(runs))]
        best_alone, best_together = (max(of_one) for of_one in zip(*speeds, strict=True))
        rows.append(
            {
                "board": config.board_name,
                "players": config.players,
                "games_at_once": games,
                "decisions_per_s_1_thread": round(best_alone),
                f"decisions_per_s_{cores}_threads": round(best_together),
                "speed_up": round(best_together / best_alone, 2),
            }
        )
    return rows


class _BatchRuns:
    """The same random steps of many games, again and again, from where they were after a few."""

    STEPS = 20

    def __init__(self, config: Config, games: int, *, threads: int) -> None:
        self._batch = Batch(config, games, threads=threads)
        self._play()
        self._middle = self._batch.states.copy()

    def decisions_per_s(self) -> float:
        self._batch.put(np.arange(len(self._batch)), self._middle)
        started = time.perf_counter()
        decisions = self._play()
        return decisions / (time.perf_counter() - started)

    def _play(self) -> int:
        """Make some steps, their moves chosen by numpy; returns decisions made."""
        rng, batch, decisions = np.random.default_rng(_SEED), self._batch, 0
        for _ in range(self.STEPS):
            legal, counts = batch.legal, batch.legal.counts
            drawn = legal.offsets[:-1] + (rng.random(len(batch)) * counts).astype(np.int64)
            chosen = legal.moves[np.minimum(drawn, len(legal.moves) - 1)]
            batch.step(np.where(counts > 0, chosen, KEEP))
            decisions += int(np.count_nonzero(counts))
        return decisions


def measure_starts(boards: Sequence[str], *, cold: bool, watch: Watch = UNWATCHED) -> list[dict[str, Any]]:
    """CPU seconds of a new process up to the end of its first game: kernels cached, and with `cold` not.

    Nothing in it runs in parallel, so on an idle machine this is what one waits.
    """
    rows: list[dict[str, Any]] = []
    count = watch(Task("boards", len(boards), "new processes"))
    for name in count.each(boards):
        config = Config(name, 2)
        _start_process(config.key, {})  # fills the cache
        warm = min(_start_process(config.key, {}) for _ in range(3))
        row: dict[str, Any] = {"board": name, "players": config.players, "warm_start_s": round(warm, 2)}
        if cold:
            with tempfile.TemporaryDirectory() as empty:
                row["cold_start_s"] = round(_start_process(config.key, {"NUMBA_CACHE_DIR": empty}), 2)
        rows.append(row)
    return rows


def _start_process(key: str, environ: dict[str, str]) -> float:
    code = f"from rr_engine.bench.engine import play_one_game; play_one_game({key!r})"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    # The folder this package lies in is the process's own, so that it finds the same package.
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | environ, cwd=Path(__file__).parents[2])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def play_one_game(key: str, seed: int = _SEED) -> Game:
    """A whole random game through the door."""
    rng = np.random.default_rng(seed)
    game = Game(key)
    while not game.is_over:
        game.play(int(rng.choice(game.legal_moves())))
    return game
