"""How a reproduction ended, where its files are, and what to type next. Hidden while it goes on."""

import textwrap
from pathlib import Path

from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

from claf_engine.events import ReproductionChanged
from claf_tui.state.reproduction import Scene, best_index, failed_rows, next_command, num_ended
from claf_tui.widgets.paper_table import DIM, points
from claf_tui.words import figures
from claf_tui.words.safe_text import safe

MAX_REASON_LINES = 4


class ReproductionEnd(Widget):
    """The summary; its border has the colour of the outcome."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._scene = Scene()
        self.display = False

    def show(self, scene: Scene) -> None:
        """Appear when the work has ended."""
        if scene.has_ended == self._scene.has_ended:
            return
        self._scene = scene
        self.display = scene.has_ended
        self.border_title = Content.styled(scene.moment.word, "bold")
        self.set_class(scene.moment.word == "FAILED", "-failed")
        self.set_class(scene.moment.word in {"STOPPED", "INCOMPLETE"}, "-stopped")
        self.refresh(layout=True)

    def get_content_height(self, container: Size, _viewport: Size, width: int) -> int:
        """As many lines as the summary has, but no more than there is room for."""
        return len(end_lines(self._scene, width, container.height - 2))

    def render(self) -> Content:
        """Draw the summary."""
        return Content("\n").join(end_lines(self._scene, self.size.width, self.size.height))


def end_lines(scene: Scene, width: int, height: int) -> list[Content]:
    """Write the summary as at most `height` lines of at most `width` cells; the best of each column goes first."""
    if not scene.has_ended:
        return []
    head: list[Content] = []
    if scene.moment.word == "FAILED" and scene.reason:
        wrapped = textwrap.wrap(safe(scene.reason, 600), max(20, width - 2))[:MAX_REASON_LINES]
        head += [Content.styled(f" {line}", "bold $error") for line in wrapped]
    best: list[Content] = []
    place: list[Content] = []
    if scene.table is not None:
        spent = figures.duration(scene.moment.waited)
        head.append(Content.styled(f" {rows_sentence(scene.table)} · {spent}", "$foreground"))
        best = [Content.styled(f" {line}", DIM) for line in best_sentences(scene.table)]
        place = place_lines(scene.table.directory, width) if num_ended(scene.table) else []
    if scene.moment.word != "FINISHED":
        place.append(Content.styled(" what is done is kept; the same command does the rest", DIM))
    following = labelled("next", next_command(scene), width, "bold $accent")
    if len(head) + len(best) + len(place) + len(following) > height:
        best = []
    return [line.truncate(width, ellipsis=True) for line in (*head, *best, *place, *following)][: max(1, height)]


def rows_sentence(table: ReproductionChanged) -> str:
    """Count rows: all of them, those from earlier runs, those that failed, those that are missing."""
    counts = [
        (sum(row.status == "finished" for row in table.rows), "measured"),
        (sum(row.status == "reused" for row in table.rows), "from earlier runs"),
        (len(failed_rows(table)), "failed"),
        (len(table.rows) - num_ended(table), "not done yet"),
    ]
    return f"{len(table.rows)} rows: " + ", ".join(f"{count} {what}" for count, what in counts if count)


def best_sentences(table: ReproductionChanged) -> list[str]:
    """Name the best method of ours in each column beside the paper's best."""
    columns = [("natural", [row.natural for row in table.rows], [row.paper_natural for row in table.rows])]
    for index, name in enumerate(table.columns):
        ours = [row.robust[index] if index < len(row.robust) else None for row in table.rows]
        paper = [row.paper_robust[index] if index < len(row.paper_robust) else None for row in table.rows]
        columns.append((name, ours, paper))
    room = max(len(safe(name, 20)) for name, _, _ in columns)
    sentences = []
    for name, ours, paper in columns:
        best, theirs = best_index(ours), best_index(paper)
        if best is None:
            continue
        sentence = f"{safe(name, 20):<{room}}  best of ours {safe(table.rows[best].label, 28)} {points(ours[best])}"
        if theirs is not None:
            sentence += f"; the paper's {safe(table.rows[theirs].label, 28)} {points(paper[theirs])}"
        sentences.append(sentence)
    return sentences


def place_lines(directory: str, width: int) -> list[Content]:
    """Say where the files are, over as many lines as the path needs."""
    return labelled("Markdown, CSV, JSON and chart in", shortened(directory), width, "bold $foreground")


def labelled(label: str, text: str, width: int, style: str) -> list[Content]:
    """Write a label and a text that must be readable to its end: beside it, or on lines of its own."""
    head = f" {label}: "
    if len(head) + len(text) <= width:
        return [Content.assemble((head, DIM), (text, style))]
    room = max(8, width - 4)
    pieces = [text[start : start + room] for start in range(0, len(text), room)]
    return [Content.styled(head, DIM), *(Content.styled(f"   {piece}", style) for piece in pieces)]


def shortened(directory: str) -> str:
    """Write a folder relative to where the person is, when it lies below."""
    path = Path(directory)
    here = Path.cwd()
    return safe(path.relative_to(here) if path.is_relative_to(here) else path, 400)
