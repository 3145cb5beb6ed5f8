"""What is being done for the current row: its run, or the work before and after it."""

from dataclasses import replace

from textual.content import Content
from textual.widget import Widget

from claf_tui.charts.plot import ChartLine
from claf_tui.state import RunState
from claf_tui.state.moment import Moment
from claf_tui.state.reproduction import Scene
from claf_tui.widgets.curves import loss_lines, loss_title, shown_loss_name
from claf_tui.widgets.glyphs import bar, spinner
from claf_tui.widgets.phase_strip import starting_lines, strip_lines
from claf_tui.words import figures
from claf_tui.words.safe_text import safe

COMPACT_LINES, FULL_LINES = 3, 5
MEASURING = "measuring accuracy on the test images"


class CurrentRun(Widget):
    """Phases, the whole run and the activity; as many lines for a run of one phase as for one of three."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._scene = Scene()
        self.is_compact = False

    def show(self, scene: Scene) -> None:
        """Show this scene from now on."""
        drawn, self._scene = self._scene, scene
        if len(drawn.state.phases) != len(scene.state.phases):
            self.refresh(layout=True)
        self.refresh()

    def get_content_height(self, *_: object) -> int:
        """The same height for most runs, so that nothing below moves when the next one begins."""
        return COMPACT_LINES if self.is_compact else max(FULL_LINES, len(self._scene.state.phases) + 2)

    def render(self) -> Content:
        """Draw the lines."""
        return Content("\n").join(current_lines(self._scene, self.size.width, is_compact=self.is_compact))


def current_title(scene: Scene) -> str:
    """Name the row and the run that is being worked on."""
    row = scene.current
    if row is None:
        return "starting"
    parts = [f"current run: {safe(row.label, 40)}"]
    if owns_run(scene) and scene.state.run is not None:
        parts += [safe(scene.state.run.run, 48), f"seed {scene.state.run.seed}"]
    return " · ".join(parts)


def owns_run(scene: Scene) -> bool:
    """Whether the run that events last told of belongs to the current row."""
    row, run = scene.current, scene.state.run
    return run is not None and row is not None and (scene.is_training or run.run in row.runs)


def current_lines(scene: Scene, width: int, *, is_compact: bool) -> list[Content]:
    """Draw what is being done as lines of at most `width` cells."""
    moment = scene.moment
    if scene.is_training:
        return strip_lines(scene.state, moment, width, is_compact=is_compact)
    is_evaluating = scene.current is not None and scene.current.status == "evaluating"
    if is_evaluating and owns_run(scene):
        done = strip_lines(scene.state, moment, width, is_compact=is_compact)[:-1]
        return [*done, outside_line(scene, MEASURING, width)]
    if is_evaluating or moment.word in {"PAUSED", "PAUSING", "STOPPING"}:
        return [Content(""), outside_line(scene, MEASURING if is_evaluating else "starting the next run", width)]
    began = Moment("STARTING", moment.frame, max(0.0, moment.waited - scene.began))
    return starting_lines(began, width, scene.aside)


def outside_line(scene: Scene, doing: str, width: int) -> Content:
    """Say what is being done outside a run, and how far it is once that is known."""
    moment, aside = scene.moment, scene.aside
    if moment.word == "PAUSED":
        return Content.styled(" ‖ paused · space goes on, nothing is lost", "bold $warning").truncate(
            width, ellipsis=True
        )
    waiting = {"PAUSING": "pausing: ", "STOPPING": "stopping: "}.get(moment.word, "")
    text = safe(aside.activity, 60) if aside and aside.activity else doing
    line = Content.assemble(
        (f" {spinner(moment.frame)} ", "$secondary"), (waiting, "bold $warning"), (text, "$foreground")
    )
    since = f" · {figures.duration(moment.waited - scene.began)}"
    share = aside.activity_fraction if aside else None
    if share is not None and width - line.cell_length >= 24:
        line = Content.assemble(line, "  ", bar(share, 16, "$secondary"), (f" {100 * share:.0f}%", "$foreground 60%"))
    elif width - line.cell_length >= len(since):
        line = Content.assemble(line, (since, "$foreground 60%"))
    return line.truncate(width, ellipsis=True)


def titled_loss(state: RunState) -> list[ChartLine]:
    """Give the loss curves of the run, the first of them named after the loss as well."""
    name = shown_loss_name(state)
    lines = loss_lines(state, name)
    return [replace(line, name=f"{loss_title(name)}, {line.name}") for line in lines[:1]] + lines[1:]
