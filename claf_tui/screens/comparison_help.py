"""The help screen of a comparison: every key, and what its figures mean."""

from claf_tui.screens.help import FIGURES, FigureTexts, HelpScreen, KeyTopics

KEYS: KeyTopics = (
    (
        "Compare",
        (
            ("1 2 3 4", "curves, figures, settings that differ, robustness cards; tab: the next of them"),
            ("escape", "take back the cursor, the zoom; then leave"),
            ("ctrl+p", "all commands, themes, screenshot"),
            ("?", "this page"),
        ),
    ),
    (
        "Curves",
        (
            ("c", "choose the next chart; a small terminal shows one"),
            ("r", "robust accuracy at another radius"),
            ("o", "another loss"),
            ("x", "count steps, epochs, time or forward passes an image"),
            ("left, right", "move the cursor: the legends show the values there; shift: faster; click: put it there"),
            ("up, down", "zoom in and out; the wheel does too"),
            ("[ ]", "earlier and later; dragging does too"),
            ("0, end", "all of the runs again; follow the newest step"),
            ("l, L", "logarithmic value axis of the chosen chart; logarithmic horizontal axis"),
            ("+ -", "smooth the trend of losses more and less"),
        ),
    ),
    ("Pages", (("up, down", "scroll; page up/down by pages"),)),
)

COMPARISON_FIGURES: FigureTexts = (
    ("A, B, ...", "The runs in the order in which they were named; the letter stands at the end of a curve."),
    ("25.3% [22.7, 28.1]", "An accuracy with its 95 % interval, given the number of images (Wilson)."),
    (
        "measured on",
        "Test images of a finished run's chosen checkpoint; before that validation images of its last probe.",
    ),
    (
        "independent",
        "The interval of a difference as if images had been drawn anew for each run (Newcombe): too wide where both "
        "were measured on the same images.",
    ),
    (
        "paired",
        "Image by image, where claf-tui reproduce measured both runs under the same attack; McNemar's exact test.",
    ),
    ("beyond noise", "The interval of the difference leaves 0 out. With many pairs, some do so by chance."),
    (
        "units",
        "Forward passes of the encoder that training has spent on each image; a full backward pass is 2 of them.",
    ),
)


class ComparisonHelp(HelpScreen):
    """Keys of a comparison, and what its figures mean."""

    KEYS = KEYS
    FIGURES = (*COMPARISON_FIGURES, *FIGURES[:3])
