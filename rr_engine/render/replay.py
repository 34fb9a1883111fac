"""A whole game as one HTML page that needs nothing else: step, play, jump to what matters, see what players thought."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rr_engine import move as moves_of
from rr_engine.boards import Board, Config
from rr_engine.game import Game
from rr_engine.kernels import layout
from rr_engine.outcome import Outcome
from rr_engine.records.record import GameRecord
from rr_engine.render.page import filled, framed, part
from rr_engine.render.svg import centre, on_cells, size

_LEAST_SHARE = 0.01  # of a policy on a cell that is shown
_SWING = 0.2  # of a seat's chances since they were known last, whoever decided: a moment
_FIRSTS = {
    layout.CAPTURE: "first capture",
    layout.LINE_WHOLE: "first line",
    layout.LINE_WINDOW: "first line",
    layout.REGION: "first territory",
    layout.FORCED: "first forced elimination",
    layout.SWAP: "seats swapped",
}


@dataclass(frozen=True)
class Shown:
    """A game as a page shows it; arrays have one entry per decision, or are None where nobody recorded them."""

    config: Config
    moves: Sequence[int]
    pie: bool
    names: Sequence[str]  # of each agent, by the seat it opened at
    about: str  # one line: where the game is from
    values: NDArray[np.float32] | None = None  # [decisions, seats] chances to win, NaN where unknown
    policies: Sequence[NDArray[np.float32] | None] | None = None  # [decisions][legal moves]

    @property
    def swapped_at(self) -> int | None:
        """The decision by which the agents changed places under the pie rule, None if they did not."""
        kinds = (move & 15 for move in self.moves)
        return next((index for index, kind in enumerate(kinds) if kind == layout.SWAP), None)

    def name_at(self, seat: int, index: int) -> str:
        """Who sits at a seat when a decision is made."""
        swapped = self.swapped_at is not None and index > self.swapped_at
        return self.names[1 - seat if swapped else seat]

    @classmethod
    def of(cls, record: GameRecord, about: str) -> Shown:
        """A stored game with what its players thought."""
        bounds = record.offsets
        policies = [
            record.policy[bounds[index] : bounds[index + 1]] if record.recorded[index] else None
            for index in range(record.decisions)
        ]
        return cls(record.config, record.moves.tolist(), record.pie, record.players, about, record.values, policies)


@dataclass(frozen=True)
class Moment:
    """A decision worth jumping to."""

    at: int  # number of the decision, the number of decisions for the end
    what: str


def replay_page(shown: Shown) -> str:
    """The page; raises IllegalMoveError if the moves are not legal."""
    title = f"RingRift {shown.config.key}: {' - '.join(shown.names)}"
    parts = {
        "script": part("board.js") + part("frame.js") + part("replay.js"),
        "data": json.dumps(replay_data(shown), separators=(",", ":")).replace("<", r"\u003c"),
    }
    return framed(escape(title), filled(part("replay.html"), parts))


def replay_data(shown: Shown) -> dict[str, Any]:
    """What the page's script draws from: the start, then what each decision changed."""
    game = Game(shown.config, pie=shown.pie)
    frames = list(_frames(game, shown))
    outcome = game.outcome()
    return {
        "config": shown.config.key,
        "about": shown.about,
        "names": list(shown.names),
        "swapped_at": shown.swapped_at,
        "place": place_data(shown.config.board),
        "goals": {"elim": int(game.state[0]["elim_goal"]), "terr": int(game.state[0]["terr_goal"])},
        "frames": frames,
        "moments": [vars(moment) for moment in moments(shown, outcome)],
        "result": None if outcome is None else {"winner": outcome.winner, "end": outcome.end},
    }


def place_data(place: Board) -> dict[str, Any]:
    """What `board.js` has to know of a board."""
    return {"hex": place.is_hex, "size": size(place), "centres": [centre(place, cell) for cell in range(place.cells)]}


def moments(shown: Shown, outcome: Outcome | None) -> list[Moment]:
    """Firsts, swings of somebody's chances, and the end."""
    found: list[Moment] = []
    told: set[str] = set()
    for index, move in enumerate(shown.moves):
        what = _FIRSTS.get(np.int64(move & 15), "")
        if what and what not in told:
            told.add(what)
            found.append(Moment(index, what))
    found += [Moment(at, f"{shown.name_at(seat, at)} {change:+.0%}") for at, seat, change in swings(shown.values)]
    if outcome is not None:
        end = len(shown.moves)
        found.append(Moment(end, f"{shown.name_at(outcome.winner, end)} wins by {outcome.end}"))
    return sorted(found, key=lambda moment: moment.at)


def swings(values: NDArray[np.float32] | None) -> list[tuple[int, int, float]]:
    """(decision, seat, change) wherever a seat's chances moved by `_SWING` or more since they were known last."""
    if values is None:
        return []
    known = np.flatnonzero(~np.isnan(values[:, 0]))
    changes = np.diff(values[known], axis=0).round(3)
    found: list[tuple[int, int, float]] = []
    for row, index in enumerate(known[1:].tolist()):
        seat = int(np.abs(changes[row]).argmax())
        if abs(changes[row, seat]) >= _SWING:
            found.append((index, seat, float(changes[row, seat])))
    return found


def _frames(game: Game, shown: Shown) -> Iterator[dict[str, Any]]:
    """The position before each decision with the decision, last the end; of the board only what is new."""
    before = [""] * game.board.cells
    for index in range(len(shown.moves) + 1):
        now, state = on_cells(game), game.state[0]
        seats = game.config.players
        frame: dict[str, Any] = {
            "new": {cell: token for cell, (old, token) in enumerate(zip(before, now, strict=True)) if old != token},
            "counts": [state[name][:seats].tolist() for name in ("hand", "elim", "terr")],
            "seat": game.player,
            "phase": game.phase,
        }
        if index < len(shown.moves):
            frame |= _decision(game, shown, index)
            game.play(int(shown.moves[index]))
        yield frame
        before = now


def _decision(game: Game, shown: Shown, index: int) -> dict[str, Any]:
    """The move that was made, and what was thought of it."""
    move, state = int(shown.moves[index]), game.state
    told: dict[str, Any] = {"move": game.move_text(move), "cells": moves_of.cells_of(game.board, state, move)}
    policy = None if shown.policies is None else shown.policies[index]
    if policy is not None:
        told["heat"] = heat_of(game, policy)
    if shown.values is not None and not np.isnan(shown.values[index]).any():
        told["chances"] = [round(float(chance), 3) for chance in shown.values[index]]
    return told


def heat_of(game: Game, policy: Sequence[float] | NDArray[np.float32]) -> dict[int, float]:
    """Shares of a policy over the legal moves by the cell where a move ends; moves without cells are left out."""
    state = game.state
    heat: dict[int, float] = {}
    for move, share in zip(game.legal_moves().tolist(), policy, strict=True):
        if share > 0 and (cells := moves_of.cells_of(game.board, state, move)):
            heat[cells[-1]] = heat.get(cells[-1], 0.0) + float(share)
    return {cell: round(share, 2) for cell, share in sorted(heat.items()) if share >= _LEAST_SHARE}
