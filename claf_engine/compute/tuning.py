"""Which precision and memory layout this device is fastest in, measured when a run begins.

The measurement is small and always the same, whatever network is trained: two convolutions of 64 channels, forward and
back to the images, the best of a few rounds in which the candidates take turns. The margins are wide, so that two runs
on one machine choose alike; what was chosen is shown, recorded, and taken over by a resumed run.
"""

import time
from collections.abc import Callable, Iterable
from functools import lru_cache

import torch
import torch.nn.functional as F

PRECISIONS = ("bf16", "fp32")
LAYOUTS = ("channels_last", "contiguous")
FORMATS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}

LEAST_GAIN = 1.2
"""How much faster bf16 must be than fp32 to be worth its rounding, and contiguous than channels_last to be taken."""

_ROUNDS = 4
_CHANNELS = 64
_CPU_SHAPE, _ACCELERATOR_SHAPE = (32, 16), (256, 32)
"""Images and their side: a few milliseconds of work on each kind of device."""

Candidate = tuple[str, str]
"""Precision and layout."""


def choose(seconds: dict[Candidate, float], precisions: Iterable[str], layouts: Iterable[str]) -> Candidate:
    """Precision and layout by what was measured.

    Args:
        seconds: of each candidate.
        precisions: those that may be chosen.
        layouts: likewise.
    """
    allowed, arranged = tuple(precisions), tuple(layouts)
    best = {precision: min(seconds[precision, layout] for layout in arranged) for precision in allowed}
    precision = allowed[0]
    if set(allowed) == set(PRECISIONS):
        precision = "bf16" if best["fp32"] >= LEAST_GAIN * best["bf16"] else "fp32"
    layout = arranged[0]
    if set(arranged) == set(LAYOUTS):
        is_slow = seconds[precision, "channels_last"] >= LEAST_GAIN * seconds[precision, "contiguous"]
        layout = "contiguous" if is_slow else "channels_last"
    return precision, layout


@lru_cache(maxsize=8)
def measure(
    device: torch.device,
    _threads: int,
    synchronise: Callable[[torch.device], None],
    candidates: tuple[Candidate, ...],
) -> dict[Candidate, float]:
    """Seconds of the reference work in each of the candidates; measured once a process.

    Args:
        device: where.
        _threads: of the processor, already set; another number is another measurement.
        synchronise: waits until the device has finished.
        candidates: those that may be chosen; bf16 that is emulated takes many times as long as all others.
    """
    works = {candidate: _work(device, *candidate) for candidate in candidates}
    best = dict.fromkeys(works, float("inf"))
    for number in range(1 + _ROUNDS):
        for candidate, work in works.items():
            synchronise(device)
            started = time.perf_counter()
            work()
            synchronise(device)
            if number:
                best[candidate] = min(best[candidate], time.perf_counter() - started)
    return best


def _work(device: torch.device, precision: str, layout: str) -> Callable[[], None]:
    count, side = _CPU_SHAPE if device.type == "cpu" else _ACCELERATOR_SHAPE
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    generator = torch.Generator().manual_seed(0)

    def laid(*shape: int) -> torch.Tensor:
        drawn = torch.randn(shape, generator=generator) / 8
        return drawn.to(device, dtype).contiguous(memory_format=FORMATS[layout])

    images, weight = laid(count, _CHANNELS, side, side).requires_grad_(True), laid(_CHANNELS, _CHANNELS, 3, 3)

    def work() -> None:
        hidden = F.relu(F.conv2d(images, weight, padding=1))
        torch.autograd.grad(F.relu(F.conv2d(hidden, weight, padding=1)).sum(), images)

    return work
