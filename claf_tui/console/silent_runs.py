"""Which live runs of a list have fallen silent, and what is told of them."""

import math
from collections.abc import Iterable
from typing import Any

from claf_engine import events as ev
from claf_engine.config.alerts import SilenceRule
from claf_engine.runs.alerting import NO_HEARTBEAT, changes, level_of, silence_finding
from claf_engine.runs.listing import GOING_ON
from claf_engine.runs.overview import Overview, seconds_silent
from claf_tui.state import Alert
from claf_tui.words.safe_text import safe

GRACE_SECONDS = 15.0
"""For which a run is watched before it is judged: a live one writes within it, and its machine's clock may be wrong."""

TRAINING = GOING_ON - {"starting"}
"""What a run says of itself that is to give signs of life; while its images are loaded it gives none."""


class SilentRuns:
    """Remembers whom a list has seen alive, who is silent, and what of that was told or acknowledged.

    One serves all lists that a person comes back to, so that nothing is told twice.

    Args:
        rule: when a silence is one, and how often it is told.
    """

    def __init__(self, rule: SilenceRule) -> None:
        self._rule = rule
        self._seen_since: dict[str, float] = {}
        self._standing: dict[str, dict[str, Any]] = {}
        self._told_at: dict[str, float] = {}
        self._open: dict[str, Alert] = {}
        self._looked_at = 0.0

    @property
    def names(self) -> frozenset[str]:
        """Runs that are silent."""
        return frozenset(self._standing)

    @property
    def alerts(self) -> tuple[Alert, ...]:
        """What was told and not acknowledged, oldest first."""
        return tuple(self._open.values())

    def acknowledge(self) -> None:
        """Take the oldest alert away; its run stays marked while it is silent."""
        if self._open:
            self._open.pop(next(iter(self._open)))

    def look(self, runs: Iterable[Overview], now: float) -> list[Alert]:
        """Judge all runs of the list.

        Args:
            runs: as they were found at that time.
            now: when, in seconds since the epoch.

        Returns:
            What is to be told now.
        """
        if now - self._looked_at > GRACE_SECONDS:
            # The machine slept, or the list was not shown: what is known of the runs may be as old.
            self._seen_since = dict.fromkeys(self._seen_since, now)
        self._looked_at = now
        watched = {run.name: run for run in runs if run.is_live or run.name in self._seen_since}
        for name in self._seen_since.keys() - watched.keys():
            self._forget(name)
        told = [self._judged(run, now) for run in watched.values()]
        return [alert for alert in told if alert is not None]

    def _judged(self, run: Overview, now: float) -> Alert | None:
        """What is to be told of one run; a killed one is silent too, one that told its end or still loads is not."""
        if run.digest.said not in TRAINING or run.digest.labels.is_archived or not self._rule.on:
            self._forget(run.name)
            return None
        is_new = now - self._seen_since.setdefault(run.name, now) < GRACE_SECONDS
        seconds, standing = seconds_silent(run.digest, now), self._standing.get(run.name, {})
        finding = silence_finding(NO_HEARTBEAT, self._rule.seconds, seconds, is_excused=is_new and not standing)
        change = next(changes([finding], standing, run.digest.step), None)
        if isinstance(change, ev.AlertEnded):
            self._standing.pop(run.name)
            self._open.pop(run.name, None)
        elif change is not None:
            self._standing[run.name] = standing
            return self._told(run.name, change, now, self._rule.cooldown)
        elif standing and self._rule.repeat is not None:
            again = ev.Alert(run.digest.step, finding.name, finding.text, level_of(NO_HEARTBEAT))
            return self._told(run.name, again, now, self._rule.repeat)
        return None

    def _told(self, name: str, alert: ev.Alert, now: float, least: float) -> Alert | None:
        """Tell of a run unless that was done less than so many seconds ago."""
        if now - self._told_at.get(name, -math.inf) < least:
            return None
        self._told_at[name] = now
        self._open[name] = Alert(alert.level, alert.text, safe(name, 60), alert.step, alert.name)
        return self._open[name]

    def _forget(self, name: str) -> None:
        for book in (self._seen_since, self._standing, self._open):
            book.pop(name, None)
