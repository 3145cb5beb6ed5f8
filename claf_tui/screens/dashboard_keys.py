"""Which keys the last line of the dashboard names. Pure."""

from claf_tui.widgets.key_bar import Hint

LIVE_HINTS: tuple[Hint, ...] = (
    ("space", "pause", "screen.toggle_pause"),
    ("p", "probe", "screen.probe"),
    ("c", "save", "screen.checkpoint"),
    ("e", "edit", "screen.edit"),
    ("n", "run on", "screen.pause_later"),
    ("s", "stop", "screen.stop"),
    ("b", "browse", "app.checkpoints"),
    ("v", "examples", "screen.examples"),
    ("←→", "cursor", "screen.cursor"),
    ("↑↓", "zoom", "screen.zoom"),
    ("1-4", "panel", "screen.next_panel"),
    ("x", "axis", "screen.x_axis"),
    ("w", "compare", "screen.compare"),
    ("+-", "smooth", "screen.smooth"),
    ("l", "log", "screen.log_scale"),
    ("A", "alerts", "screen.history"),
    ("q", "quit", "app.quit"),
    ("i", "settings", "app.settings"),
    ("?", "help", "app.help"),
)
STEERING_KEYS = {"space", "p", "c", "e", "n", "s"}


def key_hints(*, can_steer: bool, is_waiting: bool, can_go_back: bool = False, can_audit: bool = False) -> list[Hint]:
    """Choose the key hints that matter now."""
    hidden = set() if can_steer else STEERING_KEYS
    hints = [hint for hint in LIVE_HINTS if hint[0] not in hidden]
    if is_waiting and can_steer:
        hints[0] = ("space", "go on", "screen.toggle_pause")
    if can_audit:
        hints = [("u", "audit", "screen.audit"), ("V", "card", "screen.card"), *hints]
    return [("r", "go back", "screen.go_back"), *hints] if can_go_back else hints
