"""Many games of one config at once, stepped by worker threads. The door for self-play and batched search.

All games lie in one array of state records. A step takes one move per game and leaves the legal moves of all games in
one flat array; kernels release the interpreter lock, so workers run side by side, each on its own stretch of games.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rr_engine import move as move_text
from rr_engine import state as states_of
from rr_engine.boards import Config
from rr_engine.errors import ConfigError, EngineError, IllegalMoveError, shown
from rr_engine.kernels import batch as kernels
from rr_engine.kernels import layout
from rr_engine.kernels.jit import read_only
from rr_engine.outcome import Outcome, outcome_of

KEEP = int(kernels.KEEP)
_MOST = 2**63 - 1  # that an array of numbers can hold


@dataclass(frozen=True)
class LegalMoves:
    """The legal moves of every game, one game behind the other; read only, never overwritten by a later step."""

    moves: NDArray[np.int64]  # [total]
    offsets: NDArray[np.int64]  # [games + 1]; game i has moves[offsets[i]:offsets[i + 1]], none when it is over

    @property
    def counts(self) -> NDArray[np.int64]:
        """[games] number of legal moves; 0 where the game is over."""
        return np.diff(self.offsets)

    def of(self, game: int) -> NDArray[np.int64]:
        """The legal moves of one game, in the order of `Game.legal_moves`."""
        return self.moves[self.offsets[game] : self.offsets[game + 1]]


@dataclass(frozen=True)
class _Work:
    """One step, shared by all workers."""

    geometry: np.void
    states: NDArray[np.void]  # [games], each written by one worker only
    moves: NDArray[np.int64]  # [games]
    legal: LegalMoves  # before the step
    counts: NDArray[np.int64]  # [games] numbers of legal moves after it; written by the workers


class _Worker:
    """What one thread needs for itself: scratch, and a buffer for legal moves that grows as needed."""

    def __init__(self, capacity: int) -> None:
        self.scratch = np.zeros(1, layout.SCRATCH)
        self.buffer = np.empty(capacity, np.int64)
        self.capacity = capacity
        self.used = 0

    def advance(self, work: _Work, first: int, last: int) -> None:
        """Step games first..last-1; their legal moves then stand in `buffer[:used]`."""
        self.used = 0
        while True:
            first, self.used = kernels.advance_slice(
                work.geometry,
                work.states,
                work.moves,
                first,
                last,
                self.scratch[0],
                work.legal.moves,
                work.legal.offsets,
                self.capacity,
                self.buffer,
                self.used,
                work.counts,
            )
            if first == last:
                return
            self.buffer = np.concatenate((self.buffer, np.empty(self.buffer.size + self.capacity, np.int64)))

    def hand_over(self, room: NDArray[np.int64]) -> None:
        """Copy the legal moves listed last."""
        room[:] = self.buffer[: self.used]


class Batch:
    """`len(batch)` games of one config. Every call that refuses raises an `EngineError` and changes nothing."""

    def __init__(
        self,
        config: Config | str,
        games: int,
        *,
        threads: int = 1,
        pie: bool | None = None,
        rings: int | None = None,
        lps_rounds: int = 3,
    ) -> None:
        """`games` games at their start; the rules' options are those of `Game`."""
        config = states_of.config_of(config)
        if not states_of.is_whole(games, 1, _MOST):
            raise ConfigError(f"a batch of {shown(games)} games: a whole number of at least 1 is needed")
        start = states_of.new_state(config, pie=pie, rings=rings, lps_rounds=lps_rounds)
        self._set_up(config, np.repeat(start, games), threads)

    @classmethod
    def from_states(cls, config: Config | str, states: NDArray[np.void], *, threads: int = 1) -> Batch:
        """A batch of the positions in `states` (as of `Game.state`, joined); they are copied."""
        batch = cls.__new__(cls)
        config = states_of.config_of(config)
        batch._set_up(config, _checked_states(config, states).copy(), threads)
        return batch

    def _set_up(self, config: Config, states: NDArray[np.void], threads: int) -> None:
        if not states_of.is_whole(threads, 1, _MOST):
            raise ConfigError(f"a batch with {shown(threads)} threads: a whole number of at least 1 is needed")
        self.config = config
        self._states = states  # [games]
        self._start = states.copy()
        self._workers = [_Worker(config.legal_capacity) for _ in range(min(threads, len(states)))]
        self._pool = ThreadPoolExecutor(len(self._workers)) if len(self._workers) > 1 else None
        self.legal = LegalMoves(read_only(np.empty(0, np.int64)), read_only(np.zeros(len(states) + 1, np.int64)))
        self._advance(np.full(len(states), layout.NO_MOVE))

    def __len__(self) -> int:
        return len(self._states)

    @property
    def states(self) -> NDArray[np.void]:
        """[games] the present states, a read-only view that later steps change."""
        return read_only(self._states)

    @property
    def players(self) -> NDArray[np.int64]:
        """[games] the seat to move, -1 where the game is over."""
        return np.where(self.is_over, -1, self._states["player"])

    @property
    def phases(self) -> NDArray[np.int64]:
        """[games] phase codes (`kernels.layout`)."""
        return self._states["phase"].copy()

    @property
    def is_over(self) -> NDArray[np.bool_]:
        """[games] whether the game has ended."""
        return self._states["phase"] == layout.OVER

    @property
    def winners(self) -> NDArray[np.int64]:
        """[games] the winning seat, -1 while a game goes on."""
        return self._states["winner"].copy()

    @property
    def ranks(self) -> NDArray[np.int64]:
        """[games, seats] ranks by seat, 1 for the winner, ties shared; 0 while a game goes on."""
        ranks = np.zeros((len(self), self.config.players), np.int64)
        kernels.rank_games(self._states, ranks)
        return ranks

    def outcome(self, game: int) -> Outcome | None:
        """The result of one game, None while it goes on."""
        return outcome_of(self._one(game))

    def text(self, game: int) -> str:
        """The state text of one game."""
        return states_of.to_text(self.config, self._one(game))

    def _one(self, game: int) -> NDArray[np.void]:
        if not states_of.is_whole(game, 0, len(self) - 1):
            raise ConfigError(f"game {shown(game)}: a number from 0 to {len(self) - 1} is needed")
        return self._states[game : game + 1]

    def step(self, moves: ArrayLike, games: ArrayLike | None = None) -> LegalMoves:
        """Play one legal move in every game, or in each of `games` only; returns the legal moves of all games.

        Without `games` there is one entry per game, `KEEP` for a game that stays as it is. Raises IllegalMoveError,
        before anything is played, for the first move that is not legal.
        """
        chosen = _whole_numbers(moves, IllegalMoveError("moves: whole numbers are needed, one for each game"))
        if games is not None:
            chosen = self._spread(chosen, self._indices(games))
        if chosen.shape != (len(self),):
            raise IllegalMoveError(f"moves of shape {chosen.shape}: a batch of {len(self)} games needs one each")
        wrong = int(kernels.first_illegal(chosen, self.legal.moves, self.legal.offsets))
        if wrong >= 0:
            raise self._refusal(wrong, int(chosen[wrong]))
        self._advance(chosen)
        return self.legal

    def put(self, games: ArrayLike, states: NDArray[np.void]) -> LegalMoves:
        """Replace the positions of `games` by `states`, one each; returns the legal moves of all games."""
        places = self._indices(games)
        states = _checked_states(self.config, states)
        if len(states) != len(places):
            raise ConfigError(f"{len(states)} states for {len(places)} games: one each is needed")
        self._states[places] = states
        self._advance(self._spread(np.full(len(places), layout.NO_MOVE), places))
        return self.legal

    def restart(self, games: ArrayLike) -> LegalMoves:
        """Set `games` back to where this batch began with them; returns the legal moves of all games."""
        return self.put(games, self._start[self._indices(games)])

    def _indices(self, games: ArrayLike) -> NDArray[np.intp]:
        """`games`, a list of indices or a mask, as different indices in range."""
        refusal = ConfigError(f"games {shown(games)}: different numbers from 0 to {len(self) - 1} are needed")
        mask = _array(games, refusal)
        if mask.dtype == np.bool_ and mask.shape == (len(self),):
            return np.flatnonzero(mask)
        places = _whole_numbers(mask, refusal)
        distinct: NDArray[np.intp] = np.unique(places)
        if places.ndim != 1 or len(distinct) != len(places) or np.any(distinct < 0) or np.any(distinct >= len(self)):
            raise refusal
        return places

    def _spread(self, moves: NDArray[np.int64], games: NDArray[np.intp]) -> NDArray[np.int64]:
        if moves.shape != games.shape:
            raise IllegalMoveError(f"moves of shape {moves.shape} for {len(games)} games: one each is needed")
        spread = np.full(len(self), KEEP, np.int64)
        spread[games] = moves
        return spread

    def _advance(self, moves: NDArray[np.int64]) -> None:
        counts = np.zeros(len(self), np.int64)
        work = _Work(self.config.board.geometry[0], self._states, moves, self.legal, counts)
        bounds = self._bounds(moves)
        self._run([worker.advance for worker in self._workers], [(work, *span) for span in pairwise(bounds)])
        offsets = np.concatenate((np.zeros(1, np.int64), np.cumsum(counts)))
        flat = np.empty(offsets[-1], np.int64)
        parts = [(flat[offsets[first] : offsets[last]],) for first, last in pairwise(bounds)]
        self._run([worker.hand_over for worker in self._workers], parts)
        self.legal = LegalMoves(read_only(flat), read_only(offsets))

    def _run(self, tasks: list[Callable[..., None]], arguments: list[tuple[Any, ...]]) -> None:
        """One task per worker, side by side."""
        if self._pool is None:
            tasks[0](*arguments[0])
            return
        started = [self._pool.submit(task, *given) for task, given in zip(tasks, arguments, strict=True)]
        for task in started:
            task.result()

    def _bounds(self, moves: NDArray[np.int64]) -> list[int]:
        """Where the stretch of each worker begins, and the end: about equally many games to advance in each."""
        due = np.cumsum(moves != KEEP)
        shares = due[-1] * np.arange(1, len(self._workers)) / len(self._workers)
        return [0, *np.searchsorted(due, shares).tolist(), len(self)]

    def _refusal(self, game: int, move: int) -> IllegalMoveError:
        if self.is_over[game]:
            return IllegalMoveError(f"move {move} in game {game} is not legal: the game is over")
        state = self._states[game : game + 1]
        texts = sorted(move_text.to_text(self.config.board, state, int(legal)) for legal in self.legal.of(game))
        shown = " ".join(texts[:12]) + (f" ... ({len(texts)} in all)" if len(texts) > 12 else "")
        return IllegalMoveError(f"move {move} in game {game} is not legal: seat {self.players[game]} may play {shown}")


