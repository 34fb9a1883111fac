"""What training takes of a machine's memory, about: whether a node is wide enough for it. Pure."""

from rr_engine.boards import Config
from rr_engine.settings import DatasetSettings, NetworkSettings

_CONTEXT_GB = 1.2  # CUDA itself, weights, and what the allocator keeps
_MAPS_OF_BLOCK, _MAPS_OF_REST = 6, 12  # feature maps of a sample that wait for the way back
_WORKSPACE = 1.3  # times the maps, with what convolutions take besides: 0.7 to 1.1 were measured (docs/benchmarks.md)
_HOST_GB = 2.0  # the process without its window


def gpu_gb(config: Config, network: NetworkSettings, batch_size: int) -> float:
    """Memory that a training run takes on a GPU: every feature map of a batch is kept for the way back."""
    maps = _MAPS_OF_BLOCK * network.blocks + _MAPS_OF_REST
    return _CONTEXT_GB + _WORKSPACE * batch_size * config.board.cells * network.channels * maps * 4 / 1e9


def host_gb(settings: DatasetSettings) -> float:
    """Memory that a training run takes of its machine: the window is held whole."""
    return _HOST_GB + settings.max_memory_gb
