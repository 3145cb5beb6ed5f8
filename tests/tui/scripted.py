"""A scripted engine: plays a plausible CLAF run without torch. `python -m tests.tui.scripted [seconds] [ending]`."""

import json
import math
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from claf_engine import events as ev
from claf_engine.events.control import Control
from claf_engine.runs.examples import write_examples
from tests.tui.scripted_examples import clean_examples, probed_examples

PHASES = (
    ev.PhasePlan("contrastive", "1 · supervised contrastive", 20, 400),
    ev.PhasePlan("adversarial", "2 · adversarial features", 30, 900),
    ev.PhasePlan("linear_evaluation", "3 · linear evaluation", 10, 200),
)
EPSILONS = ("8/255", "16/255")


def run_started(directory: Path, **changes: object) -> ev.RunStarted:
    started = ev.RunStarted(
        run=directory.name,
        directory=str(directory),
        method="claf",
        data="shapes",
        class_names=("disc", "ring", "square"),
        num_train=4000,
        num_validation=500,
        num_test=1000,
        device="cpu",
        precision="fp32",
        threads=1,
        num_parameters=175_258,
        seed=0,
        phases=PHASES,
        config={"probe": {"every_epochs": 5}},
    )
    return replace(started, **changes)  # type: ignore[arg-type]


def robust_figure(epsilon: str, accuracy: float, steps: int = 10) -> ev.RobustFigure:
    return ev.RobustFigure(epsilon, accuracy, "pgd", steps, "2/255", 1, 256)


def write_checkpoint(
    directory: Path,
    step: int,
    phase: str = "adversarial",
    epoch: int = 3,
    natural: float = 0.9,
    extra: Mapping[str, object] | None = None,
) -> Path:
    folder = directory / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"step-{step:09d}.safetensors"
    random_values = np.random.default_rng(step)
    tensors = {
        f"encoder.stage{stage}.conv{conv}.weight": random_values.normal(0, 0.1, (8 * stage, 8, 3, 3)).astype(np.float32)
        for stage in (1, 2, 3)
        for conv in (1, 2)
    }
    tensors["classifier.weight"] = random_values.normal(0, 0.3, (10, 64)).astype(np.float32)
    tensors["classifier.bias"] = np.zeros(10, np.float32)
    metadata = {
        "claf.run": directory.name,
        "claf.step": step,
        "claf.phase": phase,
        "claf.epoch": epoch,
        "claf.metrics": {"validation_natural": natural, "validation_robust": natural - 0.3},
        "claf.classifier": "attack",
        "claf.weights_sha256": "0" * 64,
        **(extra or {}),
    }
    save_file(tensors, path, {"claf.format": "1", **{key: json.dumps(value) for key, value in metadata.items()}})
    return path