def _array(values: ArrayLike, refusal: EngineError) -> NDArray[Any]:
    """`values` as an array; raises `refusal` if they are none."""
    try:
        return np.asarray(values)
    except (TypeError, ValueError, OverflowError) as error:
        raise refusal from error


def _whole_numbers(values: ArrayLike, refusal: EngineError) -> NDArray[np.int64]:
    """`values` as numbers of 64 bits; raises `refusal` for anything that would have to be rounded or cut."""
    array = _array(values, refusal)
    if array.size == 0:
        return array.astype(np.int64)
    if array.dtype.kind not in "iu" or np.any(array > _MOST):
        raise refusal
    return array.astype(np.int64)


def _checked_states(config: Config, states: NDArray[np.void]) -> NDArray[np.void]:
    """`states` if they are games of `config`; raises ConfigError otherwise."""
    geometry = config.board.geometry[0]
    lines = int(geometry["lines"])
    refusal = ConfigError(f"these are no states of {config.key}: an array of records as of `Game.state` is needed")
    states = _array(states, refusal)
    fits = states.ndim == 1 and len(states) > 0 and states.dtype == config.board.state_dtype
    if fits:
        covered = states["blocked"][:, :lines] | geometry["inside"][:lines]
        fits = bool(np.all(covered == -1) and np.all(states["seats"] == config.players))
    if not fits:
        raise refusal
    return states
