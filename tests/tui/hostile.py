"""Strings that attack a terminal or a markup parser."""

HOSTILE = (
    "\x1b]0;owned\x1b\\",
    "\x1b]52;c;cm0gLXJm\x07",
    "\x1b[2J\x1b[H",
    "\x9b31m c1",
    "[/b]",
    "[/",
    "[bold red]x",
    "[@click=app.quit]x[/]",
    "[TODO] x",
    "$text [$error]",
    "abc\u202egnp.exe",
    "zero\u200bwidth\u2066",
    "line\r\nbreak\x7f",
)
EVERYTHING = " ".join(HOSTILE)
