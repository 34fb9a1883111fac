"""Checkpoints: a network as safetensors with what it needs to be loaded, and nothing that does not fit is loaded."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import torch
from safetensors.torch import save

from rr_engine.boards import Config
from rr_engine.errors import ConfigError, DataError, shown
from rr_engine.nn.features import FEATURE_VERSION
from rr_engine.nn.network import Network
from rr_engine.nn.tensors import read_tensors, require_finite, require_fit
from rr_engine.settings import NetworkSettings, parse

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
    require_finite(tensors, "checkpoint")
    header = {
        "config": checkpoint.config.key,
        "feature_version": FEATURE_VERSION,
        "network": asdict(checkpoint.settings),
    }
    return save(tensors, {_KEY: json.dumps(header, sort_keys=True)})


def load_checkpoint(data: bytes, config: Config) -> Checkpoint:
    """The checkpoint in a file, for `config`; raises DataError if it is damaged or made for anything else."""
    header, tensors = read_tensors(data, _KEY, "checkpoint")
    for name, wanted in (("config", config.key), ("feature_version", FEATURE_VERSION)):
        if header.get(name) != wanted:
            raise DataError(f"checkpoint has {name} {shown(header.get(name))}, {wanted!r} is needed")
    what = f"checkpoint of {config.key}"
    try:
        settings = parse(NetworkSettings, header.get("network", {}))
    except ConfigError as error:
        raise DataError(f"{what} does not fit its own description: {error}") from error
    weights = sum(tensor.numel() for tensor in tensors.values())
    if settings.blocks > len(tensors) or settings.channels > weights:
        raise DataError(f"{what} does not fit its own description: {settings} takes more weights than it has")
    with torch.device("meta"):  # shapes only: nothing is allocated for what the file does not hold
        require_fit(tensors, Network(settings).state_dict(), what)
    network = Network(settings)
    network.load_state_dict(tensors, strict=True)
    network.eval()
    return Checkpoint(config, settings, network)
