"""A scripted reproduction without torch. `python -m tests.tui.scripted_reproduction [seconds] [released-code]`."""

import math
import random
import sys
import tempfile
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from claf_engine import events as ev
from claf_engine.events.control import Control
from claf_engine.terms.errors import DeviceError
from tests.tui.scripted import robust_figure, run_started

COLUMNS = ("8/255", "16/255")
PAPER = (
    ("Natural", "natural", 0.955, (0.0, 0.0)),
    ("SCL", "scl", 0.926, (0.183, 0.091)),
    ("AT", "at", 0.848, (0.447, 0.259)),
    ("TRADES", "trades", 0.837, (0.514, 0.343)),
    ("RoCL-AT", "rocl", 0.802, (0.407, 0.228)),
    ("CLAF (ours)", "claf", 0.924, (0.604, 0.483)),
)
OURS = (
    (0.941, (0.003, 0.0)),
    (0.902, (0.154, 0.061)),
    (0.829, (0.438, 0.262)),
    (0.812, (0.493, 0.331)),
    (0.781, (0.391, 0.207)),
    (0.903, (0.517, 0.352)),
)
SECONDS = (300.0, 640.0, 1500.0, 1830.0, 2400.0, 2750.0)
LOSSES = {"natural": "cross_entropy", "scl": "supcon", "at": "cross_entropy", "trades": "trades", "rocl": "nt_xent"}
PLANS = {
    "scl": (ev.PhasePlan("contrastive", "1 · supervised contrastive", 20, 400),),
    "rocl": (
        ev.PhasePlan("instance", "1 · instance-wise adversarial", 20, 400),
        ev.PhasePlan("fine_tuning", "2 · adversarial fine-tuning", 10, 200),
    ),
    "claf": (
        ev.PhasePlan("contrastive", "1 · supervised contrastive", 10, 200),
        ev.PhasePlan("adversarial", "2 · adversarial features", 15, 300),
        ev.PhasePlan("linear_evaluation", "3 · linear evaluation", 5, 100),
    ),
}
ONE_PHASE = (ev.PhasePlan("training", "1 · training", 20, 400),)


def waiting_rows() -> tuple[ev.ReproductionRow, ...]:
    nothing = (None,) * len(COLUMNS)
    return tuple(
        ev.ReproductionRow(label, method, (), "waiting", None, nothing, None, natural, robust, seconds)
        for (label, method, natural, robust), seconds in zip(PAPER, SECONDS, strict=True)
    )


def table(
    rows: tuple[ev.ReproductionRow, ...], current: int | None = None, **changes: object
) -> ev.ReproductionChanged:
    told = ev.ReproductionChanged(
        "table1", "Clean and robust accuracy on CIFAR-10", "small", "pixel", COLUMNS, rows, current, "/tmp/table1"
    )
    return replace(told, **changes)  # type: ignore[arg-type]


