"""The dashboard: phases, key figures, three charts and the log, fitted to the size of the terminal."""

from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.content import Content
from textual.events import Resize
from textual.screen import Screen

from claf_engine.events import TestResult
from claf_engine.events.control import Control
from claf_engine.runs.header import step_in_name
from claf_tui.charts.plot import ChartOptions
from claf_tui.screens.branch_dialog import BranchScreen
from claf_tui.screens.checkpoints.actions import ResumeRequest, list_entries
from claf_tui.screens.checkpoints.measuring import OWN_COMMANDS, Measuring
from claf_tui.screens.confirm_dialog import CANCEL, Answer, ConfirmScreen
from claf_tui.screens.dashboard_keys import LIVE_HINTS, key_hints
from claf_tui.screens.edit_dialog import PROBE_EVERY, EditScreen
from claf_tui.state import RunState, status_word
from claf_tui.state.moment import Moment
from claf_tui.state.outcome import audited_epsilon, selected_result
from claf_tui.widgets.alert_bar import AlertBar
from claf_tui.widgets.chart import Chart
from claf_tui.widgets.curves import logged_losses, loss_lines, loss_panel_title, probe_lines, shown_loss_name
from claf_tui.widgets.key_bar import Hint, KeyBar
from claf_tui.widgets.key_figures import KeyFigures
from claf_tui.widgets.log_panel import LogPanel
from claf_tui.widgets.method_panel import method_panel
from claf_tui.widgets.outcome import OutcomePanel
from claf_tui.widgets.phase_strip import PhaseStrip
from claf_tui.widgets.status_bar import StatusBar
from claf_tui.widgets.tables import ProbeTable, probe_hint, probe_title

PANELS = ("loss", "method", "probe", "log")
POLLS_PER_CHART = 6
"""Charts are drawn on every sixth poll only: they are most of the console's work, and nobody reads faster."""


def is_compact(width: int, height: int) -> bool:
    """Whether there is room for one panel only."""
    return width < 100 or height < 28


