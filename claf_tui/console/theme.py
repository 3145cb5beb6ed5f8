"""The colours of the console: ours, dark and light, for eyes that tell fewer colours apart, and of high contrast.

Colour never tells alone: every state has a sign or a word of its own (`claf_tui/widgets/glyphs.py`).
"""

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
LIGHT = Theme(
    name="claf-light",
    primary="#1f6fb2",
    secondary="#6a4fc4",
    accent="#b45309",
    success="#12794a",
    warning="#8a6100",
    error="#c62a2f",
    background="#fbfcfd",
    surface="#eef1f4",
    panel="#e2e7ec",
    foreground="#1b2430",
    dark=False,
)
COLOUR_BLIND = Theme(
    name="claf-colour-blind",
    primary="#59d9ff",
    secondary="#9975a0",
    accent="#f49d00",
    success="#09ad7a",
    warning="#ffff00",
    error="#d25a23",
    background="#0d1117",
    surface="#161b22",
    panel="#1c2430",
    foreground="#e4e9ef",
    dark=True,
)
COLOUR_BLIND_LIGHT = Theme(
    name="claf-colour-blind-light",
    primary="#0072b2",
    secondary="#8a3a78",
    accent="#dd3017",
    success="#135b4e",
    warning="#60801d",
    error="#8a191b",
    background="#ffffff",
    surface="#f1f3f5",
    panel="#e6eaee",
    foreground="#101820",
    dark=False,
)
CONTRAST = Theme(
    name="claf-contrast",
    primary="#6fc3ff",
    secondary="#c9b3ff",
    accent="#ffb347",
    success="#5dff9b",
    warning="#ffe95c",
    error="#ff8080",
    background="#000000",
    surface="#000000",
    panel="#101010",
    foreground="#ffffff",
    dark=True,
)
THEMES = (THEME, LIGHT, COLOUR_BLIND, COLOUR_BLIND_LIGHT, CONTRAST)
