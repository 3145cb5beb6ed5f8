"""Which arithmetic this process computes with: equal names give equal sums to the last bit."""

import os
from pathlib import Path

import torch

PROCESSOR = ("vendor_id", "cpu family", "model", "stepping")
KERNEL_VARIABLES = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "MKL_CBWR", "MKL_ENABLE_INSTRUCTIONS")


def processor() -> str:
    """The processor and the kernels that are used on it, by name; empty where the system does not tell."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    told: dict[str, str] = {}
    for line in lines:
        key, _, value = line.partition(":")
        told.setdefault(key.strip(), value.strip())
    chosen = [f"{name}={os.environ[name]}" for name in KERNEL_VARIABLES if name in os.environ]
    return " ".join([*(told.get(key, "?") for key in PROCESSOR), torch.backends.cpu.get_cpu_capability(), *chosen])
