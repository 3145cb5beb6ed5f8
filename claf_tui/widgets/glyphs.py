"""Small drawn things that several widgets share: bars, spinners and phase glyphs. Pure functions."""

from textual.content import Content

from claf_tui.state import PhaseStatus

SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
PHASE_GLYPHS: dict[PhaseStatus, tuple[str, str]] = {
    "waiting": ("○", "$foreground 60%"),
    "active": ("▶", "bold $accent"),
    "done": ("✔", "$success"),
    "stopped": ("■", "$warning"),
    "failed": ("✘", "bold $error"),
}


def bar(fraction: float, width: int, style: str = "$accent") -> Content:
    """Draw a progress bar of exactly `width` cells, with half cells."""
    halves = round(min(1.0, max(0.0, fraction)) * width * 2)
    filled = "━" * (halves // 2) + ("╸" if halves % 2 else "")
    return Content.assemble((filled, style), ("─" * (width - len(filled)), "$foreground 25%"))


def spinner(frame: int) -> str:
    """One picture of a spinner that turns once in ten frames."""
    return SPINNER[frame % len(SPINNER)]


def fit(options: list[Content], width: int) -> Content:
    """Choose the first content that fits into `width` cells; the last one is cut when none does."""
    chosen = next((option for option in options if option.cell_length <= width), options[-1])
    return chosen if chosen.cell_length <= width else chosen.truncate(width, ellipsis=True)


def spread(left: Content, right: Content, width: int) -> Content:
    """Put one content at each end of a line; the right one goes when there is no room for both."""
    gap = width - left.cell_length - right.cell_length
    if gap < 1:
        return left if left.cell_length <= width else left.truncate(width, ellipsis=True)
    return Content.assemble(left, " " * gap, right)
