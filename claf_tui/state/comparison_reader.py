"""Reads the runs of a comparison again and again; what did not change is not read twice. No Textual."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from claf_engine.terms.errors import ForeignFileError
from claf_tui.state.compared_run import ComparedRun, read_compared, with_state
from claf_tui.state.comparison import KEYS
from claf_tui.state.followed import FollowedRun
from claf_tui.state.run_state import RunState
from claf_tui.words.safe_text import safe

SECONDS_PER_LOOKUP = 5.0
"""Between two looks at the status and the checkpoints of a run that goes on."""
EpochUnits = Callable[[Path], tuple[float, ...]]


class ComparisonReader:
    """The runs of one comparison as they stand at the latest look; to be used by one thread at a time.

    Args:
        directories: of the runs, A first.
    """

    def __init__(self, directories: Sequence[Path]) -> None:
        self.directories = tuple(directories)
        self._followed: dict[Path, FollowedRun] = {}
        self._looked_up: dict[Path, float] = {}
        self._runs: dict[Path, ComparedRun] = {}

    @property
    def runs(self) -> tuple[ComparedRun, ...]:
        """What is known by now, in order; a run that was not read yet is left out."""
        return tuple(self._runs[path] for path in self.directories if path in self._runs)

    def look(self) -> bool:
        """Look at every run.

        Returns:
            Whether there is anything that was not there before.
        """
        before = self.runs
        for key, directory in zip(KEYS, self.directories, strict=False):
            self._look_at(key, directory)
        return self.runs != before

    def count_units(self, epoch_units: EpochUnits) -> None:
        """Learn what an epoch of each phase of every run costs."""
        for directory, run in self._runs.items():
            known = replace(run, epoch_units=run.epoch_units or epoch_units(directory))
            self._runs[directory] = with_state(known, known.state)

    def _look_at(self, key: str, directory: Path) -> None:
        known, now = self._runs.get(directory), time.monotonic()
        try:
            followed = self._followed.get(directory) or FollowedRun(directory)
            self._followed[directory] = followed
            has_changed = followed.look()
        except ForeignFileError as error:
            if known is None:
                unread = read_compared(key, directory, RunState())
                self._runs[directory] = replace(unread, notices=(*unread.notices, safe(error, 400)))
            return
        is_due = now - self._looked_up.get(directory, -SECONDS_PER_LOOKUP) >= SECONDS_PER_LOOKUP
        if known is None or (is_due and (known.is_live or has_changed)):
            self._looked_up[directory] = now
            units = known.epoch_units if known is not None else ()
            self._runs[directory] = read_compared(key, directory, followed.state, units)
        elif has_changed:
            self._runs[directory] = with_state(known, followed.state)
