"""How fast is the supervised contrastive loss, and how does its memory grow with the rows?

The loss and its gradient for unit projections of three views of each image, ten classes, against `SupConLoss` of
pytorch-metric-learning. Both sides start from the same raw projections, which ours normalises with torch and theirs by
itself, so that they compute the same function; losses and gradients are compared in every run. A ratio `time_N` is
their seconds over ours at N rows.

Memory is what one forward and backward pass takes on top of the projections in a process that has done nothing but a
small warm-up: on a CPU the greatest resident memory, on an accelerator what the allocator handed out. Rows where
theirs, extrapolated with the square of the rows, would go beyond a limit are left to ours alone. The ratio `memory_N`,
at the greatest N, is 1 GiB over what ours takes.
"""

import argparse
import math
import resource
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from pytorch_metric_learning.losses import SupConLoss
from torch import Tensor
from torch.nn.functional import normalize

from benchmarks.common import Measured, Side, Work, Worker, alternate, parser, show, write
from claf_engine.training.losses import supcon_loss

OURS, THEIRS = SIDES = ("ours", "pytorch-metric-learning")
ROWS = (768, 1536, 3072, 6144, 12288, 24576)
NUM_VIEWS, NUM_CLASSES, TEMPERATURE, SEED = 3, 10, 0.1, 5
MIB, GIB = 2**20, 2**30
WARM_UP_ROWS = 16 * NUM_VIEWS
COLUMNS = ("rows", "ours", "theirs", "ratio", "memory, ours", "memory, theirs")
LOSS_TOLERANCE, GRADIENT_TOLERANCE = 1e-4, 1e-3


@dataclass(frozen=True)
class Task:
    """What both sides compute; picklable, and both draw the same projections from it."""

    rows: int
    width: int
    device: str


@dataclass
class Findings:
    """What is known so far, by rows; `skipped` says why theirs is missing."""

    limit: float
    seconds: dict[int, dict[str, Measured]] = field(default_factory=dict)
    memory: dict[int, dict[str, int]] = field(default_factory=dict)
    skipped: dict[int, str] = field(default_factory=dict)

    def reason_to_skip(self, rows: int) -> str | None:
        """Why theirs is not run at so many rows: its memory in the largest run so far, grown with the square."""
        known = max((seen for seen, memory in self.memory.items() if THEIRS in memory), default=None)
        if known is None:
            return None
        expected = self.memory[known][THEIRS] * (rows / known) ** 2
        if expected <= self.limit:
            return None
        return f"would take about {expected / GIB:.1f} GiB, more than the limit of {self.limit / GIB:g} GiB"


def main(argv: Sequence[str] | None = None) -> None:
    """Compare, print the table and write the JSON file."""
    arguments = _arguments(argv)
    found = Findings(arguments.limit * GIB)
    for rows in sorted(arguments.rows):
        _measure(Task(rows, arguments.width, arguments.device), arguments.repeats, found)
    reasons = [f"; {rows:,} rows of theirs {reason}" for rows, reason in found.skipped.items()]
    title = "".join(["Supervised contrastive loss, forward and backward", *reasons])
    show(title, COLUMNS, _table(found), arguments.device)
    write(arguments.json, figures(found), arguments.device)


def prepare(side: str, task: Task) -> Work:
    """One forward and backward pass; returns the loss and the norm of the gradient."""
    projections, labels = draw(task)

    def work() -> tuple[float, float]:
        loss, gradient = differentiate(side, projections, labels)
        return loss.item(), gradient.norm().item()

    return work


def prepare_memory(side: str, task: Task) -> Work:
    """One forward and backward pass after a small one; returns the bytes that it took at most."""
    differentiate(side, *draw(replace(task, rows=WARM_UP_ROWS)))
    projections, labels = draw(task)

    def work() -> int:
        before = _restart_peak(task.device)
        differentiate(side, projections, labels)
        return max(0, _peak_bytes(task.device) - before)

    return work


def draw(task: Task) -> tuple[Tensor, Tensor]:
    """Raw projections (B, 3, P) and labels (B,)."""
    generator = torch.Generator().manual_seed(SEED)
    num_images = task.rows // NUM_VIEWS
    projections = torch.randn((num_images, NUM_VIEWS, task.width), generator=generator)
    labels = torch.randint(NUM_CLASSES, (num_images,), generator=generator)
    return projections.to(task.device).requires_grad_(True), labels.to(task.device)


