"""Question 8: how do time and memory of a stage-2 epoch grow with images, batch, attack steps and width?

One of the four is varied and the others stand still, at the second value of their lists; every point has a process of
its own. Time is that of one epoch with a single sweep of retraining; per image-step it is divided by the images and by
the attack steps that each of them takes. Memory is what the epoch adds to the process at its peak: resident memory on a
CPU, allocated memory on a GPU; what libraries take once, a tiny epoch beforehand has them take. The exponent is the
slope of the logarithms: 1 is linear, 0 is no growth. Along attack steps it is that of the time that steps add.
"""

import argparse
import math
import resource
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import psutil
import torch

from benchmarks.common import Measured, Side, alternate, parser, show, write
from benchmarks.epochs import Stage2, settle, stage2_config
from claf_engine.config import RuntimeConfig

BLOCKS = (1, 1, 1, 1)
POINTS = {
    "images": (128, 256, 512, 1024),
    "batch": (16, 32, 64, 128),
    "steps": (2, 4, 8, 16),
    "width": (8, 16, 32, 64),
}
EXPECTED = {"images": ("1", "0"), "batch": ("0", "1"), "steps": ("1", "0"), "width": ("1 to 2", "1 to 2")}
"""Exponents of time and of memory: activations grow with the width, weights and arithmetic with its square."""


@dataclass(frozen=True)
class Point:
    """What one process measures: training images, images of a batch, attack steps, channels of the first stage."""

    images: int
    batch: int
    steps: int
    width: int


WARM_UP = Point(images=2, batch=2, steps=1, width=2)


@dataclass(frozen=True)
class Figures:
    """What was measured at one point, whose varied number is `value`; seconds are of one epoch, memory is in bytes."""

    value: int
    seconds: float
    seconds_per_image_step: float | None
    peak_bytes: int
    added_bytes: int


def main(argv: Sequence[str] | None = None) -> None:
    """Measure every axis in turn, print one table of points and one of exponents, and write the JSON file."""
    wanted = _arguments(argv)
    lists: dict[str, list[int]] = {axis: getattr(wanted, axis) for axis in POINTS}
    runtime = settle(wanted.device, wanted.precision)
    found = {axis: measure(axis, lists, runtime, wanted) for axis, values in lists.items() if len(values) > 1}
    exponents = {axis: exponents_of(points) for axis, points in found.items()}
    _show_points(found, base_of(lists), wanted.device)
    _show_exponents(exponents, wanted.device)
    figures = {
        "settings": {
            **asdict(base_of(lists)),
            "blocks": BLOCKS,
            "precision": runtime.precision,
            "repeats": wanted.repeats,
        },
        "exponents": exponents,
        "points": {axis: [asdict(point) for point in points] for axis, points in found.items()},
    }
    write(wanted.json, figures, wanted.device)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    flags = parser(__doc__)
    for axis, values in POINTS.items():
        text = " ".join(map(str, values))
        flags.add_argument(
            f"--{axis}",
            type=int,
            nargs="+",
            default=list(values),
            help=f"values in rising order; a single one stands still (default {text})",
        )
    flags.add_argument("--precision", choices=("auto", "bf16", "fp32"), default="auto", help="of training")
    return flags.parse_args(argv)


def base_of(lists: Mapping[str, Sequence[int]]) -> Point:
    """What stands still while another number is varied."""
    return Point(**{axis: values[min(1, len(values) - 1)] for axis, values in lists.items()})


def measure(
    axis: str, lists: Mapping[str, Sequence[int]], runtime: RuntimeConfig, wanted: argparse.Namespace
) -> list[Figures]:
    """The figures along one axis; attack steps begin with none at all."""
    values = [0, *lists[axis]] if axis == "steps" else list(lists[axis])
    points = [replace(base_of(lists), **{axis: value}) for value in values]
    sides = [Side(str(value), prepare, (point, runtime)) for value, point in zip(values, points, strict=True)]
    measured = alternate(sides, wanted.repeats, wanted.device)
    return [_figures(value, point, side) for value, point, side in zip(values, points, measured, strict=True)]


