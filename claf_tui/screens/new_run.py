"""The form for a new run: preset, data and method, then every setting that matters, the command and the plan."""

import shlex
from collections.abc import Callable, Iterable
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical, VerticalScroll
from textual.content import Content
from textual.events import Resize
from textual.screen import Screen
from textual.suggester import SuggestFromList
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from claf_engine.config import RunConfig
from claf_engine.runs.folder import require_run_name
from claf_engine.terms.errors import ClafError
from claf_tui.reports.plan import plan_lines
from claf_tui.screens.choice_dialog import ChoiceScreen
from claf_tui.screens.method_choice import MethodChoiceScreen
from claf_tui.state.draft import METHOD, Draft, Heading, Row, choices_of, field_of, form_lines, meaning
from claf_tui.widgets.key_bar import Hint, KeyBar
from claf_tui.widgets.keys import named
from claf_tui.widgets.setting_rows import row_line
from claf_tui.words.safe_text import safe

WIDE = 110
"""Cells from which on command and plan stand beside the settings."""
PLAN_DELAY = 0.2
"""Seconds without a change after which the plan is made anew."""
HINTS: tuple[Hint, ...] = (
    ("enter", "change", "screen.change"),
    ("s", "start", "screen.start"),
    ("/", "search", "screen.search"),
    ("u", "as preset", "screen.undo"),
    ("a", "all", "screen.whole"),
    ("y", "copy command", "screen.copy"),
    ("?", "help", "app.help"),
    ("escape", "back", "screen.back"),
)
Plan = Callable[[RunConfig], Iterable[str]]


