"""The list of methods, with the page of the one under the cursor below it."""

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.events import Resize
from textual.widgets import OptionList, Static

from claf_tui.reports.methods import method_sheets, page_lines
from claf_tui.screens.choice_dialog import ChoiceScreen

TITLE = "method"


class MethodChoiceScreen(ChoiceScreen):
    """Ends with the chosen method, or with an empty string.

    Args:
        chosen: the one to begin at.
    """

    BINDINGS = [Binding("enter", "choose", "choose")]
    CSS_PATH = "../console/new_run.tcss"
    HINT = "type to find · tab page · enter choose · escape cancel"

    def __init__(self, chosen: str) -> None:
        self._sheets = method_sheets()
        super().__init__(TITLE, [(sheet.name, sheet.title) for sheet in self._sheets], chosen)

    def compose_more(self) -> ComposeResult:
        """The page, which can be scrolled where it is longer than its room."""
        with VerticalScroll(id="method-page"):
            yield Static(Content(""))

    def action_choose(self) -> None:
        """Choose while the page has the focus, too."""
        self.query_one(OptionList).action_select()

    @on(OptionList.OptionHighlighted)
    @on(Resize)
    def _show_page(self) -> None:
        place = self.query_one(OptionList).highlighted
        if place is None:
            return
        panel = self.query_one("#method-page", VerticalScroll)
        room = panel.scrollable_content_region.width or self.size.width
        lines = list(page_lines(self._sheets[place], room))
        panel.query_one(Static).update(Content.assemble((f"{lines[0]}\n", "bold"), "\n".join(lines[1:])))
        panel.scroll_home(animate=False)
