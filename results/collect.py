"""Copy what `docs/results.md` is made of from a folder of runs: `python -m results.collect RUNS`.

Small files without paths of this machine: finished tables, the settings and cards of finished runs, robustness curves
(`RUNS/curves/RUN.json`, as `claf-tui eval RUN --eps 0:16/255:2/255 --json` prints them), how CLAF's classifiers fared,
what was measured of them image by image, and what runs need to go on elsewhere that are not finished, or not measured
in a table yet. `--restore` puts the latter two back into a folder of runs.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import tomli_w

from claf_engine.evaluation.cards import CARDS, FOLDER, find_card
from claf_engine.reproduce.measuring import MEASUREMENTS
from claf_engine.reproduce.plan import REPRODUCTIONS
from claf_engine.reproduce.scales import resolve_recipe
from claf_engine.runs import read_config
from claf_engine.runs.folder import ENDED, to_plain
from claf_engine.runs.foreign import CARD_CAP, read_object
from claf_engine.runs.journal import METRICS, read_records
from claf_engine.runs.listing import summarise
from claf_engine.terms.errors import ClafError, RunError
from claf_engine.terms.names import RecipeName
from claf_engine.training.methods import units_per_image
from results.choose import SEARCH
from results.cleaning import cleaned
from results.unfinished import keep, restore

RESULTS = Path(__file__).parent
UNFINISHED, RELATED = "unfinished", "related"
LOST = ("diverged",)
"""Statuses of runs that nobody goes on with as they are."""
FILLED = ("finished", "reused")
OUTCOMES = ("right", "survivors")
CURVE_KEYS = ("run", "method", "classifier", "checkpoint", "weights_sha256", "num_examples", "robust", "curve")


def collect(root: Path, results: Path) -> list[str]:
    """Bring the evidence up to date with a folder of runs; what other folders gave stays.

    Args:
        root: folder of the runs.
        results: where the evidence is kept.

    Returns:
        A line for each thing that was taken.

    Raises:
        ClafError: there is no such folder, or a file of a run or a table cannot be read.
    """
    if not root.is_dir():
        raise RunError(f"there is no folder of runs at {root}; name the one that holds them")
    told = [f"table {name}" for name in _take_tables(root / REPRODUCTIONS, results)]
    for path in sorted(root.glob("curves/*.json")):
        record = read_object(path, CARD_CAP)
        _write(results / "curves" / path.name, {key: record[key] for key in CURVE_KEYS if key in record})
        told.append(f"curve {path.stem}")
    told += _take_measurements(root / REPRODUCTIONS / MEASUREMENTS, results / MEASUREMENTS)
    measured = set(_measured(results))
    for path in sorted(root.glob("*/config.toml")):
        if not SEARCH.fullmatch(path.parent.name):
            told += _take_run(path.parent, results, path.parent.name in measured)
    units = {recipe: round(units_per_image(resolve_recipe("paper", recipe)), 1) for recipe in get_args(RecipeName)}
    _write(results / "paper_units.json", units)
    return told


def _take_measurements(measurements: Path, kept: Path) -> Iterator[str]:
    """Keep which images every measured network gets right: without them no later row can be compared as pairs."""
    files = sorted(measurements.glob("*.json"))
    for path in files:
        record = read_object(path, CARD_CAP)
        outcomes = {key: record[key] for key in OUTCOMES if key in record}  # text whose slashes part no folders
        _write(kept / path.name, {**cleaned(record), **outcomes}, is_clean=True)
    if files:
        yield f"measurements: {len(files)}"


def _measured(results: Path) -> Iterator[str]:
    """The runs of finished rows, which nothing needs to go on with."""
    for path in (*results.glob("tables/*/reproduction.json"), *results.glob(f"{RELATED}/*/reproduction.json")):
        for row in read_object(path, CARD_CAP)["rows"]:
            if row["status"] in FILLED:
                yield from (seed["run"] for seed in row["runs"])


def _take_run(run: Path, results: Path, is_measured: bool) -> Iterator[str]:
    """What the page needs of one run, and what the run needs to go on, or to be measured."""
    status = summarise(run).status
    if is_measured:
        shutil.rmtree(results / UNFINISHED / run.name, ignore_errors=True)
    elif status not in LOST and keep(run, results / UNFINISHED):
        yield f"unfinished {run.name}"
    if status not in ENDED:
        return
    settings = results / "configs" / f"{run.name}.toml"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(tomli_w.dumps(cleaned(to_plain(read_config(run)))), encoding="utf-8")
    for card in _cards(run):
        name = f"{run.name}-{card['classifier']}-{card['weights_sha256'][:8]}"
        _write(results / "cards" / f"{name}.json", card)
    if record := dissociation_of(run):
        _write(results / "dissociation" / f"{run.name}.json", record)
    yield f"run {run.name}"


def _cards(run: Path) -> Iterator[Mapping[str, Any]]:
    """The most telling card of every classifier of a run that has one."""
    known = [read_object(path, CARD_CAP) for path in sorted((run / FOLDER / CARDS).glob("*.json"))]
    for weights, classifier in sorted({(card["weights_sha256"], card["classifier"]) for card in known}):
        if (card := find_card(run, weights, classifier)) is not None:
            yield card


def dissociation_of(run: Path) -> dict[str, Any] | None:
    """How the attack classifier of a CLAF run fared, epoch by epoch; None of other runs.

    `retraining` has its accuracy on attacked images before and after it is retrained, `dissociation` after that and
    once more when the encoder has moved on; shares in [0, 1] of validation images.
    """
    records = list(read_records(run / METRICS))
    moved = [record for record in records if record["type"] == "DissociationMeasured"]
    retrained = [record for record in records if record["type"] == "ClassifierRetrained"]
    if not moved:
        return None
    config = read_config(run)
    return {
        "run": run.name,
        "space": config.attack.space,
        "classifier_epochs": config.adversarial.classifier_epochs,
        "classifier_start": config.adversarial.classifier_start,
        "num_examples": moved[-1]["num_examples"],
        "dissociation": [{key: record[key] for key in ("epoch", "fitted", "moved")} for record in moved],
        "retraining": [{key: record[key] for key in ("epoch", "before", "after")} for record in retrained],
    }


def _restored(results: Path, root: Path, source: str | None) -> Iterator[str]:
    """Put every kept run back that is not there, and say which images it looks for; and every measurement."""
    for file in sorted((results / MEASUREMENTS).glob("*.json")):
        there = root / REPRODUCTIONS / MEASUREMENTS / file.name
        there.parent.mkdir(parents=True, exist_ok=True)
        if not there.exists():
            shutil.copyfile(file, there)
    for kept in sorted(path.parent for path in (results / UNFINISHED).glob("[!.]*/config.toml")):
        if (root / kept.name).exists():
            yield f"{kept.name}: left alone, it is there already"
        else:
            images = read_config(restore(kept, root, source)).data.source
            yield f"{kept.name}: restored, trains on {images}"


def _take_tables(reproductions: Path, results: Path) -> Iterator[str]:
    """Copy the tables, that of related systems to a folder of its own; of several of one name that with the most rows
    filled, then the latest; tells their names.
    """
    found: dict[str, tuple[int, float, dict[str, Any]]] = {}
    for path in sorted(reproductions.glob("*/reproduction.json")):
        record = read_object(path, CARD_CAP)
        if "pairs" not in record:
            yield f"{path.parent.name} left out: earlier code made it, without intervals; reproduce it again"
            continue
        filled = sum(row["status"] in FILLED for row in record["rows"])
        name = f"{record['table']}-{record['scale']}-{record['space']}"
        best = found.get(name)
        if best is None or (filled, path.stat().st_mtime) > best[:2]:
            found[name] = filled, path.stat().st_mtime, record
    for name, (_, _, record) in found.items():
        folder = RELATED if record["table"] == RELATED else "tables"
        _write(results / folder / name / "reproduction.json", record)
        yield name


def _write(path: Path, record: Mapping[str, Any], *, is_clean: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    told = record if is_clean else cleaned(record)
    path.write_text(json.dumps(told, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def main() -> None:
    """Collect, or restore; a mistake ends as one sentence and exit code 1."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("runs", type=Path, help="folder of the runs")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the evidence is kept")
    parser.add_argument("--restore", action="store_true", help="put unfinished runs back into RUNS")
    parser.add_argument("--data", metavar="SOURCE", help="with --restore: where their images lie here")
    arguments = parser.parse_args()
    try:
        told = list(
            _restored(arguments.results, arguments.runs, arguments.data)
            if arguments.restore
            else collect(arguments.runs, arguments.results)
        )
    except (ClafError, OSError) as error:
        raise SystemExit(f"error: {error}") from error
    sys.stdout.write("\n".join([*told, f"{len(told)} in all"]) + "\n")


if __name__ == "__main__":
    main()
