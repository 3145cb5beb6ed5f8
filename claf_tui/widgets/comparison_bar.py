"""The head of a comparison: its tabs, and the runs with the letters and colours that stand for them. Pure functions."""

from collections.abc import Sequence

from textual.content import Content
from textual.widget import Widget

from claf_tui.charts.plot import DASHES, SAMPLES
from claf_tui.state.compared_run import ComparedRun
from claf_tui.state.moment import run_fraction
from claf_tui.widgets.verdicts import DIM
from claf_tui.words import figures
from claf_tui.words.run_colors import RUN_COLORS

TABS = ("curves", "figures", "settings", "cards")
GLYPHS = {
    "finished": ("✔", "$success"),
    "imported": ("✔", "$success"),
    "running": ("▶", "bold $accent"),
    "starting": ("▶", "bold $accent"),
    "paused": ("‖", "bold $warning"),
    "stopping": ("■", "$warning"),
    "stopped": ("■", "$warning"),
    "interrupted": ("!", "bold $warning"),
    "failed": ("✘", "bold $error"),
    "diverged": ("✘", "bold $error"),
}
ITEM_GAP = "   "


class ComparisonBar(Widget):
    """One line of tabs, and as many of runs as they take."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._runs: tuple[ComparedRun, ...] = ()
        self._tab = TABS[0]
        self._num_runs = 0

    def show(self, runs: Sequence[ComparedRun], tab: str, num_runs: int) -> None:
        """Show these runs and this tab from now on; `num_runs` are compared, of which some may not be read yet."""
        if (tuple(runs), tab, num_runs) != (self._runs, self._tab, self._num_runs):
            self._runs, self._tab, self._num_runs = tuple(runs), tab, num_runs
            self.refresh(layout=True)

    def get_content_height(self, _container: object, _viewport: object, width: int) -> int:
        """The tabs and the runs."""
        return len(bar_lines(self._runs, self._tab, self._num_runs, width))

    def render(self) -> Content:
        """Draw the lines."""
        return Content("\n").join(bar_lines(self._runs, self._tab, self._num_runs, self.size.width))


def bar_lines(runs: Sequence[ComparedRun], tab: str, num_runs: int, width: int) -> list[Content]:
    """Write the tabs, and the runs in as many lines of at most `width` cells as they take."""
    lines = [tab_line(tab, num_runs).truncate(width)]
    if len(runs) < num_runs:
        reading = Content.styled(f" reading {num_runs - len(runs)} of {num_runs} runs", DIM)
        return [*lines, reading, *_flowed([run_item(number, run) for number, run in enumerate(runs)], width)]
    return [*lines, *_flowed([run_item(number, run) for number, run in enumerate(runs)], width)]


def tab_line(tab: str, num_runs: int) -> Content:
    """Name the tabs with their keys; a click chooses one."""
    parts: list[Content | tuple[str, str]] = [(f" compare {num_runs} runs ", "bold $background on $primary"), (" ", "")]
    for number, name in enumerate(TABS, 1):
        style = "bold $accent" if name == tab else "$foreground 60%"
        mark = "underline " if name == tab else ""
        markup = f"[@click=screen.tab('{name}')][{style}]{number} [/][{mark}{style}]{name}[/][/]  "
        parts.append(Content.from_markup(markup))
    return Content.assemble(*parts)


def run_item(number: int, run: ComparedRun) -> Content:
    """A run as a legend names it: letter, sample of its line, name, how it stands."""
    color = RUN_COLORS[number % len(RUN_COLORS)]
    glyph, style = GLYPHS.get(run.status, ("·", DIM))
    going = f" {figures.percent(run_fraction(run.state), 0)}" if run.is_live else ""
    return Content.assemble(
        (f"{run.key} ", f"bold {color}"),
        (SAMPLES[number % len(DASHES)], color),
        (f" {run.label} ", "$foreground"),
        (glyph, style),
        (going, style),
    )


def _flowed(items: Sequence[Content], width: int) -> list[Content]:
    lines: list[list[Content]] = []
    for item in items:
        taken = sum(each.cell_length + len(ITEM_GAP) for each in lines[-1]) if lines else width
        if lines and taken + item.cell_length + 1 <= width:
            lines[-1].append(item)
        else:
            lines.append([item])
    return [Content.assemble(" ", Content(ITEM_GAP).join(line)).truncate(width, ellipsis=True) for line in lines]
