"""Diagnostics of an audit as lines, what they come to, and what an accuracy rests on. Pure."""

from collections.abc import Mapping
from typing import Any

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from claf_engine.evaluation.card_text import GLYPHS, NO_BALL, UPPER_BOUND, tally, worst_sentence
from claf_tui.words import figures
from claf_tui.words.safe_text import safe

STYLES = {"passes": "green", "warns": "yellow", "fails": "bold red", "not-run": "dim"}


INDENT = 4


def diagnostic_lines(diagnostic: Mapping[str, Any]) -> list[RenderableType]:
    """One diagnostic: verdict, what must hold, figure and threshold; below what does not pass, what it means."""
    verdict = str(diagnostic["verdict"])
    style = STYLES.get(verdict, "")
    figure = safe(diagnostic["figure"], 400)
    line = Text.assemble((f"{GLYPHS.get(verdict, '?')} {verdict:8}", style), f"{safe(diagnostic['title'], 120)}: ")
    if verdict == "not-run":
        line.append(figure, "dim")
        return [line]
    line.append(figure, "bold")
    line.append(f" ({safe(diagnostic['threshold'], 200)})", "dim")
    if verdict == "passes":
        return [line]
    explained = Text.assemble(safe(diagnostic["meaning"], 600), (f" [{safe(diagnostic['source'], 200)}]", "dim"))
    return [line, Padding(explained, (0, 0, 0, INDENT), expand=False)]


def summary_lines(card: Mapping[str, Any]) -> list[RenderableType]:
    """What the diagnostics of a card come to: the worst case with its interval, and the overall verdict."""
    verdict = str(card["verdict"])
    counted = safe(tally(card["diagnostics"]), 600) or "nothing was run"
    lines: list[RenderableType] = [Text(""), Text(safe(worst_sentence(card), 400), style="bold")]
    if not card["worst_case"]["is_epsilon_ball"]:
        lines.append(Text(NO_BALL.replace("**", ""), style="yellow"))
    lines.append(Text(UPPER_BOUND, style="dim"))
    shown = Text.assemble((f"{GLYPHS.get(verdict, '?')} audit {verdict}", STYLES.get(verdict, "")), f": {counted}")
    shown.append(f"; {figures.duration(card['seconds'])}", "dim")
    return [*lines, shown]


def standing_text(standing: str) -> Text:
    """What an accuracy rests on, in the colour of its verdict: "unaudited", "audit fails"."""
    return Text(safe(standing, 20), style=STYLES.get(standing.removeprefix("audit "), "dim"))
