"""Notices that a run says nothing, from the console: of its own one a stall, of a watched one a missing heartbeat."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from claf_engine import events as ev
from claf_engine.config.alerts import AlertSettings
from claf_engine.runs.alerting import NO_HEARTBEAT, STALL, changes, silence_finding
from claf_engine.runs.asking import silence
from claf_tui.state import RunState

LOOK_SECONDS = 2.0


class Silence:
    """Looks now and then how long ago the run gave a sign of life.

    Args:
        settings: what a person wants to be told of.
        is_watched: another process trains the run.
    """

    def __init__(self, settings: AlertSettings, *, is_watched: bool) -> None:
        self._settings = settings
        self._is_watched = is_watched
        self._standing: dict[str, dict[str, Any]] = {}
        self._looked_at = 0.0
        self._moved_at = 0.0
        self._progress: ev.Progressed | None = None

    def look(self, state: RunState, now: float) -> Iterator[ev.Alert | ev.AlertEnded]:
        """Tell of a silence that has begun or is over.

        Args:
            state: of the run.
            now: by any clock that counts seconds.
        """
        if state.progress != self._progress or state.control != "running":
            self._progress, self._moved_at = state.progress, now
        if state.run is None or state.progress is None or now - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = now
        name = NO_HEARTBEAT if self._is_watched else STALL
        rule = self._settings.no_heartbeat if self._is_watched else self._settings.stall
        seconds = (silence(Path(state.run.directory)) or 0.0) if self._is_watched else now - self._moved_at
        finding = silence_finding(name, rule.seconds, seconds, is_excused=state.finished is not None or not rule.on)
        yield from changes([finding], self._standing, state.step)
