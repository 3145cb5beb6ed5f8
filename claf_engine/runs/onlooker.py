"""A run's folder and journal for a process that must not write there, because another one owns them. No torch."""

from pathlib import Path
from typing import Any

from claf_engine import events as ev
from claf_engine.config import RunConfig
from claf_engine.runs.chores import Chores
from claf_engine.runs.folder import RunDirectory
from claf_engine.runs.journal import Journal


class Onlooker(RunDirectory):
    """A run's folder in which another process of the same run writes."""

    is_owned = False

    def __init__(self, path: Path, config: RunConfig, *, accepts_changed_data: bool = False) -> None:
        self.path = path
        self.config = config
        self.notices = ()
        self.accepts_changed_data = accepts_changed_data
        self.is_new = False
        self.chores = Chores()

    def write_status(self, record: dict[str, Any]) -> None:
        """Write nothing."""

    def note(self, record: dict[str, Any]) -> None:
        """Write nothing."""

    def settle(self, config: RunConfig) -> None:
        """Take the settings over, and write nothing."""
        self.config = config

    def take_over(self, checkpoint: Path) -> None:
        """Copy nothing."""

    def find_again(self) -> bool:
        """Say that there is no folder to write in."""
        return False

    def discard(self) -> None:
        """Remove nothing."""

    def close(self) -> None:
        """Let go of nothing: it is not locked."""


class NoJournal(Journal):
    """A journal that nobody reads."""

    def __init__(self) -> None:
        super().__init__(Path())

    def open(self, *, keep: int | None = None) -> int:  # noqa: ARG002 (that of a journal)
        """Open nothing."""
        return 0

    def set_aside(self) -> tuple[str, ...]:
        """Rename nothing."""
        return ()

    @property
    def is_open(self) -> bool:
        """Always: what is written is dropped."""
        return True

    def append(self, event: ev.Event) -> None:
        """Drop an event."""
