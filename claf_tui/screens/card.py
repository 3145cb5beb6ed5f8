"""A robustness card: what is known about a classifier's robustness, how well, and how to repeat it."""

from collections.abc import Mapping
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical, VerticalScroll
from textual.content import Content
from textual.events import Resize
from textual.screen import Screen

from claf_tui.screens.help import AuditHelp
from claf_tui.screens.scroll_keys import SCROLL_KEYS
from claf_tui.widgets.card_sections import CardHead, CardSection, attack_lines, diagnostic_lines, provenance_lines
from claf_tui.widgets.key_bar import Hint, KeyBar
from claf_tui.widgets.keys import named
from claf_tui.widgets.robustness_curve import RobustnessCurve, curve_of
from claf_tui.widgets.verdicts import glyph, word

WIDE = 110
"""Cells from which on the diagnostics stand beside the rest."""
HINTS: tuple[Hint, ...] = (
    ("↑↓", "scroll", "screen.scroll(3)"),
    ("?", "help", "screen.explain"),
    ("escape", "back", "screen.back"),
)


class CardScreen(Screen[None]):
    """Draws a card.

    Args:
        card: as card.json holds it; another program may have written it.
    """

    CSS_PATH = "../console/audit.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,c,enter", "back", "back"),
        Binding("question_mark,f1", "explain", "help"),
        *SCROLL_KEYS,
    ]
    BINDINGS = named("card", BINDINGS)

    def __init__(self, card: Mapping[str, Any]) -> None:
        super().__init__()
        self._card = card
        self._curve = curve_of(card)

    def compose(self) -> ComposeResult:
        """Lay out figures, diagnostics, attacks, curve and provenance."""
        yield CardHead(self._card, id="card-head")
        with VerticalScroll(id="card-body", can_focus=False), Container(id="card-columns"):
            with Vertical(classes="card-column"), Vertical(id="card-diagnostics-panel", classes="panel"):
                yield CardSection(self._card, diagnostic_lines, id="card-diagnostics")
            with Vertical(classes="card-column"):
                with Vertical(id="card-attacks-panel", classes="panel"):
                    yield CardSection(self._card, attack_lines, id="card-attacks")
                if self._curve is not None:
                    with Vertical(id="card-curve-panel", classes="panel"):
                        yield RobustnessCurve(id="card-curve")
                with Vertical(id="card-provenance-panel", classes="panel"):
                    yield CardSection(self._card, provenance_lines, id="card-provenance")
        yield KeyBar(HINTS, id="card-keys")

    def on_mount(self) -> None:
        """Name the panels and draw the curve."""
        titles = {"attacks": "attacks, lowest first", "provenance": "how to repeat it"}
        if self._curve is not None:
            titles["curve"] = self._curve.title
            self.query_one(RobustnessCurve).show_curve(self._curve)
        for name, title in titles.items():
            self.query_one(f"#card-{name}-panel").border_title = Content.styled(title, "$foreground")
        self.query_one("#card-diagnostics-panel").border_title = diagnostics_title(self._card)

    def on_resize(self, event: Resize) -> None:
        """Put the diagnostics beside the rest or above it."""
        self.set_class(event.size.width < WIDE, "-narrow")

    def action_back(self) -> None:
        """Leave the card."""
        self.app.pop_screen()

    def action_explain(self) -> None:
        """Show what verdicts and figures mean."""
        self.app.push_screen(AuditHelp())

    def action_scroll(self, lines: int) -> None:
        """Scroll the card."""
        self.query_one("#card-body").scroll_relative(y=lines, animate=False)


def diagnostics_title(card: Mapping[str, Any]) -> Content:
    """Count the verdicts of a card."""
    listed = card.get("diagnostics")
    verdicts = [item.get("verdict") for item in listed if isinstance(item, Mapping)] if isinstance(listed, list) else []
    parts = []
    for verdict in ("passes", "warns", "fails", "not-run"):
        if number := verdicts.count(verdict):
            sign, style = glyph(verdict)
            parts.append(Content.styled(f"{sign} {number} {word(verdict)}", style))
    return Content.assemble(("diagnostics", "$foreground"), "  " if parts else "", Content("  ").join(parts))
