"""Looks at the folders of runs in a thread, and keeps what it finds out until the list of runs takes it."""

import threading
import time
from collections import deque
from collections.abc import Iterator

from claf_engine import events as ev
from claf_engine.events.control import Control
from claf_engine.runs.catalogue import Catalogue, News
from claf_engine.runs.overview import Overview
from claf_engine.terms.errors import RunError

FIRST = 200
"""Runs that are shown before the others: more than a screen has rows."""
BREATH = 0.01
"""Seconds between two looks while runs are still to be read, in which the screen can answer keys."""
LOOK_EVERY = 1.0
"""Seconds between two looks after that."""
WAKE_SECONDS = 0.1
"""How soon the thread notices that it is to leave."""
KEEP_EVERY = 60.0
"""Seconds after which what was found out is remembered for the next program."""


class RunsFeed:
    """An engine for the console that tells no events: what it finds out is taken with `take`.

    Args:
        catalogue: of the runs.

    Attributes:
        seen: names of the runs on the screen, which are looked at first; another thread sets them.
        problem: why the folder cannot be looked into, or an empty string.
        looked_at: when the last look was over, in seconds since the epoch; 0 before the first. A disk that hangs lets
            no run seem silent.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self.seen: tuple[str, ...] = ()
        self.problem = ""
        self.looked_at = 0.0
        self._catalogue = catalogue
        self._found: deque[News] = deque()
        self._wake = threading.Event()

    def __call__(self, control: Control) -> Iterator[ev.Event]:
        """Look until it is asked to leave."""
        for number in (FIRST, None):
            self._found.append(News(self._known(number), num_waiting=self._catalogue.num_waiting))
        keep_at = time.monotonic()
        try:
            while not control.stop_requested:
                self._look()
                is_at_rest = not self._catalogue.num_waiting
                if is_at_rest and time.monotonic() >= keep_at:
                    keep_at = time.monotonic() + KEEP_EVERY
                    self._catalogue.keep()
                self._rest(control, LOOK_EVERY if is_at_rest else BREATH)
        finally:
            self._catalogue.keep()
        yield from ()

    def take(self) -> list[News]:
        """Hand over what was found out since the last time."""
        found = []
        while self._found:
            found.append(self._found.popleft())
        return found

    def look_soon(self) -> None:
        """Look again at once, because something was changed here."""
        self._wake.set()

    def _known(self, num_newest: int | None) -> tuple[Overview, ...]:
        try:
            return self._catalogue.known(num_newest)
        except RunError as error:
            self.problem = str(error)
            return ()

    def _look(self) -> None:
        before = self._catalogue.num_waiting
        try:
            news = self._catalogue.look(self.seen)
        except RunError as error:
            self.problem = str(error)
            return
        self.problem = ""
        if news.changed or news.gone or news.num_waiting != before:
            self._found.append(news)
        self.looked_at = time.time()

    def _rest(self, control: Control, seconds: float) -> None:
        """Wait, unless something was changed here or the thread is to leave."""
        until = time.monotonic() + seconds
        while not control.stop_requested and (left := until - time.monotonic()) > 0:
            if self._wake.wait(min(left, WAKE_SECONDS)):
                self._wake.clear()
                return
