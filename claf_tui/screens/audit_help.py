"""The help page of an audit and of a robustness card."""

from claf_tui.screens.help import FIGURES, FigureTexts, HelpScreen, KeyTopics

AUDIT_KEYS: KeyTopics = (
    (
        "Audit",
        (
            ("up, down", "choose a diagnostic; the text beside or below says what it means"),
            ("n", "the next one that warns, fails or was not run"),
            ("f, escape", "follow the running one again"),
            ("page up/down", "scroll the text"),
            ("space", "pause, and go on"),
            ("c, enter", "the robustness card, when every diagnostic is in"),
            ("q, ctrl+c", "leave; what is finished is kept, and the same command goes on"),
            ("ctrl+p", "all commands, themes, screenshot"),
            ("?", "this page"),
        ),
    ),
    ("Card", (("up, down", "scroll; page up/down by pages"), ("escape", "back"))),
)

AUDIT_FIGURES: FigureTexts = (
    ("✔ passes", "Nothing speaks against the figure here. A diagnostic that could not be run never passes."),
    ("! warns", "The figure is likely to be somewhat too high; the text says why."),
    ("✘ fails", "The figure cannot be believed: something hides from attacks, or is measured wrongly."),
    ("○ not run", "The budget does not afford it, or it does not apply; the figure says why."),
    (
        "worst case",
        "The share of images that withstand every attack within the ball, taken image by image. It is never above the "
        "figure of any one attack, and still an upper bound.",
    ),
    ("interval", "Where the share lies with 95 % confidence, given the number of images (Wilson)."),
    ("unaudited", "An accuracy that no robustness card of these weights and this classifier stands behind."),
)


class AuditHelp(HelpScreen):
    """Keys of the audit, and what verdicts and figures mean."""

    KEYS = AUDIT_KEYS
    FIGURES = (*AUDIT_FIGURES, *FIGURES[:3])
