"""What candidates keep of more held-out images than a probe sees: `python -m results.held_out AT=RUN RUN...`.

By a probe's thousand images no two candidates can be told apart that differ by three points. Here those images are
joined by training images that no run was trained on, and candidates are compared as pairs with the first one. No test
image is opened. The records are kept in `held_out.json`, so that the ranking can be checked without the runs.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from claf_engine.accuracy.intervals import wilson
from claf_engine.accuracy.measure import accuracy_steps
from claf_engine.accuracy.pairs import compare
from claf_engine.accuracy.suite import suite_of
from claf_engine.compute.device import choose_compute, exact_fp32
from claf_engine.config import DataConfig
from claf_engine.data import Split, dataset_steps
from claf_engine.evaluation.subject import load_network
from claf_engine.events.ticks import exhaust
from claf_engine.runs import find_checkpoint, read_config
from claf_engine.terms.errors import DataError
from claf_engine.training.methods import units_per_image
from claf_engine.training.selection import survivor_steps
from results.choose import SEARCH
from results.evidence import signed

RECORDS = Path(__file__).parent / "held_out.json"
NUMBER = 5000
STRONGER_STEPS = 20


@dataclass(frozen=True)
class HeldOut:
    """What the last checkpoint of a run keeps; shares in [0, 1].

    Attributes:
        name: of the candidate, or the method that it is compared with.
        units: forward-units that it spent on each training image.
        natural: without an attack.
        robust: under the probe's attack at its first radius.
        stronger: what also survives crossing steps on the margin; the figure of the choice.
        survivors: which images those are, a character of "01" each.
    """

    name: str
    units: float
    natural: float
    robust: float
    stronger: float
    survivors: str


def held_out(config: DataConfig, number: int) -> Split:
    """Images that a run was not trained on: its validation images, then more training images in the order of the split.

    Args:
        config: the run's images.
        number: how many, more than its validation images.

    Raises:
        DataError: its validation images are no training images, or there are not so many left.
    """
    if config.num_train is None:
        raise DataError(f"{config.source} was trained on to the last image; none is held out but the validation images")
    end = number + config.num_train
    wider = config.model_copy(update={"num_validation": end, "num_train": 1, "at_most": False})
    drawn, own = (exhaust(dataset_steps(each, torch.device("cpu"))) for each in (wider, config))
    count, between = len(own.validation), len(own.validation) + len(own.train)
    images = _pixels(drawn.validation)
    if not torch.equal(images[:between], torch.cat([_pixels(own.validation), _pixels(own.train)])):
        raise DataError(f"{config.source} validates on images of its own, so that no training image is held out")
    kept = torch.cat([torch.arange(count), torch.arange(between, end)])
    return replace(drawn.validation, images=images[kept], labels=drawn.validation.labels[kept])


def measured(name: str, run: Path, split: Split) -> HeldOut:
    """Attack the last checkpoint of a run as its own choice among checkpoints does, on these images.

    Raises:
        RunError: the run, or its checkpoint, cannot be read.
    """
    config = read_config(run)
    network = load_network(find_checkpoint(str(run), run.parent, "last"))
    compute = exact_fp32(choose_compute(config.runtime))
    suite = suite_of(config.probe.model_copy(update={"num_examples": len(split)}), config.model)
    suite = replace(suite, epsilons=suite.epsilons[:1])
    told = exhaust(accuracy_steps(network.eval(), split, suite, compute))
    survivors = exhaust(survivor_steps(network, split, suite, told.outcomes, STRONGER_STEPS, compute))
    assert survivors is not None, "the first radius is attacked"
    return HeldOut(
        name,
        units_per_image(config),
        told.natural,
        told.robust[0].accuracy,
        int(survivors.sum()) / len(split),
        "".join("01"[int(each)] for each in survivors),
    )


def as_table(records: Sequence[HeldOut]) -> str:
    """The ranking as Markdown; the differences are paired, to the first record."""
    lines = [
        "| candidate | units | natural | PGD at 8/255 | stronger attack at 8/255 (95 %) | difference, paired [95 %] |",
        "|---|---:|---:|---:|---|---:|",
    ]
    base = _bits(records[0]) if records else None
    for each in sorted(records, key=lambda record: (-record.stronger, record.name)):
        count = len(each.survivors)
        low, high = wilson(round(each.stronger * count), count)
        told = "–"
        if base is not None and each.name != records[0].name:
            pair = compare([_bits(each)], [base])
            mark = "≈ " if pair.is_noise else ""
            told = f"{mark}{signed(pair.difference)} [{signed(pair.low)}, {signed(pair.high)}]"
        figures = f"{100 * each.natural:.1f} | {100 * each.robust:.1f} | {100 * each.stronger:.1f}"
        lines.append(f"| {each.name} | {each.units:.0f} | {figures} ({100 * low:.1f} to {100 * high:.1f}) | {told} |")
    return "\n".join([*lines, ""])


def _pixels(split: Split) -> Tensor:
    return split.images[torch.arange(len(split))]


def _bits(record: HeldOut) -> Tensor:
    return torch.tensor([each == "1" for each in record.survivors])


def main() -> None:
    """Measure what is not measured yet, keep the records, and print the ranking."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("runs", nargs="+", help="folders of runs, each as RUN or NAME=RUN; the first is compared with")
    parser.add_argument("--images", type=int, default=NUMBER, help=f"how many (default {NUMBER:,})")
    parser.add_argument("--records", type=Path, default=RECORDS, help="where the records are kept")
    arguments = parser.parse_args()
    known = read_records(arguments.records)
    split: Split | None = None
    for text in arguments.runs:
        label, _, path = text.rpartition("=")
        run = Path(path)
        match = SEARCH.fullmatch(run.name)
        name = label or (match["name"] if match else run.name)
        if name in known:
            continue
        split = split or held_out(read_config(run).images, arguments.images)
        known[name] = measured(name, run, split)
        told = json.dumps([asdict(each) for each in known.values()], indent=1)
        arguments.records.write_text(told + "\n", encoding="utf-8")
    sys.stdout.write(as_table(tuple(known.values())))


def read_records(path: Path) -> dict[str, HeldOut]:
    """What was measured, by name, in its order."""
    told = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    return {record["name"]: HeldOut(**record) for record in told}


if __name__ == "__main__":
    main()
