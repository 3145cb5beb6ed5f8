"""How busy this machine is: cores, memory, disk, accelerators, and the process that trains. No torch.

Accelerators are asked through NVML where nvidia-ml-py is installed; torch itself is not, because a question of another
thread may break a graph that the engine is capturing.
"""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

MAX_GPUS = 8


@dataclass(frozen=True)
class GpuSample:
    """One accelerator; `load` is the share of the last moment in which it computed, in [0, 1], memory is in bytes."""

    name: str
    load: float
    memory_used: int
    memory_total: int


@dataclass(frozen=True)
class ProcessSample:
    """One process; `cores` is how many cores it kept busy since the last sample, `memory_bytes` is resident."""

    memory_bytes: int
    num_threads: int
    cores: float


@dataclass(frozen=True)
class MachineSample:
    """The machine at one moment.

    Attributes:
        load: share of all cores that were busy since the last sample, in [0, 1].
        num_cores: of the machine.
        memory_used: bytes that programs cannot get, of `memory_total`.
        disk_free: bytes of `disk_total` on the disk of the run's folder; None where there is no such folder.
        process: the one that trains; None where it is gone or not to be seen.
        gpus: empty where there is none, or nothing to ask it with.
        seconds: that it took to look.
    """

    load: float
    num_cores: int
    memory_used: int
    memory_total: int
    disk_free: int | None = None
    disk_total: int | None = None
    process: ProcessSample | None = None
    gpus: tuple[GpuSample, ...] = ()
    seconds: float = 0.0


class Machine:
    """Looks at the machine now and then; loads are of the time between two looks.

    Args:
        pid: of the process that trains; None is this one.
    """

    def __init__(self, pid: int | None = None) -> None:
        self._gpus: Gpus | None = None
        self._process: psutil.Process | None = None
        self._num_cores = psutil.cpu_count() or 1
        self.watch(pid)
        psutil.cpu_percent(None)

    def watch(self, pid: int | None) -> None:
        """Look at another process from now on; None is this one."""
        try:
            self._process = psutil.Process(pid)
            self._process.cpu_percent(None)
        except (psutil.Error, ValueError, OverflowError):
            self._process = None

    def sample(self, folder: Path | None = None) -> MachineSample:
        """Look now, in less than a millisecond; the first look also opens the library of the accelerators.

        Args:
            folder: whose disk is looked at.
        """
        began = time.perf_counter()
        memory = psutil.virtual_memory()
        disk_free, disk_total = _disk(folder)
        load = psutil.cpu_percent(None) / 100
        self._gpus = self._gpus or Gpus()
        process, gpus = self._look_at_process(), self._gpus.sample()
        return MachineSample(
            load=load,
            num_cores=self._num_cores,
            memory_used=memory.total - memory.available,
            memory_total=memory.total,
            disk_free=disk_free,
            disk_total=disk_total,
            process=process,
            gpus=gpus,
            seconds=time.perf_counter() - began,
        )

    def _look_at_process(self) -> ProcessSample | None:
        if self._process is None:
            return None
        try:
            with self._process.oneshot():
                return ProcessSample(
                    memory_bytes=self._process.memory_info().rss,
                    num_threads=self._process.num_threads(),
                    cores=self._process.cpu_percent(None) / 100,
                )
        except psutil.Error:
            self._process = None
            return None


class Gpus:
    """The accelerators that NVML tells of; none where it is not installed, or knows of none."""

    def __init__(self) -> None:
        self._nvml: Any = None
        self._handles: list[tuple[str, Any]] = []
        try:
            import pynvml
        except ImportError:
            return
        try:
            pynvml.nvmlInit()
            handles = [pynvml.nvmlDeviceGetHandleByIndex(number) for number in range(pynvml.nvmlDeviceGetCount())]
            self._handles = [(_name(pynvml.nvmlDeviceGetName(handle)), handle) for handle in handles[:MAX_GPUS]]
        except pynvml.NVMLError:
            return
        self._nvml = pynvml

    def sample(self) -> tuple[GpuSample, ...]:
        """Look at all now; one that does not answer is left out."""
        return tuple(sample for name, handle in self._handles if (sample := self._look_at(name, handle)) is not None)

    def _look_at(self, name: str, handle: Any) -> GpuSample | None:
        try:
            load = self._nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100
            memory = self._nvml.nvmlDeviceGetMemoryInfo(handle)
        except self._nvml.NVMLError:
            return None
        return GpuSample(name, load, int(memory.used), int(memory.total))


def _name(name: str | bytes) -> str:
    text = name.decode(errors="replace") if isinstance(name, bytes) else name
    return text.removeprefix("NVIDIA ")


def _disk(folder: Path | None) -> tuple[int | None, int | None]:
    if folder is None:
        return None, None
    try:
        usage = shutil.disk_usage(folder)
    except OSError:
        return None, None
    return usage.free, usage.total