def prepare(point: Point, runtime: RuntimeConfig) -> Callable[[], tuple[float, int, int]]:
    """Epochs at one point; the work gives the seconds of one, peak memory so far, and memory before the first."""
    on_gpu = runtime.device != "cpu"
    _stage2(WARM_UP, runtime).epoch()
    before = 0 if on_gpu else psutil.Process().memory_info().rss
    stage = _stage2(point, runtime)

    def work() -> tuple[float, int, int]:
        seconds = sum(stage.epoch().values())
        return seconds, torch.cuda.max_memory_allocated() if on_gpu else peak_resident_bytes(), before

    return work


def _stage2(point: Point, runtime: RuntimeConfig) -> Stage2:
    config = stage2_config(
        runtime,
        point.batch,
        model={"width": point.width, "blocks": BLOCKS},
        adversarial={"classifier_epochs": 1},
        attack={"steps": point.steps},
    )
    return Stage2(config, point.images)


def peak_resident_bytes() -> int:
    """The most memory that this process has had resident."""
    status = Path("/proc/self/status")
    if status.exists():  # elsewhere getrusage tells it; on Linux that one begins with the peak of the parent process
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def exponents_of(points: Sequence[Figures]) -> dict[str, float | None]:
    """Exponents of time and of memory along an axis; the time of a point without steps is taken off the others."""
    growing = [point for point in points if point.value]
    idle = sum(point.seconds for point in points if not point.value)
    values = [point.value for point in growing]
    return {
        "time": exponent(values, [point.seconds - idle for point in growing]),
        "memory": exponent(values, [point.added_bytes for point in growing]),
    }


def exponent(values: Sequence[float], results: Sequence[float]) -> float | None:
    """The power of the values that results grow with, by least squares; None where a result is not positive."""
    if min(results) <= 0:
        return None
    logarithms = [math.log(value) for value in values], [math.log(result) for result in results]
    return statistics.linear_regression(*logarithms).slope


def _figures(value: int, point: Point, side: Measured) -> Figures:
    seconds = statistics.median(told[0] for told in side.returned)
    taken = point.images * 2 * point.steps  # each image is attacked in the retraining's sweep and in the encoder's
    _, peak, before = side.returned[-1]
    return Figures(value, seconds, seconds / taken if taken else None, peak, peak - before)


def _show_points(found: Mapping[str, Sequence[Figures]], base: Point, device: str) -> None:
    rows = [
        (
            f"{axis} {point.value}",
            f"{point.seconds:.3f}",
            "" if point.seconds_per_image_step is None else f"{1e6 * point.seconds_per_image_step:.1f}",
            f"{point.peak_bytes / 2**20:,.0f}",
            f"{point.added_bytes / 2**20:,.0f}",
        )
        for axis, points in found.items()
        for point in points
    ]
    columns = ("point", "seconds", "us per image-step", "MiB at peak", "of these, the epoch's")
    still = f"{base.images} images, batch {base.batch}, {base.steps} steps, width {base.width}"
    show(f"A stage-2 epoch with one sweep; what is not varied: {still}", columns, rows, device)


def _show_exponents(exponents: Mapping[str, Mapping[str, float | None]], device: str) -> None:
    rows = [
        (axis, _number(found["time"]), EXPECTED[axis][0], _number(found["memory"]), EXPECTED[axis][1])
        for axis, found in exponents.items()
    ]
    columns = ("axis", "time grows with power", "expected", "memory grows with power", "expected")
    show("Exponents: 1 is linear, 0 is no growth", columns, rows, device)


def _number(value: float | None) -> str:
    return "not positive" if value is None else f"{value:.2f}"


if __name__ == "__main__":
    main()
