"""What a search asks about positions, the evaluator that knows nothing, and one that remembers answers."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from itertools import compress
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rr_engine.boards import Config

Floats = NDArray[np.float64]
Answer = tuple[Floats, Floats]  # logits and chances

_ROOM = 4_000_000  # logits in each half of a cache, 8 bytes each


class Evaluator(Protocol):
    """Judges positions: `nn.evaluator.NetworkEvaluator`, `heuristic.evaluator.HeuristicEvaluator`, or `Uniform`."""

    def evaluate(
        self, config: Config, states: NDArray[np.void], moves: NDArray[np.int64], offsets: NDArray[np.int64]
    ) -> tuple[Floats, Floats]:
        """(logits [moves], chances to win [states, seats]) of positions, none over, with their legal moves.

        The moves are ragged by `offsets`. Logits count up to a constant in each position. Chances are by seat, as it is
        filled now (rules 5.9), and sum to 1. Threads may call at the same time.
        """
        ...


class UniformEvaluator:
    """All moves alike, all seats alike."""

    def evaluate(
        self, config: Config, states: NDArray[np.void], moves: NDArray[np.int64], offsets: NDArray[np.int64]
    ) -> tuple[Floats, Floats]:
        """See `Evaluator`."""
        del offsets
        return np.zeros(len(moves)), np.full((len(states), config.players), 1 / config.players)


class CachedEvaluator:
    """Asks another evaluator only what it has not been asked lately.

    A game's next search looks where the last one did, so a fifth of what self-play asks is known (docs/experiments.md).
    An answer must depend on its position alone, for which 64 bits of hash stand.
    """

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._newer: dict[int, Answer] = {}  # by the hash of a position
        self._older: dict[int, Answer] = {}
        self._room = _ROOM
        self._lock = threading.Lock()

    def evaluate(
        self, config: Config, states: NDArray[np.void], moves: NDArray[np.int64], offsets: NDArray[np.int64]
    ) -> Answer:
        """See `Evaluator`."""
        keys = [hash((config.key, state.tobytes())) for state in states]
        known = {key: answer for key in keys if (answer := self._newer.get(key) or self._older.get(key)) is not None}
        new = np.array([key not in known for key in keys])
        if new.any():
            counts = np.diff(offsets)
            bounds = np.concatenate(([0], np.cumsum(counts[new])))
            logits, chances = self._evaluator.evaluate(config, states[new], moves[np.repeat(new, counts)], bounds)
            parts = zip(np.split(logits, bounds[1:-1]), chances, strict=True)
            answers = dict(zip(compress(keys, new), parts, strict=True))
            self._keep(answers, len(logits))
            known |= answers
        return np.concatenate([known[key][0] for key in keys]), np.stack([known[key][1] for key in keys])

    def _keep(self, answers: Mapping[int, Answer], logits: int) -> None:
        """Remember `answers` with so many `logits`; where the newer half is full it becomes the older one."""
        with self._lock:
            if self._room < logits:
                self._older, self._newer, self._room = self._newer, {}, _ROOM
            self._newer.update(answers)
            self._room -= logits
