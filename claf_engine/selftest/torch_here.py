"""What torch is here: its build, the processor and the accelerators that it sees, and the torchvision beside it."""

import os
import platform
import re
import shutil
from pathlib import Path

import torch

from claf_engine.compute.cores import usable_cores
from claf_engine.compute.device import accelerators, has_bf16, require_accelerator, torch_build
from claf_engine.selftest.findings import Row
from claf_engine.selftest.places import CPU
from claf_engine.terms.errors import DeviceError
from claf_engine.terms.installation import install_line
from claf_engine.terms.names import Verdict

LEAST_TORCH = (2, 11)


def torch_rows() -> tuple[Row, ...]:
    """A row for everything that is asked of torch."""
    return (torch_row(), torchvision_row(), processor_row(), accelerator_row(), bf16_row())


def torch_row() -> Row:
    """Torch and what it is built for."""
    found = tuple(int(part) for part in re.findall(r"\d+", torch.__version__)[:2])
    is_new = found >= LEAST_TORCH
    advice = "" if is_new else install_line()
    return Row("torch", "torch", torch_build(), "passes" if is_new else "fails", str(torch.__version__), advice)


def torchvision_row() -> Row:
    """Whether torchvision fits this torch; one of another build installs, and then cannot be imported."""
    try:
        import torchvision
    except Exception as error:  # noqa: BLE001 - its extension fails with whatever torch raises
        advice = (
            f"torchvision must be built for torch {torch.__version__}: install both by the one line that "
            "pytorch.org/get-started gives; without it all works but CIFAR-10, and data sets and models of "
            "torchvision"
        )
        return Row("torchvision", "torchvision", "cannot be imported", "warns", str(error), advice)
    return Row(
        "torchvision",
        "torchvision",
        "for CIFAR-10, and for data sets and models of its own",
        "passes",
        str(torchvision.__version__),
    )


def processor_row() -> Row:
    """The processor, and how much of it this process may use; runs take all of that."""
    usable, cores, capability = usable_cores(), os.cpu_count() or 1, torch.backends.cpu.get_cpu_capability()
    figure = f"{usable} of {cores} cores, {capability}"
    values = {"cores": cores, "usable": usable, "capability": capability}
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
