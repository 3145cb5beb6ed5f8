"""Markdown that sections share."""

import textwrap
from collections.abc import Iterable, Sequence

LINE = 120


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table of names and then figures; a cell stays a cell, whatever it holds."""
    rules = ["---", *["---:"] * (len(heads) - 1)]
    return [f"| {' | '.join(map(plain, cells))} |" for cells in (heads, rules, *rows)]


def plain(text: str) -> str:
    """Text of others as one line without markup of theirs."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def prose(text: str, mark: str = "") -> list[str]:
    """A paragraph, or with a mark such as "- " an item of a list, in lines of the width of this project's pages."""
    return textwrap.wrap(
        text,
        LINE,
        initial_indent=mark,
        subsequent_indent=" " * len(mark),
        break_long_words=False,
        break_on_hyphens=False,
    )


def pending(what: str, command: str) -> list[str]:
    """What stands in a section whose runs are yet to be made."""
    return [f"Not run yet: {what}.", "", f"    {command}"]


def listed(names: Sequence[str]) -> str:
    """Names as a sentence has them."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else "none"
