"""Checkpoints: a network as safetensors with what it needs to be loaded, and nothing that does not fit is loaded."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from rr_engine.boards import Config
from rr_engine.errors import DataError
from rr_engine.nn.features import FEATURE_VERSION
from rr_engine.nn.network import Network
from rr_engine.settings import NetworkSettings

_KEY = "ringrift"


@dataclass(frozen=True)
class Checkpoint:
    """A network for a config, in evaluation mode."""

    config: Config
    settings: NetworkSettings
    network: Network

    @property
    def parameters(self) -> int:
        """Number of trained weights."""
        return sum(weight.numel() for weight in self.network.parameters())


def untrained(config: Config, settings: NetworkSettings, *, seed: int) -> Checkpoint:
    """A network as it is before any training."""
    torch.manual_seed(seed)
    return Checkpoint(config, settings, Network(settings).eval())


def save_checkpoint(checkpoint: Checkpoint) -> bytes:
    """The file of a checkpoint; raises DataError if a weight is not finite."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.network.state_dict().items()}
    _require_finite(tensors)
    header = {
        "config": checkpoint.config.key,
        "feature_version": FEATURE_VERSION,
        "network": asdict(checkpoint.settings),
    }
    return save(tensors, {_KEY: json.dumps(header, sort_keys=True)})


def load_checkpoint(data: bytes, config: Config) -> Checkpoint:
    """The checkpoint in a file, for `config`; raises DataError if it is damaged or made for anything else."""
    header, tensors = _read(data)
    for name, wanted in (("config", config.key), ("feature_version", FEATURE_VERSION)):
        if header.get(name) != wanted:
            raise DataError(f"checkpoint has {name} {header.get(name)!r}, {wanted!r} is needed")
    _require_finite(tensors)
    try:
        settings = NetworkSettings(**header["network"])
        network = Network(settings)
        network.load_state_dict(tensors, strict=True)
    except (KeyError, TypeError, RuntimeError) as error:
        what = " ".join(str(error).split())
        raise DataError(f"checkpoint of {config.key} does not fit its own description: {what}") from error
    network.eval()
    return Checkpoint(config, settings, network)


def _read(data: bytes) -> tuple[dict[str, Any], dict[str, Tensor]]:
    try:
        length = int.from_bytes(data[:8], "little")
        header = json.loads(json.loads(data[8 : 8 + length])["__metadata__"][_KEY])
        tensors = load(data)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"not a readable checkpoint: {error}") from error
    if not isinstance(header, dict):
        raise DataError("not a readable checkpoint: its description is no object")
    return header, tensors


def _require_finite(tensors: dict[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        if not bool(torch.isfinite(tensor).all()):
            raise DataError(f"weight {name} is not finite")
