"""From a dataset to a candidate network. Imports torch only where a network is used."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rr_engine.arena.regression import Level
from rr_engine.boards import CONFIGS, Config
from rr_engine.errors import DataError
from rr_engine.nn.features import FEATURE_VERSION
from rr_engine.players.stored import KIND, champion_of, load
from rr_engine.settings import NetworkSettings, Settings
from rr_engine.stages import dataset, evaluations, games
from rr_engine.training.symmetry import select
from rr_engine.training.window import Window
from rr_engine.vault import Card, Vault

if TYPE_CHECKING:
    from rr_engine.nn.checkpoint import Checkpoint
    from rr_engine.training.report import Epoch, Progress, TrainingResult

STATE_KIND = "training"  # states of runs under way, from which they go on
_PROBES = 8  # decisions whose outputs a reload must repeat
_SMALLER = {"hexagonal": "hex8", "square19": "square8"}  # board of the same shape to start from


@dataclass(frozen=True)
class CandidateMade:
    """The checkpoint of one run."""

    card: Card
    facts: Mapping[str, Any]


def make_candidate(
    vault: Vault,
    config: Config,
    settings: Settings,
    *,
    on_epoch: Callable[[Epoch], None] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> CandidateMade:
    """Train on the newest dataset, from the weights `starting_card` finds; a run that was stopped goes on.

    States of the run are kept in the vault under its dataset, settings and start, so the same run finds its newest.
    """
    from rr_engine.nn.checkpoint import save_checkpoint
    from rr_engine.nn.evaluator import best_device, device_name
    from rr_engine.training.train import Listeners, train

    vault.demand_room()
    device = best_device()
    data = dataset.newest_dataset(vault, config)
    window = dataset.load_dataset(vault, data)
    start = starting_card(vault, config, settings)
    allowed = samples_allowed(vault, config, settings, data)
    states = _States(vault, config, _run_facts(settings, data, start, allowed))
    result = train(
        window,
        network=settings.network,
        settings=settings.training,
        validation_share=settings.dataset.validation_share,
        start=None if start is None else load(vault, start),
        max_samples_trained=allowed,
        resume=states.newest(),
        listeners=Listeners(on_epoch, on_progress, states.keep),
        device=device,
    )
    anomaly = _is_anomalous(vault, config, result)
    facts = {
        **result.facts(),
        **_start_facts(data, start),
        "device": device_name(device),
        "resumed_at_step": states.resumed_at,
        "loss_anomaly": anomaly,
        "input_quality": _quality_again(vault, data) if anomaly else None,
        "probe": _probe(window, result.checkpoint),
    }
    card = vault.put(
        KIND,
        config.key,
        save_checkpoint(result.checkpoint),
        suffix=".safetensors",
        producer="checkpoint",
        rows=result.checkpoint.parameters,
        schema_version=FEATURE_VERSION,
        parents=(data.sha256,) if start is None else (data.sha256, start.sha256),
        facts=facts,
    )
    for kind in (STATE_KIND, KIND):
        vault.index(kind, config.key)
    return CandidateMade(card, facts)


def starting_card(vault: Vault, config: Config, settings: Settings) -> Card | None:
    """Whose weights a training starts from: a network of the wanted size, None for new weights.

    The newest candidate of `config` goes on learning, promoted or not, unless it was never evaluated or is a severe
    regression; then the champion comes first. Without one, `training.warm_start` decides: `none`, one config by name,
    or `auto`, the first champion among the same board with other seat counts, the nearest first, then the smaller board
    of the same shape likewise.
    """
    fitting = (card for card in _starts(vault, config, settings) if _size_of(vault, card) == settings.network)
    return next(fitting, None)


def _starts(vault: Vault, config: Config, settings: Settings) -> Iterator[Card]:
    """Networks to start from, the best first, whatever their size."""
    newest = vault.cards(KIND, config.key)[-1:]
    if newest:
        regression = evaluations.regression_of(vault, config, newest[0].sha256, settings.regression)
        if regression is not None and regression.level < Level.SEVERE:
            yield newest[0]
    chosen = settings.training.warm_start
    others = [Config.parse(chosen)] if chosen not in ("auto", "none") else list(_relatives(config, chosen))
    for other in (config, *others):
        if (champion := champion_of(vault, other)) is not None:
            yield champion.card


def _relatives(config: Config, chosen: str) -> Iterator[Config]:
    if chosen == "none":
        return
    for name in (config.board_name, _SMALLER.get(config.board_name)):
        seats = sorted(
            (other for other in CONFIGS if other.board_name == name),
            key=lambda other: (abs(other.players - config.players), other.players),
        )
        yield from (other for other in seats if other != config)


def _size_of(vault: Vault, card: Card) -> NetworkSettings | None:
    """Of a network; None where it sees other features than are made now."""
    return load(vault, card).settings if card.schema_version == FEATURE_VERSION else None


def samples_allowed(vault: Vault, config: Config, settings: Settings, data: Card) -> int:
    """Decisions that a training on `data` may see: `max_replay_ratio` times those made, less what others saw."""
    if "samples_made" not in data.facts:
        raise DataError(f"dataset {data.sha256[:12]} is of older code: materialise npz_dataset anew")
    seen = sum(card.facts["samples_trained"] for card in vault.cards(KIND, config.key))
    return max(0, int(settings.dataset.max_replay_ratio * data.facts["samples_made"]) - seen)


def _run_facts(settings: Settings, data: Card, start: Card | None, allowed: int) -> dict[str, Any]:
    """What a run is: one with the same facts goes on where this one stopped."""
    training = {name: value for name, value in asdict(settings.training).items() if name != "state_interval_s"}
    said = [training, asdict(settings.network), settings.dataset.validation_share, allowed]
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
    return {**_start_facts(data, start), "settings": digest[:16]}


def _start_facts(data: Card, start: Card | None) -> dict[str, Any]:
    return {
        "dataset": data.sha256,
        "started_from": None if start is None else start.sha256,
        "started_from_config": None if start is None else start.config,
    }


class _States:
    """The states of one run in the vault."""

    def __init__(self, vault: Vault, config: Config, run: Mapping[str, Any]) -> None:
        self._vault, self._config, self._run = vault, config, run
        self.resumed_at: int | None = None  # step of the state that this run goes on from

    def newest(self) -> bytes | None:
        """The one most steps were made for, None if the run is new or its states are of another version."""
        from rr_engine.training.state import STATE_VERSION

        cards = [
            card
            for card in self._vault.cards(STATE_KIND, self._config.key)
            if card.schema_version == STATE_VERSION and {name: card.facts[name] for name in self._run} == self._run
        ]
        if not cards:
            return None
        newest = max(cards, key=lambda card: card.facts["step"])
        self.resumed_at = newest.facts["step"]
        return self._vault.get(newest)

    def keep(self, data: bytes, step: int) -> None:
        """Keep what `train` gave."""
        from rr_engine.training.state import STATE_VERSION

        parents = [self._run["dataset"], self._run["started_from"]]
        self._vault.put(
            STATE_KIND,
            self._config.key,
            data,
            suffix=".safetensors",
            producer="checkpoint",
            rows=step,
            schema_version=STATE_VERSION,
            parents=tuple(parent for parent in parents if parent is not None),
            facts={**self._run, "step": step},
        )


def _is_anomalous(vault: Vault, config: Config, result: TrainingResult) -> bool:
    """Whether a validation loss of this run stands out from those before, of earlier checkpoints first."""
    from rr_engine.training.report import is_anomalous

    earlier = [epoch["validation"] for card in vault.cards(KIND, config.key) for epoch in card.facts["epochs"]]
    return is_anomalous([epoch.validation for epoch in result.epochs], earlier)


def _quality_again(vault: Vault, data: Card) -> dict[str, Any]:
    """The quality of the games a dataset was made from, measured anew."""
    shards = [vault.card(games.KIND, data.config, sha256) for sha256 in data.parents]
    return games.measure_again(vault, shards).facts()


def _probe(window: Window, checkpoint: Checkpoint) -> list[float]:
    """Outputs on the first decisions of a window, rounded: what a reload must give again."""
    from rr_engine.nn.evaluator import evaluate

    encoded = select(window.encoded, np.arange(min(_PROBES, window.samples)), window.config.board)
    policy, value = evaluate(checkpoint, encoded, window.config.board)
    return [round(number, 4) for number in np.concatenate((policy, value.ravel())).tolist()]


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
    again, stored = _probe(dataset.load_dataset(vault, data), checkpoint), card.facts["probe"]
    if len(again) != len(stored) or any(abs(a - b) > 1e-3 for a, b in zip(again, stored, strict=True)):
        return ["the reloaded network gives other outputs than the trained one"]
    return []


def check_losses(card: Card) -> tuple[list[str], dict[str, Any]]:
    """(problems, facts): whether the validation losses of a training stand out from those before it."""
    facts = {"validation": [epoch["validation"] for epoch in card.facts["epochs"]]}
    if not card.facts["loss_anomaly"]:
        return [], facts
    quality = card.facts["input_quality"]
    told = f"losses {facts['validation']} stand out; the input, measured again, has quality {quality['score']:.2f}"
    return [told], {**facts, "input_quality": quality}
