"""The head of the examples: which probe is shown, and how many of its images survive."""

from textual.content import Content
from textual.widget import Widget

from claf_tui.state.album import SURVIVES, NoPage, Page
from claf_tui.widgets.glyphs import fit, spread
from claf_tui.words import figures
from claf_tui.words.safe_text import safe

MUTED = "$foreground 60%"
BLOCKS = "▁▂▃▄▅▆▇█"


class ExamplesBar(Widget):
    """Two lines above the panels."""

    def __init__(self, run: str, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._run = safe(run, 60)
        self._page: Page | NoPage = NoPage("")

    def show(self, page: Page | NoPage) -> None:
        """Tell of this page from now on."""
        self._page = page
        self.refresh(layout=True)

    def render(self) -> Content:
        """Draw the lines."""
        return Content("\n").join(bar_lines(self._page, self._run, self.size.width))


def bar_lines(page: Page | NoPage, run: str, width: int) -> list[Content]:
    """Write both lines into `width` cells."""
    title = Content.assemble((" adversarial examples", "bold $primary"), (f"  {run}", MUTED))
    if isinstance(page, NoPage):
        return [fit([title], width), Content("")]
    about = page.probed.about
    where = Content.assemble(
        ("newest probe, " if page.number == page.total - 1 else "", "$accent"),
        (f"{page.number + 1} of {page.total} ", "$foreground"),
    )
    survivors = Content.assemble(
        (f" {page.num_surviving} of {len(page.fates)} survive ", "bold $foreground"),
        (survival_bars(page), "$success"),
    )
    place = [safe(about.phase, 40), f"epoch {about.epoch}", f"step {figures.count(about.step)}"]
    how = [f"{safe(about.classifier, 20)} classifier".replace("fit classifier", "fit"), safe(page.probed.attack, 40)]
    texts = [
        " · ".join(chosen) for chosen in ([*place, *how], [*place[1:], *how], [place[1], *how], [place[1], how[1]])
    ]
    options = [
        spread(survivors, Content.styled(f"{text} ", MUTED), width)
        for text in texts
        if survivors.cell_length + len(text) + 3 <= width
    ]
    return [spread(title, where, width), fit([*options, survivors], width)]


def survival_bars(page: Page, room: int = 16) -> str:
    """The share of watched images that survive at the last probes up to this one, a small bar for each."""
    shares = (page.history[:, : page.column + 1] == SURVIVES).mean(0)[-room:]
    return "".join(BLOCKS[min(7, int(share * 8))] for share in shares.tolist())
