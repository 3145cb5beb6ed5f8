"""Markup that escapes by itself: whatever is not markup already becomes text, whoever wrote it. Pure."""

from html import escape

from claf_tui.words.safe_text import safe

MAX_TEXT = 2000
EMPTY = frozenset({"meta", "br", "img", "input", "link", "line", "rect", "path", "polygon", "circle", "polyline"})
"""Elements without content; those of SVG are closed, those of HTML are not."""
OF_HTML = frozenset({"meta", "br", "img", "input", "link"})


class Markup(str):
    """Markup of our own making, which is not escaped once more."""


def text(value: object) -> Markup:
    """Any value as text: control characters replaced, markup escaped."""
    return value if isinstance(value, Markup) else Markup(escape(safe(value, MAX_TEXT), quote=True))


def tag(name: str, /, *content: object, **attributes: object) -> Markup:
    """One element.

    Args:
        name: of the element.
        content: what lies in it: markup as it is, anything else as text, None not at all.
        attributes: an underscore at the end of a name goes, others become hyphens; None and False leave one out.
    """
    written = "".join(
        f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{text(value)}"')
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in EMPTY:
        return Markup(f"<{name}{written}>" if name in OF_HTML else f"<{name}{written}/>")
    return Markup(f"<{name}{written}>{joined(*content)}</{name}>")


def joined(*content: object) -> Markup:
    """Several pieces one after the other."""
    return Markup("".join(text(item) for item in content if item is not None))
