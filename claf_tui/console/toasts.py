"""Which events deserve a toast, and what it says. Pure functions."""

from dataclasses import dataclass
from typing import Literal

from claf_engine import events as ev
from claf_tui.words.safe_text import safe


@dataclass(frozen=True)
class Toast:
    """A short message in the corner; `seconds` is how long it stays."""

    text: str
    severity: Literal["information", "warning", "error"] = "information"
    seconds: float = 3.0


FRESH_SECONDS = 60.0
"""So old a request of another process may be for its answer to be told; the log has them all."""


def toast_of(event: ev.Event, now: float) -> Toast | None:
    """Choose the toast of an event: trouble, or the answer to a request; None for all others.

    Args:
        event: what happened.
        now: seconds since the epoch.
    """
    match event:
        case ev.RequestServed() if abs(now - event.at) < FRESH_SECONDS:
            text = f"{safe(event.request, 60)}, asked by {safe(event.who, 60)}: {safe(event.answer, 150)}"
            return Toast(text) if event.is_accepted else Toast(text, "warning", 6)
        case ev.Notice(level="error"):
            return Toast(safe(event.text, 200), "error", 6)
        case ev.Notice(level="warning"):
            return Toast(safe(event.text, 200), "warning", 6)
        case ev.CheckpointSaved() if "requested" in event.kept_as:
            return Toast(f"checkpoint saved at step {event.step:,}")
        case ev.ProbeFinished(requested=True):
            return Toast("the probe you asked for is done")
        case _:
            return None
