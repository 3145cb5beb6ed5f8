"""A run of two days without torch or files: 78,200 steps, two classifiers, values that are not finite, a late fall."""

import math
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

from claf_engine import events as ev
from claf_tui.state import RunState, reduce
from claf_tui.state.moment import Moment
from tests.tui.scripted import robust_figure, run_started

NOW = 1_800_000_000.0
"""A Friday morning in UTC."""
MOMENT = Moment("RUNNING", 3, 93_600.0, NOW)
STEPS_PER_EPOCH = 391
PHASES = (
    ev.PhasePlan("contrastive", "1 · supervised contrastive", 60, 60 * STEPS_PER_EPOCH),
    ev.PhasePlan("adversarial", "2 · adversarial features", 200, 200 * STEPS_PER_EPOCH),
    ev.PhasePlan("linear_evaluation", "3 · linear evaluation", 100, 100 * STEPS_PER_EPOCH),
    ev.PhasePlan("adversarial_linear_evaluation", "3 · adversarial linear eval", 1, STEPS_PER_EPOCH),
)
EPOCHS = (60, 140)
"""Taken so far, by phase."""
CLASS_NAMES = ("plane", "car", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def noise(number: float) -> float:
    """Between -1 and 1, the same everywhere."""
    return math.sin(12.9898 * number) * math.sin(78.233 * number + 1)


def two_days(directory: Path, name: str = "paper", worse_by: float = 0.0) -> Iterator[ev.Event]:
    """The events up to epoch 140 of stage 2."""
    yield replace(
        run_started(directory / f"20261127-080000-{name}", class_names=CLASS_NAMES, num_parameters=11_173_962),
        data="cifar10",
        device="cuda:0",
        precision="bf16",
        threads=8,
        phases=PHASES,
    )
    step, elapsed, best = 0, 0.0, 0.0
    for phase, num_epochs in enumerate(EPOCHS):
        yield ev.PhaseStarted(phase, PHASES[phase].name, 0)
        for epoch in range(1, num_epochs + 1):
            for _ in range(2):
                step += STEPS_PER_EPOCH // 2
                elapsed += 180.0 if phase == 0 else 260.0
                fall = 2.6 * math.exp(-step / 10_000) if phase == 0 else 4.4 * math.exp(-(step - 23_460) / 22_000)
                loss = math.nan if 62_000 < step < 64_500 else 2.3 + fall + 0.25 * noise(step) + worse_by
                rate = 0.1 * 0.5 * (1 + math.cos(math.pi * (epoch - 1) / num_epochs))
                yield ev.StepLogged(step, phase, epoch, "encoder", "supcon", loss, rate, 812.0, elapsed)
            step = STEPS_PER_EPOCH * (epoch + (EPOCHS[0] if phase else 0))
            if phase:
                before = 0.15 + 0.42 * (1 - math.exp(-epoch / 40)) + 0.01 * noise(epoch)
                yield ev.ClassifierRetrained(step, epoch, before, before + 0.07, 512)
                yield ev.DissociationMeasured(step, epoch, 0.5, 0.5 - 0.2 / epoch, 0.2 / epoch, 512)
            yield ev.EpochFinished(step, phase, epoch, 391.0, 2.0)
            if epoch % 5 == 0:
                robust = max(0.0, _robust(phase, epoch) - worse_by / 5)
                natural = 0.6 + 0.3 * (1 - math.exp(-step / 30_000))
                probed = (robust_figure("8/255", robust, 10), robust_figure("16/255", max(0.0, robust - 0.09), 10))
                yield ev.ProbeFinished(step, phase, epoch, "attack" if phase else "quick fit", natural, probed, 3.2)
                if phase and robust > best:
                    best = robust
                    yield ev.CheckpointSaved(step, phase, f"step-{step}", 44_700_000, ("last", "best"), 0.4)
            if phase == 1 and epoch == 70:
                yield ev.ValueEdited(step, "learning_rate", 0.1, 0.05)
            if phase == 1 and epoch == 125:
                yield ev.Alert(step, "robust-fall", "robust accuracy fell from 44.6% to 32.7%")
    yield ev.Progressed(
        phase=1,
        epoch=140,
        epochs=200,
        activity="PGD-10 at 8/255",
        activity_fraction=0.5,
        phase_fraction=0.7,
        run_fraction=0.55,
        elapsed=elapsed,
        phase_elapsed=72_800.0,
        phase_remaining=31_200.0,
        run_remaining=76_600.0,
        images_per_second=812.0,
        memory_bytes=945_000_000,
        step=step,
    )


def _robust(phase: int, epoch: int) -> float:
    if phase == 0:
        return 0.02 + 0.01 * noise(epoch)
    rise, fall = 0.2 * (1 - math.exp(-epoch / 30)), 0.15 / (1 + math.exp(-(epoch - 118) / 3))
    return 0.25 + rise - fall + 0.012 * noise(epoch)


@cache
def two_days_state(directory: Path = Path("runs"), name: str = "paper", worse_by: float = 0.0) -> RunState:
    """The same, folded."""
    state = RunState()
    for event in two_days(directory, name, worse_by):
        state = reduce(state, event)
    return state