class NewRunScreen(Screen[Draft | None]):
    """Ends with the draft of the run that is to begin, or with None.

    Args:
        draft: to begin with.
        plan: writes what a run would do, which loads torch; called in a thread.
    """

    CSS_PATH = "../console/new_run.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("s", "start", "start the run"),
        Binding("slash", "search", "search settings"),
        Binding("u", "undo", "as the preset has it"),
        Binding("a", "whole", "also settings that the method does not read"),
        Binding("y", "copy", "copy the command"),
        Binding("escape", "back", "back"),
    ]
    BINDINGS = named("new-run", BINDINGS)

    def __init__(self, draft: Draft | None = None, plan: Plan = plan_lines) -> None:
        super().__init__()
        self._draft = draft or Draft()
        self._config = Draft(self._draft.preset).config()
        self._plan = plan
        self._problem = ""
        self._is_whole = False
        self._editing = ""
        self._words = ""

    def compose(self) -> ComposeResult:
        """Lay out the form, the command and the plan."""
        yield Static(Content.styled("new run", "bold"), classes="title-line", id="new-run-title")
        with Container(id="new-run-body"):
            with Vertical(id="new-run-form", classes="panel") as panel:
                panel.border_title = Content.styled("settings", "$foreground")
                yield Input(placeholder="words of a name or a meaning", id="new-run-search", compact=True)
                yield OptionList(id="new-run-lines", compact=True)
                yield Input(id="new-run-value", compact=True)
                yield Static(Content(""), id="new-run-meaning")
            with VerticalScroll(id="new-run-side", classes="panel", can_focus=False) as panel:
                panel.border_title = Content.styled("command and plan", "$foreground")
                yield Static(Content(""), id="new-run-command")
                yield Static(Content(""), id="new-run-plan")
        yield KeyBar(HINTS, id="keys")

    def on_mount(self) -> None:
        """Show what the draft says."""
        self._take(self._draft)
        self._lines.focus()

    def on_resize(self, event: Resize) -> None:
        """Put command and plan beside the settings or below them."""
        self.set_class(event.size.width < WIDE, "-narrow")
        self.call_after_refresh(self._show_lines)

    @property
    def draft(self) -> Draft:
        """What was typed so far."""
        return self._draft

    def action_change(self) -> None:
        """Choose or type another value of the line that is chosen."""
        self._lines.action_select()

    def action_start(self) -> None:
        """End with the draft, where its settings are sound."""
        if self._problem:
            self.notify(safe(self._problem, 400), severity="error", markup=False)
        else:
            self.dismiss(self._draft)

    def action_search(self) -> None:
        """Type words that a setting's name or meaning holds."""
        self._open("#new-run-search", self._words)

    def action_undo(self) -> None:
        """Take the preset's value of the chosen line."""
        if key := self._chosen:
            self._take(self._draft.changed(key, ""))

    def action_whole(self) -> None:
        """Show all settings, or those that the method reads."""
        self._is_whole = not self._is_whole
        self._show_lines()

    def action_copy(self) -> None:
        """Put the command on the clipboard."""
        self.app.copy_to_clipboard(shlex.join(self._draft.command()))
        self.notify("copied", markup=False, timeout=2)

    def action_back(self) -> None:
        """Close the field that is open, or else end the search, or else the form."""
        if self._editing or self.query_one("#new-run-search").has_class("-open"):
            self._close()
        elif self._words:
            self._words = ""
            self._show_lines()
        else:
            self.dismiss(None)

    @on(OptionList.OptionSelected)
    def _edit(self, event: OptionList.OptionSelected) -> None:
        key = event.option_id or ""
        value = next(line.value for line in self._rows if line.key == key)
        if choices := choices_of(key):
            screen = MethodChoiceScreen(value) if key == METHOD else ChoiceScreen(key, choices, value)
            self.app.push_screen(screen, lambda chosen: self._choose(key, chosen))
            return
        self._editing = key
        field = self._open("#new-run-value", value)
        known = field_of(key)
        field.suggester = SuggestFromList(known.choices) if known is not None and known.choices else None
        field.border_title = key

    @on(OptionList.OptionHighlighted)
    def _explain(self, event: OptionList.OptionHighlighted) -> None:
        self._tell(meaning(event.option_id or ""))

    @on(Input.Changed, "#new-run-search")
    def _search(self, event: Input.Changed) -> None:
        self._words = event.value
        self._show_lines()

    @on(Input.Submitted, "#new-run-search")
    def _found(self) -> None:
        self._close()

    @on(Input.Changed, "#new-run-value")
    def _check(self, event: Input.Changed) -> None:
        if self._editing:
            problem = problem_of(self._draft.changed(self._editing, event.value.strip()))
            self._tell(problem, "$error") if problem else self._tell(meaning(self._editing))

    @on(Input.Submitted, "#new-run-value")
    def _typed(self, event: Input.Submitted) -> None:
        draft = self._draft.changed(self._editing, event.value.strip())
        problem = problem_of(draft)
        if self._editing in problem:
            self._tell(problem, "$error")
            return
        self._close()
        self._take(draft)

    def _choose(self, key: str, chosen: str | None) -> None:
        if chosen:
            self._take(self._draft.changed(key, chosen))

    def _take(self, draft: Draft) -> None:
        self._draft, self._problem = draft, problem_of(draft)
        if not self._problem:
            self._draft, self._config = draft.tidy(), draft.config()
            self._show_plan(["the plan is being made ..."], "$foreground 60%")
            self.set_timer(PLAN_DELAY, self._make_plan)
        command = Content.styled(safe(shlex.join(self._draft.command()), 4000), "bold")
        self.query_one("#new-run-command", Static).update(command)
        if self._problem:
            self._show_plan([self._problem], "$error")
        num = len(self._draft.changes)
        text = (
            f"new run · {num} {'setting differs' if num == 1 else 'settings differ'} from preset {self._draft.preset}"
        )
        self.query_one("#new-run-title", Static).update(Content.styled(safe(text, 200), "bold"))
        self._show_lines()

    @work(thread=True, exclusive=True)
    def _make_plan(self) -> None:
        config = self._config
        try:
            lines, style = list(self._plan(config)), "$foreground"
        except ClafError as error:
            lines, style = [str(error)], "$error"
        if config is self._config and self.is_attached:
            self.app.call_from_thread(self._show_plan, lines, style)

    def _show_plan(self, lines: Iterable[str], style: str) -> None:
        text = "\n".join(["", *(safe(line, 1000) for line in lines)])
        for panel in self.query("#new-run-plan").results(Static):  # none when the form is left meanwhile
            panel.update(Content.styled(text, style))

    def _show_lines(self) -> None:
        chosen, lines = self._chosen, list(form_lines(self._draft, self._config, self._words, is_whole=self._is_whole))
        self._rows = [line for line in lines if isinstance(line, Row)]
        width = max(20, self._lines.scrollable_content_region.width or self.size.width - 3)
        options = [
            Option(
                row_line(line, width),
                id=None if isinstance(line, Heading) else line.key,
                disabled=isinstance(line, Heading),
            )
            for line in lines
        ]
        self._lines.clear_options().add_options(options)
        keys = [option.id for option in options]
        if self._rows:
            self._lines.highlighted = keys.index(chosen if chosen in keys and chosen else self._rows[0].key)
        else:
            self._tell(f"no setting with {safe(self._words, 60)}; escape shows all again")

    def _open(self, selector: str, text: str) -> Input:
        field = self.query_one(selector, Input)
        field.value = text
        field.add_class("-open")
        field.focus()
        field.action_end()
        return field

    def _close(self) -> None:
        self._editing = ""
        for selector in ("#new-run-search", "#new-run-value"):
            self.query_one(selector).remove_class("-open")
        self._lines.focus()
        if key := self._chosen:
            self._tell(meaning(key))

    def _tell(self, text: str, style: str = "$foreground 60%") -> None:
        self.query_one("#new-run-meaning", Static).update(Content.styled(safe(text, 600), style))

    @property
    def _lines(self) -> OptionList:
        return self.query_one("#new-run-lines", OptionList)

    @property
    def _chosen(self) -> str | None:
        """The key of the line under the cursor."""
        option = self._lines.highlighted_option
        return option.id if option is not None else None


def problem_of(draft: Draft) -> str:
    """Why a run of this draft cannot begin, as the command line says it; empty where it can."""
    try:
        draft.config()
        if draft.name:
            require_run_name(draft.name)
    except ClafError as error:
        return str(error)
    return ""
