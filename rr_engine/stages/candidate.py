"""From a dataset to a candidate network. Imports torch only where a network is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rr_engine.boards import Config
from rr_engine.errors import DataError
from rr_engine.nn.features import FEATURE_VERSION
from rr_engine.settings import Settings
from rr_engine.stages import dataset
from rr_engine.stages.champion import champion_of, load
from rr_engine.training.window import select
from rr_engine.vault import Card, Vault

if TYPE_CHECKING:
    from rr_engine.nn.checkpoint import Checkpoint
    from rr_engine.training.train import Epoch

KIND = "checkpoint"
_PROBES = 32  # decisions whose outputs a reload must repeat


@dataclass(frozen=True)
class CandidateMade:
    """The checkpoint of one run."""

    card: Card
    facts: Mapping[str, Any]


def make_candidate(
    vault: Vault, config: Config, settings: Settings, *, on_epoch: Callable[[Epoch], None] | None = None
) -> CandidateMade:
    """Train on the newest dataset, from the champion's weights if there is a champion of the same size."""
    from rr_engine.nn.checkpoint import save_checkpoint
    from rr_engine.training.train import train

    data = dataset.newest_dataset(vault, config)
    champion = champion_of(vault, config)
    start = None if champion is None else load(vault, champion.card)
    if start is not None and start.settings != settings.network:
        start = None  # another size was asked for: its weights fit nowhere
    result = train(
        dataset.load_dataset(vault, data),
        network=settings.network,
        settings=settings.training,
        validation_share=settings.dataset.validation_share,
        start=start,
        on_epoch=on_epoch,
    )
    started_from = champion.card.sha256 if champion is not None and start is not None else None
    facts = {
        **result.facts(),
        "dataset": data.sha256,
        "started_from": started_from,
        "probe": _probe(vault, data, result.checkpoint),
    }
    card = vault.put(
        KIND,
        config.key,
        save_checkpoint(result.checkpoint),
        suffix=".safetensors",
        producer="checkpoint",
        rows=result.checkpoint.parameters,
        schema_version=FEATURE_VERSION,
        parents=(data.sha256,) if started_from is None else (data.sha256, started_from),
        facts=facts,
    )
    return CandidateMade(card, facts)


def _probe(vault: Vault, data: Card, checkpoint: Checkpoint) -> list[float]:
    """Outputs on the first decisions of a dataset, rounded: what a reload must give again."""
    from rr_engine.nn.evaluator import evaluate

    window = dataset.load_dataset(vault, data)
    encoded, _, _ = select(window, np.arange(min(_PROBES, window.samples)))
    policy, value = evaluate(checkpoint, encoded, window.config.board)
    return [round(number, 4) for number in np.concatenate((policy[:_PROBES], value[:, 0])).tolist()]


def newest_candidate(vault: Vault, config: Config) -> Card:
    """The newest checkpoint; raises DataError if there is none."""
    cards = vault.cards(KIND, config.key)
    if not cards:
        raise DataError(f"no checkpoint of {config.key} yet: materialise checkpoint first")
    return cards[-1]


def check_candidate(vault: Vault, card: Card) -> list[str]:
    """What is wrong with a checkpoint: weights not finite, a strict reload that fails or answers differently."""
    config = Config.parse(card.config)
    try:
        checkpoint = load(vault, card)
    except DataError as error:
        return [str(error)]
    data = vault.card(dataset.KIND, config.key, card.facts["dataset"])
    again, stored = _probe(vault, data, checkpoint), card.facts["probe"]
    if len(again) != len(stored) or any(abs(a - b) > 1e-3 for a, b in zip(again, stored, strict=True)):
        return ["the reloaded network gives other outputs than the trained one"]
    return []
