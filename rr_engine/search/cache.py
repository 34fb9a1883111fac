"""An evaluator that remembers answers; its table is compiled, so that remembering costs less than asking."""

from __future__ import annotations

import threading
import zlib
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rr_engine.boards import Config
from rr_engine.kernels.jit import entry, kernel
from rr_engine.search.evaluators import Answer, Evaluator

_ROOM = 24_000  # answers in each half of a cache: two searches of 512 games; more would be slower to look up
_LOGITS_PER_ANSWER = 64  # room for so many at first; it grows as needed


class CachedEvaluator:
    """Asks another evaluator only what it has not been asked lately.

    A game's next search looks where the last one did, so a fifth of what self-play asks is known (docs/experiments.md).
    An answer must depend on its position alone, for which 64 bits of hash stand. Of two halves of `room` answers,
    the newer one becomes the older one when it is full, and what was the older one is forgotten.
    """

    def __init__(self, evaluator: Evaluator, *, room: int = _ROOM) -> None:
        self._evaluator = evaluator
        self._room = room
        self._halves: tuple[_Half, _Half] | None = None  # the newer one first
        self._lock = threading.Lock()

    def evaluate(
        self, config: Config, states: NDArray[np.void], moves: NDArray[np.int64], offsets: NDArray[np.int64]
    ) -> Answer:
        """See `Evaluator`."""
        keys, known = np.empty(len(states), np.uint64), np.empty(len(states), np.bool_)
        _hash(_words(states), zlib.crc32(config.key.encode()), keys)
        logits, chances = np.empty(len(moves)), np.empty((len(states), config.players))
        with self._lock:
            if self._halves is None:
                seats = config.players
                self._halves = _half(self._room, self._room * _LOGITS_PER_ANSWER, seats), _half(0, 0, seats)
            _recall(*self._halves, keys, offsets, logits, chances, known)
        if len(new := np.flatnonzero(~known)):
            bounds = np.append(0, np.cumsum(offsets[new + 1] - offsets[new]))
            asked, choices = np.empty(len(new), states.dtype), np.empty(bounds[-1], np.int64)
            _pick(new, states, moves, offsets, bounds, asked, choices)
            answer = self._evaluator.evaluate(config, asked, choices, bounds)
            _merge(new, *answer, offsets, bounds, logits, chances)
            with self._lock:
                self._keep(keys[new], bounds, *answer)
        return logits, chances

    def _keep(self, keys: Any, bounds: Any, logits: Any, chances: Any) -> None:
        assert self._halves is not None
        newer, older = self._halves
        if newer.used[0] + len(keys) > self._room:
            newer, older = _half(max(self._room, len(keys)), len(newer.logits), chances.shape[1]), newer
        if newer.used[1] + len(logits) > len(newer.logits):
            newer = newer._replace(logits=np.append(newer.logits, np.empty(len(newer.logits) + len(logits))))
        self._halves = newer, older
        _store(newer, keys, bounds, logits, chances)


class _Half(NamedTuple):
    """A hash table with open addresses: [slots] answers, and the [room] their logits lie in."""

    keys: Any  # [slots] uint64, 0 where there is none
    first: Any  # [slots] int64: where its logits begin
    count: Any  # [slots] int64: how many there are
    chances: Any  # [slots, seats]
    logits: Any  # [room]
    used: Any  # [2] int64: answers, logits


def _half(answers: int, logits: int, seats: int) -> _Half:
    """Empty, with slots (a power of two) enough that a quarter stays free: so the search for one is short."""
    slots = 1 << (4 * answers // 3).bit_length()
    return _Half(
        keys=np.zeros(slots, np.uint64),
        first=np.empty(slots, np.int64),
        count=np.empty(slots, np.int64),
        chances=np.empty((slots, seats)),
        logits=np.empty(logits),
        used=np.zeros(2, np.int64),
    )


def _words(states: NDArray[np.void]) -> NDArray[np.uint64]:
    """[states, words] of the same memory."""
    return np.ascontiguousarray(states).view(np.uint64).reshape(len(states), -1)


@entry
def _pick(rows: Any, states: Any, moves: Any, offsets: Any, bounds: Any, picked: Any, choices: Any) -> None:
    """Copy the positions `rows` and their moves into `picked` and `choices`, ragged by `bounds`."""
    for place in range(rows.size):
        first = offsets[rows[place]] - bounds[place]
        picked[place] = states[rows[place]]
        for index in range(bounds[place], bounds[place + 1]):
            choices[index] = moves[first + index]


@entry
def _merge(rows: Any, logits: Any, chances: Any, offsets: Any, bounds: Any, all_logits: Any, all_chances: Any) -> None:
    """Copy answers about the positions `rows` to where those stand among all."""
    for place in range(rows.size):
        first = offsets[rows[place]] - bounds[place]
        all_chances[rows[place]] = chances[place]
        for index in range(bounds[place], bounds[place + 1]):
            all_logits[first + index] = logits[index]


@kernel
def _mixed(bits: Any) -> Any:
    bits = (bits ^ (bits >> np.uint64(32))) * np.uint64(0x9FB21C651E98DF25)
    return bits ^ (bits >> np.uint64(29))


@entry
def _hash(words: Any, seed: int, keys: Any) -> None:
    """Fill `keys` [states] from `words` [states, words]; never 0."""
    words_left = words.shape[1] % 3
    for row in range(keys.size):
        first, second, third = np.uint64(seed), np.uint64(0), np.uint64(0)  # three at a time, so none waits for another
        for word in range(0, words.shape[1] - words_left, 3):
            first = _mixed(first ^ words[row, word])
            second = _mixed(second ^ words[row, word + 1])
            third = _mixed(third ^ words[row, word + 2])
        for word in range(words.shape[1] - words_left, words.shape[1]):
            first = _mixed(first ^ words[row, word])
        keys[row] = max(_mixed(_mixed(first ^ second) ^ third), np.uint64(1))


@kernel
def _slot_of(half: Any, key: Any) -> int:
    """Where `key` stands, or the free slot where it should."""
    last = half.keys.size - 1
    slot = np.int64(key) & last
    while half.keys[slot] != key and half.keys[slot] != 0:
        slot = (slot + 1) & last
    return slot


@kernel
def _recall_one(half: Any, key: Any, logits: Any, chances: Any) -> bool:
    slot = _slot_of(half, key)
    if half.keys[slot] != key or half.count[slot] != logits.size:
        return False
    first = half.first[slot]
    logits[:] = half.logits[first : first + logits.size]
    chances[:] = half.chances[slot]
    return True


@entry
def _recall(newer: Any, older: Any, keys: Any, offsets: Any, logits: Any, chances: Any, known: Any) -> None:
    """Fill in what the halves know of `keys`, and whether they do."""
    for row in range(keys.size):
        part = logits[offsets[row] : offsets[row + 1]]
        known[row] = _recall_one(newer, keys[row], part, chances[row]) or _recall_one(
            older, keys[row], part, chances[row]
        )


@entry
def _store(half: Any, keys: Any, bounds: Any, logits: Any, chances: Any) -> None:
    """Remember answers, for which there is room."""
    for row in range(keys.size):
        slot = _slot_of(half, keys[row])
        if half.keys[slot] == keys[row]:
            continue  # asked twice at the same time
        first, count = half.used[1], bounds[row + 1] - bounds[row]
        half.keys[slot] = keys[row]
        half.first[slot] = first
        half.count[slot] = count
        half.logits[first : first + count] = logits[bounds[row] : bounds[row + 1]]
        half.chances[slot] = chances[row]
        half.used[0] += 1
        half.used[1] += count
