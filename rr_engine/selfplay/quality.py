"""The quality of games to learn from, measured term by term. Pure: records in, numbers out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from rr_engine.errors import DataError
from rr_engine.records.record import GameRecord, replayed

START_DECISIONS = 12  # decisions after which games are to differ
_UNUSUAL = 2.0  # a game so many times longer or shorter than the mean has no usual length
_WEIGHTS = {"decisive": 0.2, "length": 0.2, "starts": 0.25, "targets": 0.25, "balance": 0.1}


@dataclass(frozen=True)
class Quality:
    """How good some games are to learn from; every term lies in [0, 1]."""

    games: int
    decisive: float  # games won by more than a stalemate's tie-breaks, over all
    length: float  # games of a usual length, over all
    starts: float  # different positions after `START_DECISIONS`, over games
    targets: float  # recorded policy targets over those planned
    balance: float  # entropy of the wins over the seats, 1 where all win alike

    @property
    def score(self) -> float:
        """All terms by their weights."""
        return sum(weight * getattr(self, name) for name, weight in _WEIGHTS.items())

    @property
    def weakest(self) -> str:
        """The term that costs most, with its value."""
        name = max(_WEIGHTS, key=lambda name: _WEIGHTS[name] * (1 - getattr(self, name)))
        return f"{name} {getattr(self, name):.2f}"

    def facts(self) -> dict[str, Any]:
        """The same as JSON, with the score."""
        return {field.name: round(getattr(self, field.name), 6) for field in fields(self)} | {
            "score": round(self.score, 6)
        }

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Quality:
        """The inverse of `facts`; raises DataError where a term is missing or not in [0, 1]."""
        wanted = [field.name for field in fields(cls)]
        if missing := [name for name in wanted if not isinstance(facts.get(name), int | float)]:
            raise DataError(f"quality without {', '.join(missing)}: it is measured, never assumed")
        quality = cls(**{name: facts[name] for name in wanted})
        if wrong := [name for name in _WEIGHTS if not 0 <= getattr(quality, name) <= 1]:
            raise DataError(f"quality with {', '.join(wrong)} outside 0..1")
        return quality


def measure(records: Sequence[GameRecord], *, usual_decisions: float, planned_share: float) -> Quality:
    """The quality of some games of one config, at least one.

    `usual_decisions` is the mean length of games before these, `planned_share` the part of the decisions somebody
    thought about whose policy was to be recorded.
    """
    decisions = np.array([record.decisions for record in records])
    usual = (decisions >= usual_decisions / _UNUSUAL) & (decisions <= usual_decisions * _UNUSUAL)
    thought = sum(int(np.count_nonzero(_thought_about(record))) for record in records)
    recorded = sum(int(np.count_nonzero(record.recorded)) for record in records)
    wins = np.bincount([record.outcome.winner for record in records], minlength=records[0].config.players)
    return Quality(
        games=len(records),
        decisive=float(np.mean([not record.outcome.end.startswith("stale") for record in records])),
        length=float(usual.mean()),
        starts=len({_start(record) for record in records}) / len(records),
        targets=min(1.0, recorded / (planned_share * thought)) if planned_share * thought else 0.0,
        balance=_evenness(wins.tolist()),
    )


def pooled(parts: Sequence[Quality]) -> Quality:
    """Of several batches together, at least one: each term by the games it rests on."""
    games = sum(part.games for part in parts)
    terms = {name: sum(part.games * getattr(part, name) for part in parts) / games for name in _WEIGHTS}
    return Quality(games=games, **terms)


def _thought_about(record: GameRecord) -> Any:
    """[decisions]: which were searched, or have a policy."""
    return record.recorded | np.isfinite(record.values).all(1)


def _start(record: GameRecord) -> bytes:
    """The position after the first decisions of a game."""
    return replayed(record.config, record.moves[:START_DECISIONS], pie=record.pie).state.tobytes()


def _evenness(counts: Sequence[int]) -> float:
    """Entropy of `counts` over that of even ones."""
    total = sum(counts)
    shares = [count / total for count in counts if count]
    return -sum(share * math.log(share) for share in shares) / math.log(len(counts))
