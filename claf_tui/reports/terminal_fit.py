"""Whether this terminal can show the console: its size, colours and characters."""

import os
import shutil
import sys
from collections.abc import Mapping

from claf_engine.selftest.findings import Row
from claf_engine.terms.names import Verdict

LEAST_COLUMNS, LEAST_LINES = 80, 24
GLYPHS = "★✔✘▶⣿█"
"""Some of what the console draws with."""


def terminal_rows(
    environment: Mapping[str, str] = os.environ,
    *,
    is_terminal: bool | None = None,
    size: tuple[int, int] | None = None,
    encoding: str | None = None,
) -> tuple[Row, ...]:
    """A row each for terminal, size, colours and characters.

    Args:
        environment: TERM, COLORTERM and NO_COLOR are looked at.
        is_terminal: whether stdin and stdout are terminals; looked up by default, as are the next two.
        size: columns and lines.
        encoding: of stdout.
    """
    if is_terminal is None:
        is_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    rows = [_kind(environment.get("TERM", ""), is_terminal)]
    if is_terminal:
        rows += [_size(size or tuple(shutil.get_terminal_size())), _colours(environment)]
    return (*rows, _characters(encoding or sys.stdout.encoding or "ascii"))


def _kind(term: str, is_terminal: bool) -> Row:
    if not is_terminal:
        return Row("terminal", "terminal", "no terminal: output is plain lines", "passes", "none")
    is_fit = term not in {"", "dumb"}
    advice = "" if is_fit else "set TERM to what your terminal is, such as xterm-256color, or use --ui plain"
    return Row(
        "terminal", "terminal", "can draw" if is_fit else "cannot draw", _verdict(is_fit), term or "none", advice
    )


def _size(size: tuple[int, ...]) -> Row:
    columns, lines = size
    is_fit = columns >= LEAST_COLUMNS and lines >= LEAST_LINES
    result = "room enough" if is_fit else "parts of the console are hidden"
    advice = "" if is_fit else f"make it {LEAST_COLUMNS} columns by {LEAST_LINES} lines or larger"
    return Row("terminal-size", "terminal size", result, _verdict(is_fit), f"{columns} x {lines}", advice)


def _colours(environment: Mapping[str, str]) -> Row:
    if environment.get("NO_COLOR"):
        return Row("colour", "colour", "off, because NO_COLOR is set", "passes", "none")
    if environment.get("COLORTERM") in {"truecolor", "24bit"}:
        return Row("colour", "colour", "all of them", "passes", "16 million")
    has_many = "256" in environment.get("TERM", "")
    advice = "" if has_many else "set COLORTERM=truecolor where the terminal has it"
    result = "nearly as designed" if has_many else "colours are coarse"
    return Row("colour", "colour", result, _verdict(has_many), "256" if has_many else "16 or fewer", advice)


def _characters(encoding: str) -> Row:
    try:
        GLYPHS.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        advice = "set LANG=C.UTF-8, or PYTHONUTF8=1"
        return Row("characters", "characters", f"{encoding} lacks what is drawn with", "warns", encoding, advice)
    return Row("characters", "characters", "all that is drawn with", "passes", encoding)


def _verdict(is_fit: bool) -> Verdict:
    return "passes" if is_fit else "warns"
