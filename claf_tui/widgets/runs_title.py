"""The line above the list of runs: how many there are, live, shown, and still to be read. Pure."""

from dataclasses import dataclass
from pathlib import Path

from textual.content import Content

from claf_tui.widgets.glyphs import fit, spread
from claf_tui.words.safe_text import safe


@dataclass(frozen=True)
class RunsCount:
    """Numbers of runs.

    Attributes:
        num_waiting: of those that were not compared with their folders yet; None before anything was found.
    """

    num_shown: int = 0
    num_runs: int = 0
    num_live: int = 0
    num_silent: int = 0
    num_archived: int = 0
    num_marked: int = 0
    num_waiting: int | None = None

    def empty_text(self, root: Path) -> str:
        """Why nothing is shown."""
        if self.num_waiting is None or (self.num_waiting and not self.num_runs):
            return "  reading …"
        if not self.num_runs:
            return f"  there are no runs in {safe(root, 200)} yet; N begins one"
        return "  no run fits; escape takes the filter back"


def runs_title(count: RunsCount, root: Path, width: int, problem: str = "") -> Content:
    """Write the line; where room is short, the folder and the rarer numbers go."""
    shown = f"{count.num_shown:,} of {count.num_runs:,}" if count.num_shown != count.num_runs else f"{count.num_runs:,}"
    word = "run" if count.num_runs == 1 else "runs"
    silent = f"{count.num_silent} silent" if count.num_silent else ""
    parts = [f"{shown} {word}", f"{count.num_live} live" if count.num_live else "", silent]
    rarer = [
        f"{count.num_marked} marked" if count.num_marked else "",
        f"{count.num_archived:,} put away" if count.num_archived else "",
    ]
    reading = f"reading {count.num_waiting:,} …" if count.num_waiting else ""
    options = []
    for texts in ([*parts, *rarer, reading], [*parts, *rarer], parts):
        told = " · ".join(filter(None, texts))
        options.append(Content.assemble((" claf-tui ", "bold $primary"), (told, "$foreground")))
    left = fit(options, width)
    right = (safe(problem, 200), "$error") if problem else (safe(root, 200), "$foreground 60%")
    return spread(left, Content.assemble(right, " "), width)
