"""A run that is looked at beside others, ended or not: its state, folded from its journal. No Textual."""

from contextlib import suppress
from pathlib import Path

from claf_engine.runs.foreign import open_foreign
from claf_engine.runs.journal import EVENTS, METRICS
from claf_engine.runs.streaming import Passage, Thinner
from claf_engine.runs.tail import Tail
from claf_engine.terms.errors import MissingFile
from claf_tui.state.folds import reduce
from claf_tui.state.other_run import MAX_STEPS
from claf_tui.state.run_state import RunState

NAMES = (METRICS, EVENTS)


class FollowedRun:
    """Folds the journal of one run, first all there is, then what was added; of a long one an even choice of its steps.

    Args:
        directory: of the run.

    Attributes:
        directory: of the run.
        state: what was folded so far.
        num_damaged: lines that told nothing.

    Raises:
        ForeignFileError: a file of it is no regular file, or cannot be read.
    """

    def __init__(self, directory: Path) -> None:
        for name in NAMES:
            with suppress(MissingFile):
                open_foreign(directory / name).close()
        self.directory = directory
        self.state, self.num_damaged = RunState(), 0
        self._tails = _tails(directory)

    def look(self) -> bool:
        """Fold what was added since the last look; all of it, when a resumed run has dropped records.

        Returns:
            Whether there was anything.
        """
        if any(tail.was_replaced() for tail in self._tails):
            self.state, self.num_damaged, self._tails = RunState(), 0, _tails(self.directory)
        if not any(tail.num_added() for tail in self._tails):
            return False
        before, passage = self.state, Passage()
        lines = [Thinner(tail.num_added(), MAX_STEPS).thinned(tail.batches()) for tail in self._tails]
        for event in passage.events(lines):
            self.state = reduce(self.state, event)
        self.num_damaged += passage.num_damaged
        return self.state is not before


def _tails(directory: Path) -> list[Tail]:
    return [Tail(directory / name) for name in NAMES]
