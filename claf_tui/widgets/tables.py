"""Small tables of accuracies as aligned text. Pure functions; every foreign string is cleaned."""

from collections.abc import Sequence

from textual.content import Content
from textual.widget import Widget

from claf_engine.events import ProbeFinished, RobustFigure, TestResult
from claf_tui.state import RunState
from claf_tui.widgets.chart import PALETTE, robust_color
from claf_tui.widgets.glyphs import fit
from claf_tui.words import attack_words, figures
from claf_tui.words.safe_text import safe

Cell = tuple[str, str]
"""Text and style."""

PROBE_HEAD = ("epsilon", "accuracy", "attack", "steps", "step size", "restarts", "images")


WIDEST = 76
"""Cells of the widest table that is asked for."""


class ProbeTable(Widget):
    """The latest probe, with everything a reader needs to repeat it."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._probe: ProbeFinished | None = None

    def show(self, state: RunState) -> None:
        """Show the latest probe of this state; the height follows the number of its rows."""
        if state.probe != self._probe:
            self._probe = state.probe
            self.refresh(layout=self.size.height != self.get_content_height())

    def get_content_width(self, *_: object) -> int:
        """As wide as the widest line, where it may be."""
        lines = probe_table(self._probe, WIDEST) if self._probe is not None else []
        return max((line.cell_length for line in lines), default=0)

    def get_content_height(self, *_: object) -> int:
        """A caption, the warnings that are due, a head and a row for each accuracy; nothing before the first probe."""
        if self._probe is None:
            return 0
        return 3 + len(self._probe.robust) + len(warnings_of(self._probe.robust))

    def render(self) -> Content:
        """Draw the table."""
        if self._probe is None:
            return Content("")
        return Content("\n").join(probe_table(self._probe, self.size.width))


def probe_title(probe: ProbeFinished | None) -> str:
    """Name the panel of probes, with the norm unless it is Linf, and with the warnings that are due."""
    if probe is None or not probe.robust:
        return "probe"
    norm = attack_words.NORM_NAMES.get(probe.robust[0].norm, safe(probe.robust[0].norm, 8))
    doubts = (f"{attack_words.DOUBTED} {text}" for text in attack_words.notices(probe.robust))
    return " · ".join(filter(None, ("probe", norm, attack_words.caveat(probe.robust), *doubts)))


def probe_hint(state: RunState, *, can_ask: bool) -> str:
    """Say when the first probe comes, and how to have it sooner."""
    known = state.values.get("probe.every_epochs")
    every = known if isinstance(known, float | int) else None
    epochs = next((phase.plan.epochs for phase in state.phases if phase.plan.epochs), None)
    every = min(every, epochs) if every and epochs else every
    if every is None or state.finished is not None:
        planned = "no probe yet" if state.finished is None else "no probe"
    else:
        planned = (
            f"first probe after {figures.short_count(every)} epochs" if every > 1 else "first probe after the epoch"
        )
        planned = planned if every else "no probe before the phase ends"
    return f"{planned} · p asks for one now" if can_ask else planned


def probe_table(probe: ProbeFinished, width: int) -> list[Content]:
    """Write the figures of one probe as lines of at most `width` cells."""
    where = f"step {figures.count(probe.step)}, epoch {probe.epoch}"
    who = f"{safe(probe.classifier, 20)} classifier"
    precision = safe(probe.robust[0].precision, 8) if probe.robust else "fp32"
    space = safe(probe.robust[0].space, 20) if probe.robust else "pixel"
    captions = [
        f" {who} on validation images · {where} · {space} space · {precision} · {probe.seconds:.1f} s",
        f" {who} on validation images · {where}",
        f" {who} · {where}",
    ]
    num_images = figures.count(probe.robust[0].num_examples) if probe.robust else ""
    natural: list[Cell] = [("natural", PALETTE[0]), (figures.percent(probe.natural), f"bold {PALETTE[0]}")]
    natural += [("none", ""), ("", ""), ("", ""), ("", ""), (num_images, "")]
    rows = [natural, *(_probe_row(item, robust_color(index)) for index, item in enumerate(probe.robust))]
    head: list[Cell] = [(name, "$foreground 60%") for name in PROBE_HEAD]
    caption = fit([Content.styled(text, "$foreground 60%") for text in captions], width)
    return [caption, *caveat_lines(probe.robust, width), *table([head, *rows], width)]


def caveat_lines(robust: Sequence[RobustFigure], width: int) -> list[Content]:
    """A line of warning where figures are not accuracy in a ball, and one for each reason why they cannot be right."""
    return [
        Content.styled(f" ! {text}", "bold $warning").truncate(width, ellipsis=True) for text in warnings_of(robust)
    ]


def warnings_of(robust: Sequence[RobustFigure]) -> list[str]:
    """What a reader of these figures must know, a sentence a line."""
    return [text for text in (attack_words.caveat(robust), *attack_words.notices(robust)) if text]


def results_table(results: Sequence[TestResult], width: int) -> list[Content]:
    """Write test results, one line for each checkpoint and classifier, with a star at the selected one."""
    epsilons = list(dict.fromkeys(attack_words.radius(item) for result in results for item in result.robust))
    head = [(" ", ""), ("checkpoint", ""), ("classifier", ""), ("natural", ""), *((name, "") for name in epsilons)]
    rows = [[(name, "$foreground 60%") for name, _ in head]]
    for result in results:
        by_epsilon = {attack_words.radius(item): item.accuracy for item in result.robust}
        style = "bold $foreground" if result.selected else "$foreground"
        row: list[Cell] = [("★" if result.selected else " ", "$warning")]
        row += [(safe(result.checkpoint, 20), style), (safe(result.classifier, 20), style)]
        row += [(figures.percent(result.natural), f"bold {PALETTE[0]}")]
        row += [(figures.percent(by_epsilon.get(name)), f"bold {robust_color(i)}") for i, name in enumerate(epsilons)]
        rows.append(row)
    return table(rows, width)


def table(rows: Sequence[Sequence[Cell]], width: int) -> list[Content]:
    """Align cells in columns; columns that do not fit into `width` are left out from the right, whole."""
    rooms = [max(len(row[column][0]) for row in rows) for column in range(len(rows[0]))]
    num_columns = len(rooms)
    while num_columns > 1 and sum(rooms[:num_columns]) + 2 * num_columns > width:
        num_columns -= 1
    lines = []
    for row in rows:
        cells = [(f" {text.ljust(room)} ", style) for (text, style), room in zip(row, rooms, strict=True)]
        lines.append(Content.assemble(*cells[:num_columns]).truncate(width, ellipsis=True))
    return lines


def _probe_row(item: RobustFigure, color: str) -> list[Cell]:
    return [
        (attack_words.marked_radius(item), color),
        (figures.percent(item.accuracy), f"bold {color}"),
        (safe(item.attack, 20), ""),
        (str(item.steps), ""),
        (safe(item.step_size, 12), ""),
        (str(item.restarts), ""),
        (figures.count(item.num_examples), ""),
    ]
