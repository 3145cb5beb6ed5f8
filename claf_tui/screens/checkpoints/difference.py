"""How two checkpoints differ: norm and direction of the change of every tensor."""

import math
from collections.abc import Sequence
from functools import reduce
from operator import add
from typing import ClassVar, Literal

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.events import Resize
from textual.message import Message
from textual.screen import Screen
from textual.widgets import DataTable, Static
from textual.worker import get_current_worker

from claf_engine.events.ticks import Pulse
from claf_engine.runs.header import NETWORK, CheckpointInfo
from claf_engine.runs.tensor_differences import Squares, TensorDifference, difference_steps
from claf_engine.terms.errors import ClafError
from claf_tui.screens.checkpoints.columns import PADDING, Column, shape_text
from claf_tui.screens.checkpoints.steps_thread import play_steps
from claf_tui.screens.checkpoints.table import aligned
from claf_tui.widgets.glyphs import bar
from claf_tui.widgets.key_bar import Hint, KeyBar
from claf_tui.widgets.keys import named
from claf_tui.words import figures
from claf_tui.words.safe_text import safe

Order = Literal["norm", "cosine", "name"]
HEADINGS: dict[Order, str] = {"norm": "relative norm", "cosine": "cosine", "name": "name"}
HINTS: tuple[Hint, ...] = (
    ("n", "by norm", "screen.sort('norm')"),
    ("c", "by cosine", "screen.sort('cosine')"),
    ("t", "by name", "screen.sort('name')"),
    ("o", "optimisers too, or not", "screen.toggle_all"),
    ("escape", "back", "screen.back"),
)
KIND_STYLES = {"same": "dim", "changed": "", "not finite": "bold red"}
"""Of a row; any other kind is drawn as a warning."""
SHAPE_ROOM, BAR_ROOM = 85, 100
"""Cells of the table from which on it has the shape, and a bar beside the norm."""
BAR = "▏▎▍▌▋▊▉█"
BAR_WIDTH = 20


