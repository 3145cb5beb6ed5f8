"""The boundary that every foreign string passes before a widget or the terminal.

Run names, paths, class labels, exception text, metadata, tensor names and log lines were written by others. A terminal
obeys escape sequences hidden in them, and Textual obeys markup in them; so they are cleaned here and then shown only as
`Content` or `Text`, never as markup.
"""

REPLACEMENT = "\ufffd"
ELLIPSIS = "…"


def safe(text: object, limit: int = 120) -> str:
    """Replace every character that is not printable and cut the text to `limit` characters.

    Control characters (C0, C1, DEL), line breaks, bidirectional overrides and zero-width characters all become U+FFFD;
    letters of any script and emoji stay.
    """
    cut = str(text)[: limit + 1]
    cleaned = cut if cut.isprintable() else "".join(char if char.isprintable() else REPLACEMENT for char in cut)
    return cleaned if len(cleaned) <= limit else cleaned[: max(0, limit - 1)] + ELLIPSIS


def safe_lines(text: object, limit: int = 2000) -> list[str]:
    """Clean a text of several lines, such as a traceback, and keep its line breaks.

    Only the last `limit` characters are kept, because the end of a traceback says what happened.
    """
    return [safe(line, limit) for line in str(text)[-limit:].expandtabs(4).splitlines()]
