"""All runs of a folder, kept up to date by looking at what changed. No torch.

Ten thousand folders take seconds to read, so a catalogue begins with what it remembers (see `catalogue_index`),
compares that with the folders, the newest first, and gives what it finds out in portions. Later it looks at live runs
and at those that somebody sees every time, and at a few of the others in turn.
"""

import itertools
import os
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from claf_engine.runs.catalogue_index import index_of, remember, remembered
from claf_engine.runs.collector import collector_at_rest
from claf_engine.runs.listing import names_in
from claf_engine.runs.overview import Digest, Overview, digest_of, journal_stamp, overview_of, stamp_of, stamps_of
from claf_engine.runs.probe_history import read_on

LOOK_SECONDS = 0.05
"""How long one look takes, about."""
AT_LEAST = 16
"""Runs that one look reads, and journals, however slow the disk or busy the machine is."""
IN_TURN = 20
"""Runs that one look compares besides the live and the seen ones, once all were read."""
JOURNAL_BYTES = 2**24
"""Of journals that are read at once."""
SEEN_SECONDS = 2.0
"""Between two looks at runs that somebody sees and that do not change by themselves."""
LIVE_SECONDS = 0.5
"""The same of live ones."""
TICK_SECONDS = 2.0
"""The coarsest clock of a file system."""
MAX_UNSURE = 50
"""Folders that are no runs and may become some, looked at each time."""


@dataclass(frozen=True)
class News:
    """What one look found out.

    Attributes:
        changed: runs that are new or stand otherwise than before.
        gone: names of those that are not there any more.
        num_waiting: how many have not been compared with their folder, or whose journal was not read yet.
    """

    changed: tuple[Overview, ...] = ()
    gone: tuple[str, ...] = ()
    num_waiting: int = 0


@dataclass
class _Queues:
    """Names of runs that are to be looked at, and from when on, by the monotonic clock, live and seen ones are."""

    waiting: deque[str] = field(default_factory=deque)
    unread: dict[str, None] = field(default_factory=dict)
    turn: Iterator[str] = iter(())
    live_at: float = 0.0
    seen_at: float = 0.0


