"""A line that nobody can miss: the oldest alert that was not acknowledged yet."""

import textwrap

from textual.content import Content
from textual.widget import Widget

from claf_tui.state import Alert, RunState
from claf_tui.words.safe_text import safe

LEVEL_WORDS = {"info": "NOTE", "warning": "WARNING", "error": "ALERT"}
LEVEL_STYLES = {
    "info": "bold $background on $secondary",
    "warning": "bold $background on $warning",
    "error": "bold $background on $error",
}
MAX_ALERT_LINES = 3


class AlertBar(Widget):
    """Shows one alert at a time, until it is acknowledged; takes no room while there is none.

    Args:
        key: what acknowledges, as it is shown.
        id: of the widget.
    """

    def __init__(self, key: str = "a", *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._key = key
        self._acknowledged: set[Alert] = set()
        self._open: tuple[Alert, ...] = ()
        self._run = ""
        self.display = False

    def show(self, state: RunState) -> tuple[Alert, ...]:
        """Show the alerts of this state from now on.

        Returns:
            Those that were not there before.
        """
        if state.run is not None:
            self._run = safe(state.run.run, 60)
        return self.show_alerts(tuple(alert for alert in state.alerts if alert not in self._acknowledged))

    def show_alerts(self, alerts: tuple[Alert, ...]) -> tuple[Alert, ...]:
        """Show these alerts from now on, oldest first.

        Returns:
            Those that were not there before.
        """
        added = tuple(alert for alert in alerts if alert not in self._open)
        if alerts != self._open:
            self._open = alerts
            self.display = bool(alerts)
            self.refresh(layout=True)
        return added

    def acknowledge(self) -> None:
        """Take the shown alert away; the log keeps it."""
        if self._open:
            self._acknowledged.add(self._open[0])
            self.show_alerts(self._open[1:])

    def get_content_height(self, _container: object, _viewport: object, width: int) -> int:
        """As many lines as the alert needs."""
        return len(alert_lines(self._open, self._run, width, self._key))

    def render(self) -> Content:
        """Draw the alert."""
        return Content("\n").join(alert_lines(self._open, self._run, self.size.width, self._key))


def alert_lines(alerts: tuple[Alert, ...], run: str, width: int, key: str = "a") -> list[Content]:
    """Write the oldest alert as lines of exactly `width` cells, with how many others wait.

    Args:
        alerts: the open ones, oldest first.
        run: the run that is shown; an alert of another one names its own.
        width: of the lines.
        key: what acknowledges.
    """
    if not alerts:
        return []
    alert = alerts[0]
    word = LEVEL_WORDS.get(alert.level, "ALERT")
    others = f" · {len(alerts) - 1} more" if len(alerts) > 1 else ""
    source = f"{alert.run}: " if alert.run != run else ""
    keys = f" · {key} acknowledges{others}"
    wrapped = textwrap.wrap(f"{word} · {source}{alert.text}", max(12, width - 2)) or [word]
    shown = wrapped[:MAX_ALERT_LINES]
    if len(shown[-1]) + len(keys) > width - 2 and len(shown) < MAX_ALERT_LINES:
        shown.append(keys.removeprefix(" · "))
    else:
        shown[-1] = f"{shown[-1][: max(0, width - 2 - len(keys))]}{keys}"
    style = LEVEL_STYLES.get(alert.level, LEVEL_STYLES["error"])
    cut = [Content.styled(f" {line}", style).truncate(width, ellipsis=True) for line in shown]
    return [line.pad_right(width - line.cell_length) for line in cut]
