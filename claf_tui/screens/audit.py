"""An audit while it runs: the diagnostics with their verdicts, and what the chosen one means."""

from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical, VerticalScroll
from textual.content import Content
from textual.events import Click, Resize
from textual.screen import Screen

from claf_engine.events.control import WAITING, Control
from claf_tui.state.audit import AuditScene, rows, running_index, telling_index
from claf_tui.widgets.audit_bar import AuditBar
from claf_tui.widgets.diagnostics import DiagnosticDetail, DiagnosticList
from claf_tui.widgets.key_bar import Hint, KeyBar
from claf_tui.widgets.keys import named

WIDE = 110
"""Cells from which on the chosen diagnostic may stand beside the list instead of below it."""
AROUND, DETAIL = 5, 10
"""Lines of the screen that are neither list nor detail, and those that the detail has where it stands below."""
LEAST_LIST = 9
"""Lines of the list on the smallest screen, its border included."""


class AuditScreen(Screen[None]):
    """Draws an `AuditScene`; the mark follows the running diagnostic until a person moves it."""

    CSS_PATH = "../console/audit.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "toggle_pause", "pause / go on"),
        Binding("up,k", "move(-1)", show=False, id="up"),
        Binding("down,j", "move(1)", show=False, id="down"),
        Binding("home,g", "move(-1000)", show=False, id="first"),
        Binding("end,G", "move(1000)", show=False, id="last"),
        Binding("n", "next_alarm", "next one that does not pass"),
        Binding("f,escape", "follow", "follow the running one"),
        Binding("pageup", "scroll_detail(-1)", show=False, id="page-up"),
        Binding("pagedown", "scroll_detail(1)", show=False, id="page-down"),
        Binding("c,enter", "app.card", "card"),
    ]
    BINDINGS = named("audit", BINDINGS)

    def __init__(self, control: Control) -> None:
        super().__init__()
        self._control = control
        self._scene = AuditScene()
        self._chosen: int | None = None
        self._shown: int | None = None

    def compose(self) -> ComposeResult:
        """Lay out title, list, detail and keys."""
        yield AuditBar(id="audit-bar")
        with Container(id="audit-body"):
            with (
                Vertical(id="diagnostics-panel", classes="panel -selected"),
                VerticalScroll(id="diagnostics-rows", can_focus=False),
            ):
                yield DiagnosticList(id="diagnostics")
            with Vertical(id="detail-panel", classes="panel"), VerticalScroll(id="detail-text", can_focus=False):
                yield DiagnosticDetail(id="detail")
        yield KeyBar(self._hints(), id="keys")

    def on_mount(self) -> None:
        """Name the panels."""
        self.query_one("#diagnostics-panel").border_title = Content.styled("diagnostics", "$foreground")
        self.query_one("#detail-panel").border_title = Content.styled("what it means", "$foreground")

    def on_resize(self, _: Resize) -> None:
        """Put the detail beside the list or below it."""
        self._fit()

    def on_click(self, event: Click) -> None:
        """Choose the row that was clicked."""
        offset = event.get_content_offset(self.query_one("#diagnostics"))
        if offset is not None:
            self._choose(offset.y)

    def show(self, scene: AuditScene) -> None:
        """Draw this scene."""
        if not self.is_mounted or not self.is_running:
            return
        num_rows = len(rows(self._scene))
        self._scene = scene
        listed, chosen = rows(scene), self.chosen
        if len(listed) != num_rows:
            self._fit()
        self.query_one(AuditBar).show(scene)
        self.query_one(DiagnosticList).show(scene, chosen)
        self.query_one(DiagnosticDetail).show(listed[chosen] if chosen < len(listed) else None)
        self.query_one(KeyBar).show(self._hints())
        if chosen != self._shown:
            self._shown = chosen
            self.query_one("#detail-text").scroll_home(animate=False)
            self.call_after_refresh(self._reveal, chosen)

    @property
    def chosen(self) -> int:
        """The marked row: a person's choice, else the running one, else the one that tells most."""
        listed = rows(self._scene)
        if self._chosen is not None:
            return min(self._chosen, max(0, len(listed) - 1))
        running = running_index(listed)
        if running is not None:
            return running
        return telling_index(listed) if self._scene.has_ended else 0

    def action_toggle_pause(self) -> None:
        """Pause, or go on; the status word changes with the key press."""
        if self._scene.has_ended or self._control.stop_requested:
            return
        if self._control.status in WAITING:
            self._control.resume()
        else:
            self._control.pause()
        self.show(replace(self._scene, moment=replace(self._scene.moment, word=self._control.status.upper())))

    def action_move(self, lines: int) -> None:
        """Move the mark."""
        self._choose(self.chosen + lines)

    def action_next_alarm(self) -> None:
        """Mark the next diagnostic that warns, fails or was not run."""
        listed = rows(self._scene)
        order = [*range(self.chosen + 1, len(listed)), *range(self.chosen + 1)]
        found = next((i for i in order if i < len(listed) and listed[i].status in {"fails", "warns", "not-run"}), None)
        if found is None:
            self.notify("nothing that does not pass so far", markup=False, timeout=2)
        else:
            self._choose(found)

    def action_follow(self) -> None:
        """Let the mark follow the running diagnostic again."""
        self._chosen = None
        self.show(self._scene)

    def action_scroll_detail(self, pages: int) -> None:
        """Scroll the detail by pages."""
        panel = self.query_one("#detail-text")
        panel.scroll_relative(y=pages * max(1, panel.size.height - 1), animate=False)

    def _fit(self) -> None:
        """Below the list there is room for long figures; beside it for a long list on a low screen."""
        width, height = self.size
        wanted, room = len(rows(self._scene)) + 2, height - AROUND - DETAIL
        is_stacked = width < WIDE or wanted <= room
        self.set_class(is_stacked, "-stacked")
        self.query_one("#diagnostics-panel").styles.height = (
            max(LEAST_LIST, min(wanted, room)) if is_stacked else "100%"
        )
        self._shown = None

    def _choose(self, index: int) -> None:
        num_rows = len(rows(self._scene))
        if num_rows:
            self._chosen = max(0, min(num_rows - 1, index))
            self.show(self._scene)

    def _reveal(self, line: int) -> None:
        panel = self.query_one("#diagnostics-rows")
        height = panel.size.height
        if not panel.scroll_y <= line < panel.scroll_y + height:
            panel.scroll_to(y=max(0, line - height // 2), animate=False)

    def _hints(self) -> list[Hint]:
        is_waiting = self._control.status in WAITING
        steering: list[Hint] = [("space", "go on" if is_waiting else "pause", "screen.toggle_pause")]
        if self._scene.has_ended:
            steering = [("c", "card", "app.card")] if self._scene.card is not None else []
        looking: list[Hint] = [("↑↓", "choose", "screen.move(1)"), ("n", "next alarm", "screen.next_alarm")]
        if self._chosen is not None and not self._scene.has_ended:
            looking.append(("f", "follow", "screen.follow"))
        return [*steering, ("q", "quit", "app.quit"), *looking, ("?", "help", "app.help")]
