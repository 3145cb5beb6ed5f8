"""How much memory does a step of stage 2 take as it is, recomputing, and in micro-batches, and what does that cost?

One step of the encoder, attack included, over one batch of random images; every way has a process of its own, which
has done nothing but a tiny step before. Memory is what the step adds to that at its peak: resident memory on a CPU,
what the allocator handed out on an accelerator. It holds weights, gradients and momenta as well, which no way saves.
Ratios are over the way of whole batches: `memory_W` what part of its memory way W takes, `time_W` how many times its
seconds.
"""

import argparse
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import psutil

from benchmarks.common import Measured, Side, alternate, parser, show, write
from benchmarks.epochs import Stage2, settle, stage2_config
from benchmarks.scaling import peak_resident_bytes
from claf_engine.compute.device import most_memory_bytes
from claf_engine.config import RuntimeConfig

WHOLE, RECOMPUTED = "whole batch", "recompute"
WARM_UP_BATCH, WARM_UP_WIDTH = 2, 2


@dataclass(frozen=True)
class Task:
    """A step: images of its batch, channels of the first stage, attack steps, and where and how it computes."""

    batch: int
    width: int
    steps: int
    runtime: RuntimeConfig


@dataclass(frozen=True)
class Figures:
    """Of one way: median seconds of a step, and the bytes that it adds at its peak."""

    seconds: float
    added_bytes: int


def main(argv: Sequence[str] | None = None) -> None:
    """Measure every way in turn, print the table and write the JSON file."""
    wanted = _arguments(argv)
    runtime = settle(wanted.device, wanted.precision)
    ways: dict[str, dict[str, Any]] = {WHOLE: {}, RECOMPUTED: {"recompute": True}}
    ways |= {f"micro-batch {size}": {"micro_batch": size} for size in wanted.micro_batch}
    sides = [
        Side(way, prepare, (Task(wanted.batch, wanted.width, wanted.steps, runtime.model_copy(update=settings)),))
        for way, settings in ways.items()
    ]
    found = {side.name: _figures(side) for side in alternate(sides, wanted.repeats, wanted.device)}
    title = (
        f"A step of stage 2: {wanted.batch} images, three views of each, width {wanted.width}, {wanted.steps} attack "
        f"steps, {runtime.precision}"
    )
    columns = ("way", "MiB that it adds", "of whole batch", "seconds", "times whole batch")
    show(title, columns, _rows(found), wanted.device)
    whole = found[WHOLE]
    ratios = {f"memory_{way}": each.added_bytes / whole.added_bytes for way, each in found.items()}
    ratios |= {f"time_{way}": each.seconds / whole.seconds for way, each in found.items()}
    write(wanted.json, {"title": title, "ratios": ratios}, wanted.device)


def prepare(task: Task) -> Callable[[], tuple[float, int]]:
    """A step again and again; the work gives its seconds and the bytes that it has added at most."""
    _stage2(Task(WARM_UP_BATCH, WARM_UP_WIDTH, 1, task.runtime), WARM_UP_BATCH).encoder_steps()
    before = psutil.Process().memory_info().rss
    stage = _stage2(task, task.batch)

    def work() -> tuple[float, int]:
        seconds = stage.encoder_steps()["encoder"]
        most = most_memory_bytes(stage.session.compute.device)
        return seconds, peak_resident_bytes() - before if most is None else most

    return work


def _stage2(task: Task, num_images: int) -> Stage2:
    config = stage2_config(
        task.runtime, task.batch, model={"width": task.width}, attack={"steps": task.steps}, probe={"num_examples": 1}
    )
    return Stage2(config, num_images)


def _figures(side: Measured) -> Figures:
    return Figures(statistics.median(told[0] for told in side.returned), int(side.returned[-1][1]))


def _rows(found: dict[str, Figures]) -> list[tuple[str, ...]]:
    whole = found[WHOLE]
    return [
        (
            way,
            f"{each.added_bytes / 2**20:,.0f}",
            f"{100 * each.added_bytes / whole.added_bytes:.0f} %",
            f"{each.seconds:.2f}",
            f"{each.seconds / whole.seconds:.2f}",
        )
        for way, each in found.items()
    ]


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    flags = parser(__doc__)
    flags.add_argument("--batch", type=int, default=256, help="images of the step (default %(default)s)")
    flags.add_argument("--width", type=int, default=64, help="channels of the first stage (default %(default)s)")
    flags.add_argument("--steps", type=int, default=10, help="attack steps (default %(default)s)")
    flags.add_argument(
        "--micro-batch", type=int, nargs="+", default=[128, 32], help="images at a time (default 128 and 32)"
    )
    flags.add_argument("--precision", choices=("auto", "bf16", "fp32"), default="fp32", help="of training")
    return flags.parse_args(argv)


if __name__ == "__main__":
    main()
