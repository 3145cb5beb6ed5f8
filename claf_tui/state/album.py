"""What the probes of a run kept of their adversarial examples, read as it is wanted. No Textual."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from claf_engine.runs.examples import CleanExamples, ProbedExamples, list_steps, read_clean, read_probed
from claf_engine.terms.errors import ForeignFileError, MissingFile
from claf_tui.words.safe_text import safe

MAX_HISTORY = 64
"""Probes that a page looks back on, and ahead to: files that are read when it is opened."""
WRONG, BROKEN, SURVIVES, UNKNOWN = range(4)
"""How an image fared at a probe: wrong without an attack, broken by it, right even so, or nobody knows."""

Fates = NDArray[np.int8]


@dataclass(frozen=True, eq=False)
class Page:
    """One probe's examples and how its images fared at other probes.

    Attributes:
        number: of the probe among the `total` that kept examples, from 0.
        newest: the newest probe's examples, whose features span the map.
        oldest: those of the first probe that is looked back on.
        history: (W, T) how each watched image fared at the probes around this one; a column each.
        column: which of them is this one.
        class_names: made safe; one for every label.
    """

    clean: CleanExamples
    probed: ProbedExamples
    number: int
    total: int
    newest: ProbedExamples
    oldest: ProbedExamples
    history: Fates
    column: int
    class_names: tuple[str, ...]

    @cached_property
    def fates(self) -> Fates:
        """How each watched image (W,) fared here."""
        return fates_of(self.clean, self.probed)

    @property
    def num_surviving(self) -> int:
        """How many watched images survive."""
        return int((self.fates == SURVIVES).sum())

    def name(self, label: int) -> str:
        """A class's name."""
        return self.class_names[label] if 0 <= label < len(self.class_names) else f"class {label}"


@dataclass(frozen=True)
class NoPage:
    """Why there is nothing to show, in a sentence."""

    reason: str


class Album:
    """The examples of one run; files that were read are remembered until they change.

    Args:
        run: the run's folder, which another process may be writing.
        class_names: in the order of the labels.
    """

    def __init__(self, run: Path, class_names: Sequence[str]) -> None:
        self._run = run
        self._class_names = tuple(safe(name, 40) for name in class_names)
        self._clean: CleanExamples | None = None
        self._read: dict[int, tuple[object, ProbedExamples | str]] = {}
        self.steps: tuple[int, ...] = ()

    def look(self) -> bool:
        """Look for probes that came or went; gives whether there were any."""
        before, self.steps = self.steps, list_steps(self._run)
        if self.steps != before:
            self._clean = None
            self._read = {step: read for step, read in self._read.items() if step in self.steps}
        return self.steps != before

    def page(self, step: int | None) -> Page | NoPage:
        """The page of a probe; of the newest where `step` is None or its probe is gone."""
        if not self.steps:
            return NoPage("no probe has kept examples yet: the next one does, unless probe.examples is 0")
        number = self.steps.index(step) if step in self.steps else len(self.steps) - 1
        try:
            clean = self._clean = self._clean or read_clean(self._run)
        except MissingFile:
            return NoPage("the clean images are not there; the next probe writes them")
        except ForeignFileError as error:
            return NoPage(safe(error, 400))
        probed = self._probed(self.steps[number], clean)
        if isinstance(probed, str):
            return NoPage(probed)
        first = max(0, min(number - MAX_HISTORY // 2, len(self.steps) - MAX_HISTORY))
        around = [self._probed(each, clean) for each in self.steps[first : first + MAX_HISTORY]]
        whole = [each for each in around if not isinstance(each, str)]
        newest = self._probed(self.steps[-1], clean)
        unknown = np.full(len(clean.labels), UNKNOWN, np.int8)
        columns = [unknown if isinstance(each, str) else fates_of(clean, each) for each in around]
        return Page(
            clean=clean,
            probed=probed,
            number=number,
            total=len(self.steps),
            newest=probed if isinstance(newest, str) else newest,
            oldest=whole[0],
            history=np.stack(columns, axis=1),
            column=number - first,
            class_names=self._class_names,
        )

    def _probed(self, step: int, clean: CleanExamples) -> ProbedExamples | str:
        """What a probe kept, or why it cannot be shown."""
        known = self._read.get(step)
        if known is None or known[0] != clean.key:
            if len(self._read) > 2 * MAX_HISTORY:
                self._read.pop(next(iter(self._read)))
            known = self._read[step] = (clean.key, self._load(step, clean))
        return known[1]

    def _load(self, step: int, clean: CleanExamples) -> ProbedExamples | str:
        try:
            return read_probed(self._run, step, clean)
        except ForeignFileError as error:
            return safe(error, 400)


def fates_of(clean: CleanExamples, probed: ProbedExamples) -> Fates:
    """How each watched image (W,) fared at a probe."""
    fates = np.where(probed.survives(clean), SURVIVES, BROKEN)
    wrong = (probed.before.classes != clean.labels) & (fates != SURVIVES)
    found: Fates = np.where(wrong, WRONG, fates).astype(np.int8)
    return found
