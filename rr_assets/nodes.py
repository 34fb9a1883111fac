"""What a node is and does: its role, code, GPUs, disk, the work it takes and the runs it is at. Knows no broker."""

import os
import shutil
import socket
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import psutil
import pynvml
from pydantic import TypeAdapter, ValidationError

import rr_engine
from rr_engine.boards import CONFIGS, Config
from rr_engine.errors import ConfigError, DataError, EngineError
from rr_engine.selfplay import idle
from rr_engine.settings import Settings
from rr_engine.training import memory
from rr_engine.vault import version_of

CPU = "cpu"
GPU = "gpu"
SELFPLAY = "selfplay"
TRAINING = "training"
VISIBLE_VARIABLE = "CUDA_VISIBLE_DEVICES"

_WORKS_OF_ROLE = {  # on a GPU, what is preferred first
    "coordinator": (),
    "trainer": (TRAINING, SELFPLAY),
    "selfplay": (SELFPLAY,),
    "ephemeral": (SELFPLAY,),
}


class NoGpuError(EngineError):
    """This node has no GPU that can be asked."""


@dataclass(frozen=True)
class Gpu:
    """A GPU of a node as it is now."""

    name: str
    use: float  # from 0 to 1, of the time just past
    free_gb: float
    total_gb: float


@dataclass(frozen=True)
class Node:
    """A worker, or this machine where there are none, as it answers for itself."""

    name: str
    role: str  # coordinator, trainer, selfplay, ephemeral
    lane: str  # gpu or cpu: which runs it is there for
    takes: tuple[str, ...]  # works: `cpu`, `selfplay.hex8_2p`, `training.hex8_2p`; preferred ones first
    slots: int  # runs at once
    code: str  # version of the code that it has loaded
    gpus: tuple[Gpu, ...]  # those it may use
    why_no_gpu: str
    disk_used: float  # from 0 to 1, of the disk with its copies of artefacts
    disk_free_gb: float
    runs: tuple[str, ...] = ()  # that it is at

    @classmethod
    def read(cls, answer: Any) -> "Node":
        """A node from what its worker answered; raises DataError if that is no node."""
        try:
            return _READER.validate_python(answer)
        except ValidationError as error:
            raise DataError(f"an answer that describes no node: {error}") from error


_READER = TypeAdapter(Node)


@runtime_checkable
class KnowsNodes(Protocol):
    """Who can tell which workers there are: the run launcher of a cluster."""

    def nodes(self) -> Sequence[Node]:
        """The workers that answer now; empty while nobody can be asked."""
        ...


def workers_of(launcher: object) -> Sequence[Node] | None:
    """The workers that answer now; None where that launcher sends runs to no workers."""
    return launcher.nodes() if isinstance(launcher, KnowsNodes) else None


def kind_of(work: str) -> str:
    """The first part of a work: `selfplay`, `training` or `cpu`."""
    return work.partition(".")[0]


def works(lane: str, role: str, settings: Settings, *, gpu_gb: float | None, ram_gb: float) -> tuple[str, ...]:
    """What a worker takes, preferred first: what its role allows and its memory holds; `gpu_gb` None: it has no GPU."""
    if lane == CPU:
        return (CPU,)
    return tuple(
        f"{work}.{config.key}"
        for work in _WORKS_OF_ROLE[role]
        for config in CONFIGS
        if _fits(work, config, settings, gpu_gb=gpu_gb, ram_gb=ram_gb)
    )


def _fits(work: str, config: Config, settings: Settings, *, gpu_gb: float | None, ram_gb: float) -> bool:
    if work == TRAINING and memory.host_gb(settings.dataset) > ram_gb:
        return False
    if gpu_gb is None:
        return True
    if work == TRAINING:
        return memory.gpu_gb(config, settings.network, settings.training.batch_size) <= gpu_gb
    return idle.memory_gb(config, settings.network, settings.selfplay.games_at_once) <= gpu_gb


