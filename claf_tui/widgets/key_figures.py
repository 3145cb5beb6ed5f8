"""Lines that are always on the screen: the latest accuracies, what is odd about them, and how the machine is doing."""

from textual.content import Content
from textual.widget import Widget

from claf_engine.events import ProbeFinished
from claf_tui.state import RunState
from claf_tui.widgets.chart import PALETTE, robust_color
from claf_tui.widgets.curves import loss_title, shown_loss_name
from claf_tui.widgets.glyphs import fit
from claf_tui.words import attack_words, figures
from claf_tui.words.safe_text import safe


class KeyFigures(Widget):
    """The latest probe in one line, speed, memory and device in another; between them a warning where one is due."""

    def __init__(self, *, read_only: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self._read_only = read_only
        self._state = RunState()

    def show(self, state: RunState) -> None:
        """Show this state from now on."""
        drawn = self._state
        self._state = state
        if _shown(drawn) != _shown(state):
            self.refresh(layout=self.size.height != self.get_content_height())

    def get_content_height(self, *_: object) -> int:
        """Two lines, and one more where the figures are not accuracy in a ball."""
        return 3 if _has_caveat(self._state.probe) else 2

    def render(self) -> Content:
        """Draw the lines."""
        width = self.size.width
        can_ask = self._state.finished is None and not self._read_only
        lines = [accuracy_line(self._state.probe, width, can_ask=can_ask), machine_line(self._state, width)]
        if self._state.probe is not None and _has_caveat(self._state.probe):
            lines.insert(1, caveat_line(self._state.probe, width))
        return Content("\n").join(lines)


def accuracy_line(probe: ProbeFinished | None, width: int, *, can_ask: bool = True) -> Content:
    """Natural and robust accuracy of the latest probe, with what a reader needs to judge them, as far as it fits."""
    if probe is None:
        text = " no probe yet · p asks for one now" if can_ask else " no probe yet"
        return Content.styled(text, "$foreground 60%").truncate(width, ellipsis=True)
    parts = [Content.styled(" probe", "$foreground 60%"), _share("natural", probe.natural, PALETTE[0])]
    for index, item in enumerate(probe.robust):
        kind = "robust" if item.is_in_a_ball else safe(item.space, 16)
        parts.append(_share(f"{kind} {attack_words.marked_radius(item)}", item.accuracy, robust_color(index)))
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


def caveat_line(probe: ProbeFinished, width: int) -> Content:
    """Say that the figures of a probe are not accuracy in a ball, and how far images were moved."""
    text = f" ! {attack_words.caveat(probe.robust)}"
    return Content.styled(text, "bold $warning").truncate(width, ellipsis=True)


def machine_line(state: RunState, width: int) -> Content:
    """Loss, learning rate, throughput, memory, device, precision, layout and threads, as many as fit."""
    if state.run is None:
        return Content(" ")
    name = shown_loss_name(state)
    losses = [series for key, series in state.losses.items() if key.loss_name == name]
    memory = state.progress.memory_bytes if state.progress else 0
    speed = state.images_per_second
    facts = [
        f"{loss_title(name)} {figures.figure(losses[-1].latest)}" if losses else "",
        overfitting_text(state),
        f"lr {figures.figure(state.learning_rate)}" if state.learning_rate is not None else "",
        f"{figures.count(speed)} img/s" if speed is not None else "",
        figures.size(memory) if memory else "",
        f"{safe(state.run.device, 24)} {safe(state.run.precision, 8)} {safe(state.run.layout, 16)}",
        f"{state.run.threads} thread{'' if state.run.threads == 1 else 's'}",
    ]
    shown = [fact for fact in facts if fact]
    return fit(
        [Content.styled(" " + " · ".join(shown[:count]), "$foreground 60%") for count in range(len(shown), 0, -1)],
        width,
    )


def overfitting_text(state: RunState) -> str:
    """Accuracy under the one-step attack of fast training and under PGD; empty for other methods."""
    if state.overfitting is None:
        return ""
    one_step, multi_step = state.overfitting.single_step, state.overfitting.multi_step
    return f"one step {figures.percent(one_step)}, PGD {figures.percent(multi_step)}"


def _has_caveat(probe: ProbeFinished | None) -> bool:
    return probe is not None and any(not item.is_in_a_ball for item in probe.robust)


def _shown(state: RunState) -> tuple[object, ...]:
    """What both lines depend on, as coarsely as they write it: the same again need not be drawn again."""
    progress = state.progress
    memory = progress.memory_bytes >> 20 if progress else 0
    speed = round(state.images_per_second or 0)
    step = state.step if state.losses else 0
    return state.run, state.finished, state.probe, state.overfitting, state.learning_rate, step, speed, memory


def _share(name: str, accuracy: float, color: str) -> Content:
    return Content.assemble((f" {name} ", "$foreground"), (figures.percent(accuracy), f"bold {color}"), " ")
