"""The colours of the console; the command palette offers others."""

from textual.theme import Theme

THEME = Theme(
    name="claf",
    primary="#5aa9e6",
    secondary="#8f7ee7",
    accent="#f2a65a",
    success="#4cc38a",
    warning="#f2c14e",
    error="#e5484d",
    background="#0d1117",
    surface="#161b22",
    panel="#1c2430",
    foreground="#d7dde5",
    dark=True,
)
