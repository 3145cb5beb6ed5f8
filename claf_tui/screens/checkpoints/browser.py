"""The checkpoint browser: files of one run, their tensors by header only, statistics of one tensor."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.content import Content
from textual.events import Resize
from textual.screen import Screen
from textual.widgets import DataTable, Input, Static

from claf_engine.runs.header import CheckpointInfo, TensorInfo
from claf_engine.runs.tensor_statistics import TensorStatistics, tensor_statistics
from claf_engine.terms.errors import CheckpointError, ClafError
from claf_tui.screens.checkpoints.actions import (
    Entry,
    ListEntries,
    ResumeRequest,
    list_entries,
    refusal_to_delete,
    refusal_to_resume,
    tensor_cells,
    tensor_columns,
)
from claf_tui.screens.checkpoints.measuring import OWN_COMMANDS, Commands, Measuring
from claf_tui.screens.checkpoints.messages import CheckpointsListed, TensorMeasured
from claf_tui.screens.checkpoints.questions import browser_title, deletion_question, list_title
from claf_tui.screens.checkpoints.table import CheckpointTable
from claf_tui.state.standings import standing_of
from claf_tui.widgets.key_bar import Hint, KeyBar
from claf_tui.widgets.tensor_view import statistics_lines
from claf_tui.words.safe_text import safe

HINTS: tuple[Hint, ...] = (
    ("e", "evaluate", "screen.evaluate"),
    ("a", "audit", "screen.audit"),
    ("v", "view card", "screen.card"),
    ("r", "resume", "screen.resume"),
    ("d", "delete", "screen.delete"),
    ("/", "filter", "screen.filter"),
    ("tab", "pane", "app.focus_next"),
    ("escape", "back", "screen.back"),
)


class CheckpointBrowser(Screen[None]):
    """Lists, inspects, evaluates, audits, resumes and deletes the checkpoints of one run.

    Args:
        directory: the run's folder.
        is_live: whether the run is going on.
        entries: lists the checkpoints, newest first.
        commands: what evaluates and audits a checkpoint; claf-tui itself by default.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "back"),
        Binding("e", "evaluate", "evaluate on test images"),
        Binding("a", "audit", "audit"),
        Binding("v", "card", "view its card"),
        Binding("r", "resume", "resume from it"),
        Binding("d", "delete", "delete"),
        Binding("slash", "filter", "filter tensors"),
        Binding("f5", "reload", "read the folder again"),
    ]

    def __init__(
        self,
        directory: Path,
        *,
        is_live: Callable[[], bool] = lambda: False,
        entries: ListEntries = list_entries,
        commands: Commands = OWN_COMMANDS,
    ) -> None:
        super().__init__()
        self._directory = directory
        self._is_live = is_live
        self._list_entries = entries
        self._commands = commands
        self._tensors: list[TensorInfo] = []
        self._tensor_room = 60
        self._shown: tuple[object, str, int] | None = None
        self._measured: tuple[TensorInfo, TensorStatistics] | None = None

    def compose(self) -> ComposeResult:
        """Lay out the three panes."""
        yield Static(Content(""), id="browser-title")
        with Vertical(id="pane-checkpoints", classes="panel pane"):
            yield CheckpointTable(id="checkpoints")
        with Container(id="browser-body"):
            with Vertical(id="pane-tensors", classes="panel pane"):
                yield Input(placeholder="part of a name", id="tensor-filter", compact=True)
                yield DataTable(id="tensors", cursor_type="row")
            with Vertical(id="pane-statistics", classes="panel pane"):
                yield Static(Content(""), id="statistics")
        yield KeyBar(HINTS, id="browser-keys")

    def on_mount(self) -> None:
        """Prepare the tables and read the folder."""
        for name in ("checkpoints", "tensors", "statistics"):
            self.query_one(f"#pane-{name}").border_title = Content(name)
        self.query_one("#tensor-filter").display = False
        self.query_one("#checkpoints").focus()
        self.action_reload()

    @work(thread=True, exclusive=True, group="list")
    def action_reload(self) -> None:
        """Read the folder again, in a short thread."""
        try:
            entries = self._list_entries(self._directory)
            self.post_message(CheckpointsListed(entries, {entry.path: standing_of(entry.info) for entry in entries}))
        except (ClafError, OSError) as error:
            self.post_message(CheckpointsListed((), {}, str(error)))

    def on_checkpoints_listed(self, event: CheckpointsListed) -> None:
        """Fill the list of checkpoints."""
        self.query_one(CheckpointTable).show(event.entries, event.standings)
        title = browser_title(self._directory, self._entries, is_live=self._is_live())
        self.query_one("#browser-title", Static).update(title)
        self.query_one("#pane-checkpoints").border_title = list_title(self._entries)
        self._show_tensors()
        if event.error:
            self._say(event.error)

    @on(DataTable.RowHighlighted, "#checkpoints")
    @on(Input.Changed, "#tensor-filter")
    def show_chosen(self) -> None:
        """Show the tensors of the checkpoint under the cursor whose name holds the filter."""
        self._show_tensors()

    @on(DataTable.RowHighlighted, "#tensors")
    def measure_chosen(self) -> None:
        """Measure the tensor under the cursor."""
        row = self.query_one("#tensors", DataTable).cursor_row
        entry = self._chosen()
        if entry is not None and 0 <= row < len(self._tensors):
            self._measure(entry.path, self._tensors[row])

    @on(Input.Submitted, "#tensor-filter")
    def filter_submitted(self) -> None:
        """Go on in the list of tensors."""
        self.query_one("#tensors").focus()

    @work(thread=True, exclusive=True, group="statistics")
    def _measure(self, path: Path, tensor: TensorInfo) -> None:
        try:
            self.post_message(TensorMeasured(path, tensor, tensor_statistics(path, tensor.name)))
        except CheckpointError as error:
            self.post_message(TensorMeasured(path, tensor, str(error)))

    def on_tensor_measured(self, event: TensorMeasured) -> None:
        """Show the statistics, unless the cursor has moved on."""
        entry = self._chosen()
        if entry is None or entry.path != event.path:
            return
        if isinstance(event.statistics, str):
            self._say(event.statistics)
            return
        self._measured = (event.tensor, event.statistics)
        self._show_statistics()

    def on_resize(self, _: Resize) -> None:
        """Draw tensors and statistics for the new size."""
        self.call_after_refresh(self._fit)

    def action_back(self) -> None:
        """Leave the filter, or else the browser."""
        filter_field = self.query_one("#tensor-filter", Input)
        if filter_field.display:
            filter_field.value = ""
            filter_field.display = False
            self.query_one("#tensors").focus()
        elif len(self.app.screen_stack) > 2:
            self.app.pop_screen()
        else:
            self.app.exit()

    def action_filter(self) -> None:
        """Filter tensors by name."""
        self.query_one("#tensor-filter").display = True
        self.query_one("#tensor-filter").focus()

    def action_evaluate(self) -> None:
        """Evaluate the checkpoint under the cursor; ask for the classifier where its method trained several."""
        self._measure_by(self._measuring.evaluate)

    def action_audit(self) -> None:
        """Audit the checkpoint under the cursor, and open its card."""
        self._measure_by(self._measuring.audit)

    def action_card(self) -> None:
        """Open the card of the checkpoint under the cursor."""
        self._measure_by(self._measuring.view)

    def _measure_by(self, action: Callable[[CheckpointInfo], None]) -> None:
        entry = self._readable()
        if entry is not None and entry.info is not None:
            action(entry.info)

    def action_resume(self) -> None:
        """Leave with the request to resume from the checkpoint under the cursor, or say why no run can go on there."""
        if self._is_live():
            self._tell("this run is live: stop it first, then resume from a checkpoint")
            return
        entry = self._readable()
        if entry is None:
            return
        request = ResumeRequest(entry.path)
        refusal = refusal_to_resume(request)
        if refusal:
            self.notify(safe(f"not resumed: {refusal}", 400), severity="warning", markup=False, timeout=10)
        else:
            self.app.exit(request)

    def action_delete(self) -> None:
        """Ask whether to delete the checkpoint under the cursor, where that is allowed."""
        entry = self._chosen()
        if entry is None:
            return
        refusal = refusal_to_delete(entry, self._entries, self._directory, is_live=self._is_live())
        if refusal:
            self._tell(f"not deleted: {refusal}")
            return
        self.app.push_screen(deletion_question(entry), lambda answer: self._delete(entry, answer))

    def _delete(self, entry: Entry, answer: str | None) -> None:
        if answer != "delete":
            return
        refusal = refusal_to_delete(entry, self._entries, self._directory, is_live=self._is_live())
        try:
            if not refusal:
                entry.path.unlink()
        except OSError as error:
            refusal = error.strerror or "the file cannot be deleted"
        self._tell(f"not deleted: {refusal}" if refusal else f"deleted {entry.path.name}")
        self.action_reload()

    @property
    def _measuring(self) -> Measuring:
        return Measuring(self.app, self._commands, self.action_reload)

    @property
    def _entries(self) -> Sequence[Entry]:
        return self.query_one(CheckpointTable).entries

    def _chosen(self) -> Entry | None:
        return self.query_one(CheckpointTable).chosen

    def _readable(self) -> Entry | None:
        entry = self._chosen()
        if entry is not None and entry.info is None:
            self._tell(entry.error)
            return None
        return entry

    def _show_tensors(self) -> None:
        entry = self._chosen()
        wanted = self.query_one("#tensor-filter", Input).value.casefold()
        shown = (entry and (entry.path, entry.info), wanted, self._tensor_room)
        if shown == self._shown:
            return
        table = self.query_one("#tensors", DataTable)
        row = table.cursor_row if self._shown is not None and shown[:2] == self._shown[:2] else 0
        self._shown = shown
        table.clear(columns=True)
        widths = tensor_columns(self._tensor_room)
        for name, width in widths:
            table.add_column(name, width=width)
        self._tensors, self._measured = [], None
        if entry is None:
            self._say("no checkpoints yet; c on the dashboard saves one")
        elif entry.info is None:
            self._say(entry.error)
        else:
            found = [tensor for tensor in entry.info.tensors if wanted in tensor.name.casefold()]
            self._tensors = sorted(found, key=lambda tensor: not tensor.name.startswith("network."))
            table.add_rows([[Text(c, no_wrap=True) for c in tensor_cells(tensor, widths)] for tensor in self._tensors])
            table.move_cursor(row=row)  # the same tensors in another width
            num_shown, total = len(self._tensors), len(entry.info.tensors)
            text = f"tensors, {num_shown} of {total}" if num_shown < total else f"{total} tensors"
            self.query_one("#pane-tensors").border_title = Content(text)
            if not self._tensors:
                self._say("no tensor has a name like this")

    def _fit(self) -> None:
        room = self.query_one("#pane-tensors").content_size.width - 1
        if room != self._tensor_room:
            self._tensor_room = room
            self._show_tensors()
        self._show_statistics()

    def _show_statistics(self) -> None:
        if self._measured is not None:
            width, height = self.query_one("#statistics").content_size
            lines = statistics_lines(*self._measured, max(10, width), max(3, height))
            self.query_one("#statistics", Static).update(Content("\n").join(lines))

    def _say(self, text: str) -> None:
        self._measured = None
        self.query_one("#statistics", Static).update(Content.styled(safe(text, 400), "$foreground 60%"))

    def _tell(self, text: str) -> None:
        self.notify(safe(text, 300), markup=False, timeout=4)
