"""What is here: Python, libraries, processor, accelerators, memory and the folder of runs. Computes nothing."""

import importlib.metadata
import os
import platform
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import torch

from claf_engine.compute.device import accelerators, has_bf16, require_accelerator, torch_build, usable_cores
from claf_engine.runs import runs_root
from claf_engine.selftest.findings import Row
from claf_engine.selftest.places import CPU
from claf_engine.terms.errors import DeviceError
from claf_engine.terms.names import Verdict

LEAST_PYTHON, LEAST_TORCH = (3, 11), (2, 9)
LEAST_MEMORY, LITTLE_MEMORY = 1 << 30, 4 << 30
"""Free memory below which a small run hardly fits, and below which a ResNet-18 of full width does not."""
LEAST_DISK = 1 << 30
OPTIONAL: dict[str, tuple[str, str]] = {
    "torchvision": ("reads CIFAR-10", "pip install torchvision"),
    "textual": ("the live console", "pip install textual"),
    "pyautoattack": ("claf-tui eval --attack autoattack", "pip install 'claf-tui[audit]'"),
}
"""Libraries that a part of claf-tui needs: which part, and how to get them."""


def look_around(root: Path | None = None) -> tuple[Row, ...]:
    """A row for everything that training depends on.

    Args:
        root: the folder of runs; by default where runs are kept.
    """
    looks: tuple[Callable[[], Row], ...] = (python_row, torch_row, processor_row, accelerator_row, bf16_row, memory_row)
    return (*(look() for look in looks), disk_row(root or runs_root()), *map(library_row, OPTIONAL))


def python_row() -> Row:
    """The interpreter."""
    is_new = sys.version_info >= LEAST_PYTHON
    return Row(
        "python",
        "Python",
        f"{platform.python_implementation()} on {platform.system()} {platform.machine()}",
        "passes" if is_new else "fails",
        platform.python_version(),
        "" if is_new else "install Python 3.11 or newer",
    )


def torch_row() -> Row:
    """Torch and what it is built for."""
    found = tuple(int(part) for part in re.findall(r"\d+", torch.__version__)[:2])
    is_new = found >= LEAST_TORCH
    advice = "" if is_new else "pip install --upgrade torch torchvision"
    return Row("torch", "torch", torch_build(), "passes" if is_new else "fails", str(torch.__version__), advice)


def processor_row() -> Row:
    """The processor, and how much of it this process may use; runs take all of that."""
    usable, cores = usable_cores(), os.cpu_count() or 1
    figure, values = f"{usable} of {cores} cores", {"cores": cores, "usable": usable}
    return Row("processor", "processor", processor_name(), "passes", figure, values=values)


def accelerator_row() -> Row:
    """The accelerators that torch sees; none is no fault, unless there is a driver for one."""
    found = accelerators()
    if found:
        return Row("accelerator", "accelerator", "torch sees it", "passes", ", ".join(found), values={"names": found})
    advice = why_not_seen() if has_driver() else ""
    verdict: Verdict = "warns" if advice else "passes"
    return Row("accelerator", "accelerator", "training runs on the CPU", verdict, "none", advice, {"names": found})


def bf16_row() -> Row:
    """Whether bf16 is in the hardware."""
    is_here = has_bf16(CPU)
    has = torch.cpu.get_capabilities().items()
    flags = [name for name, is_on in has if is_on and ("bf16" in name or name.startswith("amx"))]
    text = "in the processor" if is_here else "not in the processor: training on the CPU is in fp32"
    return Row(
        "bf16", "bf16 on the CPU", text, "passes", ", ".join(flags) if is_here else "no", values={"cpu": is_here}
    )


def memory_row() -> Row:
    """Memory of the machine."""
    memory = psutil.virtual_memory()
    verdict: Verdict = (
        "fails" if memory.available < LEAST_MEMORY else "warns" if memory.available < LITTLE_MEMORY else "passes"
    )
    advice = "" if verdict == "passes" else "lower batch_size or model.width, or close other programs"
    figure = f"{memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB free"
    values = {"available": memory.available, "total": memory.total}
    return Row("memory", "memory", "of the machine", verdict, figure, advice, values)


def disk_row(root: Path) -> Row:
    """The folder that runs are written to, or the nearest folder above it that exists."""
    folder = next(place for place in (root, *root.parents) if place.exists())
    if not os.access(folder, os.W_OK):
        return Row("runs", "folder of runs", str(root), "fails", "not writable", "set CLAF_RUNS_DIR to another folder")
    free = shutil.disk_usage(folder).free
    advice = "" if free >= LEAST_DISK else "free some space, or set CLAF_RUNS_DIR to another disk"
    figure = f"{free / 2**30:.1f} GiB free"
    return Row("runs", "folder of runs", str(root), "warns" if advice else "passes", figure, advice, {"free": free})


def library_row(name: str) -> Row:
    """An optional library."""
    purpose, advice = OPTIONAL[name]
    try:
        return Row(name, name, purpose, "passes", importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Row(name, name, purpose, "warns", "not installed", advice)


def has_driver() -> bool:
    """Whether there is a driver for an accelerator of NVIDIA's."""
    return shutil.which("nvidia-smi") is not None or Path("/proc/driver/nvidia").exists()


def why_not_seen() -> str:
    """Why torch sees no accelerator, and what to do; empty where it sees one."""
    try:
        require_accelerator()
    except DeviceError as error:
        return str(error)
    return ""


def processor_name() -> str:
    """What the processor calls itself."""
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text().splitlines() if listing.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())
