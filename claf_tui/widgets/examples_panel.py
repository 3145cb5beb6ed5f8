"""Watched images as pictures: clean, how they were changed, and attacked, with what the classifier says of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich.cells import cell_len
from textual.content import Content
from textual.message import Message

from claf_tui.state.album import BROKEN, SURVIVES, UNKNOWN, WRONG, Fates, NoPage, Page
from claf_tui.widgets.drawn_lines import Line, LinesWidget
from claf_tui.widgets.half_blocks import half_blocks

MUTED = "$foreground 60%"
GAP = 1
TEXT_GAP, MIN_TEXT = 2, 20
"""Cells between pictures and words, and those that the words need."""
SIDES = (32, 28, 24, 20, 16, 12, 8)
"""Cells across that a picture may have, the best first; a cell is one pixel wide and two high."""
MIN_WHOLE = 2
"""Images that are seen at once, before pictures are made larger."""
FATES = {
    WRONG: ("·", MUTED, "wrong unattacked"),
    BROKEN: ("✘", "$error", "broken by the attack"),
    SURVIVES: ("✔", "$success", "survives the attack"),
    UNKNOWN: (" ", MUTED, "not known"),
}
"""Sign, colour and words of how an image fared."""
MAX_AMPLIFICATION = 128


@dataclass(frozen=True)
class Layout:
    """How the pictures fit: cells of each, and how many images are seen at once."""

    width: int
    height: int
    num_seen: int

    @property
    def pictures_width(self) -> int:
        """Cells of three pictures and the gaps between them, with one before."""
        return 1 + 3 * self.width + 2 * GAP


class ExamplesPanel(LinesWidget):
    """Shows some images of a page; more of them by scrolling."""

    class Fitted(Message):
        """The panel has another size, and with it another number of images."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._page: Page | NoPage = NoPage("")
        self._top = 0
        self._amplification: int | None = None

    @property
    def amplification(self) -> int:
        """How many times the change is shown: as a person chose, or else so that the largest is just seen whole."""
        if self._amplification is not None or isinstance(self._page, NoPage):
            return self._amplification or 1
        return fitting_amplification(self._page)

    def show(self, page: Page | NoPage) -> None:
        """Draw this page from now on."""
        self._page = page
        self.redraw()

    def on_resize(self) -> None:
        """Tell that other images may be seen."""
        self.post_message(self.Fitted())

    def amplify(self, doublings: int) -> None:
        """Show the change so many times twice as strong, or half where it is negative."""
        shown = self.amplification * 2.0**doublings
        self._amplification = int(min(MAX_AMPLIFICATION, max(1, shown)))
        self.redraw()

    def scroll_images(self, number: int) -> None:
        """Scroll by images."""
        top = self.seen.start + number
        self._top = max(0, min(top, self._num_pictures - self.seen_at_once))
        self.redraw()

    @property
    def seen_at_once(self) -> int:
        """How many images are seen at once."""
        return 1 if isinstance(self._page, NoPage) else layout_of(self._page, *self.size).num_seen

    @property
    def seen(self) -> range:
        """Which images are seen."""
        top = max(0, min(self._top, self._num_pictures - self.seen_at_once))
        return range(top, min(self._num_pictures, top + self.seen_at_once))

    @property
    def _num_pictures(self) -> int:
        return 0 if isinstance(self._page, NoPage) else len(self._page.clean.pictures)

    def lines(self, width: int, height: int) -> Sequence[Line]:
        """Draw the images that are seen."""
        if isinstance(self._page, NoPage):
            return reason_lines(self._page.reason, width, height)
        return example_lines(self._page, self.seen, layout_of(self._page, width, height), self.amplification, width)


