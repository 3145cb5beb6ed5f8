"""The one seam of trackers: they hear a run's events in threads of their own, and cost training nothing.

A tracker that is slow loses figures rather than delay a step; one that breaks is given up with one notice. Either way
the run computes the same bits.
"""

import queue
import time
from collections.abc import Iterator, Sequence
from threading import Thread
from typing import Protocol

from claf_engine import events as ev
from claf_engine.terms.errors import first_line
from claf_tui.runners.trackers.figures import figures_of
from claf_tui.runners.trackers.secrets import masked

MAX_WAITING = 20_000
"""Events that a tracker may lag behind."""
PATIENCE = 15.0
"""Seconds that a tracker gets at the end of a run to send what it still has."""


class Tracker(Protocol):
    """Writes figures down somewhere; called in one thread only. Whatever it raises ends it, and nothing else."""

    name: str

    def begin(self, run: ev.RunStarted) -> str:
        """Begin, or go on with, the record of a run; says where that is."""

    def scalars(self, step: int, values: dict[str, float], at: float) -> None:
        """Write numbers of one optimiser step.

        Args:
            step: of the whole run.
            values: by name.
            at: seconds since the epoch.
        """

    def probed(self, step: int) -> None:
        """A probe has left pictures in the run's folder."""

    def end(self, status: str) -> None:
        """Close the record; the run has `status`, as `RunFinished` has it, or "failed"."""


def tracked(events: Iterator[ev.Event], trackers: Sequence[Tracker]) -> Iterator[ev.Event]:
    """Yield the events of a run, and tell trackers of them; what becomes of those is a notice among the events."""
    feeds = [Feed(tracker) for tracker in trackers]
    try:
        for event in events:
            for feed in feeds:
                feed.put(event)
            yield event
            for feed in feeds:
                yield from feed.notices()
    finally:
        deadline = time.monotonic() + PATIENCE
        for feed in feeds:
            feed.close(deadline)
    for feed in feeds:
        yield from feed.notices()


class Feed:
    """One tracker in a thread of its own."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._waiting: queue.Queue[tuple[float, ev.Event] | None] = queue.Queue(MAX_WAITING)
        self._notices: queue.SimpleQueue[ev.Notice] = queue.SimpleQueue()
        self._num_lost = 0
        self._is_over = False
        self._thread = Thread(target=self._work, name=f"tracker {tracker.name}", daemon=True)
        self._thread.start()

    def put(self, event: ev.Event) -> None:
        """Tell the tracker of an event, unless it is too far behind; never waits."""
        if self._is_over or isinstance(event, ev.Progressed):
            return
        try:
            self._waiting.put_nowait((time.time(), event))
        except queue.Full:
            self._num_lost += 1
            if self._num_lost == 1:
                self._tell("warning", "does not keep up, and misses figures from here on")

    def notices(self) -> Iterator[ev.Notice]:
        """What became of the tracker since it was asked last."""
        while not self._notices.empty():
            yield self._notices.get()

    def close(self, deadline: float) -> None:
        """Let the tracker send what it has, until `deadline` by the monotonic clock."""
        left = max(0.0, deadline - time.monotonic())
        try:
            self._waiting.put(None, timeout=left)
        except queue.Full:
            pass
        else:
            self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._thread.is_alive():
            self._tell("warning", f"was still sending after {PATIENCE:.0f} s and was left; the run's folder has it all")
        if self._num_lost:
            self._tell("warning", f"missed {self._num_lost} events; the run's folder has them all")

    def _work(self) -> None:
        try:
            self._follow()
        except Exception as error:  # noqa: BLE001 (somebody else's library must not cost a run of days)
            kind = type(error).__name__
            self._tell("warning", f"records no more: {kind}: {masked(first_line(error))[:200]}; training goes on")
        finally:
            self._is_over = True

    def _follow(self) -> None:
        status, has_begun = "failed", False
        while (told := self._waiting.get()) is not None:
            at, event = told
            if isinstance(event, ev.RunStarted):
                self._tell("info", self._tracker.begin(event))
                has_begun = True
            if not has_begun:
                continue
            if figures := figures_of(event):
                self._tracker.scalars(figures.step, figures.values, at)
            if isinstance(event, ev.ProbeFinished):
                self._tracker.probed(event.step)
            if isinstance(event, ev.RunFinished):
                status = event.status
        if has_begun:
            self._tracker.end(status)

    def _tell(self, level: ev.NoticeLevel, text: str) -> None:
        self._notices.put(ev.Notice(level, f"{self._tracker.name} {text}"))
