"""The first two lines: which table this is and in what words it must be read, and how far the whole is."""

from textual.content import Content
from textual.widget import Widget

from claf_engine.events import ReproductionChanged, ReproductionRow
from claf_tui.state.moment import time_left
from claf_tui.state.reproduction import Scene, current_fraction, num_ended, seconds_left
from claf_tui.widgets.glyphs import bar, fit, spread
from claf_tui.widgets.paper_table import DIM
from claf_tui.widgets.status_bar import WORD_STYLES
from claf_tui.words import attack_words, figures
from claf_tui.words.safe_text import safe

SEGMENT_STYLES = {"finished": "$success", "reused": "$secondary", "failed": "$error"}


class QueueBar(Widget):
    """Title and progress of a reproduction; `word` follows a key press at once."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._scene = Scene()

    def show(self, scene: Scene) -> None:
        """Show this scene from now on."""
        self._scene = scene
        self.refresh()

    def render(self) -> Content:
        """Draw both lines."""
        width = self.size.width
        return Content("\n").join([title_line(self._scene, width), progress_line(self._scene, width)])


def title_line(scene: Scene, width: int) -> Content:
    """Write status word, table, scale and space; the warning that a space is no ball stays longest."""
    word = scene.moment.word
    badge = Content.styled(f" {word} ", WORD_STYLES.get(word, "bold $background on $warning"))
    clock = Content.styled(f"{figures.duration(scene.moment.waited)} ", DIM)
    table = scene.table
    if table is None:
        return spread(
            Content.assemble(badge, (" claf-tui ", "bold $primary"), (" reproduce", "$foreground")), clock, width
        )
    name = Content.styled(f" reproduce {safe(table.table, 20)}", "bold $primary")
    scale = Content.styled(f" · {safe(table.scale, 20)} scale", "$foreground")
    title = Content.styled(f" · {safe(table.title, 80)}", DIM)
    space = _space(table)
    options = [
        Content.assemble(badge, name, title, scale, space),
        Content.assemble(badge, name, scale, space),
        Content.assemble(badge, name, space),
        Content.assemble(badge, space),
    ]
    return spread(fit(options, width - clock.cell_length - 1), clock, width)


def progress_line(scene: Scene, width: int) -> Content:
    """Draw one segment for each row, with the number of rows before it and the time left after it."""
    table = scene.table
    if table is None or not table.rows:
        return Content("")
    done = f" {num_ended(table)} of {len(table.rows)} rows "
    left = seconds_left(scene)
    after = "" if scene.has_ended and left is None else time_left(left, scene.moment)
    text = Content.styled(f" {after} ".rjust(min(19, max(1, width // 4))), DIM)
    room = width - len(done) - text.cell_length
    return Content.assemble((done, "bold $foreground"), segments(scene, max(0, room)), text)


def segments(scene: Scene, width: int) -> Content:
    """Draw the rows as parts of one bar of exactly `width` cells."""
    table = scene.table
    if table is None:
        return Content(" " * width)
    num = len(table.rows)
    cells = width - (num - 1)
    if cells < num:
        return bar(num_ended(table) / num, width)
    parts: list[Content] = []
    for index, row in enumerate(table.rows):
        room = cells * (index + 1) // num - cells * index // num
        parts.append(_segment(scene, row, room, is_current=index == table.current))
    return Content(" ").join(parts)


def _segment(scene: Scene, row: ReproductionRow, room: int, *, is_current: bool) -> Content:
    if row.status in SEGMENT_STYLES:
        return bar(1.0, room, SEGMENT_STYLES[row.status])
    is_waiting = not is_current or row.status == "waiting"
    style = "$secondary" if row.status == "evaluating" else "$accent"
    if scene.moment.word == "PAUSED" or scene.has_ended:
        style = "$warning"
    return bar(0.0 if is_waiting else current_fraction(scene), room, style)


def _space(table: ReproductionChanged) -> Content:
    if table.space != attack_words.PIXEL:
        warning = attack_words.caveat_text(table.space, None)
        return Content.assemble("  ", (f" {warning} ", "bold $background on $warning"))
    return Content.styled(f" · {safe(table.space, 20)} space", "$foreground")
