"""Which network a row stands for: of those that a finished run chose among, the one that keeps most validation images.

A run compares its best checkpoint, the highest of many probes of a part of the validation images, with its last state.
The highest of many is high by luck as well, and the fewer the images, the more. So before a row sees any test image,
its candidates are attacked once more, on all validation images.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from claf_engine.accuracy.measure import accuracy_steps
from claf_engine.accuracy.suite import suite_of
from claf_engine.compute.device import exact_fp32, settings_restored
from claf_engine.config import RunConfig
from claf_engine.evaluation.subject import Wanted, open_steps
from claf_engine.events.ticks import Pulse
from claf_engine.reproduce.measuring import MEASUREMENTS, Subject
from claf_engine.reproduce.rows import Row
from claf_engine.reproduce.stored import key_of, read_stored, store
from claf_engine.runs import CheckpointEntry, list_checkpoints, summarise
from claf_engine.terms.errors import CheckpointError
from claf_engine.training.checkpoint import load_trained_network
from claf_engine.training.selection import selection_steps

FORMAT = 1
VALIDATION = Wanted(splits=("validation",))


@dataclass(frozen=True)
class Kept:
    """How many of `num_examples` validation images survive what checkpoints are chosen by; None: none is attacked."""

    survivors: int | None
    num_examples: int


def candidates_of(directory: Path, row: Row) -> tuple[Subject, ...]:
    """The checkpoints and classifiers that a row may stand for, at least one; `chosen_steps` chooses.

    A row about one classifier takes it from the last state, as the paper does. Otherwise they are those that the
    finished run chose among, its own choice first.

    Raises:
        CheckpointError: the run has no checkpoint that can be read, or lacks one that it reported on.
    """
    entries = [entry for entry in list_checkpoints(directory) if entry.info is not None]
    if not entries:
        raise CheckpointError(f"run {directory.name} has no checkpoint that can be read; delete its folder")
    reported = _reported(directory)
    if row.classifier is not None:
        weights = next((each.weights for each in reported if each.kept_as == "last"), "")
        reported = [_Reported("last", row.classifier, weights)]
        why = f"the row is about the {row.classifier} classifier"
    else:
        why = f"highest robust accuracy on {'all ' if len(reported) > 1 else ''}validation images"
    wanted = reported or [_Reported("best", None, "")]
    return tuple(replace(_subject(entries, each, why), system=row.system) for each in wanted)


@dataclass(frozen=True)
class _Reported:
    """What a finished run reports on: a kept checkpoint, a classifier, and the hash of the weights, if that is told."""

    kept_as: str
    classifier: str | None
    weights: str


def _reported(directory: Path) -> list[_Reported]:
    """What a finished run reports on, that which it chose first; nothing where its status is lost."""
    results = summarise(directory).record.get("results")
    try:
        order = sorted(results or (), key=lambda result: not result["selected"])
        return [
            _Reported(str(each["checkpoint"]), str(each["classifier"]), str(each.get("weights_sha256") or ""))
            for each in order
        ]
    except (KeyError, TypeError, AttributeError):
        return []


def _subject(entries: Sequence[CheckpointEntry], wanted: _Reported, why: str) -> Subject:
    """The file of what a run reported on: that of the same weights, or where these are not told the one kept as it."""
    kept = [entry for entry in entries if wanted.kept_as in entry.kept_as]
    found = [entry for entry in entries if entry.info is not None and entry.info.weights_sha256 == wanted.weights]
    entry = next(iter(found if wanted.weights else (*kept, *entries)), None)
    if entry is None:
        folder = entries[0].path.parent
        raise CheckpointError(
            f"the {wanted.kept_as} checkpoint that the run reported on is no longer whole in {folder}; restore it, or "
            "delete the run's folder and reproduce again"
        )
    assert entry.info is not None, "only those that can be read are asked for"
    compute = entry.info.metadata.get("claf.compute")
    precision = str(compute.get("precision", "")) if isinstance(compute, dict) else ""
    chosen = wanted.classifier or entry.info.classifier
    return Subject(entry.path, chosen, entry.info.weights_sha256, f"{wanted.kept_as}: {why}", precision)


def chosen_steps(root: Path, candidates: Sequence[Subject]) -> Generator[Pulse, None, Subject]:
    """Choose the candidate that keeps most of all validation images of its run; the first one in a tie.

    Args:
        root: folder of the reproductions; what was measured before is found there.
        candidates: at least one, see `candidates_of`. One alone is not measured.

    Raises:
        CheckpointError: a checkpoint cannot be read.
        DataError: the images cannot be had, or are not those that the run was trained with.
        RunError: what was measured cannot be written.
        ClafError: an attack is broken.
    """
    if len(candidates) == 1:
        return candidates[0]
    kept = []
    for each in candidates:
        found = _known(root, each)
        if found is None:
            found = yield from _kept_steps(each)
            store(_file(root, each), asdict(found))
        kept.append(found)
    return _choice(candidates, kept)


def known_choice(root: Path, candidates: Sequence[Subject]) -> Subject | None:
    """What `chosen_steps` will choose; None where it has to measure first.

    Raises:
        CheckpointError: a checkpoint cannot be read.
    """
    if len(candidates) == 1:
        return candidates[0]
    kept = [found for each in candidates if (found := _known(root, each)) is not None]
    return _choice(candidates, kept) if len(kept) == len(candidates) else None


def units_of_choice(config: RunConfig) -> int:
    """Forward-units that a candidate costs, if every validation image has to be attacked to the end."""
    probe = config.probe
    return config.data.num_validation * (
        1 + len(probe.epsilons[:1]) * (1 + 2 * probe.steps + 2 * probe.selection_steps)
    )


def _choice(candidates: Sequence[Subject], kept: Sequence[Kept]) -> Subject:
    return candidates[max(range(len(kept)), key=lambda index: kept[index].survivors or 0)]


def _kept_steps(subject: Subject) -> Generator[Pulse, None, Kept]:
    with settings_restored():
        opened = yield from open_steps(subject.checkpoint, classifier=subject.classifier, wanted=VALIDATION)
        split, probe = opened.data.validation, opened.config.probe
        suite = suite_of(probe.model_copy(update={"num_examples": len(split)}), opened.config.model)
        index = suite.first_attacked
        if index is None:
            return Kept(None, len(split))
        suite, compute = replace(suite, epsilons=(suite.epsilons[index],)), exact_fp32(opened.compute)
        told = yield from accuracy_steps(opened.model, split, suite, compute)
        share = yield from selection_steps(opened.model, split, suite, told.outcomes, probe.selection_steps, compute)
        return Kept(round((told.robust[0].accuracy if share is None else share) * len(split)), len(split))


def _file(root: Path, subject: Subject) -> Path:
    """Equal only where weights, classifier, images and attack are."""
    config = load_trained_network(subject.checkpoint).config
    told = [config.data.model_dump(mode="json"), config.probe.model_dump(mode="json")]
    plain = [FORMAT, "validation", subject.weights_sha256, subject.classifier, *told]
    return root / MEASUREMENTS / f"{key_of(plain)}.json"


def _known(root: Path, subject: Subject) -> Kept | None:
    def kept(record: Mapping[str, Any]) -> Kept:
        survivors, count = record["survivors"], int(record["num_examples"])
        if survivors is not None and not 0 <= int(survivors) <= count:
            raise ValueError(f"{survivors} of {count} images cannot survive")
        return Kept(None if survivors is None else int(survivors), count)

    return read_stored(_file(root, subject), kept)
