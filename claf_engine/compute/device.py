"""Device, precision, memory format and threads: the only file that knows the name of an accelerator."""

import ctypes
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from itertools import product

import psutil
import torch
from torch import Tensor, nn

from claf_engine.compute.cores import usable_cores
from claf_engine.compute.tuning import FORMATS, LAYOUTS, PRECISIONS, Candidate, choose, measure
from claf_engine.compute.world import World
from claf_engine.config import RuntimeConfig
from claf_engine.terms.errors import DeviceError

GLIBC_KEEPS = {-4: 0, -1: 2**31 - 1, -8: 1}
"""Options of mallopt(3): no block is mapped on its own (M_MMAP_MAX), none is given back (M_TRIM_THRESHOLD), and all
threads share one heap (M_ARENA_MAX), because the heap of a second thread cannot hold large blocks."""
NO_MICRO_BATCH = "whole batch"
"""In the record of a run that takes each batch at once."""
WARM_UPS = 3
"""Passes before one is captured: libraries choose their kernels and take their memory in the first ones."""


@dataclass(frozen=True)
class Compute:
    """Where and how a run computes; built once by `choose_compute`.

    Attributes:
        precision: of training, "bf16" or "fp32".
        layout: of images and convolution weights, "channels_last" or "contiguous".
        captures: whether the passes of attacks are captured and replayed as a whole (see `Captured`).
        micro_batch: images that training holds a graph of at once; None is the whole batch.
        recompute: training holds what goes in and out of each part of the encoder, and computes the rest twice.
        world: the processes that compute together.
    """

    device: torch.device
    precision: str
    threads: int
    layout: str = "channels_last"
    captures: bool = False
    micro_batch: int | None = None
    recompute: bool = False
    world: World = World()

    def autocast(self) -> AbstractContextManager[None]:
        """Training precision; losses leave it again by casting to fp32.

        Cast weights are not kept: every pass uses each weight once, and a captured pass must cast the current ones.
        """
        is_bf16 = self.precision == "bf16"
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=is_bf16, cache_enabled=False)

    def place(self, module: nn.Module) -> None:
        """Move a module here, in the memory format that convolutions are fastest in."""
        module.to(self.device)
        module.to(memory_format=FORMATS[self.layout])

    def arrange(self, images: Tensor) -> Tensor:
        """Lay images (N, C, H, W) out the way the convolutions want them; values unchanged."""
        return images.contiguous(memory_format=FORMATS[self.layout])

    def record(self) -> dict[str, str | int]:
        """What a run must take over to go on bit-identically, for its checkpoint."""
        return {
            "device": self.device.type,
            "precision": self.precision,
            "layout": self.layout,
            "threads": self.threads,
            "micro_batch": self.micro_batch or NO_MICRO_BATCH,
            "processes": self.world.size,
        }

    def memory_bytes(self) -> int:
        """Memory in use: of the accelerator where there is one, else resident memory of the process."""
        if self.device.type == "cuda":
            return int(torch.cuda.memory_allocated(self.device))
        return int(psutil.Process().memory_info().rss)

    def memory_share(self) -> float | None:
        """The share of the accelerator's memory that is in use, by anybody, in [0, 1]; None without one."""
        if self.device.type != "cuda":
            return None
        free, total = torch.cuda.mem_get_info(self.device)
        return 1 - free / total

    def describe(self) -> str:
        """Name of the device for a person, such as "cpu"."""
        name = self.device.type
        if self.device.type == "cuda":
            name = f"{self.device} ({torch.cuda.get_device_name(self.device)})"
        return name if self.world.is_single else f"{name}, {self.world.size} processes"