class Catalogue:
    """The runs of one folder. Used by one thread at a time.

    Args:
        root: the folder.
        index: the file of what is remembered; by default in the user's cache folder, None remembers nothing.
    """

    def __init__(self, root: Path, index: Path | None) -> None:
        self.root = root
        self._index = index
        self._listed: object = None
        self._names: dict[str, None] = {}
        self._unsure: dict[str, None] = {}
        self._queues = _Queues()
        self._unkept: dict[str, None] = {}
        self._unkept_gone: set[str] = set()
        self._digests: dict[str, Digest] = {}
        self._has_recalled = index is None
        self._shown: dict[str, Overview] = {}
        self._live: dict[str, None] = {}

    @classmethod
    def of(cls, root: Path) -> "Catalogue":
        """The catalogue of a folder, with its memory in the user's cache folder."""
        return cls(root, index_of(root))

    def known(self, num_newest: int | None = None) -> tuple[Overview, ...]:
        """All runs as far as they are known now; at first as they are remembered, of those whose folder is there.

        Args:
            num_newest: only so many of those that are remembered, the newest by their names, which is quicker; call it
                without before the first look.

        Raises:
            RunError: the folder cannot be looked into.
        """
        self._list()
        with collector_at_rest():
            self._recall(num_newest)
            for name in itertools.islice(self._names, num_newest):
                if name in self._digests and name not in self._shown:
                    self._show(overview_of(self.root / name, self._digests[name]))
        return tuple(self._shown.values())

    def _recall(self, num_newest: int | None) -> None:
        """Take over what is remembered, unless that was done."""
        if self._index is not None and not self._has_recalled:
            self._has_recalled = num_newest is None
            self._digests = remembered(self._index, num_newest) | self._digests

    def look(self, seen: Iterable[str] = (), seconds: float = LOOK_SECONDS) -> News:
        """Compare what is known with the folders, for about so long.

        Args:
            seen: names of runs that are looked at first, because somebody sees them.
            seconds: the time for runs that nobody sees; 0 compares those that are seen, and the live ones.

        Raises:
            RunError: the folder cannot be looked into.
        """
        until = time.monotonic() + seconds
        if not self._has_recalled:
            self.known()
        gone = self._list()
        first = self._due(seen)
        changed: dict[str, Overview] = {}
        for name in itertools.chain(first, self._others(until)):
            if (overview := self._compare(name)) is not None:
                changed[name] = overview
        changed |= self._read_journals(first, until)
        return News(tuple(changed.values()), tuple(gone), self.num_waiting)

    @property
    def num_waiting(self) -> int:
        """How many runs have not been compared with their folder yet, or have a journal that was not read yet."""
        return len(self._queues.waiting) + len(self._queues.unread)

    def look_at_all(self) -> tuple[Overview, ...]:
        """Compare everything, and keep it; takes as long as it takes.

        Raises:
            RunError: the folder cannot be looked into.
        """
        self.known()
        while self.look(seconds=60.0).num_waiting:
            pass
        self.keep()
        return self.known()

    def keep(self) -> str:
        """Remember what was found out for the next program.

        Returns:
            Why that cannot be done, or an empty string.
        """
        if self._index is None or not (self._unkept or self._unkept_gone):
            return ""
        changed = {name: self._digests[name] for name in self._unkept if name in self._digests}
        problem = remember(self._index, changed, self._unkept_gone)
        self._unkept, self._unkept_gone = {}, set()
        return problem

    def _list(self) -> list[str]:
        """List the folder where it changed; gives the names of runs that are gone."""
        stamp = stamp_of(str(self.root))
        if stamp == self._listed:
            return []
        names = dict.fromkeys(_names_in(self.root))
        # What was made within the same tick of the file system's clock as the listing may be missing from it.
        self._listed = stamp if abs(time.time() - stamp[0] / 1e9) > TICK_SECONDS else None
        gone = [name for name in self._shown if name not in names]
        self._unkept_gone |= {name for name in self._digests if name not in names}
        for name in self._unkept_gone:
            self._digests.pop(name, None)
            self._shown.pop(name, None)
            self._live.pop(name, None)
        self._queues.waiting.extendleft(reversed([name for name in names if name not in self._names]))
        self._names = names
        self._unsure = {name: None for name in self._unsure if name in names}
        self._unkept_gone -= names.keys()
        return gone

    def _due(self, seen: Iterable[str]) -> dict[str, None]:
        """Names of runs that somebody waits for: live ones, those that are seen, and folders that may become runs."""
        now = time.monotonic()
        due: dict[str, None] = {}
        if now >= self._queues.live_at:
            self._queues.live_at = now + LIVE_SECONDS
            due |= dict.fromkeys([*self._live, *list(self._unsure)[:MAX_UNSURE]])
        if now >= self._queues.seen_at:
            self._queues.seen_at = now + SEEN_SECONDS
            due |= dict.fromkeys(name for name in seen if name in self._names)
        return due

    def _others(self, until: float) -> Iterator[str]:
        """Names that nobody sees: all of those that were never compared, then a few in turn."""
        waiting, num_given = self._queues.waiting, 0
        while waiting and (num_given < AT_LEAST or time.monotonic() < until):
            num_given += 1
            yield waiting.popleft()
        if self.num_waiting:
            return
        for _ in range(IN_TURN):
            name = next(self._queues.turn, None)
            if name is None:
                self._queues.turn = iter(tuple(self._names))
                return
            if name in self._names:
                yield name

    def _compare(self, name: str) -> Overview | None:
        """Read a run again whose files changed; None where it stands as before, or is no run."""
        run, path = self.root / name, f"{self.root}/{name}"
        digest = self._digests.get(name)
        if digest is None or stamps_of(path) != digest.stamps:
            if not os.path.exists(f"{path}/config.toml"):
                self._unsure[name] = None
                return None
            self._unsure.pop(name, None)
            digest = digest_of(run, digest)
            self._take(name, digest)
        if journal_stamp(path) != digest.journal:
            self._queues.unread[name] = None
        return self._shown_anew(name)

    def _read_journals(self, first: Iterable[str], until: float) -> dict[str, Overview]:
        """Read what was added to journals: of what somebody sees, then while there is time of the others."""
        changed: dict[str, Overview] = {}
        unread = self._queues.unread
        if self._queues.waiting:
            return changed  # first all runs are listed, then their probes are read
        wanted = dict.fromkeys(name for name in first if name in unread)
        for number, name in enumerate(tuple(wanted | unread)):
            if number >= AT_LEAST and time.monotonic() >= until:
                break
            digest = self._digests.get(name)
            if digest is None:
                unread.pop(name)
                continue
            stamp = journal_stamp(f"{self.root}/{name}")
            probes, has_ended = read_on(self.root / name, digest.probes, JOURNAL_BYTES)
            self._take(name, replace(digest, probes=probes, journal=stamp if has_ended else digest.journal))
            if has_ended:
                unread.pop(name)
            if (overview := self._shown_anew(name)) is not None:
                changed[name] = overview
        return changed

    def _take(self, name: str, digest: Digest) -> None:
        self._digests[name] = digest
        self._unkept[name] = None

    def _shown_anew(self, name: str) -> Overview | None:
        """How a run stands, where that is not what was told before."""
        overview = overview_of(self.root / name, self._digests[name])
        if overview == self._shown.get(name):
            return None
        self._show(overview)
        return overview

    def _show(self, overview: Overview) -> None:
        self._shown[overview.name] = overview
        if overview.is_live:
            self._live[overview.name] = None
        else:
            self._live.pop(overview.name, None)


def _names_in(root: Path) -> list[str]:
    """Names of the folders that may be runs, the newest dates first."""
    return sorted((name for name in names_in(root) if not name.startswith(".")), reverse=True)
