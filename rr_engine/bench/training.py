"""How fast a network learns, beside how fast it goes forward and back when nothing else is done.

Wall-clock time, all cores. The bare network goes forward and back over one batch that lies ready; training picks its
batches from a window, mirrors them, steps the optimizer and keeps the average.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np

from rr_engine.bench.gpu import GpuMeter
from rr_engine.boards import Config
from rr_engine.nn.evaluator import best_device
from rr_engine.players import player
from rr_engine.players.workers import CORES
from rr_engine.progress import UNWATCHED, Count, Task, Watch
from rr_engine.selfplay.play import play_games
from rr_engine.settings import NetworkSettings, SelfplaySettings, TrainingSettings
from rr_engine.training.batches import Sample, sample
from rr_engine.training.learner import Learner
from rr_engine.training.train import Listeners, train
from rr_engine.training.window import Window, build_window

_SEED = 7
_GAMES = 200  # at random; enough for batches that differ


def measure_training(
    config: Config,
    *,
    network: NetworkSettings,
    settings: TrainingSettings,
    seconds: float,
    runs: int,
    watch: Watch = UNWATCHED,
) -> dict[str, Any]:
    """One row: the bare network and training in turn, each for about `seconds` a run; the best of `runs`."""
    window = _window(config)
    device = best_device()
    learner = Learner(config.board, network, settings, device=device)
    ready = sample(window, np.arange(settings.batch_size) * 7 % window.samples, device=device)
    count = watch(Task("s", round(2 * seconds * runs)))
    _train(window, network, settings, 0, count)  # takes all cores, and makes what is made once
    _go_forward_and_back(learner, ready, 0.0, count)
    bare = trained = 0.0
    meter = GpuMeter(device)
    for _ in range(runs):
        bare = max(bare, _go_forward_and_back(learner, ready, seconds, count))
        with meter:
            trained = max(trained, _train(window, network, settings, round(bare * seconds), count))
    return {
        "config": config.key,
        "samples_per_s": round(trained),
        "bare_samples_per_s": round(bare),
        "share_of_bare": round(trained / bare, 3),
        "batch": settings.batch_size,
        "channels": network.channels,
        "blocks": network.blocks,
        "parameters": sum(weight.numel() for weight in learner.model.parameters()),
        "device": learner.device,
        "threads": CORES,
        **meter.row(),
    }


def _window(config: Config) -> Window:
    """Random games, every legal move as good as the others."""
    shards = play_games(
        config, player("random", config), seeds=range(_GAMES), generation=0, settings=SelfplaySettings(seed=_SEED)
    )
    window = build_window((record for shard in shards for record in shard), max_samples=20_000)
    counts = np.diff(window.encoded.offsets)
    policy = np.repeat(1 / counts, counts).astype(np.float32)
    return replace(window, policy=policy, has_policy=np.ones(window.samples, bool))


def _go_forward_and_back(learner: Learner, ready: Sample, seconds: float, count: Count) -> float:
    """Samples a second."""
    learner.model.train()
    steps, began = 0, time.perf_counter()
    while not steps or time.perf_counter() < began + seconds:
        learner.model.zero_grad(set_to_none=True)
        loss = learner.loss(ready)
        loss.backward()
        loss.item()  # a GPU would still be at work
        steps += 1
        count.reach(round(count.seconds))
    return steps * len(ready.targets.value) / (time.perf_counter() - began)


def _train(window: Window, network: NetworkSettings, settings: TrainingSettings, samples: int, count: Count) -> float:
    """Samples a second, validation left out."""
    result = train(
        window,
        network=network,
        settings=replace(settings, passes=1000.0, patience=1000),
        validation_share=0.01,
        max_samples_trained=max(samples, 2 * settings.batch_size),
        listeners=Listeners(on_progress=lambda _: count.reach(round(count.seconds))),
        device=best_device(),
    )
    return result.samples_trained / sum(epoch.samples / epoch.samples_per_s for epoch in result.epochs)
