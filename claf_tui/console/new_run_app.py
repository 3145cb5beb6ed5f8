"""The form for a new run as a program of its own: `claf-tui train --form`."""

from typing import ClassVar

from textual.binding import Binding, BindingType

from claf_tui.console.palette import PaletteApp
from claf_tui.reports.plan import plan_lines
from claf_tui.screens.help import HelpScreen
from claf_tui.screens.new_run import NewRunScreen, Plan
from claf_tui.screens.new_run_help import NewRunHelp
from claf_tui.state.draft import Draft
from claf_tui.widgets.keys import named


class NewRunApp(PaletteApp):
    """Shows the form alone.

    Args:
        draft: to begin with.
        plan: see `NewRunScreen`.

    Attributes:
        chosen: the run that is to begin; None where the form was left.
    """

    TITLE = "claf-tui new run"
    CSS_PATH = "console.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "quit"),
        Binding("ctrl+c", "quit", "quit", show=False, priority=True),
        Binding("question_mark,f1", "help", "help"),
    ]
    BINDINGS = named("app", BINDINGS)

    def __init__(self, draft: Draft, plan: Plan = plan_lines) -> None:
        super().__init__()
        self.chosen: Draft | None = None
        self._form = NewRunScreen(draft, plan)

    def help_screen(self) -> HelpScreen:
        """Make the help page of the form."""
        return NewRunHelp()

    def on_mount(self) -> None:
        """Open the form."""
        self.push_screen(self._form, self._leave)

    def _leave(self, draft: Draft | None) -> None:
        self.chosen = draft
        self.exit()