@dataclass
class Script:
    """What the played run does; `delay` is the time of one step, and from `holds_at` on it waits for a stop."""

    directory: Path
    delay: float = 0.0
    startup: float = 0.0
    steps_per_epoch: int = 4
    fail_at: int | None = None
    holds_at: int | None = None
    step: int = 0
    elapsed: float = 0.0
    noise: random.Random = field(default_factory=lambda: random.Random(0))

    def __call__(self, control: Control) -> Iterator[ev.Event]:
        time.sleep(self.startup)
        yield run_started(self.directory)
        yield ev.Notice("warning", "only 1 thread is used: the console keeps one core for itself")
        total = sum(plan.epochs for plan in PHASES)
        done = 0
        for index, plan in enumerate(PHASES):
            yield ev.PhaseStarted(index, plan.name, 0)
            for epoch in range(1, plan.epochs + 1):
                yield from self._epoch(control, index, plan, epoch, done / total)
                if control.stop_requested:
                    yield ev.ControlChanged(self.step, "stopping")
                    yield from self._save(index, ("last", "requested"))
                    saved = self.directory / "checkpoints" / f"step-{self.step:09d}.safetensors"
                    yield ev.RunFinished("stopped", self.step, self.elapsed, checkpoint=str(saved))
                    return
                done += 1
        yield self._finished()

    def _epoch(self, control: Control, index: int, plan: ev.PhasePlan, epoch: int, share: float) -> Iterator[ev.Event]:
        for part in range(self.steps_per_epoch):
            self.step += plan.steps // plan.epochs // self.steps_per_epoch or 1
            if self.fail_at is not None and self.step >= self.fail_at:
                raise RuntimeError("the loss of step 1 is [/b] \x1b]0;owned\x07 not finite")
            time.sleep(self.delay)
            self.elapsed += 7.5
            yield from self._steered(control, index, epoch)
            while self.holds_at is not None and self.step >= self.holds_at and not control.stop_requested:
                time.sleep(0.01)
                yield from self._steered(control, index, epoch)
            if control.stop_requested:
                return
            name = "classifier" if index == 2 or (index == 1 and part % 2 == 0) else "supcon"
            loss = (1.5 if name == "classifier" else 4.2) * math.exp(-self.step / 700) + 0.6 + self.noise.random() * 0.3
            yield ev.StepLogged(
                self.step, index, epoch, part and "retrain" or "encoder", name, loss, 0.1, 812.0, self.elapsed
            )
            yield self._progressed(index, plan, epoch, part, share)
        if index == 1:
            yield ev.ClassifierRetrained(self.step, epoch, 0.25 + epoch * 0.008, 0.42 + epoch * 0.011, 512)
            yield ev.DissociationMeasured(self.step, epoch, 0.5, 0.5 - 0.2 / epoch, 0.2 / epoch, 512)
        yield ev.EpochFinished(self.step, index, epoch, 30.0, 2.0)
        if epoch % 5 == 0:
            yield self._probe(index, epoch)
            yield from self._save(index, ("last", "best") if epoch % 10 == 0 else ("last",))

    def _steered(self, control: Control, index: int, epoch: int) -> Iterator[ev.Event]:
        if control.status == "pausing":
            yield ev.ControlChanged(self.step, "paused")
        waited = control.wait_while_paused()
        if waited:
            yield ev.ControlChanged(self.step, "resumed", waited)
        requests = control.take_requests()
        for edit in requests.edits:
            yield ev.ValueEdited(self.step, edit.name, 0.1, edit.value, edit.who, edit.at)
        if requests.probe:
            yield replace(self._probe(index, epoch), requested=True)
        if requests.checkpoint:
            yield from self._save(index, ("requested",))

    def _probe(self, index: int, epoch: int) -> ev.ProbeFinished:
        natural = 0.95 - 0.6 * math.exp(-self.step / 400)
        hardness = (0.45, 0.7) if index == 0 else (0.3, 0.5)
        robust = tuple(robust_figure(e, natural * (1 - h)) for e, h in zip(EPSILONS, hardness, strict=True))
        clean, strength = clean_examples(), 1 - 0.75 * min(1.0, self.step / 1400)
        self.directory.mkdir(parents=True, exist_ok=True)
        write_examples(self.directory, clean, probed_examples(clean, self.step, strength, epoch))
        return ev.ProbeFinished(self.step, index, epoch, "attack", natural, robust, 2.5)

    def _save(self, index: int, kept_as: tuple[str, ...]) -> Iterator[ev.Event]:
        path = write_checkpoint(self.directory, self.step, PHASES[index].title)
        yield ev.CheckpointSaved(self.step, index, str(path), path.stat().st_size, kept_as, 0.1)

    def _progressed(self, index: int, plan: ev.PhasePlan, epoch: int, part: int, share: float) -> ev.Progressed:
        activity = ("training the encoder", f"retrain {part}/5 · PGD-5 at 8/255", "fitting the classifier")[index]
        inside = (part + 1) / self.steps_per_epoch
        phase_share = (epoch - 1 + inside) / plan.epochs
        run_share = share + inside / sum(item.epochs for item in PHASES)
        return ev.Progressed(
            phase=index,
            epoch=epoch,
            epochs=plan.epochs,
            activity=activity,
            activity_fraction=inside,
            phase_fraction=phase_share,
            run_fraction=run_share,
            elapsed=self.elapsed,
            phase_elapsed=phase_share * plan.epochs * 30,
            phase_remaining=(1 - phase_share) * plan.epochs * 30,
            run_remaining=self.elapsed / run_share - self.elapsed,
            images_per_second=812.0,
            memory_bytes=1_288_490_188,
            step=self.step,
        )

    def _finished(self) -> ev.RunFinished:
        results = tuple(
            ev.TestResult(
                checkpoint,
                classifier,
                natural,
                (robust_figure("8/255", natural - 0.3), robust_figure("16/255", 0.41)),
                best,
            )
            for checkpoint, classifier, natural, best in (
                ("best", "natural", 0.931, True),
                ("best", "adversarial", 0.902, False),
                ("last", "natural", 0.925, False),
                ("last", "adversarial", 0.911, False),
            )
        )
        return ev.RunFinished("finished", self.step, self.elapsed, results, "validation robust accuracy at 8/255")


def main() -> int:
    """Play a run in the real terminal."""
    from claf_tui.console.launch import run_console
    from claf_tui.console.train_app import TrainingApp

    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    fail_at = 300 if "fail" in sys.argv else None
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "20261124-demo-1a2b"
        script = Script(directory, delay=seconds / 240, startup=2.0, fail_at=fail_at)
        result = run_console(TrainingApp, script, Control(), log_path=Path(folder) / "console.log")
    return result.return_code


if __name__ == "__main__":
    sys.exit(main())
