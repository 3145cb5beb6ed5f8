"""The help page of the form for a new run."""

from claf_tui.screens.help import FigureTexts, HelpScreen, KeyTopics

NEW_RUN_KEYS: KeyTopics = (
    (
        "New run",
        (
            ("up, down", "choose a line; what it means stands below"),
            ("enter", "choose or type another value; a click does too"),
            ("/", "search settings by words of their names and meanings"),
            ("u", "take the preset's value again"),
            ("a", "also settings that the method does not read"),
            ("enter", "on method: the methods, and below them the page of the one under the cursor"),
            ("y", "copy the command that begins the same run"),
            ("s", "start the run"),
            ("escape", "close a field, end the search, or leave without a run"),
            ("ctrl+p", "all commands, themes, screenshot"),
            ("?", "this page"),
        ),
    ),
)
NEW_RUN_FIGURES: FigureTexts = (
    ("✎", "Differs from the preset, whose own value stands behind it; the command names it."),
    (
        "forward-unit",
        "What a forward pass of the encoder over one image costs; a backward pass to the image costs one more, a full "
        "one two. An epoch of adversarial training with ten steps costs 23 an image.",
    ),
)


class NewRunHelp(HelpScreen):
    """Keys of the form, and what its signs mean."""

    KEYS = NEW_RUN_KEYS
    FIGURES = NEW_RUN_FIGURES
