"""What is here: Python, libraries, processor, accelerators, memory and the folder of runs. Computes nothing."""

import os
import platform
import shutil
import sys
from pathlib import Path

import psutil

from claf_engine.runs import runs_root
from claf_engine.selftest.findings import Row
from claf_engine.selftest.libraries import library_rows
from claf_engine.terms.installation import install_line
from claf_engine.terms.names import Verdict

LEAST_PYTHON, TRIED_PYTHON = (3, 11), (3, 14)
"""The oldest Python that works, and the newest that was tried."""
LEAST_MEMORY, LITTLE_MEMORY = 1 << 30, 4 << 30
"""Free memory below which a small run hardly fits, and below which a ResNet-18 of full width does not."""
LEAST_DISK = 1 << 30


def look_around(root: Path | None = None) -> tuple[Row, ...]:
    """A row for everything that training depends on; a torch that is missing or broken is one of them.

    Args:
        root: the folder of runs; by default where runs are kept.
    """
    of_torch = rows_of_torch()
    told = {row.name for row in of_torch if row.verdict != "passes"}
    of_libraries = (row for row in library_rows() if row.name not in told)
    return (python_row(), system_row(), memory_row(), disk_row(root or runs_root()), *of_torch, *of_libraries)


def python_row() -> Row:
    """The interpreter."""
    found, tried = sys.version_info[:2], f"{_dotted(LEAST_PYTHON)} to {_dotted(TRIED_PYTHON)}"
    verdict: Verdict = "fails" if found < LEAST_PYTHON else "warns" if found > TRIED_PYTHON else "passes"
    advice = "" if verdict == "passes" else f"claf-tui was tried on Python {tried}; use one of these"
    return Row("python", "Python", platform.python_implementation(), verdict, platform.python_version(), advice)


def system_row() -> Row:
    """The operating system, and whether anybody has tried claf-tui on it."""
    system, libc = platform.system(), " ".join(platform.libc_ver())
    result = f"{system} {platform.machine()}"
    if system == "Linux":
        return Row("system", "system", result, "passes", libc or "not glibc", values={"libc": libc})
    advice = "claf-tui is tried on Linux alone; elsewhere train on the CPU, and compare with the figures of docs/"
    return Row("system", "system", result, "warns", "never tried", advice)


def rows_of_torch() -> tuple[Row, ...]:
    """What is asked of torch, or why it cannot be asked."""
    try:
        from claf_engine.selftest.torch_here import torch_rows
    except (ImportError, OSError) as error:  # OSError: a library that it is linked with is missing
        return (Row("torch", "torch", "cannot be imported", "fails", str(error), install_line()),)
    return torch_rows()


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


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
