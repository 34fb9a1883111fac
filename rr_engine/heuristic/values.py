"""The door to the evaluation: values of legal moves, and a policy from values."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from rr_engine.boards import Board, Config
from rr_engine.heuristic import evaluation
from rr_engine.heuristic.source import code_digest
from rr_engine.heuristic.weights import BEAM, FEATURES, SOFTNESS, WEIGHTS, openings
from rr_engine.kernels import layout
from rr_engine.kernels import measure as kernels
from rr_engine.kernels.jit import read_only

Floats = NDArray[np.float64]

HEURISTIC_HASH = code_digest("rr_engine.kernels.measure", f"{__package__}.evaluation", f"{__package__}.weights")


def fill_values(
    config: Config,
    states: NDArray[np.void],
    moves: NDArray[np.int64],
    offsets: NDArray[np.int64],
    values: Floats,
    first: int,
    end: int,
) -> None:
    """Fill `values` for the legal moves of games `first` to `end`, from the view of the seat to move.

    Game i may play `moves[offsets[i]:offsets[i + 1]]`. Points; a won game is worth about 1000. Threads may fill
    different games of the same arrays.
    """
    desk = _desk(config)
    listed = read_only(moves), read_only(offsets)
    evaluation.value_moves(config.board.geometry[0], states, *listed, desk, BEAM, values, first, end)


def seat_totals(config: Config, states: NDArray[np.void]) -> Floats:
    """[states, seats]: points of every seat in each position as it stands."""
    totals = np.empty((len(states), config.players))
    evaluation.total_seats(config.board.geometry[0], states, _desk(config), totals)
    return totals


def _desk(config: Config) -> evaluation.Desk:
    longest = config.legal_capacity
    return evaluation.Desk(
        weights=WEIGHTS,
        centre=config.board.centrality,
        openings=_openings(config.board),
        spare=np.empty(2, config.board.state_dtype),
        scratch=np.zeros(1, layout.SCRATCH),
        lists=np.empty((2, longest), np.int64),
        probes=np.empty(longest),
        features=np.empty((layout.MAX_SEATS, len(FEATURES))),
    )


def policy(values: Floats, offsets: NDArray[np.int64], temperature: float | Floats = 1.0) -> Floats:
    """Softmax of `values` within each game; at temperature 1 a move `SOFTNESS` points behind is e times rarer.

    `temperature` is one positive number or one per game.
    """
    counts = np.diff(offsets)
    scale = np.repeat(np.broadcast_to(np.asarray(temperature, np.float64) * SOFTNESS, len(counts)), counts)
    shares = np.exp((values - np.repeat(np.maximum.reduceat(values, offsets[:-1]), counts)) / scale)
    return shares / np.repeat(np.add.reduceat(shares, offsets[:-1]), counts)


def measure(config: Config, state: NDArray[np.void]) -> dict[str, list[float]]:
    """Every feature of a position by name, one number per seat: what the weights are multiplied with."""
    found = np.empty((layout.MAX_SEATS, len(FEATURES)))
    rows = np.zeros(layout.MAX_ROWS, np.int64)
    kernels.measure(config.board.geometry[0], state[0], rows, config.board.centrality, found)
    return {name: found[: config.players, column].tolist() for column, name in enumerate(FEATURES)}


@cache
def _openings(place: Board) -> Floats:
    return openings(place)