def differentiate(side: str, projections: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The loss, 0-d, and its gradient (B, 3, P)."""
    if side == OURS:
        loss = supcon_loss(normalize(projections, dim=2), labels, TEMPERATURE)
    else:
        loss = SupConLoss(TEMPERATURE)(projections.flatten(0, 1), labels.repeat_interleave(NUM_VIEWS))
    (gradient,) = torch.autograd.grad(loss, projections)
    return loss.detach(), gradient


def figures(found: Findings) -> dict[str, Any]:
    """For the JSON file."""
    largest = max(found.memory)
    ratios = {f"time_{rows}": _ratio(seconds) for rows, seconds in found.seconds.items() if THEIRS in seconds}
    return {
        "ratios": ratios | {f"memory_{largest}": GIB / max(1, found.memory[largest][OURS])},
        "memory_bytes": found.memory,
        "seconds": {
            rows: {name: measured.plain() for name, measured in seconds.items()}
            for rows, seconds in found.seconds.items()
        },
        "skipped": found.skipped,
    }


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--rows", type=int, nargs="+", default=ROWS, help="multiples of 3 (default 768 to 24576)")
    made.add_argument("--width", type=int, default=128, help="length of a projection (default 128)")
    made.add_argument("--limit", type=float, default=8, help="GiB that theirs may take (default 8)")
    arguments = made.parse_args(argv)
    if any(rows < 2 * NUM_VIEWS or rows % NUM_VIEWS for rows in arguments.rows):
        made.error("--rows must be multiples of 3, at least 6")
    return arguments


def _measure(task: Task, repeats: int, found: Findings) -> None:
    reason = found.reason_to_skip(task.rows)
    if reason is not None:
        found.skipped[task.rows] = reason
    sides = (OURS,) if reason is not None else SIDES
    found.memory[task.rows] = {side: _memory_of(side, task) for side in sides}
    measured = alternate([Side(side, prepare, (side, task)) for side in sides], repeats, task.device)
    found.seconds[task.rows] = {one.name: one for one in measured}
    if reason is None:
        _require_same(*(one.returned[0] for one in measured))


def _memory_of(side: str, task: Task) -> int:
    with Worker(Side(side, prepare_memory, (side, task)), task.device) as worker:
        return int(worker.repeat()[1])


def _require_same(ours: tuple[float, float], theirs: tuple[float, float]) -> None:
    """Raise RuntimeError unless (loss, norm of the gradient) of both sides agree."""
    for what, tolerance, one, other in zip(
        ("loss", "gradient"), (LOSS_TOLERANCE, GRADIENT_TOLERANCE), ours, theirs, strict=True
    ):
        if not math.isclose(one, other, rel_tol=tolerance):
            raise RuntimeError(f"the sides do not compute the same {what}: {one} and {other}")


def _restart_peak(device: str) -> int:
    """Bytes in use now; the greatest use is counted from here on, where the system allows it."""
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device)
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _peak_bytes(device)


def _peak_bytes(device: str) -> int:
    if device != "cpu":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status")
    if status.exists():
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].removesuffix("kB")) * 1024
    # macOS counts in bytes, others in kibibytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _ratio(seconds: dict[str, Measured]) -> float:
    return seconds[THEIRS].median / seconds[OURS].median


def _table(found: Findings) -> list[list[str]]:
    table = []
    for rows, seconds in found.seconds.items():
        memory = found.memory[rows]
        theirs = ["skipped", "", f"{memory[OURS] / MIB:,.0f} MiB", "skipped"]
        if THEIRS in seconds:
            theirs = [
                f"{seconds[THEIRS].median:.4f} s",
                f"{_ratio(seconds):.1f}x",
                f"{memory[OURS] / MIB:,.0f} MiB",
                f"{memory[THEIRS] / MIB:,.0f} MiB",
            ]
        table.append([f"{rows:,}", f"{seconds[OURS].median:.4f} s", *theirs])
    return table


if __name__ == "__main__":
    main()
