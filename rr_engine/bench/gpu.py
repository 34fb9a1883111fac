"""How busy a GPU is while something is measured."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager
from types import TracebackType

_EVERY_S = 0.1


class GpuMeter(AbstractContextManager["GpuMeter"]):
    """Reads the first GPU's use by NVML while blocks run; without one (`device` is not cuda) it reads nothing."""

    def __init__(self, device: str) -> None:
        self._is_there = device == "cuda"
        self._uses: list[int] = []  # per cent of the time in which a kernel ran, since the reading before
        self._bytes = 0
        self._name = ""

    def __enter__(self) -> GpuMeter:
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._read)
        if self._is_there:
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        if self._is_there:
            self._thread.join()

    def row(self) -> dict[str, float | str]:
        """What was read, for a table: nothing without a GPU."""
        if not self._uses:
            return {}
        return {
            "gpu": self._name,
            "gpu_use": round(sum(self._uses) / len(self._uses) / 100, 3),
            "gpu_memory_gb": round(self._bytes / 2**30, 2),
        }

    def _read(self) -> None:
        import pynvml

        pynvml.nvmlInit()
        try:
            gpu = pynvml.nvmlDeviceGetHandleByIndex(0)
            self._name = str(pynvml.nvmlDeviceGetName(gpu))
            while not self._done.wait(_EVERY_S):
                self._uses.append(int(pynvml.nvmlDeviceGetUtilizationRates(gpu).gpu))
                self._bytes = max(self._bytes, int(pynvml.nvmlDeviceGetMemoryInfo(gpu).used))
        finally:
            pynvml.nvmlShutdown()
