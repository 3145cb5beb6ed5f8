"""How busy the machine is: cores, memory, disk, accelerators, the process that trains. Pure functions and a widget."""

from collections.abc import Sequence

from textual.content import Content
from textual.widget import Widget

from claf_tui.state.machine import SAMPLE_SECONDS, MachineState
from claf_tui.widgets.diagnostics import wrapped
from claf_tui.widgets.glyphs import bar, fit
from claf_tui.widgets.verdicts import DIM
from claf_tui.words import figures
from claf_tui.words.safe_text import safe

SPARKS = "▁▂▃▄▅▆▇█"
LABEL_ROOM = 9
FULL = 0.9
"""Share from which a bar warns."""


class MachinePanel(Widget):
    """The machine now, with the last two minutes of what moves."""

    def __init__(self, machine: MachineState, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._machine = machine

    def show(self, machine: MachineState) -> None:
        """Show this state; the height follows what there is to say."""
        self._machine = machine
        # Compared with what is laid out, because a layout that was asked for before the screen is up may be lost.
        self.refresh(layout=self.size.height not in (0, len(machine_lines(machine, self.size.width))))

    def get_content_height(self, _container: object, _viewport: object, width: int) -> int:
        """As many lines as there is to say."""
        return len(machine_lines(self._machine, width))

    def render(self) -> Content:
        """Draw the panel."""
        return Content("\n").join(machine_lines(self._machine, self.size.width))


def machine_lines(machine: MachineState, width: int) -> list[Content]:
    """Write the state of the machine as lines of at most `width` cells."""
    sample = machine.newest
    if sample is None:
        return [Content.styled(" looking at the machine", DIM)]
    notes = wrapped(machine.note, width - 2) if machine.note else []
    lines = [Content.styled(f" {line}", "$warning") for line in notes]
    memory = f"{figures.size(sample.memory_used)} of {figures.size(sample.memory_total)}"
    lines.append(
        _gauge("CPU", sample.load, f"of {sample.num_cores} cores", [each.load for each in machine.samples], width)
    )
    shares = [_share(each.memory_used, each.memory_total) for each in machine.samples]
    lines.append(_gauge("memory", shares[-1], memory, shares, width))
    for number, gpu in enumerate(sample.gpus):
        past = [each.gpus[number] for each in machine.samples if number < len(each.gpus)]
        lines.append(_gauge(f"GPU {number}", gpu.load, safe(gpu.name, 24), [each.load for each in past], width))
        text = f"{figures.size(gpu.memory_used)} of {figures.size(gpu.memory_total)}"
        used = [_share(each.memory_used, each.memory_total) for each in past]
        lines.append(_gauge("  memory", used[-1], text, used, width))
    if sample.disk_free is not None and sample.disk_total:
        text = f"{figures.size(sample.disk_free)} free"
        lines.append(_gauge("disk", 1 - _share(sample.disk_free, sample.disk_total), text, (), width))
    return [*lines, _process_line(machine, width)]


def spark(values: Sequence[float], width: int) -> str:
    """Draw the newest of some shares in [0, 1] as a line of `width` characters, the newest at its right end."""
    shown = list(values)[-width:] if width > 0 else []
    top = len(SPARKS) - 1
    return "".join(SPARKS[round(top * min(1.0, max(0.0, value)))] for value in shown).rjust(max(0, width))


def history_title() -> str:
    """Name what the lines at the right end of the panel are."""
    return f"machine · one look every {SAMPLE_SECONDS:g} s"


def _gauge(label: str, share: float, text: str, history: Sequence[float], width: int) -> Content:
    style = "$warning" if share >= FULL else "$accent"
    room = max(6, min(24, (width - LABEL_ROOM - 6) // 3))
    begun = Content.assemble((f" {label:<{LABEL_ROOM}}", DIM), bar(share, room, style), f" {100 * share:3.0f}% ")
    told = Content.assemble(begun, (f" {text}", DIM))
    left = width - told.cell_length - 3
    drawn = Content.assemble(told, "  ", (spark(history, min(left, 24)).rjust(left), "$secondary"), " ")
    return fit([drawn, told, begun] if history and left >= 8 else [told, begun], width)


def _process_line(machine: MachineState, width: int) -> Content:
    sample = machine.newest
    label = Content.styled(f" {'process':<{LABEL_ROOM}}", DIM)
    if sample is None or sample.process is None:
        return Content.assemble(label, (f"{safe(machine.owner, 80)} is not to be seen", DIM)).truncate(
            width, ellipsis=True
        )
    process = sample.process
    facts = [
        f"{figures.size(process.memory_bytes)}",
        f"{process.cores:.1f} cores busy",
        f"{process.num_threads} threads",
        safe(machine.owner, 80),
    ]
    options = [Content.assemble(label, " · ".join(facts[:number])) for number in range(len(facts), 0, -1)]
    return fit(options, width)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
