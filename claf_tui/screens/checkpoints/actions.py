"""What may be done with a checkpoint: the rules and the words, without any screen."""

import json
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from textual.content import Content

from claf_engine.evaluation.detection_text import detection_sentences
from claf_engine.runs.header import CheckpointInfo
from claf_engine.terms.errors import ClafError, RunEnded
from claf_tui.widgets.chart import PALETTE, robust_color
from claf_tui.widgets.diagnostics import wrapped
from claf_tui.widgets.tables import Cell, table
from claf_tui.words import attack_words, figures
from claf_tui.words.attack_words import LAST, LINF, PIXEL, UNION
from claf_tui.words.plugin_options import plugin_options
from claf_tui.words.safe_text import safe


class Entry(Protocol):
    """One file of a run's checkpoints folder; `info` is None when it cannot be read, and `error` says why."""

    @property
    def path(self) -> Path:
        """The file."""

    @property
    def info(self) -> CheckpointInfo | None:
        """What its header says."""

    @property
    def error(self) -> str:
        """Why it cannot be read."""

    @property
    def kept_as(self) -> tuple[str, ...]:
        """Why it is kept."""


FEATURES = "features"
"""The optimiser of encoder and projection head, which trains no classifier."""
TOLD = ("claf.trained_classifiers", "claf.begun_classifiers")
"""Keys of an imported checkpoint, and of one of our own, that name its trained classifiers."""
ListEntries = Callable[[Path], Sequence[Entry]]
MakeCommand = Callable[[Path, str | None], Sequence[str]]
"""Checkpoint and classifier (None: the checkpoint's own choice) to the command that evaluates or audits it."""


@dataclass(frozen=True)
class ResumeRequest:
    """The person asked to resume from this checkpoint; the command line acts on it.

    Attributes:
        path: the checkpoint.
        changes: settings that differ from there on, such as "attack.steps=10"; with any, a new run branches off.
    """

    path: Path
    changes: tuple[str, ...] = ()


def list_entries(directory: Path) -> Sequence[Entry]:
    """List the checkpoints of a run, newest first."""
    from claf_engine.runs import list_checkpoints

    return list_checkpoints(directory)


def refusal_to_delete(entry: Entry, entries: Sequence[Entry], directory: Path, *, is_live: bool) -> str:
    """Say why a checkpoint must stay, or give an empty string.

    Args:
        entry: the one to delete.
        entries: all of the run, newest first.
        directory: the run's folder.
        is_live: whether the run is going on.
    """
    if entry.path.parent.resolve() != (directory / "checkpoints").resolve() or entry.path.suffix != ".safetensors":
        return "the file does not lie in the checkpoints folder of this run"
    readable = [item.path for item in entries if item.info is not None]
    if readable == [entry.path]:
        return "it is the only checkpoint of this run"
    if is_live and readable and readable[0] == entry.path:
        return "it is the newest checkpoint of a live run, which would resume from it"
    return ""


def refusal_to_resume(request: ResumeRequest) -> str:
    """Say why the command line could not do what a person asks for, or give an empty string."""
    from claf_engine.runs import runs_root
    from claf_engine.runs.resuming import require_resumable

    try:
        require_resumable(request.path, runs_root(), request.changes)
    except RunEnded as error:
        return f"{error.ending}: e evaluates it, a audits it, and r on an older checkpoint begins a new run from there"
    except ClafError as error:
        return str(error)
    return ""


def trained_classifiers(info: CheckpointInfo) -> tuple[str, ...]:
    """The classifiers of a checkpoint that its method has trained so far, the one it was measured with first.

    Checkpoints name them, those of earlier code do not: there, classifiers that have an optimiser are in training and
    those that were probed are trained. A file that says nothing of the kind has its own choice, which is left to
    whatever measures it to refuse. Empty where the file says that nothing but the encoder is trained.
    """
    for key in TOLD:
        if isinstance(told := info.metadata.get(key), list):
            return _own_first([safe(name, 40) for name in told], info)
    ledger, optimizers = info.metadata.get("claf.ledger"), info.metadata.get("claf.optimizers")
    probed = ledger.get("validation") if isinstance(ledger, Mapping) else None
    found = list(probed) if isinstance(probed, Mapping) else []
    found += [str(name).rpartition("+")[2] for name in optimizers] if isinstance(optimizers, Mapping) else []
    named = [safe(name, 40) for name in found if name != FEATURES]
    return _own_first(named or [safe(info.classifier, 40)], info)


