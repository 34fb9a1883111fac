"""A card of every kind, a pointer and a claim, with every fact that somebody reads; and all other records."""

from typing import Any

from rr_engine.vault import Card, Claim, Pointer
from rr_engine.vault.card import Retirement, Root

CONFIG = "hex8_2p"

FACTS: dict[str, dict[str, Any]] = {
    "games": {
        **{"claim": 1, "player": "x", "planned_share": 0.25, "usual_decisions": 70.5, "seeds": [1, 2**63]},
        **{"generation": -1, "games_against_opponent": 1, "wins_against_it": 1, "decisions": 140, "distinct": 2},
        **{"wins_by_seat": [1, 1], "quality": {"games": 2, "decisive": 1.0, "score": 0.9}},
    },
    "dataset": {
        **{"problems": ["none"], "quality": {"games": 2, "score": 1}, "newest_hours": 0.5, "oldest_hours": 9},
        **{"games": 2, "games_made": 4, "samples": 9, "samples_by_seat": [4, 5], "samples_made": 9, "samples_new": 9},
        **{"refused": [{"shard": "c" * 64, "games": 1, "bad": 1, "why": "w"}], "samples_wanted": 5},
        **{"refused_games": 1, "repeated_games": 0},
        **{"replay_ratio": 0.5, "replay_ratio_next": 1.5, "generation_lag": 0},
    },
    "checkpoint": {
        **{"dataset": "b" * 64, "started_from": None, "samples_trained": 9, "epochs": [{"validation": 1.5}]},
        **{"loss_anomaly": False, "input_quality": None, "probe": [0.1, -0.2]},
    },
    "training": {"dataset": "b" * 64, "started_from": "c" * 64, "settings": "d" * 16, "step": 3},
    "matches": {
        "candidate": "a" * 64,
        "champion": None,
        "results": {
            "random": {
                **{"a": {"name": "x", "digest": "a" * 64}, "b": {"name": "random", "digest": "b" * 64}},
                **{"games": 4, "distinct": 4, "wins": 3, "wins_by_seat": [2, 1], "groups": [0, 1, 1], "score": 0.75},
                **{"wilson_low": 0.3, "wilson_high": 0.9},
            }
        },
    },
    "ratings": {"candidate": "a" * 64},
    "curriculum": {"state": {"stage": 1, "weight": 0.9, "exploration": 1.2, "evaluations": 2, "champion": 0}},
    "plan": {
        "rows": [
            {
                **{"config": CONFIG, "share": 0.5, "games": 40, "exploration": 1.0, "opponent": "greedy"},
                **{"priority": 0.2, "throttled": False, "granted": "start", "granted_at": "", "reason": "r"},
            }
        ]
    },
    "pause": {"paused": True, "reason": "r", "by": "hand"},
    "unknown": {"anything": [1, {"a": None}]},
}
FACTS_OF_POINTER = {"reason": "r", "proven": True, "matches": "a" * 64}


def one_of_each() -> list[Any]:
    """All of them."""
    when, sha = "2030-01-31T23:59:59.000000+00:00", "a" * 64
    common: dict[str, Any] = {"config": CONFIG, "created": when}
    samples: list[Any] = [
        Card(
            kind=kind,
            sha256=sha,
            suffix=".bin",
            size=5,
            rows=2,
            schema_version=4,
            parents=("b" * 64,),
            producer="test",
            code_version="0" * 12,
            facts=facts,
            **common,
        )
        for kind, facts in FACTS.items()
    ]
    return samples + [
        Pointer(number=7, kind="checkpoint", sha256=sha, code_version="1", facts=FACTS_OF_POINTER, **common),
        Claim(number=3, start=5, stop=9, token="t", code_version="1", facts={"batch": "b"}, **common),
        Retirement("dataset", CONFIG, sha),
        Root(kind="games", number=2, root=sha, schema_version=1, **common),
    ]
