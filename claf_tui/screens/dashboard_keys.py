"""Which keys the last line of the dashboard names. Pure."""

from claf_tui.widgets.key_bar import Hint

LIVE_HINTS: tuple[Hint, ...] = (
    ("space", "pause", "screen.toggle_pause"),
    ("p", "probe", "screen.probe"),
    ("c", "save", "screen.checkpoint"),
    ("e", "edit", "screen.edit"),
    ("s", "stop", "screen.stop"),
    ("b", "browse", "app.checkpoints"),
    ("1-4", "view", "screen.next_panel"),
    ("l", "log scale", "screen.log_scale"),
    ("q", "quit", "app.quit"),
    ("?", "help", "app.help"),
)
STEERING_KEYS = {"space", "p", "c", "e", "s"}


def key_hints(
    width: int, *, can_steer: bool, is_waiting: bool, can_go_back: bool = False, can_audit: bool = False
) -> list[Hint]:
    """Choose the key hints that matter now and fit."""
    hidden = set() if can_steer else STEERING_KEYS
    hidden = hidden | ({"l"} if width < 100 else set())
    hints = [hint for hint in LIVE_HINTS if hint[0] not in hidden]
    if is_waiting and can_steer:
        hints[0] = ("space", "go on", "screen.toggle_pause")
    if can_audit:
        hints = [("A", "audit", "screen.audit"), ("v", "card", "screen.card"), *hints]
    return [("r", "go back", "screen.go_back"), *hints] if can_go_back else hints