def choose_compute(config: RuntimeConfig, world: World = World()) -> Compute:  # noqa: B008 (frozen)
    """Pick the device and precision, and set up this thread and the backends for bit-identical repeats.

    Processes of one machine share out its accelerators and cores; what is measured, the first one measures for all.

    Call it at the top of the thread that trains: the thread count belongs to the calling thread. A library's function
    calls it within `settings_restored`.

    Raises:
        DeviceError: the asked-for device is not here.
    """
    device = _pick_device(config.device, world)
    torch.set_num_threads(config.threads or max(1, usable_cores() // world.local_size))
    threads = torch.get_num_threads()
    if device.type == "cuda":
        if not world.is_single:
            torch.cuda.set_device(device)
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
    precision, layout = world.tell(_fastest(config, device, threads) if world.rank == 0 else None)
    captures = config.capture and device.type == "cuda"
    return Compute(device, precision, threads, layout, captures, config.micro_batch, config.recompute, world)


@contextmanager
def settings_restored() -> Iterator[None]:
    """Put back what `choose_compute` sets in the caller's process: its threads and the switches of the backends."""
    threads = torch.get_num_threads()
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    switches = cudnn.benchmark, cudnn.deterministic, matmul.allow_tf32, cudnn.allow_tf32
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        cudnn.benchmark, cudnn.deterministic, matmul.allow_tf32, cudnn.allow_tf32 = switches


def own_process(config: RuntimeConfig) -> None:
    """Set up a process that does nothing but train and measure, for good; never done in a caller's process."""
    is_on_cpu = config.device == "cpu" or (config.device == "auto" and not torch.cuda.is_available())
    if config.keep_freed_memory and is_on_cpu:
        keep_freed_memory()


def _fastest(config: RuntimeConfig, device: torch.device, threads: int) -> Candidate:
    """Precision and layout as asked for; what is "auto" is measured, bf16 only where the hardware has it."""
    precisions: tuple[str, ...] = (config.precision,)
    if config.precision == "auto":
        precisions = PRECISIONS if has_bf16(device) else ("fp32",)
    layouts: tuple[str, ...] = LAYOUTS if config.layout == "auto" else (config.layout,)
    if len(precisions) == len(layouts) == 1:
        return precisions[0], layouts[0]
    seconds = measure(device, threads, synchronise, tuple(product(precisions, layouts)))
    return choose(seconds, precisions, layouts)


def keep_freed_memory() -> bool:
    """Let the C library keep freed memory for the next allocation, where it is glibc.

    By default it maps every large block anew and gives it back when it is freed. Activations are such blocks, and the
    kernel then hands out each of their pages again, zeroed, at every step of every attack.

    Returns:
        Whether it was done. It holds for the whole process and cannot be undone.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    return all(mallopt(option, value) for option, value in GLIBC_KEEPS.items())


def synchronise(device: torch.device) -> None:
    """Wait until the device has finished; a CPU always has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def exact_fp32(compute: Compute) -> Compute:
    """The same device in full precision, as every reported accuracy is measured."""
    return replace(compute, precision="fp32")


def make_generator(device: torch.device, seed: int) -> torch.Generator:
    """A fresh generator on a device; random draws for tensors of that device need one of the same kind."""
    return torch.Generator(device).manual_seed(seed)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out, on any device."""
    signs = ("can't allocate memory", "out of memory", "ALLOC_FAILED")
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(sign in str(error) for sign in signs)


def _pick_device(name: str, world: World) -> torch.device:
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not world.is_single:
        return _own_device(name, world)
    if not torch.cuda.is_available():
        raise DeviceError(f"device {name} was asked for, but torch sees no CUDA device here; use --device cpu or auto")
    index = 0 if name in {"auto", "cuda"} else int(name.removeprefix("cuda:"))
    if index >= torch.cuda.device_count():
        last = torch.cuda.device_count() - 1
        raise DeviceError(f"device {name} was asked for, but the last one here is cuda:{last}; use cuda:{last} or cpu")
    return torch.device("cuda", index)


def _own_device(name: str, world: World) -> torch.device:
    """The accelerator of one process of several on a machine."""
    count = torch.cuda.device_count()
    if name not in {"auto", "cuda"}:
        raise DeviceError(
            f"device {name} cannot serve {world.size} processes; use --device cuda, which gives each its own"
        )
    if world.local_size > count:
        raise DeviceError(
            f"{world.local_size} processes of this machine need an accelerator each, and torch sees {count}; start "
            f"{max(1, count)} (torchrun --nproc-per-node), or give --device cpu"
        )
    return torch.device("cuda", world.local_rank)


def collective_backend() -> str:
    """What carries messages between processes: gloo, and NCCL between accelerators."""
    has_nccl = torch.cuda.is_available() and torch.distributed.is_nccl_available()
    return "cpu:gloo,cuda:nccl" if has_nccl else "gloo"


def has_bf16(device: torch.device) -> bool:
    """Whether the hardware computes in bf16, rather than emulating it."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    flags = torch.cpu.get_capabilities()
    return bool(flags.get("avx512_bf16") or flags.get("amx_bf16") or flags.get("amx_tile"))


class Captured:
    """A pass captured as a CUDA graph; what it returns stands until the next call.

    It reads weights where they lay when it was captured, so updates in place are seen. The work runs a few times on the
    given inputs first, and must not read from the device.

    Args:
        work: tensors to one tensor, with nothing else to show for it.
        inputs: on the device; their shapes, types and layouts are those of every later call.
    """

    def __init__(self, work: Callable[..., Tensor], inputs: tuple[Tensor, ...]) -> None:
        self._held = tuple(tensor.detach().clone() for tensor in inputs)
        with torch.cuda.device(self._held[0].device):
            self._graph = torch.cuda.CUDAGraph()
            beside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            beside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(beside):
                for _ in range(WARM_UPS):
                    work(*self._held)
            torch.cuda.current_stream().wait_stream(beside)
            with torch.cuda.graph(self._graph):
                self._result = work(*self._held)

    def __call__(self, *inputs: Tensor) -> Tensor:
        """Replay the pass on other values of the same shapes."""
        for held, given in zip(self._held, inputs, strict=True):
            held.copy_(given)
        self._graph.replay()
        return self._result


def torch_build() -> str:
    """What this torch is built for, for a person."""
    return f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built for CPUs alone"


def accelerators() -> list[str]:
    """What each accelerator here is, for a person; empty where torch sees none."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    found = [torch.cuda.get_device_properties(index) for index in range(count)]
    return [
        f"cuda:{index} ({each.name}, {each.total_memory / 2**30:.0f} GiB, capability {each.major}.{each.minor})"
        for index, each in enumerate(found)
    ]


def initialised_accelerators() -> range:
    """Numbers of the accelerators whose random generators this process has begun to use; asking begins nothing."""
    return range(torch.cuda.device_count() if torch.cuda.is_initialized() else 0)  # type: ignore[no-untyped-call]


def default_states(device: torch.device) -> tuple[Tensor, ...]:
    """States of torch's own generators that layers such as dropout draw from on a device."""
    on_cpu = torch.get_rng_state()
    return (on_cpu, torch.cuda.get_rng_state(device)) if device.type == "cuda" else (on_cpu,)


def require_accelerator() -> torch.device:
    """The accelerator that runs take by default.

    Raises:
        DeviceError: torch sees none.
    """
    if torch.cuda.is_available():
        return torch.device("cuda", 0)
    if torch.version.cuda is None:
        raise DeviceError(
            f"torch sees no CUDA device, because torch {torch.__version__} is built for CPUs alone; install a CUDA "
            "build of it (pytorch.org/get-started)"
        )
    raise DeviceError(
        f"torch sees no CUDA device here; install NVIDIA's driver for CUDA {torch.version.cuda}, or use a machine "
        "that has a GPU (nvidia-smi lists what the driver sees)"
    )


@contextmanager
def waits_refused(device: torch.device) -> Iterator[None]:
    """Raise a RuntimeError wherever the processor would wait for the accelerator meanwhile; on a CPU nothing waits."""
    if device.type != "cuda":
        yield
        return
    before = torch.cuda.get_sync_debug_mode()
    _set_sync_debug_mode("error")
    try:
        yield
    finally:
        _set_sync_debug_mode(before)


def _set_sync_debug_mode(mode: int | str) -> None:
    with warnings.catch_warnings():  # torch warns that it does not find every wait
        warnings.simplefilter("ignore")
        torch.cuda.set_sync_debug_mode(mode)


def free_bytes(device: torch.device) -> int:
    """Memory that is free on a device."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)


def most_memory_bytes(device: torch.device) -> int | None:
    """Most memory of an accelerator that tensors took at once since `forget_most_memory`; None of a CPU."""
    return int(torch.cuda.max_memory_allocated(device)) if device.type == "cuda" else None


def forget_most_memory(device: torch.device) -> None:
    """Begin to watch an accelerator's memory anew."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
