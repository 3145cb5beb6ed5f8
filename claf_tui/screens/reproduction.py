"""A table of the paper while it is reproduced: the rows filling in, the current run, a bar chart like Figure 1."""

from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.events import Resize
from textual.screen import Screen

from claf_engine.events.control import WAITING, Control
from claf_tui.charts.plot import ChartOptions
from claf_tui.screens.dashboard import SECONDS_PER_CHART
from claf_tui.state import RunState
from claf_tui.state.reproduction import Scene, caveat
from claf_tui.widgets.alert_bar import AlertBar
from claf_tui.widgets.chart import Chart
from claf_tui.widgets.current_run import CurrentRun, current_title, owns_run, titled_loss
from claf_tui.widgets.key_bar import Hint, KeyBar
from claf_tui.widgets.key_figures import KeyFigures
from claf_tui.widgets.keys import named
from claf_tui.widgets.log_panel import LogPanel
from claf_tui.widgets.paper_bars import PaperBars, bars_height
from claf_tui.widgets.paper_table import TableBody, TableHead, num_lines
from claf_tui.widgets.queue_bar import QueueBar
from claf_tui.widgets.reproduction_end import ReproductionEnd

WIDE = 120
"""Cells from which on the bar chart stands beside the current run."""
TALL, TALL_AT_END = 34, 28
"""Lines from which on the log is shown: beside a run, and under the summary at the end."""
LEAST_ROWS = 3
"""Lines that the table's rows have on the smallest screen; on others they take up to about half of it."""
AROUND = 7
"""Lines of the screen that are neither rows of the table nor the panels below: title, progress, head, borders, keys."""


