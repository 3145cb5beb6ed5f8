"""Two to eight runs side by side: curves over each other, figures, settings, cards; runs that go on keep moving."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.events import Resize
from textual.message import Message

from claf_engine.training.spent import epoch_units
from claf_tui.charts.plot import ChartLine, ChartOptions, Scene
from claf_tui.charts.view import Extent, reset
from claf_tui.screens.chart_screen import CHART_KEYS, ChartScreen
from claf_tui.screens.comparison_help import ComparisonHelp
from claf_tui.state.compared_run import ComparedRun, with_labels
from claf_tui.state.comparison import Difference, compare
from claf_tui.state.comparison_curves import AXES, AXIS_TITLES, IDENTITY, CompareAxis, end_of, losses_of, radii_of
from claf_tui.state.comparison_reader import ComparisonReader
from claf_tui.state.comparison_tables import (
    cards_table,
    cost_table,
    diagnostics_table,
    differences_table,
    figures_table,
    settings_table,
)
from claf_tui.widgets.chart import Chart
from claf_tui.widgets.comparison_bar import TABS, ComparisonBar
from claf_tui.widgets.comparison_lines import natural_lines, robust_lines, shared_loss_lines
from claf_tui.widgets.comparison_tables import TablePage
from claf_tui.widgets.curves import loss_title
from claf_tui.widgets.key_bar import Hint, KeyBar
from claf_tui.widgets.keys import named
from claf_tui.words import figures
from claf_tui.words.safe_text import safe

SECONDS_PER_LOOK = 1.0
CHARTS = ("robust", "natural", "loss")
WIDE, TALL = 100, 28
"""Cells from which on all charts are shown at once."""
CURVE_HINTS: tuple[Hint, ...] = (
    ("1-4", "page", "screen.next_tab"),
    ("c", "chart", "screen.chart"),
    ("r", "radius", "screen.radius"),
    ("o", "loss", "screen.other_loss"),
    ("x", "axis", "screen.x_axis"),
    ("←→", "cursor", "screen.cursor"),
    ("↑↓", "zoom", "screen.zoom"),
    ("+-", "smooth", "screen.smooth"),
    ("l", "log", "screen.log_scale"),
    ("?", "help", "screen.explain"),
    ("escape", "back", "screen.back"),
)
PAGE_HINTS: tuple[Hint, ...] = (
    ("1-4", "page", "screen.next_tab"),
    ("↑↓", "scroll", "screen.zoom"),
    ("?", "help", "screen.explain"),
    ("escape", "back", "screen.back"),
)


class ComparisonScreen(ChartScreen):
    """Shows runs by their folders and looks at them again every second.

    Args:
        directories: of two to eight runs, A first (`claf_tui.state.comparison.require_comparable`).
    """

    CSS_PATH = "../console/comparison.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "back"),
        *(
            Binding(str(number), f"tab('{name}')", f"page {name}", id=f"page-{name}")
            for number, name in enumerate(TABS, 1)
        ),
        Binding("tab", "next_tab", "next page", id="next-page"),
        Binding("shift+tab", "next_tab(-1)", "page before", id="page-before"),
        Binding("c", "chart", "next chart"),
        Binding("r", "radius", "another radius"),
        *CHART_KEYS,
        Binding("x", "x_axis", "steps, epochs, time or forward passes"),
        Binding("up,k", "zoom(1)", "zoom in, or scroll up", id="zoom-in"),
        Binding("down,j", "zoom(-1)", "zoom out, or scroll down", id="zoom-out"),
        Binding("pageup", "scroll(-15)", show=False, id="page-up"),
        Binding("pagedown", "scroll(15)", show=False, id="page-down"),
        Binding("question_mark,f1", "explain", "help", id="help"),
    ]
    BINDINGS = named("comparison", BINDINGS)

    class Read(Message):
        """The runs were read, and there is something new."""

    def __init__(self, directories: Sequence[Path]) -> None:
        super().__init__()
        self._reader = ComparisonReader(directories)
        self._runs: tuple[ComparedRun, ...] = ()
        self._paired: tuple[Difference, ...] = ()
        self._is_looking = False
        self._tab, self._chart = TABS[0], CHARTS[0]
        self._axis: CompareAxis = "step"
        self._radius = self._loss = ""

    def compose(self) -> ComposeResult:
        """Lay out head, charts, pages and keys."""
        yield ComparisonBar(id="comparison-bar")
        with Vertical(id="comparison-curves"):
            with Vertical(id="panel-robust", classes="panel"):
                yield Chart("no robust accuracy was measured yet", ChartOptions(is_percent=True), id="robust")
            with Horizontal(id="comparison-bottom"):
                with Vertical(id="panel-natural", classes="panel"):
                    yield Chart("no probe yet", ChartOptions(is_percent=True), id="natural")
                with Vertical(id="panel-loss", classes="panel"):
                    yield Chart("no loss logged yet", ChartOptions(has_trend=True), id="loss")
        with VerticalScroll(id="comparison-page", can_focus=False):
            yield TablePage(id="comparison-tables")
        yield KeyBar(CURVE_HINTS, id="keys")

    def on_mount(self) -> None:
        """Read the runs, and look at them again from now on."""
        self._show()
        self._look()
        self.set_interval(SECONDS_PER_LOOK, self._look)

    def on_resize(self, _: Resize) -> None:
        """Show as many charts as there is room for."""
        self._show()

    def _look(self) -> None:
        if not self._is_looking:
            self._is_looking = True
            self._read()

    @work(thread=True)
    def _read(self) -> None:
        """Read in a thread what is new; the first time also what an epoch costs, and what reproductions kept."""
        try:
            is_first = not self._reader.runs
            has_news = self._reader.look()
            if is_first:
                self._reader.count_units(epoch_units)
            if has_news:
                self.post_message(self.Read())
            if is_first:
                from claf_tui.state.paired import paired_differences

                self._paired = paired_differences(self._reader.runs)
                self.post_message(self.Read())
        finally:
            self._is_looking = False

    @on(Read)
    def _take(self) -> None:
        self._runs = tuple(with_labels(self._reader.runs))
        self._show()

    def action_back(self) -> None:
        """Take back the cursor, then the zoom, then leave."""
        if self._tab == TABS[0] and self._view.cursor is not None:
            self.look(replace(self._view, cursor=None))
        elif self._tab == TABS[0] and not self._view.is_whole:
            self.look(reset(self._view))
        elif len(self.app.screen_stack) > 2:
            self.app.pop_screen()
        else:
            self.app.exit()

    def action_tab(self, name: str) -> None:
        """Show a page."""
        self._tab = name
        self._show()
        self.query_one("#comparison-page").scroll_home(animate=False)

    def action_next_tab(self, step: int = 1) -> None:
        """Show the next page."""
        self.action_tab(TABS[(TABS.index(self._tab) + step) % len(TABS)])

    def action_chart(self, step: int = 1) -> None:
        """Choose the next chart."""
        self._chart = CHARTS[(CHARTS.index(self._chart) + step) % len(CHARTS)]
        self._show()

    def action_radius(self) -> None:
        """Show robust accuracy at the next radius."""
        self._radius = _next(self._radius, radii_of(self._runs))
        self._show()

    def action_other_loss(self) -> None:
        """Show the next of the losses."""
        self._loss = _next(self._loss, losses_of(self._runs))
        self._show()

    def action_x_axis(self) -> None:
        """Count the next thing on the horizontal axis; what was zoomed in on lies elsewhere there."""
        self._axis = AXES[(AXES.index(self._axis) + 1) % len(AXES)]
        x_axis = "step" if self._axis == "units" else self._axis
        self.look(replace(reset(self._view), x_axis=x_axis))

    def action_cursor(self, num_columns: int = -1) -> None:
        """Move the cursor that all charts share."""
        if self._tab == TABS[0]:
            super().action_cursor(num_columns)

    def action_zoom(self, direction: int = 1) -> None:
        """Zoom in, or out; where there is a page, scroll it up, or down."""
        if self._tab == TABS[0]:
            super().action_zoom(direction)
        else:
            self.action_scroll(-direction)

    def action_scroll(self, lines: int) -> None:
        """Scroll the page."""
        self.query_one("#comparison-page").scroll_relative(y=lines, animate=False)

    def action_explain(self) -> None:
        """Show the keys, and what figures mean."""
        self.app.push_screen(ComparisonHelp())

    @property
    def extent(self) -> Extent:
        """All of the axis, up to where the longest run is."""
        return Extent(0.0, max(1.0, *(end_of(run, self._axis) for run in self._runs), 0.0))

    @property
    def chosen_chart(self) -> Chart:
        """The chart that was chosen last."""
        return self.query_one(f"#{self._chart}", Chart)

    def _show(self) -> None:
        is_curves = self._tab == TABS[0]
        self.query_one(ComparisonBar).show(self._runs, self._tab, len(self._reader.directories))
        self.query_one("#comparison-curves").display = is_curves
        self.query_one("#comparison-page").display = not is_curves
        self.query_one(KeyBar).show(CURVE_HINTS if is_curves else PAGE_HINTS)
        if is_curves:
            self._fit()
            self.show_charts()
        elif self._runs:
            self._show_page()

    def _show_page(self) -> None:
        comparison = compare(self._runs, self._paired)
        pages = {
            "figures": (figures_table, cost_table, differences_table),
            "settings": (settings_table,),
            "cards": (cards_table, diagnostics_table),
        }
        self.query_one(TablePage).show([part(comparison) for part in pages[self._tab]])

    def _fit(self) -> None:
        is_small = self.size.width < WIDE or self.size.height < TALL
        for name in CHARTS:
            panel = self.query_one(f"#panel-{name}")
            panel.display = not is_small or name == self._chart
            panel.set_class(name == self._chart, "-selected")
        self.query_one("#comparison-bottom").display = not is_small or self._chart != CHARTS[0]

    def show_charts(self) -> None:
        """Draw all charts by the view as it is."""
        runs, axis = self._runs, self._axis
        radii, losses = radii_of(runs), losses_of(runs)
        self._radius = self._radius if self._radius in radii else next(iter(radii), "")
        self._loss = self._loss if self._loss in losses else next(iter(losses), "")
        self._draw("robust", robust_lines(runs, self._radius, axis), f"robust {safe(self._radius, 24)}".rstrip())
        self._draw("natural", natural_lines(runs, axis), "natural")
        self._draw("loss", shared_loss_lines(runs, self._loss, axis), loss_title(self._loss) if self._loss else "loss")

    def _draw(self, name: str, lines: Sequence[ChartLine], title: str) -> None:
        chart, panel = self.query_one(f"#{name}", Chart), self.query_one(f"#panel-{name}")
        chart.show_x_name("units" if self._axis == "units" else "")
        chart.show(lines, Scene(self._view, self.extent, IDENTITY))
        panel.border_title = Content.styled(f"{title} · {AXIS_TITLES[self._axis]}", "$foreground")
        panel.border_subtitle = Content.styled(self._view_text() if name == self._chart else "", "$foreground")

    def _view_text(self) -> str:
        """Say where the cursor stands."""
        if self._view.cursor is None:
            return ""
        at = self._view.cursor
        if self._axis == "clock":
            return f"at {figures.exact_duration(at)}"
        return f"at {figures.short_count(at)} {AXIS_TITLES[self._axis]}"


def _next(chosen: str, names: Sequence[str]) -> str:
    """The name after the chosen one."""
    return names[(names.index(chosen) + 1) % len(names)] if chosen in names else next(iter(names), "")
