"""Device, precision, memory format and threads: the only file that knows the name of an accelerator."""

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass

import psutil
import torch
from torch import Tensor, nn

from claf_engine.config import RuntimeConfig
from claf_engine.errors import DeviceError


@dataclass(frozen=True)
class Compute:
    """Where and how a run computes; built once by `choose_compute`."""

    device: torch.device
    precision: str
    threads: int

    def autocast(self) -> AbstractContextManager[None]:
        """Training precision; losses leave it again by casting to fp32."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bf16")

    def place(self, module: nn.Module) -> None:
        """Move a module here, in the memory format that convolutions are fastest in."""
        module.to(self.device)
        module.to(memory_format=torch.channels_last)

    def memory_bytes(self) -> int:
        """Memory in use: of the accelerator where there is one, else resident memory of the process."""
        if self.device.type == "cuda":
            return int(torch.cuda.memory_allocated(self.device))
        return int(psutil.Process().memory_info().rss)

    def describe(self) -> str:
        """Name of the device for a person, such as "cpu"."""
        if self.device.type == "cuda":
            return f"{self.device} ({torch.cuda.get_device_name(self.device)})"
        return self.device.type


def choose_compute(config: RuntimeConfig) -> Compute:
    """Pick the device and precision, and set up this thread and the backends for bit-identical repeats.

    Call it at the top of the thread that trains: the thread count belongs to the calling thread.

    Raises:
        DeviceError: the asked-for device is not here.
    """
    device = _pick_device(config.device)
    threads = config.threads or usable_cores()
    torch.set_num_threads(threads)
    if device.type == "cuda":
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
    precision = config.precision
    if precision == "auto":
        precision = "bf16" if _bf16_is_fast(device) else "fp32"
    return Compute(device, precision, torch.get_num_threads())


def usable_cores() -> int:
    """Cores that this process may run on; more threads than that would wait for each other."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def exact_fp32(compute: Compute) -> Compute:
    """The same device in full precision, as every reported accuracy is measured."""
    return Compute(compute.device, "fp32", compute.threads)


def make_generator(device: torch.device, seed: int) -> torch.Generator:
    """A fresh generator on a device; random draws for tensors of that device need one of the same kind."""
    return torch.Generator(device).manual_seed(seed)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out, on any device."""
    signs = ("can't allocate memory", "out of memory", "ALLOC_FAILED")
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(sign in str(error) for sign in signs)


def _pick_device(name: str) -> torch.device:
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise DeviceError(f"device {name} was asked for, but torch sees no CUDA device here; use --device cpu or auto")
    index = 0 if name in {"auto", "cuda"} else int(name.removeprefix("cuda:"))
    if index >= torch.cuda.device_count():
        last = torch.cuda.device_count() - 1
        raise DeviceError(f"device {name} was asked for, but the last one here is cuda:{last}; use cuda:{last} or cpu")
    return torch.device("cuda", index)


def _bf16_is_fast(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    flags = torch.cpu.get_capabilities()
    return bool(flags.get("avx512_bf16") or flags.get("amx_bf16") or flags.get("amx_tile"))


def channels_last(images: Tensor) -> Tensor:
    """Lay images (N, C, H, W) out the way the convolutions want them; values unchanged."""
    return images.contiguous(memory_format=torch.channels_last)
