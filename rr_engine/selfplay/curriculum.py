"""The curriculum: against whom a config measures itself, how much it counts and how widely it explores. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from rr_engine.settings import CurriculumSettings

ANCHORS = ("random", "greedy", "heuristic")  # frozen, met by every candidate; `random` is 0 Elo
STAGES = (*ANCHORS, "champion")  # opponents to master, in order


@dataclass(frozen=True)
class CurriculumState:
    """What the next self-play of a config follows."""

    stage: int = 0  # index into STAGES
    weight: float = 1.0  # of the config in the plan, before the quality penalty; between `min_weight` and 1
    exploration: float = 1.0  # factor on the self-play temperature, between 1 and `max_exploration`
    evaluations: int = 0  # evaluations since the last promotion
    champion: int = -1  # number of the champion seen last
    candidate: str = ""  # hash of the candidate evaluated last
    reason: str = "start"

    @property
    def opponent(self) -> str:
        """Who is to be mastered now."""
        return STAGES[self.stage]

    @property
    def sparring_partner(self) -> str:
        """Who sits opposite in part of the games: the opponent of the stage, the last anchor once all are mastered."""
        return ANCHORS[min(self.stage, len(ANCHORS) - 1)]

    def facts(self) -> dict[str, Any]:
        """The same as JSON."""
        return {**asdict(self), "opponent": self.opponent}

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> CurriculumState:
        """The inverse of `facts`."""
        names = {field.name for field in fields(cls)}
        return cls(**{key: value for key, value in facts.items() if key in names})


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of a candidate: what the curriculum learns from."""

    candidate: str  # hash
    seats: int  # of a game
    champion: int  # number of the champion that counts afterwards
    promoted: bool
    results: Mapping[str, tuple[int, int]]  # opponent of STAGES -> (wins, games)


def is_mastered(wins: int, games: int, seats: int, settings: CurriculumSettings) -> bool:
    """Whether an opponent, in all other seats, is mastered by a number of first places against it.

    `mastered_win_rate` is for two seats. With more, the odds against an even share must be as good: 85 % of two seats
    are 74 % of three and 65 % of four.
    """
    rate = settings.mastered_win_rate
    wanted = rate / (rate + (1 - rate) * (seats - 1))
    return games >= settings.mastered_games and wins >= wanted * games


def advance(state: CurriculumState, evaluation: Evaluation, settings: CurriculumSettings) -> CurriculumState:
    """The state after an evaluation; seeing the same evaluation again changes nothing."""
    if evaluation.candidate == state.candidate:
        return state
    reasons: list[str] = []
    stage, weight = state.stage, state.weight
    while stage < len(STAGES) - 1:
        wins, games = evaluation.results.get(STAGES[stage], (0, 0))
        if not is_mastered(wins, games, evaluation.seats, settings):
            break
        weight = max(settings.min_weight, weight * settings.mastered_factor)
        reasons.append(f"{STAGES[stage]} mastered with {wins} of {games}")
        stage += 1
    evaluations = 0 if evaluation.promoted else state.evaluations + 1
    exploration = state.exploration
    if evaluation.promoted:
        exploration = max(1.0, exploration * settings.exploration_fall)
        reasons.append("promoted")
    elif evaluations % settings.stall_evaluations == 0:
        exploration = min(settings.max_exploration, exploration * settings.exploration_rise)
        reasons.append(f"stalled for {evaluations} evaluations: exploration {exploration:.2f}")
    return CurriculumState(
        stage=stage,
        weight=weight,
        exploration=exploration,
        evaluations=evaluations,
        champion=evaluation.champion,
        candidate=evaluation.candidate,
        reason="; ".join(reasons) or f"{STAGES[stage]} not mastered yet",
    )
