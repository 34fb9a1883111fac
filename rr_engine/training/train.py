"""Training a candidate on a window. Knows neither vault nor champion."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rr_engine.errors import DataError, TrainingError
from rr_engine.nn.checkpoint import Checkpoint
from rr_engine.nn.network import Network
from rr_engine.nn.tensors import require_fit
from rr_engine.players.workers import CORES
from rr_engine.reading import first_of
from rr_engine.settings import NetworkSettings, TrainingSettings
from rr_engine.training import symmetry
from rr_engine.training.batches import sample
from rr_engine.training.learner import Learner
from rr_engine.training.plan import Plan, split
from rr_engine.training.report import Epoch, Progress, TrainingResult
from rr_engine.training.state import TrainingState, load_state, save_state, under
from rr_engine.training.validate import validate
from rr_engine.training.window import Window

_TOLD_S = 5.0  # seconds between two reports of progress


@dataclass(frozen=True)
class Listeners:
    """Who is told what while a training runs."""

    on_epoch: Callable[[Epoch], None] | None = None
    on_progress: Callable[[Progress], None] | None = None  # every few seconds
    on_state: Callable[[bytes, int], None] | None = None  # a state to resume from, and the steps done


def train(
    window: Window,
    *,
    network: NetworkSettings,
    settings: TrainingSettings,
    validation_share: float,
    start: Checkpoint | None = None,
    max_samples_trained: int | None = None,
    resume: bytes | None = None,
    listeners: Listeners | None = None,
    device: str = "cpu",
) -> TrainingResult:
    """Train on `window` from `start`'s weights (of any config), else from new ones; the same arguments give the same.

    Trains on `settings.passes` times the window and at most `max_samples_trained` decisions. Whole games are kept apart
    to validate the averaged weights; training stops after `patience` passes without a better loss and returns the best
    weights. With `resume`, a state that a listener was given, the run goes on from there and ends as if it had never
    stopped; raises DataError for the state of another run. Raises TrainingError when a loss or gradient is not finite:
    no weights come out of it, and the states given before stay good.
    """
    torch.set_num_threads(CORES)
    training, validation = split(window, validation_share)
    plan = Plan.of(len(training), settings, max_samples_trained)
    weights = None if start is None else start.network.state_dict()
    learner = Learner(window.config.board, network, settings, start=weights, device=device)
    run = _Run(window, plan, learner, _setup(window, network, plan), listeners or Listeners())
    if resume is not None:
        run.restore(load_state(resume, run.setup))
    while not run.is_over:
        run.train_epoch(training)
        run.close_epoch(validation)
    best = Network(network)
    best.load_state_dict(run.best)
    return TrainingResult(
        checkpoint=Checkpoint(window.config, network, best.eval()),
        epochs=tuple(run.epochs),
        best_epoch=run.best_epoch,
        samples=plan.samples,
        samples_trained=sum(epoch.samples for epoch in run.epochs),
    )


def _setup(window: Window, network: NetworkSettings, plan: Plan) -> str:
    """What is trained and how, as text: a state of one run is not for another."""
    settings = {name: value for name, value in asdict(plan.settings).items() if name != "state_interval_s"}
    whole = {"config": window.config.key, "samples": window.samples, "network": asdict(network), "training": settings}
    return json.dumps(whole | {"pass": plan.samples, "steps": plan.steps}, sort_keys=True)


class _Run:
    """A training under way."""

    def __init__(self, window: Window, plan: Plan, learner: Learner, setup: str, listeners: Listeners) -> None:
        self.setup = setup
        self.epochs: list[Epoch] = []
        self.best: dict[str, Tensor] = {}  # averaged weights after the best epoch
        self._window, self._plan, self._learner, self._listeners = window, plan, learner, listeners
        self._step = 0
        self._samples = 0  # of this pass, done
        self._sums = np.zeros(4)  # of its losses, times decisions
        self._rate = 0.0  # decisions a second in this pass
        self._kept_at = time.perf_counter()  # when a state was given last

    @property
    def best_epoch(self) -> int:
        """The first of the epochs with the lowest validation loss."""
        return min(range(len(self.epochs)), key=lambda number: self.epochs[number].validation)

    @property
    def is_over(self) -> bool:
        """Whether all steps are made, or too many passes brought nothing better."""
        stale = bool(self.epochs) and len(self.epochs) - 1 - self.best_epoch >= self._plan.settings.patience
        return stale or self._step >= self._plan.steps

    def train_epoch(self, training: NDArray[np.int64]) -> None:
        """Train to the end of the pass."""
        epoch = self._plan.epoch_of(self._step)
        order = training[self._plan.order(epoch)]
        self._learner.model.train()
        began = told = time.perf_counter()
        before = self._samples
        while self._step < self._plan.end_of(epoch):
            self._make_step(order)
            now = time.perf_counter()
            self._rate = (self._samples - before) / (now - began)
            if now - told >= _TOLD_S:
                told = now
                self._tell_progress()
            if now - self._kept_at >= self._plan.settings.state_interval_s:
                self._give_state()

    def _make_step(self, order: NDArray[np.int64]) -> None:
        plan, learner = self._plan, self._learner
        first, end = plan.bounds(self._step)
        turns = plan.turns(self._step, end - first, len(symmetry.images(self._window.config.board)))
        share = plan.settings.root_value_share
        batch = sample(self._window, order[first:end], turns=turns, root_value_share=share, device=learner.device)
        lost = learner.learn(batch, step=self._step, rate=plan.learning_rate(self._step))
        self._step += 1
        self._samples += end - first
        self._sums += lost.numbers() * (end - first)

    def close_epoch(self, validation: NDArray[np.int64]) -> None:
        """Validate, and remember the weights if none were better."""
        average, settings = self._learner.average, self._plan.settings
        seen = validate(average, self._window, validation, device=self._learner.device)
        policy, value, owner, scores = (self._sums / self._samples).tolist()
        epoch = Epoch(
            epoch=len(self.epochs),
            samples=self._samples,
            train_policy=policy,
            train_value=value,
            train_owner=owner,
            train_scores=scores,
            validation_policy=seen.policy,
            validation_value=seen.value,
            validation_owner=seen.owner,
            validation_scores=seen.scores,
            policy_accuracy=seen.policy_accuracy,
            value_error=seen.value_error,
            validation=seen.policy + settings.value_weight * seen.value,
            samples_per_s=self._rate,
        )
        if not np.isfinite(epoch.validation):
            raise TrainingError(f"validation loss is {epoch.validation} after step {self._step}: training has diverged")
        self.epochs.append(epoch)
        if self.best_epoch == len(self.epochs) - 1:
            self.best = {name: tensor.cpu().clone() for name, tensor in average.state_dict().items()}
        self._samples, self._sums = 0, np.zeros(4)
        if self._listeners.on_epoch is not None:
            self._listeners.on_epoch(epoch)
        if not self.is_over:
            self._give_state()

    def _tell_progress(self) -> None:
        if self._listeners.on_progress is not None:
            policy, value, _, _ = (self._sums / self._samples).tolist()
            left_s = (self._plan.steps - self._step) * self._plan.samples / self._plan.per_epoch / self._rate
            self._listeners.on_progress(Progress(self._step, self._plan.steps, policy, value, self._rate, left_s))

    def _give_state(self) -> None:
        self._kept_at = time.perf_counter()
        if self._listeners.on_state is not None:
            tensors = self._learner.tensors() | {f"best.{name}": tensor for name, tensor in self.best.items()}
            facts = {
                "step": self._step,
                "samples": self._samples,
                "sums": self._sums.tolist(),
                "epochs": [asdict(epoch) for epoch in self.epochs],
            }
            self._listeners.on_state(save_state(TrainingState(self.setup, tensors, facts)), self._step)

    def restore(self, state: TrainingState) -> None:
        """Go on where `state` was taken; raises DataError where that is no place in this run."""
        stand = _standing(state.facts)
        if not 0 <= stand.step <= self._plan.steps or stand.samples < 0:
            raise DataError(f"training state is of step {stand.step}, this run has {self._plan.steps}")
        self._learner.restore(state.tensors)
        self.best = under("best", state.tensors)
        if self.best or stand.epochs:
            require_fit(self.best, self._learner.average.state_dict(), "best of a training state")
        self._step, self._samples = stand.step, stand.samples
        self._sums = np.array(stand.sums)
        self.epochs = list(stand.epochs)


@dataclass(frozen=True)
class _Standing:
    """What a state says in numbers."""

    step: int
    samples: int
    sums: tuple[float, float, float, float]
    epochs: tuple[Epoch, ...]


def _standing(facts: Mapping[str, Any]) -> _Standing:
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(_Standing).validate_json(json.dumps(facts), strict=True)
    except ValidationError as error:
        raise DataError(f"training state: {first_of(error)}") from error