def _own_first(names: Sequence[str], info: CheckpointInfo) -> tuple[str, ...]:
    return tuple(sorted(dict.fromkeys(names), key=lambda name: name != info.classifier))


def evaluate_command(path: Path, classifier: str | None = None) -> list[str]:
    """The command that evaluates a checkpoint and writes JSON."""
    return [sys.executable, "-m", "claf_tui", "eval", *_arguments(path, classifier), "--json"]


def typed_command(path: Path, classifier: str | None = None) -> str:
    """The same command as a person types it."""
    return shlex.join(["claf-tui", "eval", *_arguments(path, classifier)])


def audit_command(path: Path, classifier: str | None = None, epsilon: str | None = None) -> list[str]:
    """The command that audits a checkpoint within a minute or so and writes its events as lines of JSON.

    Args:
        path: the checkpoint.
        classifier: which one; None is the checkpoint's own choice.
        epsilon: radius of the claim, such as "4/255"; None is the command's own choice.
    """
    return [sys.executable, "-m", "claf_tui", "audit", *_audit_arguments(path, classifier, epsilon), "--ui", "jsonl"]


def typed_audit(path: Path, classifier: str | None = None, epsilon: str | None = None) -> str:
    """The same command as a person types it."""
    return shlex.join(["claf-tui", "audit", *_audit_arguments(path, classifier, epsilon)])


def _audit_arguments(path: Path, classifier: str | None, epsilon: str | None) -> list[str]:
    return [*_arguments(path, classifier), *([] if epsilon is None else ["--eps", epsilon]), "--budget", "quick"]


def _arguments(path: Path, classifier: str | None) -> list[str]:
    return [str(path), *([] if classifier is None else ["--classifier", classifier]), *plugin_options()]


def figure_lines(output: str, width: int) -> list[Content]:
    """Write the figures that an evaluation printed as JSON.

    Raises:
        ValueError: the output is not what an evaluation prints.
    """
    try:
        record: dict[str, Any] = json.loads(output)
        rows: list[list[Cell]] = [[(name, "$foreground 60%") for name in ("epsilon", "accuracy", "attack")]]
        natural = figures.percent(float(record["natural_accuracy"]))
        rows.append([("natural", PALETTE[0]), (natural, f"bold {PALETTE[0]}"), ("none", "")])
        for index, item in enumerate(record["robust"]):
            color = robust_color(index)
            accuracy = figures.percent(float(item["robust_accuracy"]))
            attack = f"{safe(item.get('attack', ''), 20)}-{safe(item.get('steps', ''), 6)}"
            if item.get("defence", "none") != "none":
                attack += f", {safe(item.get('knowledge', ''), 20)}"
            place = (item.get("norm", LINF), item.get("space", PIXEL), item.get("decides", LAST))
            radius = attack_words.radius_text(item["epsilon"], *place, attack_words.notice_of(item))
            rows.append([(radius, color), (accuracy, f"bold {color}"), (attack, "")])
        if "union" in record:
            rows.append([(UNION, ""), (figures.percent(float(record["union"]["robust_accuracy"])), "bold"), ("", "")])
        warnings = warning_lines(record, width)
        detector = [Content(line) for text in _detector_sentences(record) for line in wrapped(text, width)]
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"the evaluation printed no figures ({type(error).__name__})") from error
    return [*warnings, *table(rows, width), *detector]


def _detector_sentences(record: Mapping[str, Any]) -> list[str]:
    detector = record.get("detector")
    return [] if detector is None else detection_sentences(detector)


def warning_lines(record: Mapping[str, Any], width: int) -> list[Content]:
    """What a reader of an evaluation's figures must know: no ball, or why they cannot be right."""
    robust = record["robust"]
    told = dict.fromkeys([*map(_caveat, robust), *attack_words.recorded_notices(robust)])
    lines = [line for text in told if text for line in wrapped(f"! {text}", width - 2)]
    return [Content.styled(f" {line}", "bold $warning") for line in lines]


def _caveat(item: Mapping[str, Any]) -> str:
    space = item.get("space", PIXEL)
    return "" if space == PIXEL else attack_words.caveat_text(space, item.get("largest_distance"))


def last_sentence(text: str) -> str:
    """The last line that is not empty: what a failed command had to say."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return safe(lines[-1], 300) if lines else "the command failed without saying why"
