"""The engine's thread, and the store it leaves its events in.

The engine never calls the console: it fills the store, and the console drains it a few times a second. A terminal that
stalls therefore never stalls training. In the other direction there is only `Control`.
"""

import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator

from claf_engine import events as ev
from claf_engine.events.control import Control
from claf_engine.terms.errors import ClafError

Engine = Callable[[Control], Iterator[ev.Event]]

MAX_EVENTS = 20_000
"""Events kept for a console that does not read; beyond it logged steps are thinned out."""


class EventStore:
    """Bounded, lock-protected: the latest `Progressed` only, every other event in order."""

    def __init__(self, max_events: int = MAX_EVENTS) -> None:
        self._lock = threading.Lock()
        self._events: deque[ev.Event] = deque()
        self._latest: ev.Progressed | None = None
        self._max_events = max_events
        self._num_left_out = 0

    def put(self, event: ev.Event) -> None:
        """Keep an event for the console; never blocks for long, never raises."""
        with self._lock:
            if isinstance(event, ev.Progressed):
                self._latest = event
                return
            if isinstance(event, ev.RunStarted | ev.PhaseStarted | ev.RunFinished | ev.ReproductionChanged):
                self._queue_latest()
            self._events.append(event)
            if len(self._events) > self._max_events:
                self._thin_out()

    def drain(self) -> list[ev.Event]:
        """Hand over what came since the last call, in order, and forget it."""
        with self._lock:
            self._queue_latest()
            taken = list(self._events)
            self._events.clear()
            left_out, self._num_left_out = self._num_left_out, 0
        if left_out:
            text = f"{left_out} events were not drawn while the terminal did not read; the run's own files are complete"
            taken.append(ev.Notice("warning", text))
        return taken

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to hand over."""
        with self._lock:
            return self._latest is None and not self._events

    def _queue_latest(self) -> None:
        if self._latest is not None:
            self._events.append(self._latest)
            self._latest = None

    def _thin_out(self) -> None:
        kept: deque[ev.Event] = deque()
        for index, event in enumerate(self._events):
            if index % 2 == 0 or not isinstance(event, ev.StepLogged | ev.EpochFinished):
                kept.append(event)
        while len(kept) > self._max_events:
            kept.popleft()
        self._num_left_out += len(self._events) - len(kept)
        self._events = kept


class EngineThread:
    """Runs an engine in one plain daemon thread and keeps how it ended.

    Args:
        engine: makes the events; called once, in the thread.
        control: what it polls.
        is_series: the engine plays any number of runs one after the other, and its end is the end of the last.

    Attributes:
        error: what the engine raised, or None.
        traceback_text: its traceback, or an empty string.
        has_begun: whether it told of more than what it loads; before that there is nothing to save.
    """

    def __init__(self, engine: Engine, control: Control, *, is_series: bool = False) -> None:
        self.error: BaseException | None = None
        self.traceback_text = ""
        self.has_begun = False
        self._engine = engine
        self._control = control
        self._store = EventStore()
        self._step = 0
        self._elapsed = 0.0
        self._is_series = is_series
        self._owes_end = not is_series
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    @property
    def is_alive(self) -> bool:
        """Whether the engine is still at work, be it training or saving."""
        return self._thread.is_alive()

    @property
    def has_left(self) -> bool:
        """Whether the engine was started, has left, and every event of it was taken."""
        return self._thread.ident is not None and not self._thread.is_alive() and self._store.is_empty

    def start(self) -> None:
        """Start the engine; returns at once."""
        self._thread.start()

    def drain(self) -> list[ev.Event]:
        """Hand over the events since the last call."""
        return self._store.drain()

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the engine to leave.

        Returns:
            Whether it has left.
        """
        if self._thread.ident is not None:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            for event in self._engine(self._control):
                self._put(event)
            if self._owes_end:
                self._fail("the engine left without saying how the run ended")
        except BaseException as error:  # noqa: BLE001 (nothing may end this thread unseen; the console shows it)
            self.error = error
            self.traceback_text = traceback.format_exc()
            if self._owes_end:
                self._fail(describe(error))

    def _put(self, event: ev.Event) -> None:
        self.has_begun |= not isinstance(event, ev.Progressed)
        match event:
            case ev.RunStarted() if self._is_series:
                self._step, self._elapsed, self._owes_end = event.resumed_from_step or 0, 0.0, True
            case ev.Progressed() | ev.StepLogged():
                self._step, self._elapsed = event.step, event.elapsed
            case ev.RunFinished():
                self._owes_end = False
            case _:
                pass
        self._store.put(event)

    def _fail(self, reason: str) -> None:
        self._put(ev.RunFinished("failed", self._step, self._elapsed, reason=reason))


def describe(error: BaseException) -> str:
    """Say in one sentence what went wrong: our own errors already do; others are named by their class."""
    if isinstance(error, ClafError):
        return str(error)
    text = str(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