def own_node(lane: str, role: str, settings: Settings, *, disk: Path) -> Node:
    """This machine, for the runs of a lane; `disk` lies on what fills up here."""
    gpus, why_no_gpu = tuple[Gpu, ...](), f"the lane {lane} uses none"
    if lane == GPU:
        try:
            gpus, why_no_gpu = tuple(own_gpus()), ""
        except NoGpuError as error:
            why_no_gpu = str(error)
    gpu_gb = max((gpu.total_gb for gpu in gpus), default=None)
    usage = shutil.disk_usage(_existing(disk))
    return Node(
        name=socket.gethostname(),
        role=role,
        lane=lane,
        takes=works(lane, role, settings, gpu_gb=gpu_gb, ram_gb=psutil.virtual_memory().total / 1e9),
        slots=1,
        code=code_version(),
        gpus=gpus,
        why_no_gpu=why_no_gpu,
        disk_used=usage.used / (usage.used + usage.free),
        disk_free_gb=usage.free / 1e9,
    )


def own_gpus() -> list[Gpu]:
    """The GPUs that this process may use, as NVIDIA's management library sees them; raises NoGpuError without any."""
    with _driver():
        found = [_gpu(pynvml.nvmlDeviceGetHandleByIndex(number)) for number in _visible()]
    if not found:
        raise NoGpuError("this machine has no NVIDIA GPU, or CUDA_VISIBLE_DEVICES hides it")
    return found


def gpu_use(workers: Sequence[Node] | None) -> float | None:
    """Mean use, from 0 to 1, of the GPUs of all workers, or of this machine if there are none; None without a GPU."""
    gpus = [gpu for node in workers or () for gpu in node.gpus]
    if workers is None:
        try:
            gpus = own_gpus()
        except NoGpuError:
            return None
    return sum(gpu.use for gpu in gpus) / len(gpus) if gpus else None


def gpu_numbers() -> list[int]:
    """The driver's numbers of the GPUs that this process may use."""
    try:
        with _driver():
            return _visible()
    except NoGpuError:
        return []


def use_gpu(number: int | None) -> None:
    """Let this process and those it starts use one GPU, or none; raises ConfigError where it may not use that one."""
    numbers = gpu_numbers()
    if number is not None and numbers and number not in numbers:
        raise ConfigError(f"this node has GPU {', '.join(map(str, numbers))} and no GPU {number}")
    os.environ["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"  # numbered as the driver does
    hidden = number is None or os.environ.get(VISIBLE_VARIABLE) == ""
    os.environ[VISIBLE_VARIABLE] = "" if hidden else str(number)


@contextmanager
def _driver() -> Generator[None]:
    """NVIDIA's driver, to be asked; raises NoGpuError where there is none, or it does not answer."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        raise NoGpuError(f"no NVIDIA driver on this machine: {error}") from error
    try:
        yield
    except pynvml.NVMLError as error:
        raise NoGpuError(f"the GPUs of this machine do not answer: {error}") from error
    finally:
        pynvml.nvmlShutdown()


def _visible() -> list[int]:
    """GPUs that CUDA_VISIBLE_DEVICES names by number; without it, or with names of another form, all there are."""
    named = os.environ.get(VISIBLE_VARIABLE)
    numbers = [] if named is None else [int(word) for word in named.split(",") if word.strip().isdecimal()]
    return numbers if numbers or named == "" else list(range(pynvml.nvmlDeviceGetCount()))


def _gpu(handle: Any) -> Gpu:
    name = pynvml.nvmlDeviceGetName(handle)
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    use = pynvml.nvmlDeviceGetUtilizationRates(handle)
    return Gpu(str(name), float(use.gpu) / 100, int(memory.free) / 1e9, int(memory.total) / 1e9)


def _existing(path: Path) -> Path:
    return path if path.exists() else _existing(path.parent)


@cache
def code_version() -> str:
    """Of everything that a run executes here, graph and engine, as the files are at the first call."""
    return version_of(*(Path(module).parent for module in (__file__, str(rr_engine.__file__))))