class DifferenceScreen(Screen[None]):
    """Compares two checkpoints in a thread, tensor by tensor.

    Args:
        before: the checkpoint that changes are relative to.
        after: the other.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,D", "back", "back"),
        Binding("n", "sort('norm')", "by relative norm", id="sort-norm"),
        Binding("c", "sort('cosine')", "by cosine", id="sort-cosine"),
        Binding("t", "sort('name')", "by name", id="sort-name"),
        Binding("o", "toggle_all", "the network alone, or everything"),
    ]
    BINDINGS = named("difference", BINDINGS)

    class Compared(Message):
        """The comparison is done, or a sentence says why it could not be."""

        def __init__(self, differences: Sequence[TensorDifference], error: str = "") -> None:
            super().__init__()
            self.differences, self.error = differences, error

    class Progressed(Message):
        """So far it is."""

        def __init__(self, pulse: Pulse) -> None:
            super().__init__()
            self.pulse = pulse

    def __init__(self, before: CheckpointInfo, after: CheckpointInfo) -> None:
        super().__init__()
        self._before, self._after = before, after
        self._found: Sequence[TensorDifference] = ()
        self._order: Order = "norm"
        self._shows_all = False

    def compose(self) -> ComposeResult:
        """Lay out title, summary and table."""
        title = Content.assemble(
            (" difference ", "bold $primary"),
            (f"step {figures.count(self._before.step)} → {figures.count(self._after.step)}", "$foreground"),
            (f" · {safe(self._before.run, 60)}", "$foreground 60%"),
        )
        yield Static(title, id="difference-title", classes="title-line")
        yield Static(Content(" comparing"), id="difference-summary")
        with Vertical(id="pane-difference", classes="panel pane"):
            yield DataTable(id="differences", cursor_type="row", zebra_stripes=True)
        yield KeyBar(HINTS, id="difference-keys")

    def on_mount(self) -> None:
        """Begin."""
        self.query_one("#pane-difference").border_title = Content("tensors")
        self.query_one(DataTable).focus()
        self._compare()

    @work(thread=True, exclusive=True)
    def _compare(self) -> None:
        def tell(pulse: Pulse) -> None:
            self.post_message(self.Progressed(pulse))

        try:
            steps = difference_steps(self._before.path, self._after.path)
            found = play_steps(steps, get_current_worker(), tell)
        except ClafError as error:
            self.post_message(self.Compared((), str(error)))
            return
        if found is not None:
            self.post_message(self.Compared(found))

    def on_difference_screen_progressed(self, event: Progressed) -> None:
        """Show how far it is."""
        pulse = event.pulse
        text = Content.assemble(" ", bar(pulse.fraction, 30), f"  {pulse.done} of {pulse.total} tensors")
        self.query_one("#difference-summary", Static).update(text)

    def on_difference_screen_compared(self, event: Compared) -> None:
        """Fill the table."""
        self._found = event.differences
        if event.error:
            self.query_one("#difference-summary", Static).update(Content.styled(safe(f" {event.error}", 400), "$error"))
        else:
            self._fill()

    def on_resize(self, _: Resize) -> None:
        """Share the width anew."""
        if self._found:
            self.call_after_refresh(self._fill)

    def action_sort(self, order: Order) -> None:
        """Sort by the norm of the change, by its direction, or by name."""
        self._order = order
        self._fill()

    def action_toggle_all(self) -> None:
        """Show optimisers and random streams as well, or the network alone."""
        self._shows_all = not self._shows_all
        self._fill()

    def action_back(self) -> None:
        """Leave."""
        self.app.pop_screen()

    def _fill(self) -> None:
        shown = sorted_differences(self._found, self._order, network_only=not self._shows_all)
        table: DataTable[Text] = self.query_one("#differences", DataTable)
        columns = difference_columns(table.size.width - 1)
        table.clear(columns=True)
        for column in columns:
            mark = " ▾" if column.name == HEADINGS[self._order] and column.name != "name" else ""
            table.add_column(aligned(f"{column.name}{mark}", column), width=column.width)
        for item in shown:
            style = KIND_STYLES.get(item.kind, "yellow")
            cells = zip(difference_cells(item, columns), columns, strict=True)
            table.add_row(*(aligned(text, column, style) for text, column in cells))
        what = "everything" if self._shows_all else "the network"
        self.query_one("#pane-difference").border_title = Content(f"{len(shown)} tensors of {what}")
        self.query_one("#difference-summary", Static).update(summary_line(shown))


def sorted_differences(
    found: Sequence[TensorDifference], order: Order, *, network_only: bool
) -> list[TensorDifference]:
    """What is shown, in its order: what could not be compared first, then the largest changes.

    Args:
        found: of all tensors.
        order: by relative norm, largest first; by cosine, smallest first; or by name.
        network_only: leave optimisers and random streams out, where there is a network.
    """
    network = [item for item in found if item.name.startswith(NETWORK)]
    shown = network if network_only and network else list(found)
    if order == "name":
        return sorted(shown, key=lambda item: item.name)
    measure = _norm if order == "norm" else _turn
    return sorted(shown, key=lambda item: (item.squares is not None, -measure(item.squares), item.name))


def _norm(squares: Squares | None) -> float:
    return squares.relative_norm if squares is not None else 0.0


def _turn(squares: Squares | None) -> float:
    return 0.0 if squares is None or squares.cosine is None else 1 - squares.cosine


def summary_line(shown: Sequence[TensorDifference]) -> Content:
    """The change of all tensors together, and how many could not be compared."""
    total = reduce(add, (item.squares for item in shown if item.squares is not None), Squares())
    kinds = [item.kind for item in shown]
    cosine = "" if total.cosine is None else f"   cosine {total.cosine:.5f}"
    parts = [Content.assemble((" together ", "$foreground 60%"), (norm_text(total.relative_norm), "bold"), cosine)]
    for kind in dict.fromkeys(kinds):
        style = {"same": "$foreground 60%", "changed": "$foreground"}.get(kind, "bold $warning")
        parts.append(Content.styled(f"{kinds.count(kind)} {kind}", style))
    return Content("   ").join(parts)


def difference_columns(room: int) -> list[Column]:
    """Share `room` cells among the columns; the bar goes first, then the shape."""
    fixed = [Column("relative norm", 15, is_number=True), Column("cosine", 10, is_number=True)]
    if room >= BAR_ROOM:
        fixed.insert(1, Column("", BAR_WIDTH))
    if room >= SHAPE_ROOM:
        fixed.append(Column("shape", 16))
    taken = sum(column.width + PADDING for column in fixed) + PADDING
    return [Column("name", max(10, room - taken)), *fixed]


def difference_cells(item: TensorDifference, columns: Sequence[Column]) -> list[str]:
    """Write one tensor as table cells; what was not compared says why in place of figures."""
    width = columns[0].width
    name = safe(item.name.removeprefix(NETWORK), 400)
    cosine = item.squares.cosine if item.squares is not None else None
    values = {
        "name": name if len(name) <= width else f"…{name[1 - width :]}",
        "relative norm": item.kind if item.squares is None else norm_text(item.squares.relative_norm),
        "": "" if item.squares is None else bar_text(item.squares.relative_norm),
        "cosine": figures.UNKNOWN if cosine is None else f"{cosine:.5f}",
        "shape": _shapes(item),
    }
    return [values[column.name] if column.name == "" else safe(values[column.name], column.width) for column in columns]


def norm_text(relative: float) -> str:
    """Write a relative norm as a percentage; what grew from zero has none."""
    if math.isinf(relative):
        return "from zero"
    if relative >= 0.01:
        return figures.percent(relative)
    return "0" if relative == 0 else f"{100 * relative:.3g}%"


def bar_text(relative: float) -> str:
    """A bar for a relative norm, full at 100 %."""
    eighths = round(min(1.0, relative) * BAR_WIDTH * len(BAR))
    full, rest = divmod(eighths, len(BAR))
    return BAR[-1] * full + (BAR[rest - 1] if rest else "")


def _shapes(item: TensorDifference) -> str:
    before, after = ("none" if shape is None else shape_text(shape) for shape in (item.before, item.after))
    return after if before == after else f"{before} → {after}"
