"""Which recipe is best on validation images: `python -m results.choose RUNS`.

A search trains candidates for a short while (folders `*-search-NAME` below RUNS) and compares them here. Nothing but
the settings of a run and its probes, which are of validation images, is opened: what its test evaluation said cannot
move a choice. The records are kept in `search.json`, so that the ranking can be checked without the runs.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from claf_engine.accuracy.intervals import wilson
from claf_engine.runs import read_config
from claf_engine.runs.folder import flat_settings, to_plain
from claf_engine.runs.journal import METRICS, read_records
from claf_engine.training.methods import units_per_image

SEARCH = re.compile(r"\d{8}-\d{6}-search-(?P<name>.+)")
RECORDS = Path(__file__).parent / "search.json"
APART = ("seed", "runtime.", "data.source", "probe.", "evaluation.", "checkpoint.")
"""Settings that candidates are not told apart by."""


@dataclass(frozen=True)
class Candidate:
    """One candidate as its last probe found it; shares in [0, 1] of `num_examples` validation images.

    Attributes:
        name: of the run, without date.
        changes: settings in which it differs from the first candidate, by dotted key.
        units: forward-units that it spent on each training image.
        natural: without an attack.
        robust: under the probe's attack, at each of its radii.
        selection: what also survives the stronger attack at the first radius; the figure of the choice.
    """

    name: str
    changes: Mapping[str, Any]
    units: float
    seed: int
    epoch: int
    natural: float
    robust: Mapping[str, float]
    selection: float
    num_examples: int


def read_candidates(root: Path) -> list[Candidate]:
    """The candidates below a folder of runs that have been probed after their last epoch, the best first.

    Raises:
        RunError: a run's settings cannot be read.
    """
    found = [(match["name"], path) for path in sorted(root.iterdir()) if (match := SEARCH.fullmatch(path.name))]
    plain = {name: dict(flat_settings(to_plain(read_config(path)))) for name, path in found}
    first = next(iter(plain.values()), {})
    candidates = []
    for name, path in found:
        changes = {key: value for key, value in plain[name].items() if value != first.get(key) and _counts(key)}
        candidates += list(_candidates_of(name, path, changes))
    return sorted(candidates, key=lambda each: (-each.selection, each.name))


def _counts(key: str) -> bool:
    return not key.startswith(APART)


def _candidates_of(name: str, path: Path, changes: Mapping[str, Any]) -> Iterator[Candidate]:
    """The candidate that a run is, or nothing while it trains."""
    config = read_config(path)
    probes = [record for record in read_records(path / METRICS) if record["type"] == "ProbeFinished"]
    if not probes or probes[-1]["epoch"] < config.supervised.epochs:
        return
    last = probes[-1]
    yield Candidate(
        name=name,
        changes=changes,
        units=units_per_image(config),
        seed=config.seed,
        epoch=last["epoch"],
        natural=last["natural"],
        robust={figure["epsilon"]: figure["accuracy"] for figure in last["robust"]},
        selection=last["selection"],
        num_examples=last["robust"][0]["num_examples"],
    )


def as_table(candidates: Sequence[Candidate]) -> str:
    """The ranking as Markdown, with Wilson's interval of the figure that decides."""
    lines = [
        "| candidate | units | natural | PGD at 8/255 | stronger attack at 8/255 (95 %) | differs in |",
        "|---|---:|---:|---:|---|---|",
    ]
    for each in candidates:
        low, high = wilson(round(each.selection * each.num_examples), each.num_examples)
        interval = f"{100 * each.selection:.1f} ({100 * low:.1f} to {100 * high:.1f})"
        robust = f"{100 * each.robust['8/255']:.1f}"
        changes = ", ".join(f"{key} = {value}" for key, value in each.changes.items()) or "–"
        lines.append(
            f"| {each.name} | {each.units:.0f} | {100 * each.natural:.1f} | {robust} | {interval} | {changes} |"
        )
    return "\n".join([*lines, ""])


def main() -> None:
    """Read the candidates of a folder, keep their records beside those that are there, and print the ranking."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("runs", type=Path, help="folder of the runs")
    parser.add_argument("--records", type=Path, default=RECORDS, help="where the records are kept")
    arguments = parser.parse_args()
    candidates = read_candidates(arguments.runs)
    arguments.records.write_text(json.dumps([asdict(each) for each in candidates], indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(as_table(candidates))


if __name__ == "__main__":
    main()
