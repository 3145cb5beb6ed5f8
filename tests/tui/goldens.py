"""Screens as files: each line of a screen as text, compared whole. `CLAF_WRITE_GOLDENS=1` writes them anew."""

import os
from collections.abc import Sequence
from pathlib import Path

from textual.app import App

from tests.tui.consoles import screen_lines


def assert_golden(app: App[object], path: Path, lines: Sequence[str] | None = None) -> None:
    """Compare the screen, or these lines of it, with a file, but for spaces at the ends of lines."""
    shown = "".join(f"{line.rstrip()}\n" for line in (screen_lines(app) if lines is None else lines))
    if os.environ.get("CLAF_WRITE_GOLDENS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(shown, encoding="utf-8")
    assert shown == path.read_text(encoding="utf-8")