class ReproductionScreen(Screen[None]):
    """Draws a `Scene` and turns keys into requests to `Control`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "toggle_pause", "pause / go on"),
        Binding("p", "probe", "probe now"),
        Binding("d,enter", "app.run_board", "dashboard of the current run"),
        Binding("tab", "toggle_bars", "bar chart or current run"),
        Binding("a", "acknowledge", "acknowledge an alert"),
        Binding("up,k", "scroll_table(-1)", show=False, id="up"),
        Binding("down,j", "scroll_table(1)", show=False, id="down"),
    ]
    BINDINGS = named("reproduction", BINDINGS)

    def __init__(self, control: Control) -> None:
        super().__init__()
        self._control = control
        self._scene = Scene()
        self._queue, self._head, self._body = QueueBar(), TableHead(), TableBody()
        self._current, self._end, self._bars = CurrentRun(), ReproductionEnd(), PaperBars()
        self._parts = (self._queue, self._head, self._body, self._current, self._end, self._bars)
        self._prefers_bars = False
        self._charted = -SECONDS_PER_CHART
        self._titles = ("", "")

    def compose(self) -> ComposeResult:
        """Lay out all panels; the stylesheet decides which of them a size shows."""
        yield self._queue
        yield AlertBar(id="alerts")
        with Vertical(id="table-panel", classes="panel"):
            yield self._head
            with VerticalScroll(id="table-rows", can_focus=False):
                yield self._body
        with Horizontal(id="lower"):
            with Vertical(id="run-side"):
                yield self._end
                with Vertical(id="run-panel", classes="panel"):
                    yield self._current
                    yield KeyFigures(id="figures")
                    yield Chart("no loss logged yet", ChartOptions(has_trend=True), id="loss")
                with Vertical(id="log-panel", classes="panel"):
                    yield LogPanel(id="log")
            with Vertical(id="bars-panel", classes="panel"):
                yield self._bars
        yield KeyBar(self._hints(), id="keys")

    def on_mount(self) -> None:
        """Name the panels."""
        self.query_one("#log-panel").border_title = Content.styled("log", "$foreground")
        self._fit()

    def on_resize(self, _: Resize) -> None:
        """Choose the panels that the size has room for."""
        self._fit()

    def show(self, scene: Scene) -> None:
        """Draw this scene; the loss chart only every few times."""
        if not self.is_mounted or not self.is_running:
            return
        drawn, self._scene = self._scene, scene
        for part in self._parts:
            part.show(scene)
        shown = scene.state if owns_run(scene) else RunState()
        figures = self.query_one(KeyFigures)
        figures.visible = shown.run is not None
        figures.show(shown)
        self.query_one(LogPanel).show(scene.state)
        if self.query_one(AlertBar).show(scene.state):
            self.app.bell()
        if scene.moment.waited - self._charted >= SECONDS_PER_CHART or owns_run(drawn) != owns_run(scene):
            self._charted = scene.moment.waited
            self.query_one("#loss", Chart).show(titled_loss(shown))
        self._show_titles()
        self.query_one(KeyBar).show(self._hints())
        if drawn.table != scene.table or drawn.has_ended != scene.has_ended:
            self._fit()
        if (drawn.table and drawn.table.current) != (scene.table and scene.table.current):
            self.call_after_refresh(self._reveal_current)

    def action_toggle_pause(self) -> None:
        """Pause, or go on; the status word changes with the key press."""
        if not self._may_steer():
            return
        if self._control.status in WAITING:
            self._control.resume()
        else:
            self._control.pause()
        word = "RUNNING" if self._control.status == "running" else self._control.status.upper()
        self._queue.show(replace(self._scene, moment=replace(self._scene.moment, word=word)))
        self.query_one(KeyBar).show(self._hints())

    def action_probe(self) -> None:
        """Ask the current run for a probe."""
        if not self._may_steer():
            return
        if not self._scene.is_training:
            self._tell("no run is training at this moment")
            return
        self._control.probe_now()
        self._tell("a probe comes after this step")

    def action_toggle_bars(self) -> None:
        """Where there is no room for everything, show the bar chart alone, or go back to the table."""
        self._prefers_bars = not self._prefers_bars
        self._fit()

    def action_acknowledge(self) -> None:
        """Take the shown alert away."""
        self.query_one(AlertBar).acknowledge()

    def action_scroll_table(self, lines: int) -> None:
        """Scroll the table."""
        self.query_one("#table-rows").scroll_relative(y=lines, animate=False)

    def _fit(self) -> None:
        width, height = self.size
        table = self._scene.table
        num_rows, most = num_lines(table, width - 2), max(LEAST_ROWS, height // 2 - 3)
        self.query_one("#table-rows").styles.max_height = most
        self.query_one("#table-panel").border_subtitle = Content("arrows scroll" if num_rows > most else "")
        room = height - AROUND - min(num_rows, most)
        is_wide = width >= WIDE and (table is None or room - 2 >= bars_height(table))
        is_alone = self._prefers_bars and not is_wide
        self.query_one("#bars-panel").display = is_wide or is_alone
        for name in ("run-side", "table-panel"):
            self.query_one(f"#{name}").display = not is_alone
        self.set_class(is_alone, "-bars-alone")
        self.set_class(height < TALL, "-short")
        has_ended = self._scene.has_ended
        self.query_one("#run-panel").display = not has_ended
        log = self.query_one("#log-panel")
        log.display = height >= (TALL_AT_END if has_ended else TALL)
        log.set_class(has_ended, "-rest")
        self._current.is_compact = height < TALL or width < 96
        self._current.refresh(layout=True)

    def _reveal_current(self) -> None:
        line = self._body.current_line
        rows = self.query_one("#table-rows")
        if line is not None and not rows.scroll_y <= line < rows.scroll_y + rows.size.height:
            rows.scroll_to(y=max(0, line - rows.size.height // 2), animate=False)

    def _show_titles(self) -> None:
        titles = (current_title(self._scene), caveat(self._scene))
        if titles == self._titles:
            return
        self._titles = titles
        self.query_one("#run-panel").border_title = Content.styled(titles[0], "$foreground")
        warning = f" · {titles[1]}" if titles[1] else ""
        for name, title in (("table", "accuracy in %"), ("bars", "in %, as in Figure 1")):
            panel = self.query_one(f"#{name}-panel")
            panel.border_title = Content.assemble((title, "$foreground"), (warning, "bold $warning"))

    def _hints(self) -> list[Hint]:
        steering: list[Hint] = []
        if not self._scene.has_ended:
            is_waiting = self._control.status in WAITING
            pause = ("space", "go on" if is_waiting else "pause", "screen.toggle_pause")
            steering = [pause, ("p", "probe", "screen.probe")]
        looking: list[Hint] = [
            ("d", "dashboard", "app.run_board"),
            ("tab", "table" if self._prefers_bars else "bar chart", "screen.toggle_bars"),
        ]
        if self.is_mounted and self.query_one("#bars-panel").display and self.query_one("#run-side").display:
            looking = looking[:1]
        leaving: list[Hint] = [("q", "quit", "app.quit"), ("b", "browse", "app.checkpoints"), ("?", "help", "app.help")]
        return [*steering, *looking, *leaving]

    def _may_steer(self) -> bool:
        if self._scene.has_ended:
            self._tell("everything has ended")
        elif self._control.stop_requested:
            self._tell("it is already stopping")
        else:
            return True
        return False

    def _tell(self, text: str) -> None:
        self.notify(text, markup=False, timeout=3)
