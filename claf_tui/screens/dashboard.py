"""The dashboard: phases, key figures, three charts and the log, fitted to the size of the terminal."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.events import Click, Resize
from textual.screen import ModalScreen

from claf_engine.events import TestResult
from claf_engine.events.control import WAITING, Later
from claf_engine.runs import list_runs
from claf_engine.runs.header import step_in_name
from claf_engine.terms.errors import ClafError, ForeignFileError, RunError
from claf_tui.charts.plot import ChartOptions, Scene, aligned
from claf_tui.charts.view import Extent, View, next_x_axis, reset
from claf_tui.screens.branch_dialog import BranchScreen
from claf_tui.screens.chart_screen import CHART_KEYS, ChartScreen
from claf_tui.screens.checkpoints.actions import ResumeRequest, list_entries
from claf_tui.screens.checkpoints.measuring import OWN_COMMANDS, Measuring
from claf_tui.screens.compare_dialog import MAX_OFFERED, CompareScreen
from claf_tui.screens.confirm_dialog import CANCEL, Answer, ConfirmScreen
from claf_tui.screens.dashboard_keys import LIVE_HINTS, key_hints
from claf_tui.screens.edit_dialog import EditScreen, LaterScreen
from claf_tui.screens.space import LOSS, METHOD, PANELS, PROBE, TABLE_WIDE, space_of
from claf_tui.screens.steering import ASKED, Steering
from claf_tui.state import RunState, status_word
from claf_tui.state.full_curves import FullCurves, FullReader, is_gathered
from claf_tui.state.moment import Moment
from claf_tui.state.other_run import OtherRun, read_other_run
from claf_tui.state.outcome import audited_epsilon, selected_result
from claf_tui.state.run_state import live_values
from claf_tui.widgets.alert_bar import AlertBar
from claf_tui.widgets.chart import Chart
from claf_tui.widgets.curves import (
    first_radius,
    logged_losses,
    loss_lines,
    loss_panel_title,
    of_others,
    probe_bands,
    probe_lines,
    shown_loss_name,
    view_text,
)
from claf_tui.widgets.key_bar import Hint, KeyBar
from claf_tui.widgets.key_figures import KeyFigures
from claf_tui.widgets.keys import named
from claf_tui.widgets.log_panel import LogPanel
from claf_tui.widgets.method_panel import method_panel
from claf_tui.widgets.outcome import OutcomePanel
from claf_tui.widgets.phase_strip import PhaseLine
from claf_tui.widgets.status_bar import StatusBar
from claf_tui.widgets.tables import ProbeTable, probe_hint, probe_title
from claf_tui.words.safe_text import safe

SECONDS_PER_CHART = 1.0
"""Between two drawings of the charts: they are most of the console's work, and nobody reads faster."""
CHARTS = (PROBE, LOSS, METHOD)


