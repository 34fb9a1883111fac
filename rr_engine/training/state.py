"""What a training run is in the middle of: tensors and a few numbers, kept as safetensors so that it can go on.

Nothing random needs keeping: the split follows from the games, the order of a pass and the symmetries of a step from
the seed, the pass and the step.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from rr_engine.errors import DataError, shown
from rr_engine.nn.tensors import read_tensors, require_finite, require_fit

STATE_VERSION = 2
_KEY = "ringrift_training"


@dataclass(frozen=True)
class TrainingState:
    """Where a run stands. Tensors are named by what they belong to and the weight: `model.stem.bias`."""

    setup: str  # what was being trained, and how: only the same run goes on
    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any]  # step, epochs and sums of the epoch, as JSON


def save_state(state: TrainingState) -> bytes:
    """The file of a state; raises DataError if a number in it is not finite."""
    require_finite(state.tensors, "training state")
    header = {"version": STATE_VERSION, "setup": state.setup, "facts": state.facts}
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.tensors.items()}
    return save(tensors, {_KEY: json.dumps(header, sort_keys=True, allow_nan=False)})


def load_state(data: bytes, setup: str) -> TrainingState:
    """The state in a file; raises DataError if it is damaged or belongs to another run than `setup`."""
    header, tensors = read_tensors(data, _KEY, "training state")
    version, found, facts = header.get("version"), header.get("setup"), header.get("facts")
    if version != STATE_VERSION:
        raise DataError(f"training state has version {shown(version)}, {STATE_VERSION} is needed")
    if found != setup:
        raise DataError(f"training state belongs to another run: {shown(found)}, not {setup}")
    if not isinstance(facts, Mapping):
        raise DataError("not a readable training state: it does not say where the run stands")
    return TrainingState(setup, tensors, facts)


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose name begins with `prefix.`, without it."""
    return {name.removeprefix(f"{prefix}."): t for name, t in tensors.items() if name.startswith(f"{prefix}.")}


def optimizer_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """What the optimizer remembers, by weight: `stem.bias.exp_avg`."""
    return {
        f"{name}.{slot}": value
        for name, weight in model.named_parameters()
        for slot, value in optimizer.state[weight].items()
    }


def restore_optimizer(model: nn.Module, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Give the optimizer back what `optimizer_tensors` told; raises DataError where that is not of these weights."""
    wanted: dict[str, Tensor] = {}
    for name, weight in model.named_parameters():
        step = torch.zeros(())
        wanted |= {f"{name}.step": step, f"{name}.exp_avg": weight, f"{name}.exp_avg_sq": weight}
    if tensors:
        require_fit(tensors, wanted, "optimizer of a training state")
    for name, weight in model.named_parameters():
        for slot, value in under(name, tensors).items():
            kept = value.to(weight.device) if value.dim() == 0 else torch.empty_like(weight).copy_(value)
            optimizer.state[weight][slot] = kept