def reason_lines(reason: str, width: int, height: int) -> list[Line]:
    """Say in the middle why there is nothing to show."""
    wrapped = Content.styled(reason, MUTED).wrap(max(1, width - 4))
    middle: list[Line] = [[Content(" " * max(0, (width - line.cell_length) // 2)), line] for line in wrapped]
    above: list[Line] = [[] for _ in range(max(0, (height - len(middle)) // 2))]
    return above + middle


def layout_of(page: Page, width: int, height: int) -> Layout:
    """The largest pictures that fit beside their words into `width` x `height` cells, with two images seen at once."""
    pictures = page.clean.pictures
    wanted = min(MIN_WHOLE, len(pictures))
    rows, columns = pictures.shape[-2:]
    found = [_layout(side, rows, columns, height) for side in SIDES]
    room = width - TEXT_GAP - MIN_TEXT
    fitting = [each for each in found if each.pictures_width <= room and each.num_seen >= wanted]
    return fitting[0] if fitting else found[-1]


def best_width(page: Page, height: int, room: int) -> int:
    """Cells that the panel has a use for, of at most `room`."""
    layout = layout_of(page, room, height)
    return min(room, layout.pictures_width + TEXT_GAP + MIN_TEXT + 6)


def _layout(side: int, rows: int, columns: int, height: int) -> Layout:
    """A picture whose longer side has so many pixels, in a panel with one line for titles."""
    longer = max(rows, columns)
    width, tall = max(1, round(side * columns / longer)), max(4, -(-side * rows // longer // 2))
    return Layout(width, tall, max(1, height // (tall + 1)))


def fitting_amplification(page: Page) -> int:
    """The power of two that the largest change of the newest probe can be shown with, of at most 32."""
    change = np.abs(page.newest.pictures.astype(np.int64) - page.clean.pictures)
    largest = max(1, int(change.max(initial=0)))
    return int(2 ** min(5, max(0, int(np.log2(128 / largest)))))


def example_lines(page: Page, seen: range, layout: Layout, amplification: int, width: int) -> list[Line]:
    """Draw images one below the other, under the titles of the three pictures."""
    titles = ("clean", f"change × {amplification}", "attacked")
    head = "".join(f"{title[: layout.width]:^{layout.width}}" + " " * GAP for title in titles)
    lines: list[Line] = [[Content.styled(f" {head}", MUTED)]]
    for index in seen:
        clean, attacked = page.clean.pictures[index], page.probed.pictures[index]
        change = 127.5 + amplification * (attacked.astype(np.float64) - clean)
        pictures = [half_blocks(each, layout.height, layout.width) for each in (clean, change.clip(0, 255), attacked)]
        words = words_of(page, index, layout.height, width - layout.pictures_width - TEXT_GAP)
        for row in range(layout.height):
            line: Line = [Content(" ")]
            for number, picture in enumerate(pictures):
                line += [picture[row], Content(" " * (GAP if number < 2 else TEXT_GAP))]
            lines.append([*line, words[row]] if row < len(words) else line)
        lines.append([])
    return lines


def words_of(page: Page, index: int, height: int, width: int) -> list[Content]:
    """What the classifier says of an image, in at most `height` lines of `width` cells, the main thing first."""
    sign, style, fate = FATES[int(page.fates[index])]
    label = int(page.clean.labels[index])
    rows = [Content.assemble((f"{sign} ", f"bold {style}"), (page.name(label), "bold $foreground"))]
    both = (("before", page.probed.before), ("after", page.probed.after))
    names = [page.name(int(answers.classes[index])) for _, answers in both]
    room = max(3, min(width - len("before  100 %"), max(map(cell_len, names))))
    for name, (when, answers) in zip(names, both, strict=True):
        color = "$success" if answers.classes[index] == label else "$error"
        shown = Content.styled(name, color).truncate(room, ellipsis=True, pad=True)
        confidence = f" {100 * float(answers.confidences[index]):>3.0f} %"
        rows.append(Content.assemble((f"{when:<6} ", MUTED), shown, (confidence, "$foreground")))
    trend = trend_of(page.history[index], page.column, width)
    if height >= 6:
        rows += [Content.styled(fate, style), Content(""), trend]
        if height >= 8:
            rows.insert(1, Content(""))
            rows.insert(-1, Content.styled("at every probe", MUTED))
    else:
        rows.append(trend)
    return [row.truncate(max(1, width), ellipsis=True) for row in rows[:height]]


def trend_of(history: Fates, column: int, width: int) -> Content:
    """How an image fared at the probes around one, which is marked; a sign for each, at most `width`."""
    first = max(0, min(column - width // 2, len(history) - width))
    signs = []
    for number, fate in enumerate(history[first : first + width].tolist(), first):
        sign, style, _ = FATES[fate]
        signs.append((sign, f"bold reverse {style}" if number == column else style))
    return Content.assemble(*signs)
