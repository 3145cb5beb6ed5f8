"""Two lines that are always on the screen: the latest accuracies, and how the machine is doing."""

from textual.content import Content
from textual.widget import Widget

from claf_engine.events import ProbeFinished
from claf_tui import figures
from claf_tui.safe_text import safe
from claf_tui.state import RunState
from claf_tui.widgets.chart import PALETTE, robust_color
from claf_tui.widgets.curves import shown_loss_name
from claf_tui.widgets.glyphs import fit


class KeyFigures(Widget):
    """The latest probe in one line, speed, memory and device in another."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._state = RunState()

    def show(self, state: RunState) -> None:
        """Show this state from now on."""
        drawn = self._state
        self._state = state
        if _shown(drawn) != _shown(state):
            self.refresh()

    def render(self) -> Content:
        """Draw both lines."""
        width = self.size.width
        return Content("\n").join([accuracy_line(self._state.probe, width), machine_line(self._state, width)])


def accuracy_line(probe: ProbeFinished | None, width: int) -> Content:
    """Natural and robust accuracy of the latest probe, with what a reader needs to judge them, as far as it fits."""
    if probe is None:
        return Content.styled(" no probe yet · p asks for one now", "$foreground 60%").truncate(width, ellipsis=True)
    parts = [Content.styled(" probe", "$foreground 60%"), _share("natural", probe.natural, PALETTE[0])]
    for index, item in enumerate(probe.robust):
        parts.append(_share(f"robust {safe(item.epsilon, 12)}", item.accuracy, robust_color(index)))
    attack = ""
    if probe.robust:
        first = probe.robust[0]
        attack = f" {safe(first.attack, 20)}-{first.steps} on {first.num_examples} ·"
    about = Content.styled(
        f"·{attack} {safe(probe.classifier, 20)} classifier · epoch {probe.epoch}", "$foreground 60%"
    )
    brief = Content.styled(f"· epoch {probe.epoch}", "$foreground 60%")
    full = Content.assemble(*parts)
    return fit(
        [Content.assemble(full, about), Content.assemble(full, brief), full, Content.assemble(*parts[:3])], width
    )


def machine_line(state: RunState, width: int) -> Content:
    """Loss, learning rate, throughput, memory, device, precision and threads, as many as fit."""
    if state.run is None:
        return Content(" ")
    losses = [series for key, series in state.losses.items() if key.loss_name == shown_loss_name(state)]
    memory = state.progress.memory_bytes if state.progress else 0
    speed = state.images_per_second
    facts = [
        f"loss {figures.figure(losses[-1].latest)}" if losses else "",
        f"lr {figures.figure(state.learning_rate)}" if state.learning_rate is not None else "",
        f"{figures.count(speed)} img/s" if speed is not None else "",
        figures.size(memory) if memory else "",
        f"{safe(state.run.device, 24)} {safe(state.run.precision, 8)}",
        f"{state.run.threads} thread{'' if state.run.threads == 1 else 's'}",
    ]
    shown = [fact for fact in facts if fact]
    return fit(
        [Content.styled(" " + " · ".join(shown[:count]), "$foreground 60%") for count in range(len(shown), 0, -1)],
        width,
    )


def _shown(state: RunState) -> tuple[object, ...]:
    """What both lines depend on, as coarsely as they write it: the same again need not be drawn again."""
    progress = state.progress
    memory = progress.memory_bytes >> 20 if progress else 0
    speed = round(state.images_per_second or 0)
    return state.run, state.probe, state.learning_rate, state.step if state.losses else 0, speed, memory


def _share(name: str, accuracy: float, color: str) -> Content:
    return Content.assemble((f" {name} ", "$foreground"), (figures.percent(accuracy), f"bold {color}"), " ")