class Dashboard(ChartScreen):
    """Draws a `RunState` and turns keys into wishes.

    Args:
        steering: what takes them; None for who may only look on.
        read_only: the run is another process's.
        why_not: why one may only look on.
        is_loud: whether an alert rings the bell.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "toggle_pause", "pause / go on"),
        Binding("p", "probe", "probe now"),
        Binding("c", "checkpoint", "checkpoint now"),
        Binding("e", "edit", "edit live values"),
        Binding("n", "pause_later", "go on for some steps, then pause"),
        Binding("s", "stop", "stop after this step"),
        *(
            Binding(str(number), f"panel('{name}')", f"panel {name}", id=f"panel-{name}")
            for number, name in enumerate(PANELS, 1)
        ),
        *CHART_KEYS,
        Binding("up", "zoom(1)", "zoom in", id="zoom-in"),
        Binding("down", "zoom(-1)", "zoom out", id="zoom-out"),
        Binding("x", "x_axis", "step, epoch or clock"),
        Binding("w", "compare", "compare with other runs"),
        Binding("f", "maximise", "full screen"),
        Binding("tab", "next_panel", "next panel"),
        Binding("shift+tab", "next_panel(-1)", "panel before", id="panel-before"),
        Binding("a", "acknowledge", "acknowledge an alert"),
        Binding("r", "go_back", "go back from a divergence"),
        Binding("v", "examples", "adversarial examples"),
        Binding("A", "history", "alerts and edits"),
        Binding("u", "audit", "audit the result of an ended run"),
        Binding("V", "card", "the card of an audited result"),
        Binding("pageup", "scroll_log(-1)", show=False, id="log-up"),
        Binding("pagedown", "scroll_log(1)", show=False, id="log-down"),
        Binding("escape", "restore", show=False),
    ]
    BINDINGS = named("dashboard", BINDINGS)

    def __init__(
        self, steering: Steering | None, *, read_only: bool = False, why_not: str = "", is_loud: bool = True
    ) -> None:
        super().__init__()
        self._steering = steering
        self._read_only = read_only
        self._why_not = why_not or "this console only watches: the run belongs to another process"
        self._is_loud = is_loud
        self._state = RunState()
        self._panel = PANELS[0]
        self._loss_name: str | None = None
        self._titles: dict[str, str] = {}
        self._charted = -SECONDS_PER_CHART
        self._had_ended = False
        self._moment = Moment()
        self._full_reader: FullReader | None = None
        self._full: FullCurves | None = None
        self._is_reading = False
        self._told_unread = ""
        self._others: dict[Path, OtherRun] = {}

    def compose(self) -> ComposeResult:
        """Lay out all panels; which of them a size shows, `space_of` decides."""
        yield StatusBar(read_only=self._read_only, id="status")
        yield AlertBar(id="alerts")
        yield PhaseLine(id="phases")
        yield KeyFigures(read_only=self._steering is None, has_activity=True, id="figures")
        yield OutcomePanel(read_only=self._read_only, id="outcome")
        with Vertical(id="body"):
            with Horizontal(id="panel-probe", classes="panel"):
                yield Chart("", ChartOptions(is_percent=True), id="probe")
                yield ProbeTable(id="probe-table")
            with Horizontal(id="bottom"):
                with Vertical(id="panel-loss", classes="panel"):
                    yield Chart("no loss logged yet", ChartOptions(has_trend=True), id="loss")
                with Vertical(id="panel-method", classes="panel"):
                    yield Chart("", ChartOptions(has_trend=True), id="method")
                with Vertical(id="panel-log", classes="panel"):
                    yield LogPanel(id="log")
        yield KeyBar(LIVE_HINTS, id="keys")

    def on_mount(self) -> None:
        """Name the panels and choose the first."""
        for name in PANELS:
            self._set_title(name, name)
        self._select(self._panel)

    def on_screen_resume(self) -> None:
        """Catch up: nothing is drawn while another screen covers this one."""
        self._charted = -SECONDS_PER_CHART
        self.call_later(lambda: self.show(self._state, self._moment))

    def on_resize(self, event: Resize) -> None:
        """Choose the layout that the size has room for."""
        self._fit(event.size.width, event.size.height)

    def show(self, state: RunState, moment: Moment) -> None:
        """Draw this state; cheap where nothing changed, and nothing while the screen is not up."""
        if not self.is_mounted or not self.is_running:
            return
        had_ended = self._had_ended
        self._state, self._moment = state, moment
        if self.app.screen is not self and not isinstance(self.app.screen, ModalScreen):
            self._show_alerts()
            return
        self._had_ended = state.finished is not None
        self.query_one(StatusBar).show(state, moment)
        self.query_one(PhaseLine).show(state, moment)
        self.query_one(KeyFigures).show(state, moment)
        self.query_one(OutcomePanel).show(state)
        self.query_one(LogPanel).show(state)
        self.query_one(ProbeTable).show(state)
        self._show_alerts()
        has_ended = state.finished is not None
        if moment.waited - self._charted >= SECONDS_PER_CHART or had_ended != has_ended:
            self._charted = moment.waited
            self._read_in_full()
            self.show_charts()
        self._show_keys()
        if had_ended != has_ended:
            self._fit(*self.size)

    def action_toggle_pause(self) -> None:
        """Pause the run, or let it go on; the status word changes with the key press."""
        if self._status == ASKED:
            self._tell("the run has not answered yet")
        elif steering := self._taker():
            self._wish(steering.resume if self._status in WAITING else steering.pause)

    def action_probe(self) -> None:
        """Ask for a probe."""
        if steering := self._taker():
            self._wish(steering.probe_now, "a probe comes after this step")

    def action_checkpoint(self) -> None:
        """Ask for a checkpoint."""
        if steering := self._taker():
            self._wish(steering.checkpoint_now, "a checkpoint comes after this step")

    def action_edit(self) -> None:
        """Open the form for live values."""
        if self._taker():
            self.app.push_screen(EditScreen(live_values(self._state)), self._apply_edits)

    def action_pause_later(self) -> None:
        """Ask for how long the run is to go on before it pauses."""
        if self._taker():
            self.app.push_screen(LaterScreen(), self._on_later)

    def action_stop(self) -> None:
        """Ask whether to stop the run."""
        if not self._taker():
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

    def action_examples(self) -> None:
        """Show what the attacks of the probes make of a few images."""
        from claf_tui.screens.examples import ExamplesScreen

        if self._state.run is None:
            self._tell("the run has no folder yet")
        else:
            self.app.push_screen(ExamplesScreen(Path(self._state.run.directory), self._state.run.class_names))

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

    def action_history(self) -> None:
        """List alerts, and who changed what."""
        from claf_tui.screens.history import HistoryScreen

        self.app.push_screen(HistoryScreen(self._state))

    def action_audit(self) -> None:
        """Audit the checkpoint that the result of an ended run stands for; its verdict appears in the panel."""
        chosen, measured = self._result, self.query_one(OutcomePanel).outcome.checkpoint
        if chosen is None:
            self._tell("u audits the result of a run that has finished")
        elif measured is None:
            self._tell("the checkpoint of this result is not there any more")
        else:
            self._measuring.audit_classifier(measured.path, chosen.classifier, audited_epsilon(chosen))

    def action_card(self) -> None:
        """Open the card of the result of an ended run."""
        chosen, measured = self._result, self.query_one(OutcomePanel).outcome.checkpoint
        if chosen is None or measured is None:
            self._tell("V shows the card of the result of a run that has finished")
        else:
            self._measuring.view(measured, chosen.classifier, "u")

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
        self._fit(*self.size)

    def action_maximise(self) -> None:
        """Show the chosen panel alone, and once more all of them."""
        self.action_panel(self._panel)

    def action_restore(self) -> None:
        """Take back one thing: the cursor, or else full screen, or else the zoom."""
        if self._view.cursor is not None:
            self.look(replace(self._view, cursor=None))
        elif self.has_class("-maximised"):
            self.remove_class("-maximised")
            self._fit(*self.size)
        else:
            self.look(reset(self._view))

    @property
    def has_more_to_restore(self) -> bool:
        """Whether there is something for escape to take back."""
        return self._view.cursor is not None or self.has_class("-maximised") or not self._view.is_whole

    def action_x_axis(self) -> None:
        """Count steps, epochs or time on the horizontal axis."""
        self.look(next_x_axis(self._view))

    def on_click(self, event: Click) -> None:
        """Choose the panel that was clicked, twice shows it alone; a click takes an alert away."""
        under, _ = self.get_widget_at(event.screen_x, event.screen_y)
        clicked = {each.id for each in under.ancestors_with_self}
        if "alerts" in clicked:
            self.action_acknowledge()
        for name in PANELS:
            if f"panel-{name}" in clicked:
                self._select(name)
                if event.chain == 2:
                    self.action_maximise()

    def action_compare(self) -> None:
        """Ask which other runs to lay over this one."""
        if self._state.run is None:
            self._tell("the run has no folder yet")
            return
        directory = Path(self._state.run.directory)
        try:
            offered = [run for run in list_runs(directory.parent, MAX_OFFERED) if run.directory != directory]
        except RunError as error:
            self._tell(str(error))
            return
        if not offered:
            self._tell(f"there is no other run in {safe(directory.parent, 100)}")
            return
        self.app.push_screen(CompareScreen(offered, list(self._others)), self.lay_over)

    def action_other_loss(self) -> None:
        """Show the next of the losses that the run has logged."""
        names = logged_losses(self._state)
        if names:
            self._loss_name = names[(names.index(self._shown_loss) + 1) % len(names)]
            self.show_charts()

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

    @property
    def chosen_chart(self) -> Chart:
        """The chart of the chosen panel; that of probes where it is the log."""
        return self.query_one(f"#{self._panel if self._panel in CHARTS else PROBE}", Chart)

    @property
    def extent(self) -> Extent:
        """The steps that there is anything of, of the runs that are compared as well."""
        last, own = float(self._state.step), self._state.timeline
        for other in self._others.values():
            end = aligned(np.array([float(other.state.step)]), self._view, other.state.timeline, own)
            last = max(last, float(end[0]))
        return Extent(0.0, max(1.0, last))

    def look(self, view: View) -> None:
        """Show this from now on; what is zoomed in on is read in full where curves have lost points."""
        self._view = view
        if view.is_whole or self._full is None:
            self._read_in_full()
        self.show_charts()

    def show_charts(self) -> None:
        """Draw all charts by the view as it is."""
        state, name, others = self._state, self._shown_loss, self._others.values()
        scene = Scene(self._view, self.extent, state.timeline, state.marks)
        loss, method, probe = (self.query_one(f"#{panel}", Chart) for panel in (LOSS, METHOD, PROBE))
        over = of_others([(other, loss_lines(other.state, name)) for other in others])
        loss.show([*loss_lines(state, name, self._full), *over], scene)
        self._set_title(LOSS, loss_panel_title(state, name, is_log=loss.is_log))
        shown = method_panel(state, self._full)
        over = of_others(
            [
                (other, method_panel(other.state).lines)
                for other in others
                if state.run and other.state.run and other.state.run.method == state.run.method
            ]
        )
        method.show_percent(is_percent=shown.is_percent)
        method.show_empty(shown.empty)
        method.show([*shown.lines, *over], scene)
        self._set_title(METHOD, shown.title)
        over = of_others([(other, first_radius(probe_lines(other.state))) for other in others])
        probe.show([*probe_lines(state), *over], replace(scene, bands=probe_bands(state)))
        probe.show_empty(probe_hint(state, can_ask=self._can_steer))
        self._set_title(PROBE, probe_title(state.probe))
        self._show_view()

    def _show_view(self) -> None:
        """Say below the chosen panel what is looked at."""
        for name in PANELS:
            panel = self.query_one(f"#panel-{name}")
            is_chosen = name == self._panel and name in CHARTS
            text = view_text(self._state, self._view, self.extent, panel.size.width - 4) if is_chosen else ""
            subtitle = Content.styled(text, "$foreground")
            if panel.border_subtitle != subtitle:
                panel.border_subtitle = subtitle

    def _read_in_full(self) -> None:
        """Re-read the journal while less than the whole run is shown and curves have lost points; else let it go."""
        if self._view.is_whole or self._state.run is None or not is_gathered(self._state):
            self._full_reader = self._full = None
        elif not self._is_reading:
            if self._full_reader is None:
                self._full_reader = FullReader(Path(self._state.run.directory))
            self._is_reading = True
            self.run_worker(self._read, thread=True)

    def _read(self) -> None:
        reader = self._full_reader
        full, error = None, ""
        try:
            full = None if reader is None else reader.read()
        except ForeignFileError as refused:
            error = str(refused)
        self.app.call_later(self._take_full, reader, full, error)

    def _take_full(self, reader: FullReader | None, full: FullCurves | None, error: str) -> None:
        self._is_reading = False
        if error and error != self._told_unread:
            self._tell(f"not every step can be shown: {error}")
        self._told_unread = error
        if reader is not None and reader is self._full_reader and full is not self._full:
            self._full = full
            self.show_charts()

    def lay_over(self, chosen: tuple[Path, ...] | None) -> None:
        """Lay the curves of these runs over this one's, and of no others; None changes nothing."""
        if chosen is None:
            return
        self._others = {path: run for path, run in self._others.items() if path in chosen}
        for path in chosen:
            if path not in self._others:
                self.run_worker(partial(self._read_other, path), thread=True)
        self.show_charts()

    def _read_other(self, directory: Path) -> None:
        try:
            other = read_other_run(directory)
        except (ForeignFileError, OSError) as error:
            self.app.call_later(self._tell, f"cannot show {safe(directory.name, 60)}: {error}")
            return
        self.app.call_later(self._take_other, directory, other)

    def _take_other(self, directory: Path, other: OtherRun) -> None:
        if not other.state.probes and not other.state.losses:
            self._tell(f"{other.name} has no curves yet")
        self._others[directory] = other
        self.show_charts()

    def _show_alerts(self) -> None:
        added = self.query_one(AlertBar).show(self._state)
        if added and self._is_loud:
            self.app.bell()
        if self.app.screen is not self:
            for alert in added[-1:]:
                self.app.notify(alert.text, severity="error", markup=False, timeout=10)

    def hints(self) -> list[Hint]:
        """Choose the keys to name in the last line."""
        return key_hints(
            can_steer=self._can_steer,
            is_waiting=self._can_steer and self._status in WAITING,
            can_go_back=self._way_back_step is not None,
            can_audit=self._result is not None,
        )

    def _show_keys(self) -> None:
        self.query_one(KeyBar).show(self.hints())

    def _show_word(self) -> None:
        self._show_keys()
        self.query_one(StatusBar).word = status_word(self._state, self._status)

    def _fit(self, width: int, height: int) -> None:
        has_ended = self._state.finished is not None
        is_maximised = self.has_class("-maximised")
        space = space_of(width, height, self._panel, is_maximised=is_maximised, has_ended=has_ended)
        for name in PANELS:
            self.query_one(f"#panel-{name}").display = name in space.panels
        self.query_one("#bottom").display = any(name != PROBE for name in space.panels)
        self.query_one(ProbeTable).display = space.has_table
        self.query_one("#panel-probe").set_class(space.has_table and width < TABLE_WIDE, "-stacked")
        self._show_keys()

    def _select(self, name: str) -> None:
        self._panel = name
        for panel in PANELS:
            self.query_one(f"#panel-{panel}").set_class(panel == name, "-selected")
        self._show_view()

    def _set_title(self, name: str, title: str) -> None:
        if self._titles.get(name) != title:
            self._titles[name] = title
            text = Content.assemble((f"{PANELS.index(name) + 1} ", "bold $accent"), (title, "$foreground"))
            self.query_one(f"#panel-{name}").border_title = text

    @property
    def _status(self) -> str:
        """What the run does about the last wish, as far as is known here."""
        return (self._steering and self._steering.status) or self._state.control

    @property
    def _can_steer(self) -> bool:
        return self._steering is not None and self._state.finished is None

    def _taker(self) -> Steering | None:
        """Who takes wishes now; where nobody does, the reason is told."""
        if self._steering is None:
            self._tell(self._why_not)
        elif self._state.finished is not None:
            self._tell("the run has ended")
        elif self._status == "stopping":
            self._tell("the run is already stopping")
        else:
            return self._steering
        return None

    def _wish(self, wish: Callable[[], None], said: str = "") -> None:
        """Pass a wish on; the status word changes at once.

        Args:
            wish: asks for it.
            said: what comes of it, where that is certain; another process answers for itself.
        """
        try:
            wish()
        except ClafError as error:
            self.notify(str(error), severity="warning", markup=False, timeout=6)
            return
        self._show_word()
        if said and not self._read_only:
            self._tell(said)

    def _on_stop_answer(self, answer: str | None) -> None:
        if answer == "stop" and (steering := self._taker()):
            self._wish(steering.stop)

    def _on_later(self, later: Later | None) -> None:
        if later is not None and (steering := self._taker()):
            self._wish(partial(steering.pause_later, later), f"the run waits {later.text}")

    def _apply_edits(self, edits: object) -> None:
        if isinstance(edits, dict) and edits and (steering := self._taker()):
            for name, value in edits.items():
                self._wish(partial(steering.edit, name, value))
            if not self._read_only:
                self._tell("the edit takes effect after this step")

    def _tell(self, text: str) -> None:
        self.notify(text, markup=False, timeout=3)