@dataclass
class Reproduction:
    """What is played; `delay` is the time of one step, `fails` the rows whose runs fail, `reuses` those found."""

    directory: Path
    delay: float = 0.0
    fails: frozenset[int] = frozenset({4})
    reuses: frozenset[int] = frozenset({0})
    error: Exception | None = None
    changes: dict[str, object] = field(default_factory=dict)
    rows: tuple[ev.ReproductionRow, ...] = field(default_factory=waiting_rows)
    noise: random.Random = field(default_factory=lambda: random.Random(0))

    def __call__(self, control: Control) -> Iterator[ev.Event]:
        yield from self._outside(control, "timing a few steps of each method")
        yield self._told(None)
        for index in range(len(self.rows)):
            yield from self._row(control, index)
            if control.stop_requested:
                return
            if self.error is not None and index == 2:
                raise self.error
        yield self._told(None)

    def _row(self, control: Control, index: int) -> Iterator[ev.Event]:
        natural, robust = OURS[index]
        name = f"20261124-{self.rows[index].method}-{index}a2b"
        if index in self.reuses:
            self._set(index, status="reused", natural=natural, robust=robust, runs=(name,), seconds=0.0)
            yield self._told(index)
            return
        self._set(index, status="running", runs=(name,), seconds=0.0)
        yield self._told(index)
        yield from self._outside(control, "reading the images")
        status = yield from self._run(control, index, name)
        if status == "failed":
            reason = "the loss is NaN at step 240; lower the learning rate with --set optimizer.learning_rate=0.05"
            self._set(index, status="failed", reason=reason, seconds=SECONDS[index] / 2)
        elif status == "finished":
            self._set(index, status="evaluating", seconds=SECONDS[index])
            yield self._told(index)
            yield from self._outside(control, f"PGD-10 at {COLUMNS[0]}, test images")
            self._set(index, status="finished", natural=natural, robust=robust, seconds=SECONDS[index] * 1.05)
        yield self._told(index)

    def _run(self, control: Control, index: int, name: str) -> Generator[ev.Event, None, str]:
        method = self.rows[index].method
        plans = PLANS.get(method, ONE_PHASE)
        directory = self.directory / name
        directory.mkdir(parents=True, exist_ok=True)
        yield run_started(directory, method=method, phases=plans, num_parameters=11_173_962)
        total, step = sum(plan.epochs for plan in plans), 0
        for number, plan in enumerate(plans):
            yield ev.PhaseStarted(number, plan.name, 0)
            for epoch in range(1, plan.epochs + 1):
                for part in range(4):
                    step += 5
                    time.sleep(self.delay)
                    yield from self._pause(control, step)
                    share = (step / 5 - 1) / (4 * total)
                    elapsed = SECONDS[index] * share
                    if index in self.fails and step >= 240:
                        yield ev.RunFinished("failed", step, elapsed, reason="the loss is NaN at step 240")
                        return "failed"
                    if control.stop_requested:
                        yield ev.ControlChanged(step, "stopping")
                        yield ev.RunFinished("stopped", step, elapsed, checkpoint="last")
                        return "stopped"
                    loss = 2.5 * math.exp(-step / 150) + 0.4 + self.noise.random() * 0.2
                    loss_name = LOSSES.get(method, "supcon") if plan.name != "linear_evaluation" else "classifier"
                    yield ev.StepLogged(step, number, epoch, "train", loss_name, loss, 0.1, 812.0, elapsed)
                    yield self._progressed(index, number, epoch, plan, (part + 1) / 4, share, step)
                if epoch % 5 == 0:
                    yield self._probe(index, step, number, epoch, share)
        yield ev.RunFinished("finished", step, SECONDS[index])
        return "finished"

    def _pause(self, control: Control, step: int) -> Iterator[ev.Event]:
        if control.status == "pausing":
            yield ev.ControlChanged(step, "paused")
        waited = control.wait_while_paused()
        if waited:
            yield ev.ControlChanged(step, "resumed", waited)

    def _outside(self, control: Control, activity: str) -> Iterator[ev.Event]:
        for part in range(8):
            time.sleep(self.delay)
            control.wait_while_paused()
            yield ev.Progressed.of_activity(activity, part / 8)

    def _progressed(
        self, index: int, number: int, epoch: int, plan: ev.PhasePlan, inside: float, share: float, step: int
    ) -> ev.Progressed:
        phase_share = (epoch - 1 + inside) / plan.epochs
        total = SECONDS[index]
        elapsed = total * share
        part = total * plan.steps / sum(item.steps for item in PLANS.get(self.rows[index].method, ONE_PHASE))
        return ev.Progressed(
            number, epoch, plan.epochs, f"epoch {epoch} · training", inside, phase_share, share, elapsed,
            phase_share * part, (1 - phase_share) * part, total - elapsed, 812.0, 1_288_490_188, step,
        )  # fmt: skip

    def _probe(self, index: int, step: int, phase: int, epoch: int, share: float) -> ev.ProbeFinished:
        natural, robust = OURS[index]
        grown = 1 - 0.6 * math.exp(-4 * share)
        figures = tuple(robust_figure(name, value * grown) for name, value in zip(COLUMNS, robust, strict=True))
        return ev.ProbeFinished(step, phase, epoch, "natural", natural * grown, figures, 2.0)

    def _set(self, index: int, **changes: object) -> None:
        row = replace(self.rows[index], **changes)  # type: ignore[arg-type]
        self.rows = (*self.rows[:index], row, *self.rows[index + 1 :])

    def _told(self, current: int | None) -> ev.ReproductionChanged:
        directory = str(self.directory / "20261124-table1-small-pixel")
        return table(self.rows, current, directory=directory, **self.changes)


def main() -> int:
    """Play a reproduction in the real terminal."""
    from claf_tui.console.launch import run_console, tell_failure
    from claf_tui.console.reproduce_app import ReproductionApp

    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    changes: dict[str, object] = {"space": "released-code"} if "released-code" in sys.argv else {}
    error = DeviceError("the GPU ran out of memory at batch size 256; lower it with --set data.batch_size=128")
    with tempfile.TemporaryDirectory() as folder:
        script = Reproduction(Path(folder), delay=seconds / 500, changes=changes)
        script.error = error if "raise" in sys.argv else None
        log_path = Path(folder) / "console.log"
        result = run_console(ReproductionApp, script, Control(), log_path=log_path)
        tell_failure(result, log_path)
    return result.return_code


if __name__ == "__main__":
    sys.exit(main())
