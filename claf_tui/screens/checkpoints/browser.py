"""The checkpoint browser: files of one run, their tensors by header only as a tree, statistics of one tensor."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.content import Content
from textual.events import Resize
from textual.screen import Screen
from textual.widgets import DataTable, Input, Static

from claf_engine.runs.exporting import export_network
from claf_engine.runs.header import CheckpointInfo, TensorInfo
from claf_engine.runs.tensor_statistics import TensorStatistics, tensor_statistics
from claf_engine.terms.errors import CheckpointError, ClafError
from claf_tui.screens.card import CardScreen
from claf_tui.screens.checkpoints.actions import (
    Entry,
    ListEntries,
    ResumeRequest,
    list_entries,
    refusal_to_delete,
    refusal_to_resume,
)
from claf_tui.screens.checkpoints.difference import DifferenceScreen
from claf_tui.screens.checkpoints.file_dialogs import ExportDialog, VerifyDialog, exported_text
from claf_tui.screens.checkpoints.measuring import OWN_COMMANDS, Commands, Measuring
from claf_tui.screens.checkpoints.messages import CheckpointsListed, TensorMeasured
from claf_tui.screens.checkpoints.modules import TreeRow
from claf_tui.screens.checkpoints.questions import browser_title, deletion_question, list_title
from claf_tui.screens.checkpoints.settings_dialog import SettingsDialog
from claf_tui.screens.checkpoints.space import browser_space
from claf_tui.screens.checkpoints.table import CheckpointTable
from claf_tui.screens.checkpoints.tensor_tree import TensorTree
from claf_tui.state.standings import standing_of
from claf_tui.widgets.filter_field import FilterField
from claf_tui.widgets.key_bar import Hint, KeyBar
from claf_tui.widgets.keys import named
from claf_tui.widgets.tensor_view import module_lines, statistics_lines
from claf_tui.words.safe_text import safe

HINTS: tuple[Hint, ...] = (
    ("e", "evaluate", "screen.evaluate"),
    ("a", "audit", "screen.audit"),
    ("v", "card", "screen.card"),
    ("r", "resume", "screen.resume"),
    ("D", "difference", "screen.difference"),
    ("i", "settings", "screen.settings"),
    ("h", "verify", "screen.verify"),
    ("x", "export", "screen.export"),
    ("space", "mark", "screen.mark"),
    ("d", "delete", "screen.delete"),
    ("/", "filter", "screen.filter"),
    ("tab", "pane", "app.focus_next"),
    ("escape", "back", "screen.back"),
)


class CheckpointBrowser(Screen[None]):
    """Lists, inspects, compares, evaluates, audits, exports, resumes and deletes the checkpoints of one run.

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
        Binding("D", "difference", "difference to the marked one, or to the one before"),
        Binding("space", "mark", "mark it, to compare another with it"),
        Binding("i", "settings", "its settings"),
        Binding("h", "verify", "verify its hashes"),
        Binding("x", "export", "export its network"),
        Binding("d", "delete", "delete"),
        # With priority, so that what is typed right after it does not reach the list, where d deletes.
        Binding("slash", "filter", "filter tensors", priority=True, id="filter"),
        Binding("f5", "reload", "read the folder again"),
    ]
    BINDINGS = named("browser", BINDINGS)

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
        self._shown: tuple[object, str] | None = None
        self._chosen_row: TreeRow | None = None
        self._measured: tuple[TensorInfo, TensorStatistics] | None = None

    def compose(self) -> ComposeResult:
        """Lay out the three panes."""
        yield Static(Content(""), id="browser-title", classes="title-line")
        with Vertical(id="pane-checkpoints", classes="panel pane"):
            yield CheckpointTable(id="checkpoints")
        with Container(id="browser-body"):
            with Vertical(id="pane-tensors", classes="panel pane"):
                yield FilterField(filtered="#tensors", placeholder="part of a name", id="tensor-filter")
                yield TensorTree(id="tensors")
            with Vertical(id="pane-statistics", classes="panel pane"):
                yield Static(Content(""), id="statistics")
        yield KeyBar(HINTS, id="browser-keys")

    def on_mount(self) -> None:
        """Prepare the tables and read the folder."""
        for name in ("checkpoints", "tensors", "statistics"):
            self.query_one(f"#pane-{name}").border_title = Content(name)
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
        self._share_space()
        self._show_tensors()
        if event.error:
            self._say(event.error)

    @on(DataTable.RowHighlighted, "#checkpoints")
    @on(Input.Changed, "#tensor-filter")
    def show_chosen(self) -> None:
        """Show the tensors of the checkpoint under the cursor whose name holds the filter."""
        self._show_tensors()

    def on_tensor_tree_chosen(self, event: TensorTree.Chosen) -> None:
        """Measure the tensor under the cursor, or tell the totals of the module."""
        self._chosen_row, self._measured = event.row, None
        entry = self._chosen()
        if event.row is None or entry is None:
            return
        if event.row.is_module:
            self._show_statistics()
        else:
            self._measure(entry.path, event.row.tensors[0])

    @work(thread=True, exclusive=True, group="statistics")
    def _measure(self, path: Path, tensor: TensorInfo) -> None:
        try:
            self.post_message(TensorMeasured(path, tensor, tensor_statistics(path, tensor.name)))
        except CheckpointError as error:
            self.post_message(TensorMeasured(path, tensor, str(error)))

    def on_tensor_measured(self, event: TensorMeasured) -> None:
        """Show the statistics, unless the cursor has moved on."""
        entry, row = self._chosen(), self._chosen_row
        if entry is None or entry.path != event.path or row is None or row.path != event.tensor.name or row.is_module:
            return
        if isinstance(event.statistics, str):
            self._say(event.statistics)
            return
        self._measured = (event.tensor, event.statistics)
        self._show_statistics()

    def on_resize(self, _: Resize) -> None:
        """Share the new size among the panes."""
        self._share_space()
        self.call_after_refresh(self._show_statistics)

    def action_back(self) -> None:
        """Leave the filter, or else the browser."""
        if (field := self.query_one(FilterField)).display:
            field.action_take_back()
        elif len(self.app.screen_stack) > 2:
            self.app.pop_screen()
        else:
            self.app.exit()

    def action_filter(self) -> None:
        """Filter tensors by name."""
        self.query_one(FilterField).begin()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Let a filter be typed that holds the key which begins one."""
        return not (action == "filter" and isinstance(self.focused, FilterField))

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

    def action_mark(self) -> None:
        """Mark the checkpoint under the cursor, to compare another with it."""
        self.query_one(CheckpointTable).toggle_mark()

    def action_difference(self) -> None:
        """Compare the checkpoint under the cursor with the marked one, or else with the one before it."""
        after, before = self._readable(), self.query_one(CheckpointTable).compared
        if after is None or after.info is None:
            return
        if before is None or before.info is None:
            self._tell("there is no checkpoint before this one: mark another with space, then D compares with it")
        else:
            self.app.push_screen(DifferenceScreen(before.info, after.info))

    def action_settings(self) -> None:
        """Show the settings that the checkpoint under the cursor was trained with."""
        entry = self._readable()
        if entry is not None and entry.info is not None:
            self.app.push_screen(SettingsDialog(entry.info))

    def action_verify(self) -> None:
        """Hash the checkpoint under the cursor anew; one that cannot be read may be asked, too."""
        entry = self._chosen()
        if entry is not None:
            self.app.push_screen(VerifyDialog(entry.path))

    def action_export(self) -> None:
        """Ask for a file, and copy the network of the checkpoint under the cursor to it."""
        entry = self._readable()
        if entry is not None and entry.info is not None:
            path = entry.path

            def export(target: Path | None) -> None:
                if target is not None:
                    self._export(path, target)

            self.app.push_screen(ExportDialog(entry.info), export)

    @work(thread=True, group="export")
    def _export(self, path: Path, target: Path) -> None:
        try:
            text, is_done = exported_text(target, export_network(path, target)), True
        except ClafError as error:
            text, is_done = f"not exported: {error}", False
        self.app.call_from_thread(
            self.notify,
            safe(text, 400),
            severity="information" if is_done else "error",
            markup=False,
            timeout=8,
        )

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
        return Measuring(self.app, self._commands, self._show_new_card)

    def _show_new_card(self, card: Mapping[str, Any]) -> None:
        self.action_reload()
        self.app.push_screen(CardScreen(card))

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

    def _share_space(self) -> None:
        space = browser_space(*self.app.size, len(self._entries))
        self.query_one("#pane-checkpoints").styles.height = space.list_rows
        self.query_one("#pane-tensors").styles.width = f"{space.tree_share:.0%}"

    def _show_tensors(self) -> None:
        entry = self._chosen()
        wanted = self.query_one(FilterField).value
        shown = (entry and (entry.path, entry.info), wanted)
        if shown == self._shown:
            return
        self._shown = shown
        tree = self.query_one(TensorTree)
        tensors = entry.info.tensors if entry is not None and entry.info is not None else ()
        tree.show(tensors, wanted)
        text = f"tensors, {tree.num_found} of {len(tensors)}" if wanted else f"{len(tensors)} tensors"
        self.query_one("#pane-tensors").border_title = Content(text)
        if entry is None:
            self._say("no checkpoints yet; c on the dashboard saves one")
        elif entry.info is None:
            self._say(entry.error)
        elif not tree.num_found:
            self._say("no tensor has a name like this")

    def _show_statistics(self) -> None:
        width, height = self.query_one("#statistics").content_size
        width, height = max(10, width), max(3, height)
        if self._measured is not None:
            lines = statistics_lines(*self._measured, width, height)
        elif self._chosen_row is not None and self._chosen_row.is_module:
            lines = module_lines(self._chosen_row.path, self._chosen_row.tensors, width, height)
        else:
            return
        self.query_one("#statistics", Static).update(Content("\n").join(lines))

    def _say(self, text: str) -> None:
        self._measured = None
        self.query_one("#statistics", Static).update(Content.styled(safe(text, 400), "$foreground 60%"))

    def _tell(self, text: str) -> None:
        self.notify(safe(text, 300), markup=False, timeout=4)
