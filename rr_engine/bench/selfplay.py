"""How fast a network makes games, beside how fast it answers when nothing else is done.

Wall-clock time, all cores. The bare network is asked about the same kind of positions, already encoded, in batches of
the size that the searches make on average, by as many threads at once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rr_engine.batch import Batch
from rr_engine.bench.gpu import GpuMeter
from rr_engine.boards import Config
from rr_engine.nn.checkpoint import untrained
from rr_engine.nn.evaluator import NetworkEvaluator
from rr_engine.nn.features import Encoded, encode
from rr_engine.players.search import SearchPlayer
from rr_engine.players.workers import CORES
from rr_engine.progress import UNWATCHED, Count, Task, Watch
from rr_engine.search import Evaluator
from rr_engine.selfplay.play import play_games
from rr_engine.settings import NetworkSettings, SearchSettings, SelfplaySettings

_SEED = 7
_POSITION = 20  # decisions at random before the bare network is asked


@dataclass
class _Counting:
    """An evaluator that counts what it is asked."""

    evaluator: Evaluator
    asked: int = 0
    calls: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def evaluate(
        self, config: Config, states: NDArray[np.void], moves: NDArray[np.int64], offsets: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """See `search.Evaluator`."""
        with self.lock:
            self.asked += len(states)
            self.calls += 1
        return self.evaluator.evaluate(config, states, moves, offsets)


def measure_selfplay(
    config: Config,
    *,
    network: NetworkSettings,
    settings: SelfplaySettings,
    search: SearchSettings,
    seconds: float,
    runs: int,
    watch: Watch = UNWATCHED,
) -> dict[str, Any]:
    """One row: full searches only, for about `seconds`; then the bare network at the same batch. The best of `runs`."""
    checkpoint = untrained(config, network, seed=_SEED)
    evaluator = NetworkEvaluator(checkpoint)
    best: dict[str, Any] = {"decisions_per_s": 0.0}
    bare, meter = 0.0, GpuMeter(evaluator.device)
    count = watch(Task("s", round(1.5 * seconds * runs)))
    for _ in range(runs):
        with meter:
            row = _play(config, evaluator, settings, search, seconds, count)
        bare = max(bare, _ask(evaluator, config, row["batch"], seconds / 2))
        if row["decisions_per_s"] > best["decisions_per_s"]:
            best = row
    return {
        "config": config.key,
        "simulations": settings.simulations,
        **best,
        "bare_evaluations_per_s": round(bare),
        "share_of_bare": round(best["evaluations_per_s"] / bare, 3),
        "games_at_once": settings.games_at_once,
        "channels": network.channels,
        "blocks": network.blocks,
        "parameters": checkpoint.parameters,
        "device": evaluator.device,
        "threads": CORES,
        **meter.row(),
    }


class _EnoughError(Exception):
    """Time is up."""


def _play(
    config: Config,
    evaluator: NetworkEvaluator,
    settings: SelfplaySettings,
    search: SearchSettings,
    seconds: float,
    count: Count,
) -> dict[str, Any]:
    counting = _Counting(evaluator)
    player = SearchPlayer(
        counting,
        name="bench",
        identity="bench",
        settings=search,
        simulations=settings.simulations,
        games_per_call=evaluator.games_per_call,
    )
    settings = replace(settings, opening_decisions=0)  # decisions of an opening would count as fast ones
    marks: list[tuple[float, int, int, int]] = []  # seconds, decisions, positions asked about, calls

    def watch(_ended: int, decisions: int) -> None:
        marks.append((time.perf_counter(), decisions, counting.asked, counting.calls))
        count.reach(round(count.seconds))
        if marks[-1][0] > marks[0][0] + seconds:
            raise _EnoughError

    try:
        for _ in play_games(config, player, seeds=range(10**6), generation=0, settings=settings, on_progress=watch):
            pass
    except _EnoughError:
        pass
    spent, decisions, asked, calls = (last - first for first, last in zip(marks[0], marks[-1], strict=True))
    return {
        "decisions_per_s": round(decisions / spent, 1),
        "evaluations_per_s": round(asked / spent),
        "batch": round(asked / calls),
    }


def _ask(evaluator: NetworkEvaluator, config: Config, size: int, seconds: float) -> float:
    """Evaluations a second of encoded positions, by all cores at once."""
    encoded = _positions(config, size)
    deadline = time.perf_counter() + seconds
    answered = [0] * CORES

    def work(thread: int) -> None:
        while time.perf_counter() < deadline:
            evaluator.answer(encoded)
            answered[thread] += size

    began = time.perf_counter()
    _side_by_side(work)
    return sum(answered) / (time.perf_counter() - began)


def _side_by_side(work: Callable[[int], None]) -> None:
    threads = [threading.Thread(target=work, args=(number,)) for number in range(CORES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _positions(config: Config, size: int) -> Encoded:
    rng = np.random.default_rng(_SEED)
    games = Batch(config, size)
    for _ in range(_POSITION):
        offsets, counts = games.legal.offsets[:-1], games.legal.counts
        games.step(games.legal.moves[offsets + (rng.random(size) * counts).astype(np.int64)])
    return encode(config, games.states.copy(), games.legal.moves, games.legal.offsets)
