"""Lines that are always on the screen: the latest accuracies, what is odd about them, and how the machine is doing."""

import math
from typing import Literal

from textual.content import Content
from textual.events import Resize

from claf_engine.events import ProbeFinished
from claf_tui.state import Mark, RunState
from claf_tui.state.moment import Moment
from claf_tui.widgets.chart import PALETTE, robust_color
from claf_tui.widgets.curves import loss_title, shown_loss_name
from claf_tui.widgets.glyphs import fit, spread
from claf_tui.widgets.lines import Lines
from claf_tui.widgets.phase_strip import ENDED, activity, activity_bar, activity_line
from claf_tui.words import attack_words, figures
from claf_tui.words.safe_text import safe

NOISE_DEVIATIONS = 2.0
"""Standard deviations from which on a fall is drawn as one."""


class KeyFigures(Lines):
    """The latest probe against the best in one line, what is being done in another; between them a warning if due.

    Args:
        read_only: the run belongs to another process, and no key asks for a probe.
        has_activity: say what is being done right now before speed, memory and device.
    """

    def __init__(self, *, read_only: bool = False, has_activity: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self._read_only = read_only
        self._has_activity = has_activity
        self._state = RunState()
        self._moment: Moment | None = None
        self._shown_at: tuple[object, ...] = ()

    def show(self, state: RunState, moment: Moment | None = None) -> None:
        """Show this state from now on."""
        self._state, self._moment = state, moment if self._has_activity else None
        shown_at = self.size.width, *_shown(state, self._moment)
        if shown_at != self._shown_at:
            self._shown_at = shown_at
            self.show_lines(self._made(self.size.width))

    def on_resize(self, _: Resize) -> None:
        """Make the lines fit."""
        self.show(self._state, self._moment)

    def get_content_height(self, *_: object) -> int:
        """As many lines as there are; two before anything is shown."""
        return len(self._lines) or 2

    def _made(self, width: int) -> list[Content]:
        can_ask = self._state.finished is None and not self._read_only
        lines = [accuracy_line(self._state, width, can_ask=can_ask), work_line(self._state, self._moment, width)]
        if self._state.probe is not None and _has_caveat(self._state.probe):
            lines.insert(1, caveat_line(self._state.probe, width))
        return lines


def accuracy_line(state: RunState, width: int, *, can_ask: bool = True) -> Content:
    """Robust accuracy of the latest probe against the best, then other radii and natural accuracy, as far as it fits.

    What the figures were measured with comes last and goes first, with what a stronger attack leaves, which checkpoints
    are chosen by; then how far the best lies.
    """
    probe = state.probe
    if probe is None:
        text = " no probe yet · p asks for one now" if can_ask else " no probe yet"
        return Content.styled(text, "$foreground 60%").truncate(width, ellipsis=True)
    robust = []
    for index, item in enumerate(probe.robust):
        kind = ("robust " if index == 0 else "") if item.is_in_a_ball else f"{safe(item.space, 16)} "
        robust.append(_share(f"{kind}{attack_words.marked_radius(item)}", item.accuracy, robust_color(index)))
    natural = _share("natural", probe.natural, PALETTE[0])
    attack = ""
    if probe.robust:
        first = probe.robust[0]
        attack = f" {safe(first.attack, 20)}-{first.steps} on {first.num_examples} ·"
    stronger = Content("")
    if probe.selection is not None:
        stronger = Content.styled(f"· {figures.percent(probe.selection)} under the stronger attack ", "$foreground 60%")
    who = f"{safe(probe.classifier, 20)} classifier"
    about = Content.styled(f"·{attack} {who} · epoch {probe.epoch}", "$foreground 60%")
    brief = Content.styled(f"· epoch {probe.epoch}", "$foreground 60%")

    def line(best: Content, *after: Content) -> Content:
        return Content.assemble(*robust[:1], best, *robust[1:], natural, *after)

    full, short, least = (against_best(state, detail) for detail in ("long", "short", "least"))
    options = [
        line(full, stronger, about),
        line(full, stronger, brief),
        line(full, about),
        line(full, brief),
        line(full),
        line(short),
        line(least, brief),
        line(least),
    ]
    return fit([*options, line(Content("")), Content.assemble(*robust[:1], natural)], width)


def against_best(state: RunState, detail: Literal["long", "short", "least"]) -> Content:
    """How far the latest probe lies below the best by its classifier: in red where that is more than chance explains.

    The two figures are taken to be of independent images; both are of the same, so chance explains less than that.
    """
    probe, best = state.probe, state.best
    if probe is None or best is None or not probe.robust:
        return Content("")
    item = probe.robust[0]
    fall = best.accuracy - item.accuracy
    star = " ★" if Mark(best.step, "best") in state.marks else ""
    if fall <= 0:
        return Content.styled(f"{'best' if detail == 'least' else 'best so far'}{star} ", "$success")
    variance = sum(share * (1 - share) for share in (best.accuracy, item.accuracy)) / max(1, item.num_examples)
    style = "bold $error" if fall > NOISE_DEVIATIONS * math.sqrt(variance) else "$foreground 60%"
    told = f"▼{100 * fall:.1f} "
    if detail == "least":
        return Content.styled(told, style)
    if detail == "long":
        where = f"from best {figures.percent(best.accuracy)} (epoch {best.epoch}{star}) "
    else:
        where = f"from {figures.percent(best.accuracy)} (ep {best.epoch}{star}) "
    return Content.assemble((told, style), (where, "$foreground 60%"))


def caveat_line(probe: ProbeFinished, width: int) -> Content:
    """Say that the figures of a probe are not accuracy in a ball, and how far images were moved."""
    text = f" ! {attack_words.caveat(probe.robust)}"
    return Content.styled(text, "bold $warning").truncate(width, ellipsis=True)


def work_line(state: RunState, moment: Moment | None, width: int) -> Content:
    """What is being done right now, then loss, learning rate, speed, memory, device and threads, as many as fit.

    Args:
        state: of the run.
        moment: None where something else tells what is being done.
        width: of the line.
    """
    if moment is None or not state.phases:
        return machine_line(state, width)
    if moment.word in ENDED:
        return activity_line(state, moment, width)
    left = activity(state, moment)
    step = Content.styled(f" step {figures.count(state.step)} ", "$foreground 60%")
    if moment.word == "PAUSED":
        return spread(left, step, width)
    if state.progress is not None:
        if load := figures.load(state.progress.waited):
            step = Content.assemble((f" {load} ·", "$warning"), step)
        left = Content.assemble(left, " ", activity_bar(state.progress, 6))
    room = width - left.cell_length - step.cell_length
    facts = machine_facts(state)
    tails = [
        Content.styled("".join(f" · {fact}" for fact in facts[:count]), "$foreground 60%")
        for count in range(len(facts), -1, -1)
    ]
    return spread(Content.assemble(left, fit(tails, max(0, room))), step, width)


def machine_line(state: RunState, width: int) -> Content:
    """Loss, learning rate, throughput, memory, device, precision, layout and threads, as many as fit."""
    facts = machine_facts(state)
    if not facts:
        return Content(" ")
    return fit(
        [Content.styled(" " + " · ".join(facts[:count]), "$foreground 60%") for count in range(len(facts), 0, -1)],
        width,
    )


def machine_facts(state: RunState) -> list[str]:
    """The same facts, the ones that matter most first; none before the run is known."""
    if state.run is None:
        return []
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
        figures.threads(state.run.threads),
    ]
    return [fact for fact in facts if fact]


