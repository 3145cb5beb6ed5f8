"""What do the savings that change the method cost in accuracy, over several seeds?

Every variant is trained whole, as a process of its own, and measured on test images at the end, like any run. The base
is the preset cpu-small with the five sweeps of the paper; a variant is that with a few settings more.

    python -m benchmarks.variants --data folder:PATH --seeds 3 --jobs 2 --runs FOLDER --json FILE

Times are not compared here, because runs may share a device: `benchmarks.stage2` does that.
"""

import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.common import parser, show, write
from claf_engine.events import ClassifierRetrained, DissociationMeasured, RunFinished, TestResult
from claf_engine.runs.journal import read_events

BASE = ("adversarial.classifier_epochs=5",)
FRACTION = ("adversarial.classifier_fraction=0.25",)
WARM = ("attack.warm_start=true", "attack.steps=1")
VARIANTS: dict[str, tuple[str, ...]] = {
    "exact": (),
    "one sweep": ("adversarial.classifier_epochs=1",),
    "replay, crafted once": ("adversarial.classifier_refresh=replay", "adversarial.replay_passes=5"),
    "replay, crafted every 2nd sweep": ("adversarial.classifier_refresh=replay", "adversarial.replay_passes=2"),
    "a quarter of the batches": FRACTION,
    "a tenth of the batches": ("adversarial.classifier_fraction=0.1",),
    "one step": ("attack.steps=1",),
    "one step, warm start": WARM,
    "one step, warm start, a quarter": (*FRACTION, *WARM),
}


@dataclass(frozen=True)
class Outcome:
    """What one run gave; accuracies on test images and of the attack classifier lie in [0, 1].

    Attributes:
        robust: at each radius, in order.
        retrained: mean accuracy under attack of the retrained attack classifier, over the second half of the epochs.
        dissociation: mean of what it loses when the encoder moves on, likewise.
    """

    variant: str
    seed: int
    classifier: str
    natural: float
    robust: tuple[float, ...]
    retrained: float
    dissociation: float


def main(argv: Sequence[str] | None = None) -> None:
    """Train every variant with every seed, and show means and deviations."""
    flags = parser(__doc__)
    flags.add_argument("--data", default="shapes", help="source of images, as claf-tui train --data takes it")
    flags.add_argument("--preset", default="cpu-small")
    flags.add_argument("--seeds", type=int, default=3)
    flags.add_argument("--jobs", type=int, default=1, help="runs at the same time")
    flags.add_argument("--runs", type=Path, required=True, help="folder for the runs; finished ones are not repeated")
    flags.add_argument("--only", action="append", choices=list(VARIANTS), help="a variant; repeat it for several")
    flags.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="for every run")
    asked = flags.parse_args(argv)
    names = asked.only or list(VARIANTS)
    with ThreadPoolExecutor(asked.jobs) as pool:
        found = list(pool.map(lambda job: train(asked, *job), product(range(asked.seeds), names)))
    outcomes = [outcome for outcome in found if outcome is not None]
    report(names, outcomes, asked.device)
    write(asked.json, {"base": [asked.preset, *BASE, *asked.set], "runs": [asdict(item) for item in outcomes]})


def train(asked: Any, seed: int, name: str) -> Outcome | None:
    """Train one variant with one seed, unless it is there; None where the run failed, which standard error says."""
    run = f"{name.replace(' ', '-').replace(',', '')}-{seed}"
    settings = [*BASE, *VARIANTS[name], *asked.set]
    command = [sys.executable, "-m", "claf_tui", "train", "--preset", asked.preset, "--data", asked.data]
    command += ["--ui", "plain", "--seed", str(seed), "--device", asked.device, "--name", run]
    command += [part for setting in settings for part in ("--set", setting)]
    log = asked.runs / f"{run}.log"
    asked.runs.mkdir(parents=True, exist_ok=True)
    if not (log.exists() and outcome_in(asked.runs, run)):
        with log.open("w") as output:
            environment = {**os.environ, "CLAF_RUNS_DIR": str(asked.runs)}
            done = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, env=environment, check=False)
        if done.returncode:
            sys.stderr.write(f"{run} failed with {done.returncode}; see {log}\n")
            return None
    finished = outcome_in(asked.runs, run)
    return None if finished is None else summarise(name, seed, *finished)


def outcome_in(runs: Path, run: str) -> tuple[TestResult, list[Any]] | None:
    """The selected result of a finished run and all its events."""
    folders = sorted(runs.glob(f"*-{run}"))
    if not folders:
        return None
    events: list[Any] = read_events(folders[-1])
    results = [event.results for event in events if isinstance(event, RunFinished)]
    selected = [result for result in results[-1] if result.selected] if results else []
    return (selected[0], events) if selected else None


def summarise(name: str, seed: int, result: TestResult, events: list[Any]) -> Outcome:
    """The figures of one run."""
    return Outcome(
        variant=name,
        seed=seed,
        classifier=result.classifier,
        natural=result.natural,
        robust=tuple(figure.accuracy for figure in result.robust),
        retrained=_late_mean([event.after for event in events if isinstance(event, ClassifierRetrained)]),
        dissociation=_late_mean([event.dissociation for event in events if isinstance(event, DissociationMeasured)]),
    )


def report(names: Sequence[str], outcomes: Sequence[Outcome], device: str) -> None:
    """Show mean and deviation over the seeds of each variant, in percent."""
    rows = []
    for name in names:
        own = [outcome for outcome in outcomes if outcome.variant == name]
        if own:
            columns = [[item.natural for item in own], *zip(*(item.robust for item in own), strict=True)]
            columns += [[item.retrained for item in own], [item.dissociation for item in own]]
            rows.append((name, str(len(own)), *(_spread(column) for column in columns)))
    radii = [f"robust {number + 1}" for number in range(len(outcomes[0].robust))] if outcomes else []
    heads = ("variant", "seeds", "natural", *radii, "retrained", "dissociation")
    show("Accuracy of variants, mean ± deviation (%)", heads, rows, device)


def _spread(values: Sequence[float]) -> str:
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{100 * statistics.mean(values):.1f} ± {100 * deviation:.1f}"


def _late_mean(values: Sequence[float]) -> float:
    late = values[len(values) // 2 :]
    return statistics.mean(late) if late else 0.0


if __name__ == "__main__":
    main()
