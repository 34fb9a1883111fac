"""Curves of a config, drawn from what its stages have left when somebody looks: a picture takes half a second."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rr_engine.boards import Config
from rr_engine.errors import DataError, VaultError, shown
from rr_engine.players.stored import KIND as CHECKPOINT_KIND
from rr_engine.render.charts import Curve, chart, notice
from rr_engine.selfplay.curriculum import ANCHORS
from rr_engine.stages import dataset, evaluations, games
from rr_engine.stages.rating import SEARCH_ANCHOR
from rr_engine.vault import Vault


def draw(vault: Vault, config: Config, of: str, number: int) -> str:
    """SVG of a curve that the stage `of` adds points to; raises DataError for one that is not in `STAGES`."""
    if of not in STAGES or not 0 <= number < len(STAGES[of]):
        there = ", ".join(f"{name} {at}" for name, makers in STAGES.items() for at in range(len(makers)))
        raise DataError(f"no curve {shown(of)} {number}: curves are {there}")
    return STAGES[of][number](vault, config) or notice("no curve before its second point")


def places(config: str, of: str) -> list[str]:
    """Where `rr serve` has the curves that the stage `of` adds points to."""
    return [f"curves/{config}/{of}/{number}" for number in range(len(STAGES[of]))]


def drawn(vault: Vault, config: Config) -> list[str]:
    """SVGs of all curves that have two points, in the order of the loop; of one that cannot be drawn, why."""
    return [svg for makers in STAGES.values() for make in makers if (svg := _drawn(make, vault, config))]


def _drawn(make: Callable[[Vault, Config], str], vault: Vault, config: Config) -> str:
    try:
        return make(vault, config)
    except (VaultError, DataError) as error:
        return notice(f"a curve cannot be drawn: {error}")


def _games(vault: Vault, config: Config) -> str:
    made = games.rates(games.own_claims(vault, config), vault.cards(games.KIND, config.key))
    return _lines("games an hour", {"games": list(enumerate(made.values()))}, across="run", up="games/h")


def _age(vault: Vault, config: Config) -> str:
    ends = {"newest": "newest_hours", "oldest": "oldest_hours"}
    return _data_lines(vault, config, ends, "age of games, when a dataset took them", up="hours")


def _lag(vault: Vault, config: Config) -> str:
    return _data_lines(vault, config, {"lag": "generation_lag"}, "generations behind the champion", up="generations")


def _data_lines(vault: Vault, config: Config, facts: Mapping[str, str], title: str, *, up: str) -> str:
    cards = vault.cards(dataset.KIND, config.key)
    return _lines(
        title,
        {
            name: [(number, card.facts[fact]) for number, card in enumerate(cards) if card.facts.get(fact) is not None]
            for name, fact in facts.items()
        },
        across="dataset",
        up=up,
    )


def _lines(title: str, points: Mapping[str, Sequence[tuple[int, float]]], *, across: str, up: str) -> str:
    curves = [Curve(name, *zip(*known, strict=True)) for name, known in points.items() if len(known) > 1]
    return chart(title, curves, across=across, up=up) if curves else ""


def _losses(vault: Vault, config: Config) -> str:
    networks = vault.cards(CHECKPOINT_KIND, config.key)
    if len(networks) < 2:
        return ""
    best = [card.facts["epochs"][card.facts["best_epoch"]] for card in networks]
    curves = [
        Curve(name, list(range(len(best))), [epoch[f"validation_{name}"] for epoch in best])
        for name in ("policy", "value")
    ]
    return chart("validation losses of candidates", curves, across="candidate", up="nats per decision")


def _ratings(vault: Vault, config: Config) -> str:
    ratings = evaluations.newest_ratings(vault, config)
    known = {
        pointer.number: standing
        for pointer in vault.pointers(config.key)
        if (standing := evaluations.standing_in(ratings, pointer.sha256)) is not None
    }
    if len(known) < 2:
        return ""
    numbers = sorted(known)
    elo, low, high = ([known[number][name] for number in numbers] for name in ("elo", "low", "high"))
    curve = Curve("champion", numbers, elo, low, high)
    return chart("rating of champions, 95 %", [curve], across="generation", up="Elo")


def _wins(vault: Vault, config: Config) -> str:
    results = [card.facts["results"] for card in vault.cards(evaluations.MATCHES_KIND, config.key)]
    if len(results) < 2:
        return ""
    curves = [_wins_against(name, results) for name in (*ANCHORS, SEARCH_ANCHOR)]
    return chart(
        "games won by candidates, 95 %", [curve for curve in curves if curve.x], across="evaluation", up="share"
    )


def _wins_against(name: str, results: Sequence[dict[str, Any]]) -> Curve:
    met = [(number, row[name]) for number, row in enumerate(results) if name in row]
    score, low, high = ([row[key] for _, row in met] for key in ("score", "wilson_low", "wilson_high"))
    return Curve(name, [number for number, _ in met], score, low, high)


STAGES: dict[str, tuple[Callable[[Vault, Config], str], ...]] = {
    "games_db": (_games,),
    "npz_dataset": (_age, _lag),
    "checkpoint": (_losses,),
    "elo": (_ratings, _wins),
}
