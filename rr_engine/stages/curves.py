"""Curves of a config: drawn by the stage that adds a point to them, and kept, so that pages only put them together."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from rr_engine.boards import Config
from rr_engine.errors import DataError, shown
from rr_engine.players.stored import KIND as CHECKPOINT_KIND
from rr_engine.reading import parse_json
from rr_engine.render.charts import Curve, chart
from rr_engine.selfplay.curriculum import ANCHORS
from rr_engine.stages import dataset, evaluations, games
from rr_engine.stages.rating import SEARCH_ANCHOR
from rr_engine.vault import Card, Vault

KIND = "curves"
SCHEMA_VERSION = 1


def draw(vault: Vault, config: Config, of: str) -> tuple[list[str], str]:
    """Draw the curves that `of`, one of `STAGES`, adds points to, and keep them; none before the second point.

    Returns the SVGs and where `rr serve` has them, a number behind it.
    """
    drawn = [svg for svg in (make(vault, config) for make in STAGES[of]) if svg]
    if not drawn:
        return [], ""
    card = vault.put(
        KIND,
        config.key,
        json.dumps(drawn).encode(),
        suffix=".json",
        producer=of,
        rows=len(drawn),
        schema_version=SCHEMA_VERSION,
        facts={"of": of},
    )
    vault.index(KIND, config.key)
    return drawn, f"curves/{config.key}/{card.sha256}"


def find(vault: Vault, config: Config, sha256: str, number: int) -> str:
    """A curve that was kept; raises DataError where there is none."""
    kept = [card for card in vault.cards(KIND, config.key) if card.sha256 == sha256]
    if not kept or not 0 <= number < kept[0].rows:
        raise DataError(f"no curve {shown(sha256)}, {number} of {config.key} is kept: pages tell which there are")
    return _read(vault, kept[0])[number]


def drawn(vault: Vault, config: Config) -> list[str]:
    """The newest curves of a config, in the order of its loop."""
    newest = newest_of_each(vault, config)
    return [svg for of in STAGES if of in newest for svg in _read(vault, newest[of])]


def newest_of_each(vault: Vault, config: Config) -> dict[str, Card]:
    """The cards of the newest curves, by the stage that drew them."""
    return {card.facts["of"]: card for card in vault.cards(KIND, config.key) if card.schema_version == SCHEMA_VERSION}


def _read(vault: Vault, card: Card) -> list[str]:
    return [str(svg) for svg in parse_json(vault.get(card).decode())]


def _games(vault: Vault, config: Config) -> str:
    made = games.rates(games.own_claims(vault, config), vault.cards(games.KIND, config.key))
    return _line("games an hour", list(enumerate(made.values())), across="run", up="games/h")


def _age(vault: Vault, config: Config) -> str:
    return _data_line(vault, config, "newest_hours", "age of the newest game", up="hours")


def _lag(vault: Vault, config: Config) -> str:
    return _data_line(vault, config, "generation_lag", "generations behind the champion", up="generations")


def _data_line(vault: Vault, config: Config, fact: str, title: str, *, up: str) -> str:
    cards = vault.cards(dataset.KIND, config.key)
    known = [(number, card.facts[fact]) for number, card in enumerate(cards) if card.facts.get(fact) is not None]
    return _line(title, known, across="dataset", up=up)


def _line(title: str, points: Sequence[tuple[int, float]], *, across: str, up: str) -> str:
    if len(points) < 2:
        return ""
    return chart(title, [Curve(up, *zip(*points, strict=True))], across=across, up=up)


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
    known = {
        pointer.number: standing
        for pointer in vault.pointers(config.key)
        if (standing := evaluations.standing_of(vault, config, pointer.sha256)) is not None
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
