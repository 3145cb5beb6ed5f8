"""The events of a journal of any length, in the order they happened and in bounded memory. No torch."""

import heapq
import itertools
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

from claf_engine import events as ev
from claf_engine.events.records import from_record
from claf_engine.runs.journal import record_of

WINDOW = 1024
"""Records among which those that lie out of order in their file are put in order."""
MAX_PARTS = 256
"""Of all phases; ours have a dozen, and a journal with more of them is somebody's."""
STEP_BYTES = 250
"""About the length of a logged step in the journal."""
_STEP = re.compile(rb'"phase": (\d+), "epoch": \d+, "part": "(\w+)", "loss_name": "\w+", "loss": ')
"""What follows the number of a logged step, and of no other record, on the line that our own code writes for it."""
_IN_NO_LINE = b"\n"


class Thinner:
    """Leaves logged steps out of a long journal before they are parsed, evenly in each part of each phase.

    Kept are the first step of each part, the last of each phase, every one whose loss is not finite, and every line
    that is no logged step as our own code writes it, with the step before it.

    Args:
        num_bytes: length of the journal, or of what was added to it.
        max_steps: how many steps to keep, about; a journal that has no more of them keeps all.

    Attributes:
        stride: of so many steps of a part one is kept.
        num_steps: logged steps that there were, once all lines have been taken; 0 where all are kept.
        num_kept: those of them that were kept.
    """

    def __init__(self, num_bytes: int, max_steps: int) -> None:
        self.stride = max(1, num_bytes // (max_steps * STEP_BYTES))
        self.num_steps = self.num_kept = 0

    def thinned(self, batches: Iterable[Sequence[bytes]]) -> Iterator[bytes]:
        """The lines that are kept, in their order."""
        lines = itertools.chain.from_iterable(batches)
        return lines if self.stride == 1 else self._thinned(lines)

    def _thinned(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        # A million times round, and nearly always with a step of the part and epoch that the one before was of. The
        # same then stands at the same place, which is quicker to see than to search.
        numbers: defaultdict[tuple[bytes, ...], Iterator[int]] = defaultdict(itertools.count)
        step, start, end, phase, number, skipped = _IN_NO_LINE, 0, 0, b"", numbers[()], b""
        for line in lines:
            if not line.startswith(step, start):
                found = _STEP.search(line)
                if skipped and (found is None or found[1] != phase):
                    self.num_kept += 1
                    yield skipped
                    skipped = b""
                if found is None:
                    yield line
                    continue
                step, (start, end), phase = found[0], found.span(), found[1]
                number = numbers[found.groups() if len(numbers) < MAX_PARTS else ()]
            if next(number) % self.stride and not line.startswith(b"null", end):
                skipped = line
            else:
                self.num_kept += 1
                skipped = b""
                yield line
        self.num_steps = sum(map(next, numbers.values()))
        if skipped:
            self.num_kept += 1
            yield skipped


class Passage:
    """One passage through the lines of a journal's files, as events.

    Attributes:
        num_damaged: lines so far that told nothing.
    """

    def __init__(self) -> None:
        self.num_damaged = 0

    def events(self, files: Sequence[Iterable[bytes]]) -> Iterator[ev.Event]:
        """The events on the lines of several files, in the order they happened.

        Each file is taken to be in order but for records that lie less than `WINDOW` places away from theirs.
        """
        for record in _in_order(heapq.merge(*map(self._records, files), key=_place)):
            try:
                yield from_record(record)
            except ValueError:
                self.num_damaged += 1

    def _records(self, lines: Iterable[bytes]) -> Iterator[Mapping[str, Any]]:
        for line in lines:
            if (record := record_of(line)) is None:
                self.num_damaged += 1
            else:
                yield record


_place = itemgetter("seq")


def _in_order(records: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    waiting: list[tuple[int, int, Mapping[str, Any]]] = []
    for number, record in enumerate(records):
        heapq.heappush(waiting, (_place(record), number, record))
        if len(waiting) > WINDOW:
            yield heapq.heappop(waiting)[2]
    while waiting:
        yield heapq.heappop(waiting)[2]
