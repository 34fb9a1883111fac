"""In which precision this machine runs a network fastest."""

from __future__ import annotations

import time
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

_SHAPE = (64, 32, 9, 9)  # of a layer's input: decisions, channels, rows, columns
_RUNS = 16
_CLEARLY = 1.15  # times as fast; what is closer would change from process to process


@cache
def fast_dtype(device: str) -> torch.dtype:
    """bfloat16 on a GPU, and on a CPU whose convolutions are clearly faster in it than in single precision.

    They take half as long on some CPUs and half as long again on others which have the same instructions
    (docs/experiments.md), so that is timed, once per process, by the processor time of one thread: whatever else runs
    on the machine changes nothing.
    """
    if device != "cpu":
        return torch.bfloat16
    inputs = torch.ones(_SHAPE), torch.ones(_SHAPE[1], _SHAPE[1], 3, 3)
    seconds = {dtype: float("inf") for dtype in (torch.bfloat16, torch.float32)}
    layers = {dtype: [tensor.to(dtype, memory_format=torch.channels_last) for tensor in inputs] for dtype in seconds}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    for _ in range(_RUNS):
        for dtype, (x, weight) in layers.items():
            seconds[dtype] = min(seconds[dtype], _time_convolution(x, weight))
    torch.set_num_threads(threads)
    return torch.bfloat16 if _CLEARLY * seconds[torch.bfloat16] < seconds[torch.float32] else torch.float32


@torch.inference_mode()
def _time_convolution(x: Tensor, weight: Tensor) -> float:
    """Seconds of this thread on the processor."""
    began = time.thread_time()
    functional.conv2d(x, weight, padding=1)
    return time.thread_time() - began
