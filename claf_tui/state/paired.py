"""Runs compared image by image, where `claf-tui reproduce` kept which images each of them gets right."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

from claf_engine.events import RobustFigure
from claf_engine.events.records import build
from claf_engine.runs.foreign import CARD_CAP, read_object
from claf_engine.terms.errors import ForeignFileError
from claf_tui.state.compared_run import ComparedRun
from claf_tui.state.comparison import NATURAL, Difference, radius_key
from claf_tui.words.safe_text import safe

KEPT_IN = ("reproductions", "measurements")
"""Below the folder of the runs."""
MAX_MEASUREMENTS = 2000
"""Files that are looked at."""
SAME = ("epsilon", "norm", "space", "attack", "steps", "step_size", "restarts", "decides", "num_examples", "seed")
"""What the attack of two runs must share to be compared image by image."""


class Kept(NamedTuple):
    """What was kept of one run under one attack: packed, the images that it gets right without it, and under it."""

    robust: RobustFigure
    right: str
    survivors: str

    @property
    def recipe(self) -> tuple[object, ...]:
        """What must be the same to compare."""
        return tuple(getattr(self.robust, name) for name in SAME)


def paired_differences(runs: Sequence[ComparedRun]) -> tuple[Difference, ...]:
    """Every two runs under every attack that both were measured under on the same images, with McNemar's exact test.

    None where no reproduction has measured them, or it is not known that their test images are the same.
    """
    folders = {run.directory.parent.joinpath(*KEPT_IN) for run in runs if run.images.get("test")}
    records = [record for folder in sorted(folders) for record in _measurements(folder)]
    kept = {run.key: _kept(run, records) for run in runs}
    found: list[Difference | None] = []
    for first, second in combinations(runs, 2):
        if not first.images.get("test") or first.images["test"] != second.images.get("test"):
            continue
        theirs = {each.recipe: each for each in kept[second.key]}
        shared = [(one, theirs[one.recipe]) for one in kept[first.key] if one.recipe in theirs]
        for number, (one, other) in enumerate(shared):
            columns = (NATURAL, radius_key(one.robust)) if not number else (radius_key(one.robust),)
            found += [_difference(first, second, column, one, other) for column in columns]
    return tuple(item for item in found if item is not None)


def _difference(first: ComparedRun, second: ComparedRun, column: str, one: Kept, other: Kept) -> Difference | None:
    # Here, because torch takes a second to load, which a comparison without such measurements does not wait for.
    from claf_engine.accuracy.pairs import compare
    from claf_engine.reproduce.stored import unpacked

    count, is_natural = one.robust.num_examples, column == NATURAL
    try:
        right = [unpacked(each.right if is_natural else each.survivors, count) for each in (one, other)]
        pair = compare(right[:1], right[1:])
    except ValueError:
        return None
    figure = one.robust
    attack = "" if is_natural else f"{safe(figure.attack, 20)}-{figure.steps}, "
    return Difference(
        first.key,
        second.key,
        column,
        pair.difference,
        pair.low,
        pair.high,
        how="paired",
        p_value=pair.p_values[0],
        measured=f"{attack}{count} images",
        doubts=("the figure cannot be right",) if not is_natural and (figure.notice or other.robust.notice) else (),
    )


def _kept(run: ComparedRun, records: Sequence[Mapping[str, Any]]) -> list[Kept]:
    """What reproductions kept of the classifier that a run stands for; of one attack the first."""
    found = {
        each.recipe: each
        for record in reversed(records)
        if _is_of(record.get("subject"), run) and (each := _read(record)) is not None
    }
    return list(found.values())


def _is_of(subject: object, run: ComparedRun) -> bool:
    if not isinstance(subject, Mapping) or run.measured is None:
        return False
    is_folder = Path(str(subject.get("checkpoint", ""))).parent.parent.name == run.directory.name
    is_weights = bool(run.measured.weights_sha256) and subject.get("weights_sha256") == run.measured.weights_sha256
    return (is_folder or is_weights) and subject.get("classifier") == run.measured.classifier


def _read(record: Mapping[str, Any]) -> Kept | None:
    try:
        return Kept(build(RobustFigure, record["robust"]), str(record["right"]), str(record["survivors"]))
    except (KeyError, ValueError, AttributeError):
        return None


def _measurements(folder: Path) -> list[dict[str, Any]]:
    try:
        files = sorted(folder.glob("*.json"))[:MAX_MEASUREMENTS]
    except OSError:
        return []
    found = []
    for file in files:
        try:
            found.append(read_object(file, CARD_CAP))
        except ForeignFileError:
            continue
    return found
