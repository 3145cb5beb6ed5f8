"""What the screen draws, as a pure fold over events: `state = reduce(state, event)`.

No Textual and no torch; the same for a live run, a watched one and a replayed one. Every foreign string is cleaned
here, before it reaches a widget. Curves, log, alerts and checkpoints are bounded, so a step of the fold costs the same
at the millionth event as at the first.
"""

from claf_tui.state.folds import RETRAINING, reduce
from claf_tui.state.run_state import (
    MAX_ALERTS,
    MAX_CHECKPOINTS,
    MAX_LOG_LINES,
    Alert,
    LogLine,
    LossKey,
    Mark,
    PhaseState,
    PhaseStatus,
    ProbeKey,
    Record,
    RunState,
    log,
    raise_alert,
    status_word,
)

__all__ = [
    "MAX_ALERTS",
    "MAX_CHECKPOINTS",
    "MAX_LOG_LINES",
    "RETRAINING",
    "Alert",
    "LogLine",
    "LossKey",
    "Mark",
    "PhaseState",
    "PhaseStatus",
    "ProbeKey",
    "Record",
    "RunState",
    "log",
    "raise_alert",
    "reduce",
    "status_word",
]