def overfitting_text(state: RunState) -> str:
    """Accuracy under the one-step attack of fast training and under PGD; empty for other methods."""
    if state.overfitting is None:
        return ""
    one_step, multi_step = state.overfitting.single_step, state.overfitting.multi_step
    return f"one step {figures.percent(one_step)}, PGD {figures.percent(multi_step)}"


def _has_caveat(probe: ProbeFinished | None) -> bool:
    return probe is not None and any(not item.is_in_a_ball for item in probe.robust)


def _shown(state: RunState, moment: Moment | None) -> tuple[object, ...]:
    """What the lines depend on, as coarsely as they write it: the same again need not be drawn again."""
    progress = state.progress
    memory = progress.memory_bytes >> 20 if progress else 0
    speed = round(state.images_per_second or 0)
    step = state.step if state.losses else 0
    facts = (state.run, state.finished, state.probe, state.overfitting, state.learning_rate, step, speed, memory)
    if moment is None or moment.word in ENDED:
        return facts
    waited = round(progress.waited or 0, 2) if progress else 0
    doing = (progress.activity, round(12 * progress.activity_fraction)) if progress else ("", 0)
    return (*facts, moment.word, moment.frame, *doing, waited, len(state.marks))


def _share(name: str, accuracy: float, color: str) -> Content:
    return Content.assemble((f" {name} ", "$foreground"), (figures.percent(accuracy), f"bold {color}"), " ")
