"""Adversarial examples of a run, probe after probe: the same images, so that one sees the model harden."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.content import Content
from textual.events import Resize
from textual.screen import Screen

from claf_tui.state.album import Album, NoPage, Page
from claf_tui.widgets.embedding_panel import EmbeddingPanel
from claf_tui.widgets.examples_bar import ExamplesBar
from claf_tui.widgets.examples_panel import ExamplesPanel, best_width
from claf_tui.widgets.key_bar import Hint, KeyBar
from claf_tui.widgets.keys import named

WIDE = 120
"""Cells from which on both panels stand side by side."""
NARROWEST_MAP = 38
"""Cells that the map of features has at least beside the pictures."""
AROUND = 5
"""Lines of the screen above, below and around the panels."""
SECONDS_PER_LOOK = 1.0
FAR = 10**9
HINTS: tuple[Hint, ...] = (
    (",", "probe before", "screen.turn_back"),
    (".", "after", "screen.turn(1)"),
    ("↑↓", "images", "screen.scroll_images(1)"),
    ("+ -", "amplify", "screen.amplify(1)"),
    ("end", "newest", f"screen.turn({FAR})"),
    ("?", "help", "app.help"),
    ("escape", "back", "screen.back"),
)
OTHER: Hint = ("tab", "other panel", "screen.other_panel")


class ExamplesScreen(Screen[None]):
    """Shows what the probes of a run kept; follows the newest until a person turns back.

    Args:
        run: the run's folder, of this process or another.
        class_names: in the order of the labels.
    """

    CSS_PATH = "../console/examples.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,v", "back", "back"),
        Binding("comma,left", "turn_back", "probe before"),
        Binding("full_stop,right", "turn(1)", "probe after"),
        Binding("home", f"turn(-{FAR})", "first probe", id="first"),
        Binding("end", f"turn({FAR})", "newest probe", id="newest"),
        Binding("up,k", "scroll_images(-1)", show=False, id="up"),
        Binding("down,j", "scroll_images(1)", show=False, id="down"),
        Binding("pageup", "scroll_pages(-1)", show=False, id="page-up"),
        Binding("pagedown", "scroll_pages(1)", show=False, id="page-down"),
        Binding("plus,equals_sign", "amplify(1)", "change twice as strong", id="stronger"),
        Binding("minus", "amplify(-1)", "change half as strong", id="weaker"),
        Binding("tab,shift+tab", "other_panel", "features"),
    ]
    BINDINGS = named("examples", BINDINGS)

    def __init__(self, run: Path, class_names: Sequence[str]) -> None:
        super().__init__()
        self._run = run
        self._album = Album(run, class_names)
        self._step: int | None = None
        self._page: Page | NoPage = NoPage("")

    def compose(self) -> ComposeResult:
        """Lay out head, panels and keys."""
        yield ExamplesBar(self._run.name, id="examples-bar")
        with Container(id="examples-body"):
            with Vertical(id="examples-panel", classes="panel -selected"):
                yield ExamplesPanel(id="examples")
            with Vertical(id="embedding-panel", classes="panel"):
                yield EmbeddingPanel(id="embedding")
        yield KeyBar(HINTS, id="keys")

    def on_mount(self) -> None:
        """Show the newest probe, and look for newer ones from now on."""
        self._album.look()
        self._open(None)
        self.set_interval(SECONDS_PER_LOOK, self._look)

    def on_resize(self, _: Resize) -> None:
        """Put the panels side by side where there is room."""
        self._fit()

    def action_back(self) -> None:
        """Leave."""
        self.app.pop_screen()

    def action_turn_back(self) -> None:
        """Turn to the probe before."""
        self.action_turn(-1)

    def action_turn(self, pages: int) -> None:
        """Turn to a probe before or after; the newest is followed from then on."""
        steps = self._album.steps
        if steps:
            number = max(0, min(self._number + pages, len(steps) - 1))
            self._open(None if number == len(steps) - 1 else steps[number])

    def action_scroll_images(self, number: int) -> None:
        """Scroll the pictures by so many images."""
        self._examples.scroll_images(number)
        self._tell_seen()

    def action_scroll_pages(self, pages: int) -> None:
        """Scroll the pictures by as many images as are seen."""
        self.action_scroll_images(pages * self._examples.seen_at_once)

    def on_mouse_scroll_down(self) -> None:
        """Scroll the pictures."""
        self.action_scroll_images(1)

    def on_mouse_scroll_up(self) -> None:
        """Scroll the pictures back."""
        self.action_scroll_images(-1)

    def action_amplify(self, doublings: int) -> None:
        """Show the change stronger or weaker."""
        self._examples.amplify(doublings)

    def action_other_panel(self) -> None:
        """Choose the other panel, where there is room for one."""
        for name in ("examples", "embedding"):
            self.query_one(f"#{name}-panel").toggle_class("-selected")

    @property
    def _examples(self) -> ExamplesPanel:
        return self.query_one(ExamplesPanel)

    @property
    def _number(self) -> int:
        """Of the probe that is shown."""
        steps = self._album.steps
        return steps.index(self._step) if self._step in steps else len(steps) - 1

    def _look(self) -> None:
        if self._album.look():
            self._open(self._step)

    def _open(self, step: int | None) -> None:
        self._step = step
        self._page = self._album.page(step)
        self.query_one(ExamplesBar).show(self._page)
        self._examples.show(self._page)
        self.query_one(EmbeddingPanel).show(self._page)
        self._fit()

    def _fit(self) -> None:
        width, height = self.size
        self.set_class(width < WIDE, "-narrow")
        self.query_one(KeyBar).show((OTHER, *HINTS) if width < WIDE else HINTS)
        panel = self.query_one("#examples-panel")
        if width < WIDE:
            panel.styles.width = "100%"
        elif isinstance(self._page, Page):
            panel.styles.width = 2 + best_width(self._page, height - AROUND, width - NARROWEST_MAP - 2)
        else:
            panel.styles.width = "60%"
        self.query_one("#embedding-panel").border_title = Content.styled("features", "$foreground")
        self._tell_seen()

    @on(ExamplesPanel.Fitted)
    def _tell_seen(self) -> None:
        panel, seen = self.query_one("#examples-panel"), self._examples.seen
        panel.border_title = Content.styled("pictures", "$foreground")
        total = len(self._page.clean.pictures) if isinstance(self._page, Page) else 0
        text = f"images {seen.start + 1} to {seen.stop} of {total}" if len(seen) < total else ""
        panel.border_subtitle = Content.styled(text, "$foreground 60%")
