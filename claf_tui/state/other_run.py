"""Another run as it stands in its folder, to lay its curves over those of the one that is shown. No Textual."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from claf_engine import events as ev
from claf_engine.runs.foreign import open_foreign
from claf_engine.runs.journal import EVENTS, METRICS
from claf_engine.runs.lines import line_batches
from claf_engine.runs.streaming import Passage, Thinner
from claf_engine.terms.errors import MissingFile
from claf_tui.state.folds import reduce
from claf_tui.state.run_state import RunState
from claf_tui.words.safe_text import safe

MAX_STEPS = 4096
"""Four times what a curve keeps (see `claf_tui.state.series`), so that the choice hardly shows."""


@dataclass(frozen=True)
class OtherRun:
    """A run by the name that a legend calls it, and its state."""

    name: str
    state: RunState


def read_other_run(directory: Path) -> OtherRun:
    """Fold the journal of a run.

    Raises:
        ForeignFileError: a file of it is no regular file, or cannot be read.
    """
    state = RunState()
    for event in events_so_far(directory):
        if not isinstance(event, ev.RunFinished):
            state = reduce(state, event)
    return OtherRun(short_name(directory.name), state)


def events_so_far(directory: Path) -> Iterator[ev.Event]:
    """The events in the journal of a run, in bounded memory; of a long one an even choice of its steps.

    Raises:
        ForeignFileError: a file of it is no regular file, or cannot be read.
    """
    with ExitStack() as files:
        lines = []
        for name in (METRICS, EVENTS):
            try:
                file = files.enter_context(open_foreign(directory / name))
            except MissingFile:
                continue
            thinner = Thinner(os.fstat(file.fileno()).st_size, MAX_STEPS)
            lines.append(thinner.thinned(line_batches(file)))
        yield from Passage().events(lines)


def short_name(folder: str, limit: int = 16) -> str:
    """What a run was called, without the date that its folder begins with, in at most `limit` characters."""
    parts = folder.split("-", 2)
    is_dated = len(parts) == 3 and parts[0].isdigit() and parts[1].isdigit()
    return safe(parts[2] if is_dated else folder, limit)
