"""All runs: live ones first, filtered, sorted, marked, and what can be done with one of them."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Input, Static

from claf_engine.runs.catalogue import News
from claf_engine.runs.deleting import Contents, contents_of, delete_run, refusal_to_delete
from claf_engine.runs.labels import Labels, write_labels
from claf_engine.runs.overview import Overview
from claf_engine.terms.errors import ClafError, ConfigError
from claf_tui.screens.runs.dialogs import NoteScreen, TagsScreen, deletion_question
from claf_tui.screens.runs.requests import NewRunRequest, OpenRequest, RunsView
from claf_tui.screens.runs.resuming import way_on
from claf_tui.state import Alert
from claf_tui.state.comparison import require_comparable
from claf_tui.state.moment import Moment
from claf_tui.state.run_filter import RunFilter, parse_filter
from claf_tui.state.run_order import COLUMNS, Column, Order, ordered
from claf_tui.widgets.alert_bar import AlertBar
from claf_tui.widgets.filter_field import FilterField
from claf_tui.widgets.key_bar import Hint, KeyBar
from claf_tui.widgets.keys import named
from claf_tui.widgets.lines import Lines
from claf_tui.widgets.run_detail import detail_lines
from claf_tui.widgets.run_table import RunHead, RunTable
from claf_tui.widgets.runs_title import RunsCount, runs_title
from claf_tui.words.safe_text import safe

if TYPE_CHECKING:
    from claf_tui.state.draft import Draft

HINTS: tuple[Hint, ...] = (
    ("enter", "open", "screen.open"),
    ("/", "filter", "screen.filter"),
    ("s", "sort", "screen.sort"),
    ("r", "resume", "screen.resume"),
    ("b", "checkpoints", "app.checkpoints"),
    ("n", "note", "screen.note"),
    ("t", "tags", "screen.tags"),
    ("a", "archive", "screen.archive"),
    ("d", "delete", "screen.delete"),
    ("space", "mark", "screen.mark"),
    ("N", "new run", "screen.new_run"),
    ("q", "quit", "app.quit"),
    ("?", "help", "app.help"),
)
COMPARE_HINT: Hint = ("c", "compare", "screen.compare")


class RunsScreen(Screen[None]):
    """Shows what a catalogue finds out, and turns keys into requests.

    Args:
        root: the folder of the runs.
        view: how the list is looked at in the beginning.
    """

    CSS_PATH = "../../console/runs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "open the run"),
        # With priority, so that what is typed right after it does not reach the list, where d deletes.
        Binding("slash", "filter", "filter", priority=True, id="filter"),
        Binding("s", "sort", "sort by the next column"),
        Binding("S", "reverse", "reverse the order"),
        Binding("r", "resume", "resume an interrupted run"),
        Binding("n", "note", "write a note"),
        Binding("t", "tags", "tag it"),
        Binding("a", "archive", "put away, or take back"),
        Binding("d,delete", "delete", "delete"),
        Binding("space", "mark", "mark"),
        Binding("c", "compare", "compare the marked runs"),
        Binding("N", "new_run", "new run"),
        Binding("A", "app.acknowledge", "acknowledge an alert"),
        Binding("escape", "back", show=False),
    ]
    BINDINGS = named("runs", BINDINGS)

    def __init__(self, root: Path, view: RunsView | None = None) -> None:
        super().__init__()
        self._root = root
        self._view = view or RunsView()
        self._filter = RunFilter()
        self._runs: dict[str, Overview] = {}
        self._shown: list[Overview] = []
        self._silent: frozenset[str] = frozenset()
        self._num_waiting: int | None = None
        self._problem = ""

    def compose(self) -> ComposeResult:
        """Lay out title, filter, list and what is known of the chosen run."""
        yield Static(Content(""), id="runs-title", classes="title-line")
        yield AlertBar("A", id="runs-alerts")
        example = "method:claf robust>40"
        yield FilterField(self._view.filter_text, filtered="#runs-list", placeholder=example, id="runs-filter")
        yield Static(Content(""), id="runs-error")
        yield RunHead(id="runs-head")
        yield RunTable(id="runs-list")
        yield Static(Content(""), id="runs-empty")
        yield Lines(id="runs-detail")
        yield KeyBar(HINTS, id="runs-keys")

    def on_mount(self) -> None:
        """Begin in the list, with the filter as it was."""
        self.query_one("#runs-error").display = self.query_one("#runs-empty").display = False
        self.query_one(RunHead).show(self._view.order)
        self.query_one(RunTable).focus()
        self._read_filter(self._view.filter_text)

    @property
    def view(self) -> RunsView:
        """How the list is looked at now."""
        chosen = self.chosen
        return replace(self._view, chosen=chosen.name if chosen is not None else None)

    @property
    def chosen(self) -> Overview | None:
        """The run under the cursor."""
        return self.query_one(RunTable).chosen if self._is_up else None

    @property
    def seen(self) -> tuple[str, ...]:
        """Names of the runs on the screen."""
        return self.query_one(RunTable).seen if self._is_up else ()

    @property
    def runs(self) -> Iterable[Overview]:
        """All runs that are known, whatever the filter leaves."""
        return self._runs.values()

    @property
    def is_at_rest(self) -> bool:
        """Whether all that there is was found out."""
        return self._num_waiting == 0

    @property
    def _is_up(self) -> bool:
        return self.is_mounted and self.is_running

    def take(self, found: Sequence[News], problem: str = "") -> None:
        """Show what a catalogue found out since the last time; nothing while the screen is not up."""
        if not self._is_up:
            return
        for news in found:
            for name in news.gone:
                self._runs.pop(name, None)
            self._runs.update({run.name: run for run in news.changed})
            self._num_waiting = news.num_waiting
        if any(news.changed or news.gone for news in found):
            self._arrange()
        if found or problem != self._problem:
            self._problem = problem
            self._show_title()

    def show_silent(self, names: frozenset[str], alerts: tuple[Alert, ...]) -> None:
        """Mark the runs that give no sign of life, and show what was told of them.

        Args:
            names: of these runs.
            alerts: those that were not acknowledged, oldest first.
        """
        if not self._is_up:
            return
        self.query_one(AlertBar).show_alerts(alerts)
        self.query_one(RunTable).show_silent(names)
        before, self._silent = self._silent, names
        if names != before:
            self._show_title()
        if names or before:
            self._show_detail()

    def show(self, moment: Moment) -> None:
        """Let what moves move."""
        if self._is_up and self.app.screen is self:
            self.query_one(RunTable).tick(moment.now, moment.frame)

    @on(Input.Changed, "#runs-filter")
    def filter_changed(self, event: Input.Changed) -> None:
        """Show what the filter leaves, at once."""
        if event.value != self._view.filter_text:
            self._read_filter(event.value)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Let a filter be typed that holds the key which begins one."""
        return not (action == "filter" and isinstance(self.focused, FilterField))

    @on(RunHead.Clicked)
    def heading_clicked(self, event: RunHead.Clicked) -> None:
        """Sort by the column that was clicked, or the other way round."""
        column: Column = next(name for name in COLUMNS if name == event.column)
        is_same = column == self._view.order.column
        self._sort(Order(column, is_same and not self._view.order.is_reversed))

    @on(RunTable.Chosen)
    def another_chosen(self) -> None:
        """Tell about the run under the cursor."""
        self._show_detail()

    @on(RunTable.Opened)
    def opened(self) -> None:
        """Open the run under the cursor."""
        self.action_open()

    def action_open(self) -> None:
        """Leave the list for the run under the cursor."""
        if (run := self._need()) is not None:
            self.app.exit(OpenRequest(run.directory, self.view))

    def action_filter(self) -> None:
        """Type a filter."""
        self.query_one(FilterField).begin()

    def action_back(self) -> None:
        """Take back one thing: the filter, or else the marks."""
        if (field := self.query_one(FilterField)).display:
            field.action_take_back()
        elif self._view.marked:
            self._mark(())

    def action_sort(self) -> None:
        """Sort by the next column."""
        place = COLUMNS.index(self._view.order.column) + 1
        self._sort(Order(COLUMNS[place % len(COLUMNS)]))

    def action_reverse(self) -> None:
        """Sort the other way round."""
        self._sort(replace(self._view.order, is_reversed=not self._view.order.is_reversed))

    def action_mark(self) -> None:
        """Mark the run under the cursor, or take its mark away, and go on to the next."""
        if (run := self._need()) is None:
            return
        marked = self._view.marked
        others = tuple(name for name in marked if name != run.name)
        self._mark(others if run.name in marked else (*marked, run.name))
        self.query_one(RunTable).action_move(1)

    def action_compare(self) -> None:
        """Compare the marked runs."""
        folders = [self._runs[name].directory for name in self._view.marked if name in self._runs]
        if len(folders) < 2:
            self._tell("space marks runs; c compares two or more of them")
        else:
            self.compare(folders)

    def compare(self, folders: Sequence[Path]) -> None:
        """Show runs beside each other.

        Args:
            folders: of two or more runs.
        """
        try:
            require_comparable(folders)
        except ConfigError as refusal:
            self._tell(str(refusal))
            return
        # Here, so that the list itself comes at once.
        from claf_tui.screens.comparison import ComparisonScreen

        self.app.push_screen(ComparisonScreen(folders))

    def action_new_run(self) -> None:
        """Put a new run together in a form, and leave the list to train it."""
        from claf_tui.screens.new_run import NewRunScreen  # loads all settings, for which the list does not wait

        self.app.push_screen(NewRunScreen(), self._begin)

    def _begin(self, draft: "Draft | None") -> None:
        if draft is not None:
            self.app.exit(NewRunRequest(draft))

    def action_resume(self) -> None:
        """Leave the list to go on with the run under the cursor, or say why that cannot be."""
        if (run := self._need()) is None:
            return
        try:
            request = way_on(run)
        except ClafError as refusal:
            self._warn(f"not resumed: {refusal}")
        else:
            self.app.exit(request)

    def action_note(self) -> None:
        """Write a note about the run under the cursor."""
        if (run := self._need()) is not None:
            labels = run.digest.labels

            def keep(note: str | None) -> None:
                if note is not None:
                    self._write([run], lambda labels: replace(labels, note=note))

            self.app.push_screen(NoteScreen(run.name, labels), keep)

    def action_tags(self) -> None:
        """Tag the run under the cursor."""
        if (run := self._need()) is not None:
            labels = run.digest.labels

            def keep(tags: tuple[str, ...] | None) -> None:
                if tags is not None:
                    self._write([run], lambda labels: replace(labels, tags=tags))

            self.app.push_screen(TagsScreen(run.name, labels), keep)

    def action_archive(self) -> None:
        """Put the marked runs away, or the one under the cursor; those that were, come back."""
        runs = [self._runs[name] for name in self._view.marked if name in self._runs]
        if not runs:
            runs = [run for run in [self._need()] if run is not None]
        if not runs:
            return
        puts_away = not all(run.digest.labels.is_archived for run in runs)
        if puts_away and any(run.is_live for run in runs):
            self._tell("a live run is not put away")
            return
        self._write(runs, lambda labels: replace(labels, is_archived=puts_away))
        self._mark(())
        number = "1 run" if len(runs) == 1 else f"{len(runs)} runs"
        self._tell(
            f"put {number} away: state:archived shows them, a takes back" if puts_away else f"took {number} back"
        )

    @work(thread=True, exclusive=True, group="measure")
    def action_delete(self) -> None:
        """Measure the run under the cursor in a short thread, and ask whether to delete it."""
        run = self.chosen
        if run is None:
            return
        refusal = refusal_to_delete(run.directory)
        if refusal:
            self.app.call_from_thread(self._warn, f"not deleted: {refusal}")
        else:
            self.app.call_from_thread(self._ask_to_delete, run, contents_of(run.directory))

    def _ask_to_delete(self, run: Overview, contents: Contents) -> None:
        if self.app.screen is self:
            self.app.push_screen(deletion_question(run, contents), partial(self._on_delete_answer, run))

    def _on_delete_answer(self, run: Overview, answer: str | None) -> None:
        if answer == "delete":
            self._delete(run)

    @work(thread=True, group="delete")
    def _delete(self, run: Overview) -> None:
        try:
            delete_run(run.directory)
        except ClafError as error:
            self.app.call_from_thread(self._warn, f"not deleted: {error}")
        else:
            self.app.call_from_thread(self._tell, f"deleted {run.name}")

    def _write(self, runs: Sequence[Overview], change: Callable[[Labels], Labels]) -> None:
        """Change what is written about runs, and show it at once."""
        for run in runs:
            labels = change(run.digest.labels)
            try:
                write_labels(run.directory, labels)
            except ClafError as error:
                self._warn(str(error))
                return
            self._runs[run.name] = replace(run, digest=replace(run.digest, labels=labels))
        self._arrange()

    def _read_filter(self, text: str) -> None:
        """Take a filter over; a wrong one leaves the list as it is and says why."""
        error = self.query_one("#runs-error", Static)
        self._view = replace(self._view, filter_text=text)
        try:
            self._filter = parse_filter(text)
        except ConfigError as wrong:
            error.update(Content.styled(f" {safe(wrong, 400)}", "$error"))
            error.display = True
            return
        error.display = False
        self._arrange(is_anew=True)

    def _sort(self, order: Order) -> None:
        self._view = replace(self._view, order=order)
        self.query_one(RunHead).show(order)
        self._arrange()

    def _mark(self, names: tuple[str, ...]) -> None:
        self._view = replace(self._view, marked=names)
        self._arrange()
        hints = (COMPARE_HINT, *HINTS) if len(names) > 1 else HINTS
        self.query_one(KeyBar).show(hints)

    def _arrange(self, *, is_anew: bool = False) -> None:
        """Choose and sort what is shown; `is_anew` where a person chose otherwise."""
        now = time.time()
        chosen = (run for run in self._runs.values() if self._filter.matches(run, now))
        self._shown = ordered(chosen, self._view.order)
        wanted, self._view = self._view.chosen, replace(self._view, chosen=None)
        self.query_one(RunTable).show(self._shown, frozenset(self._view.marked), wanted, is_anew=is_anew)
        if wanted is not None and wanted not in self._runs:
            self._view = replace(self._view, chosen=wanted)  # its folder was not looked at yet
        self._show_title()
        self._show_detail()

    def _show_title(self) -> None:
        count = RunsCount(
            num_shown=len(self._shown),
            num_runs=len(self._runs),
            num_live=sum(run.is_live for run in self._runs.values()),
            num_silent=len(self._silent),
            num_archived=sum(run.digest.labels.is_archived for run in self._runs.values()),
            num_marked=len(self._view.marked),
            num_waiting=self._num_waiting,
        )
        self.query_one("#runs-title", Static).update(runs_title(count, self._root, self.size.width, self._problem))
        empty = self.query_one("#runs-empty", Static)
        empty.display = not self._shown
        self.query_one(RunTable).display = self.query_one("#runs-detail").display = bool(self._shown)
        if not self._shown:
            empty.update(Content.styled(count.empty_text(self._root), "$foreground 60%"))

    def _show_detail(self) -> None:
        run = self.chosen
        is_silent = run is not None and run.name in self._silent
        lines = detail_lines(run, self.size.width, time.time(), is_silent=is_silent)
        self.query_one("#runs-detail", Lines).show_lines(lines)

    def _need(self) -> Overview | None:
        """The run under the cursor; where there is none, that is told."""
        run = self.chosen
        if run is None:
            self._tell("no run is chosen")
        return run

    def _tell(self, text: str) -> None:
        self.notify(safe(text, 400), markup=False, timeout=4)

    def _warn(self, text: str) -> None:
        self.notify(safe(text, 400), severity="warning", markup=False, timeout=8)
