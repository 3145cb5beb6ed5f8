"""The help page of a reproduction."""

from claf_tui.screens.help import FIGURES, FigureTexts, HelpScreen, KeyTopics

REPRODUCTION_KEYS: KeyTopics = (
    (
        "Steer",
        (
            ("space", "pause, and go on"),
            ("p", "probe the current run now"),
            ("q, ctrl+c", "leave; asks, then stops the current run and saves it"),
        ),
    ),
    (
        "Look",
        (
            ("d, enter", "dashboard of the current run; escape leads back"),
            ("tab", "bar chart, and back, where not everything fits"),
            ("up, down", "scroll the table"),
            ("b", "checkpoints of the current run"),
            ("a", "take an alert away"),
            ("ctrl+p", "all commands, themes, screenshot"),
            ("?", "this page"),
        ),
    ),
)

REPRODUCTION_FIGURES: FigureTexts = (
    ("✔ finished", "Trained and measured on the test images."),
    ("↺ reused", "A finished run of exactly these settings was found, so nothing was trained again."),
    ("✘ failed", "The line below the row says why; the other rows go on, and the same command tries it again."),
    ("paper, ours, diff", "Accuracies in percent; the difference is ours minus the paper's, in points."),
    ("★", "The best of ours in a column."),
    ("spread", "The largest difference between two seeds in any column, in points."),
    ("~ time", "An estimate from a short calibration; without ~ it is the time spent."),
    (
        "released-code",
        "The attack moves images as the authors' code does, after normalisation. That is no ball of radius epsilon "
        "around the image, so these figures cannot be compared with those of the pixel space.",
    ),
)


class ReproductionHelp(HelpScreen):
    """Keys of the reproduction, and what its signs and figures mean."""

    KEYS = REPRODUCTION_KEYS
    FIGURES = (*REPRODUCTION_FIGURES, *FIGURES[:3])