class Dashboard(Screen[None]):
    """Draws a `RunState` and turns keys into requests to `Control`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "toggle_pause", "pause / go on"),
        Binding("p", "probe", "probe now"),
        Binding("c", "checkpoint", "checkpoint now"),
        Binding("e", "edit", "edit live values"),
        Binding("s", "stop", "stop after this step"),
        *(Binding(str(number), f"panel('{name}')", f"panel {name}") for number, name in enumerate(PANELS, 1)),
        Binding("tab", "next_panel", "next panel"),
        Binding("shift+tab", "next_panel(-1)", "panel before"),
        Binding("l", "log_scale", "logarithmic loss axis"),
        Binding("o", "other_loss", "another loss"),
        Binding("a", "acknowledge", "acknowledge an alert"),
        Binding("r", "go_back", "go back from a divergence"),
        Binding("A", "audit", "audit the result of an ended run"),
        Binding("v", "card", "the card of an audited result"),
        Binding("pageup", "scroll_log(-1)", show=False),
        Binding("pagedown", "scroll_log(1)", show=False),
        Binding("escape", "restore", show=False),
    ]

    def __init__(self, control: Control, *, read_only: bool = False) -> None:
        super().__init__()
        self._control = control
        self._read_only = read_only
        self._state = RunState()
        self._panel = PANELS[0]
        self._loss_name: str | None = None
        self._titles: dict[str, str] = {}
        self._num_shown = 0

    def compose(self) -> ComposeResult:
        """Lay out all panels; the stylesheet decides which of them a size shows."""
        yield StatusBar(read_only=self._read_only, id="status")
        yield AlertBar(id="alerts")
        yield PhaseStrip(id="phases")
        yield KeyFigures(read_only=self._read_only, id="figures")
        yield OutcomePanel(read_only=self._read_only, id="outcome")
        with Container(id="body"):
            with Vertical(id="panel-loss", classes="panel"):
                yield Chart("no loss logged yet", ChartOptions(is_smoothed=True), id="loss")
            with Vertical(id="panel-method", classes="panel"):
                yield Chart("", ChartOptions(), id="method")
            with Vertical(id="panel-probe", classes="panel"):
                yield Chart("", ChartOptions(is_percent=True), id="probe")
                yield ProbeTable(id="probe-table")
            with Vertical(id="panel-log", classes="panel"):
                yield LogPanel(id="log")
        yield KeyBar(LIVE_HINTS, id="keys")

    def on_mount(self) -> None:
        """Name the panels and choose the first."""
        for name in PANELS:
            self._set_title(name, name)
        self._select(self._panel)

    def on_resize(self, event: Resize) -> None:
        """Choose the layout that the size has room for."""
        self._fit(event.size.width, event.size.height)

    def show(self, state: RunState, moment: Moment) -> None:
        """Draw this state; cheap where nothing changed, and nothing while the screen is not up."""
        if not self.is_mounted or not self.is_running:
            return
        had_ended = self._state.finished is not None
        self._state = state
        self.query_one(StatusBar).show(state, moment.word)
        self.query_one(PhaseStrip).show(state, moment)
        self.query_one(KeyFigures).show(state)
        self.query_one(OutcomePanel).show(state)
        self.query_one(LogPanel).show(state)
        self.query_one(ProbeTable).show(state)
        self._show_alerts()
        has_ended = state.finished is not None
        if self._num_shown % POLLS_PER_CHART == 0 or had_ended != has_ended:
            self._show_charts()
        self._num_shown += 1
        self._show_keys()
        if had_ended != has_ended:
            self._fit(*self.size)

    def action_toggle_pause(self) -> None:
        """Pause the run, or let it go on; the status word changes with the key press."""
        if not self._may_steer():
            return
        if self._control.status in {"paused", "pausing"}:
            self._control.resume()
        else:
            self._control.pause()
        self._show_word()

    def action_probe(self) -> None:
        """Ask for a probe."""
        if self._may_steer():
            self._control.probe_now()
            self._tell("a probe comes after this step")

    def action_checkpoint(self) -> None:
        """Ask for a checkpoint."""
        if self._may_steer():
            self._control.checkpoint_now()
            self._tell("a checkpoint comes after this step")

    def action_edit(self) -> None:
        """Open the form for live values."""
        if self._may_steer():
            form = EditScreen(self._state.learning_rate, self._state.values.get(PROBE_EVERY))
            self.app.push_screen(form, self._apply_edits)

    def action_stop(self) -> None:
        """Ask whether to stop the run."""
        if not self._may_steer():
            return
        answers = [Answer("y", "stop and save", "stop", "warning"), CANCEL]
        text = "The run finishes its step, saves a checkpoint and ends. It can go on later from there."
        self.app.push_screen(ConfirmScreen("stop the run?", text, answers), self._on_stop_answer)

    def action_go_back(self) -> None:
        """Ask where a diverged run is to branch off from, and leave the console to train there."""
        step, run, finished = self._way_back_step, self._state.run, self._state.finished
        if step is None or run is None or finished is None:
            self._tell("r goes back where a run has diverged, to a checkpoint from before that")
            return
        entries = list_entries(Path(run.directory))
        self.app.push_screen(BranchScreen(entries, step, finished.way_back), self._on_way_back)

    @property
    def _way_back_step(self) -> int | None:
        """The step of the checkpoint that a diverged run can go back to from here, if any."""
        finished = self._state.finished
        if finished is None or finished.status != "diverged" or self._read_only:
            return None
        return step_in_name(finished.checkpoint or "")

    def _on_way_back(self, request: ResumeRequest | None) -> None:
        if request is not None:
            self.app.exit(request)

    def action_audit(self) -> None:
        """Audit the checkpoint that the result of an ended run stands for; its verdict appears in the panel."""
        chosen, measured = self._result, self.query_one(OutcomePanel).outcome.checkpoint
        if chosen is None:
            self._tell("A audits the result of a run that has finished")
        elif measured is None:
            self._tell("the checkpoint of this result is not there any more")
        else:
            self._measuring.audit_classifier(measured.path, chosen.classifier, audited_epsilon(chosen))

    def action_card(self) -> None:
        """Open the card of the result of an ended run."""
        chosen, measured = self._result, self.query_one(OutcomePanel).outcome.checkpoint
        if chosen is None or measured is None:
            self._tell("v shows the card of the result of a run that has finished")
        else:
            self._measuring.view(measured, chosen.classifier, "A")

    @property
    def _result(self) -> TestResult | None:
        """The result that an ended run stands for."""
        return selected_result(self._state.finished.results) if self._state.finished is not None else None

    @property
    def _measuring(self) -> Measuring:
        return Measuring(self.app, OWN_COMMANDS, lambda _: self.query_one(OutcomePanel).show(self._state))

    def action_panel(self, name: str) -> None:
        """Choose a panel; choosing it again shows it alone, and once more restores the others."""
        self.toggle_class("-maximised") if name == self._panel else self.remove_class("-maximised")
        self._select(name)
        self._fit(*self.size)

    def action_next_panel(self, step: int = 1) -> None:
        """Choose the next panel."""
        self._select(PANELS[(PANELS.index(self._panel) + step) % len(PANELS)])

    def action_restore(self) -> None:
        """Show all panels again."""
        self.remove_class("-maximised")
        self._fit(*self.size)

    def action_log_scale(self) -> None:
        """Switch the loss chart between linear and logarithmic."""
        chart = self.query_one("#loss", Chart)
        chart.is_log = not chart.is_log
        self._show_charts()

    def action_other_loss(self) -> None:
        """Show the next of the losses that the run has logged."""
        names = logged_losses(self._state)
        if names:
            self._loss_name = names[(names.index(self._shown_loss) + 1) % len(names)]
            self._show_charts()

    def action_acknowledge(self) -> None:
        """Take the shown alert away."""
        self.query_one(AlertBar).acknowledge()

    def action_scroll_log(self, pages: int) -> None:
        """Scroll the log by pages."""
        panel = self.query_one(LogPanel)
        panel.scroll_relative(y=pages * max(1, panel.size.height - 1), animate=False)

    @property
    def _shown_loss(self) -> str:
        """The loss that a person chose, if this run logs it, or else the one that matters now."""
        chosen = self._loss_name
        return chosen if chosen in logged_losses(self._state) else shown_loss_name(self._state)

    def _show_charts(self) -> None:
        state, name = self._state, self._shown_loss
        loss, method, probe = (self.query_one(f"#{panel}", Chart) for panel in ("loss", "method", "probe"))
        loss.show(loss_lines(state, name))
        self._set_title("loss", loss_panel_title(state, name, is_log=loss.is_log))
        shown = method_panel(state)
        method.show_percent(is_percent=shown.is_percent)
        method.show_empty(shown.empty)
        method.show(shown.lines)
        self._set_title("method", shown.title)
        probe.show(probe_lines(state))
        probe.show_empty(probe_hint(state, can_ask=state.finished is None and not self._read_only))
        self._set_title("probe", probe_title(state.probe))

    def _show_alerts(self) -> None:
        added = self.query_one(AlertBar).show(self._state)
        if added:
            self.app.bell()
        if self.app.screen is not self:
            for alert in added[-1:]:
                self.app.notify(alert.text, severity="error", markup=False, timeout=10)

    def hints(self) -> list[Hint]:
        """Choose the keys to name in the last line."""
        can_steer = self._state.finished is None and not self._read_only
        is_waiting = can_steer and self._control.status in {"paused", "pausing"}
        return key_hints(
            self.size.width,
            can_steer=can_steer,
            is_waiting=is_waiting,
            can_go_back=self._way_back_step is not None,
            can_audit=self._result is not None,
        )

    def _show_keys(self) -> None:
        self.query_one(KeyBar).show(self.hints())

    def _show_word(self) -> None:
        self._show_keys()
        self.query_one(StatusBar).word = status_word(self._state, None if self._read_only else self._control.status)

    def _fit(self, width: int, height: int) -> None:
        compact = is_compact(width, height)
        self.set_class(compact or (self._state.finished is not None and height < 38), "-compact")
        self.set_class(width >= 120 and height >= 38, "-large")
        strip = self.query_one(PhaseStrip)
        strip.is_compact = compact or self.has_class("-maximised") or width < 96
        strip.display = not (compact and self._state.finished is not None)
        strip.refresh(layout=True)
        self._show_keys()

    def _select(self, name: str) -> None:
        self._panel = name
        for panel in PANELS:
            self.query_one(f"#panel-{panel}").set_class(panel == name, "-selected")

    def _set_title(self, name: str, title: str) -> None:
        if self._titles.get(name) != title:
            self._titles[name] = title
            text = Content.assemble((f"{PANELS.index(name) + 1} ", "bold $accent"), (title, "$foreground"))
            self.query_one(f"#panel-{name}").border_title = text

    def _may_steer(self) -> bool:
        if self._read_only:
            self._tell("this console only watches: the run belongs to another process")
        elif self._state.finished is not None:
            self._tell("the run has ended")
        elif self._control.stop_requested:
            self._tell("the run is already stopping")
        else:
            return True
        return False

    def _on_stop_answer(self, answer: str | None) -> None:
        if answer == "stop":
            self._control.stop()
            self._show_word()

    def _apply_edits(self, edits: object) -> None:
        if isinstance(edits, dict):
            for name, value in edits.items():
                self._control.edit(name, value)
            if edits:
                self._tell("the edit takes effect after this step")

    def _tell(self, text: str) -> None:
        self.notify(text, markup=False, timeout=3)
