"""The first line: which run this is, what it is doing in one word, and how long it has been at it."""

from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from claf_tui.state import RunState
from claf_tui.widgets.glyphs import fit, spread
from claf_tui.words import figures
from claf_tui.words.safe_text import safe

WORD_STYLES = {
    "STARTING": "bold $background on $secondary",
    "RUNNING": "bold $background on $success",
    "PAUSING": "bold $background on $warning",
    "PAUSED": "bold $background on $warning",
    "STOPPING": "bold $background on $warning",
    "STOPPED": "bold $background on $warning",
    "FINISHED": "bold $background on $success",
    "FAILED": "bold $background on $error",
    "DIVERGED": "bold $background on $error",
}


class StatusBar(Widget):
    """Shows the status word, which nobody should miss; `word` may be set straight from a key press."""

    word: reactive[str] = reactive("STARTING")

    def __init__(self, *, read_only: bool = False, id: str | None = None) -> None:
        super().__init__(id=id)
        self._read_only = read_only
        self._state = RunState()

    def show(self, state: RunState, word: str) -> None:
        """Show this state from now on."""
        drawn = self._state
        self._state, self.word = state, word
        if (drawn.run, int(drawn.elapsed)) != (state.run, int(state.elapsed)):
            self.refresh()

    def render(self) -> Content:
        """Draw the line."""
        return status_line(self._state, self.word, self.size.width, read_only=self._read_only)


def status_line(state: RunState, word: str, width: int, *, read_only: bool = False) -> Content:
    """Write the status word, the run and its clock into one line of `width` cells."""
    word_style = WORD_STYLES.get(word, "bold reverse")
    badge = Content.styled(f" {word} ", word_style)
    title = Content.styled(" watching " if read_only else " claf-tui ", "bold $primary")
    facts = _facts(state)
    left = fit([Content.assemble(badge, title, *facts[:count]) for count in range(len(facts), -1, -1)], width - 12)
    clock = Content.styled(f"{figures.duration(state.elapsed)} ", "$foreground 60%") if state.run else Content("")
    return spread(left, clock, width)


def _facts(state: RunState) -> list[Content]:
    if state.run is None:
        return []
    run = state.run
    return [
        Content.styled(f" {safe(run.run, 40)}", "$foreground"),
        Content.styled(f" · {safe(run.method, 20)} on {safe(run.data, 40)}", "$foreground 60%"),
        Content.styled(f" · {figures.short_count(run.num_parameters)} parameters · seed {run.seed}", "$foreground 60%"),
    ]
