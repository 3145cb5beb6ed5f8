"""What the terminal around the console shows of a run: its title, its progress, and messages to the desktop. Pure.

The console's driver writes it, and takes it back when it leaves the terminal (`claf_tui.console.driver`), or else the
process that keeps the terminal does (`claf_tui.console.restore_terminal`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from claf_engine.config.alerts import AlertSettings
from claf_tui.console.restore_terminal import NO_PROGRESS, POP_TITLE, shows_progress, wrapped
from claf_tui.words.safe_text import safe

PUSH_TITLE = "\x1b[22;2t"
MAX_TITLE, MAX_MESSAGE = 80, 200
WAITING_WORDS = {"PAUSED", "PAUSING"}
BROKEN_WORDS = {"FAILED", "DIVERGED"}
ENDED_WORDS = {"FINISHED", "STOPPED"}
NORMAL, ERROR, BUSY, WARNING = 1, 2, 3, 4


@dataclass(frozen=True)
class Shown:
    """What a terminal shows around the console; empty where nothing is."""

    title: str = ""
    progress: str = ""


def shown_of(run: str, word: str, fraction: float, *, has_alert: bool) -> Shown:
    """What is to be shown of a run.

    Args:
        run: its name.
        word: its status word.
        fraction: how far it is, in [0, 1].
        has_alert: whether an error stands.
    """
    percent = max(0, min(100, int(100 * fraction)))
    state = "" if word == "RUNNING" else f" {word.lower()}"
    share = "" if word in ENDED_WORDS | {"STARTING"} else f" {percent} %"
    title = f"{'⚠ ' if has_alert else ''}{safe(run, 60)}{state}{share}"[:MAX_TITLE]
    if word in ENDED_WORDS:
        return Shown(title, NO_PROGRESS)
    if word == "STARTING":
        return Shown(title, f"\x1b]9;4;{BUSY};0\x07")
    kind = ERROR if has_alert or word in BROKEN_WORDS else WARNING if word in WAITING_WORDS else NORMAL
    return Shown(title, f"\x1b]9;4;{kind};{percent}\x07")


def chosen(shown: Shown, settings: AlertSettings, environment: Mapping[str, str]) -> Shown:
    """What of it a person wants and their terminal can show."""
    is_wanted = settings.progress == "on" or (settings.progress == "auto" and shows_progress(environment))
    return Shown(shown.title if settings.title else "", wrapped(shown.progress, environment) if is_wanted else "")


def sequences(before: Shown, now: Shown) -> str:
    """What is written to get from one to the other; nothing where they are alike."""
    title = f"\x1b]2;{now.title}\x07" if now.title != before.title and now.title else ""
    return title + (now.progress if now.progress != before.progress else "")


def taken_back(shown: Shown, environment: Mapping[str, str]) -> str:
    """What is written when the console leaves the terminal."""
    return (POP_TITLE if shown.title else "") + (wrapped(NO_PROGRESS, environment) if shown.progress else "")


def message(text: str, environment: Mapping[str, str]) -> str:
    """A message to the person's desktop (OSC 9); none on the plain console of Linux, which knows no such thing."""
    if environment.get("TERM") == "linux":
        return ""
    # A text that begins with a number and a semicolon would be a command of OSC 9.
    return wrapped(f"\x1b]9;claf-tui: {safe(text, MAX_MESSAGE)}\x07", environment)
