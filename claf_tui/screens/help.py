"""The help screens of a run, an audit and a reproduction: every key, and what each figure means."""

import re
import textwrap
from collections.abc import Sequence
from functools import cache
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget

from claf_tui.widgets.keys import OwnKey, named, shown_key

KeyTopics = tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
FigureTexts = tuple[tuple[str, str], ...]

KEYS: KeyTopics = (
    (
        "Steer the run",
        (
            ("space", "pause, and go on"),
            ("p", "probe natural and robust accuracy now"),
            ("c", "save a checkpoint now"),
            ("e", "edit learning rate, temperature, epochs left, probes and checkpoints"),
            ("n", "go on for some steps, or to the end of the epoch or phase, then pause"),
            ("s", "stop after this step, saved"),
            ("r", "go back to a checkpoint with other settings, where the run has diverged"),
        ),
    ),
    (
        "Look",
        (
            ("1 2 3 4", "probe, loss, the method's own curves, log; again, or f: full screen"),
            ("tab", "next panel"),
            ("left, right", "move the cursor that all charts share; shift: faster; click: put it there"),
            ("up, down", "zoom in and out, about the cursor or the mouse; the wheel does too"),
            ("[ ]", "earlier and later steps; dragging does too"),
            ("end", "follow the newest step"),
            ("0", "all of the run again"),
            ("x", "count steps, epochs or time on the horizontal axis"),
            ("l, L", "logarithmic value axis of the chosen chart; logarithmic horizontal axis"),
            ("+ -", "smooth the trend more and less, at the end not at all"),
            ("w", "lay the curves of other runs over this one's"),
            ("escape", "take back the cursor, full screen, the zoom"),
            ("o", "another loss, where the run has several"),
            ("a", "acknowledge an alert; the log keeps it"),
            ("page up/down", "scroll the log"),
            ("b", "checkpoint browser"),
            ("i", "settings that differ from the preset, and how busy the machine is"),
            ("v", "adversarial examples of the probes"),
        ),
    ),
    (
        "Adversarial examples",
        (
            (", .", "probe before and after: the same images, as the model hardens"),
            ("home end", "first probe; newest, which is then followed"),
            ("up, down", "scroll the images"),
            ("+ -", "show the change twice or half as strong"),
            ("tab", "pictures or features, where there is room for one"),
            ("escape", "back"),
        ),
    ),
    (
        "Checkpoint browser",
        (
            ("tab", "next pane"),
            ("enter", "open or close a module; left and right, too"),
            ("/", "filter tensors by name"),
            ("e", "evaluate the checkpoint, by a classifier that it has, on test images"),
            ("a", "audit it: ask whether its robust accuracy can be believed"),
            ("v", "view its robustness card"),
            ("space", "mark it, to compare another with it"),
            ("D", "compare it with the marked one, or with the one before"),
            ("i", "its settings, those that differ from the preset first"),
            ("h", "hash it anew, and say whether it was altered"),
            ("x", "export its network to a file of its own"),
            ("r", "resume from it, when no run is live"),
            ("d", "delete it"),
            ("f5", "read the folder again"),
            ("escape", "back"),
        ),
    ),
    (
        "When a run has ended",
        (
            ("u", "audit its result right there; escape stops and keeps results"),
            ("V", "view the robustness card of its result"),
        ),
    ),
    (
        "Leave",
        (
            ("q", "leave; a live run stops and saves first, or goes on in a process of its own; a watched one goes on"),
            ("ctrl+c", "the same; once more offers to leave without saving"),
            ("ctrl+p", "all commands, themes, screenshot"),
            ("?", "this page"),
        ),
    ),
)

FIGURES: FigureTexts = (
    ("natural accuracy", "The share of unchanged images that the classifier gets right."),
    (
        "robust accuracy",
        "The share it still gets right after an attacker has moved every pixel by up to epsilon; "
        "an upper bound, because a stronger attack can only lower it.",
    ),
    (
        "16/255 !",
        "The figure cannot be right, and a sentence nearby says why: mostly that the steps of the attack do not cross "
        "the ball, so that longer ones find more.",
    ),
    ("epsilon", "The largest change of one pixel value, where black is 0 and white is 1; 8/255 is hard to see."),
    (
        "dissociation",
        "How much adversarial accuracy the classifier loses when the encoder moves on by one epoch without it.",
    ),
    ("before, after", "Adversarial accuracy of the attack classifier before and after it is retrained in an epoch."),
    (
        "one step, PGD",
        "Accuracy of fast adversarial training under its own one-step attack and under many steps. When the first "
        "stays high and the second falls, it has overfitted to its attack (catastrophic overfitting).",
    ),
    ("SupCon loss", "How far images of one class are from each other, compared with all others; lower is better."),
    ("NT-Xent loss", "The same without labels: how far views of one image are from each other."),
    ("TRADES loss", "Cross-entropy on natural images plus beta times how much an attack changes the prediction."),
    ("ALP loss", "Cross-entropy on natural and attacked images plus how far their logits lie apart."),
    ("probe", "A quick look at both accuracies on a fixed set of validation images; test images are never probed."),
    (
        "★, ▼ from best",
        "The best probe by the same classifier, and how far the latest one lies below it; red where chance does not "
        "explain it. A star stands where the best checkpoint was saved.",
    ),
    (
        "trend",
        "A line fitted around each point of a noisy curve, drawn over its raw values. It does not lag behind them.",
    ),
    (
        "┃ ✎ ★ ⚠ ╳",
        "On the axis: a phase begins, a live edit (a line with what changed), the best checkpoint, an alert, values "
        "that are not finite (or, with l, not above 0).",
    ),
    (
        "unaudited",
        "No robustness card of these weights stands behind an accuracy. An audit passes, warns or fails; a card "
        "without one was only evaluated.",
    ),
    (
        "✔ ✘ ·",
        "Of an image at a probe: right even when attacked; broken by the attack; wrong without one.",
    ),
    (
        "features",
        "A flat map of what the encoder makes of the watched images. Letters are classes, a line leads to where the "
        "attack moves an image. Directions and scale are those of the newest probe.",
    ),
    (
        "before",
        "The result against that of the latest finished run before it, of the same method and data. The interval "
        "takes both for measured on images of their own; a difference beyond noise is one whose interval leaves 0 out.",
    ),
    (
        "relative norm, cosine",
        "How far a tensor has moved between two checkpoints, as a share of its length, and the cosine of the angle "
        "between before and after: 1 is the same direction.",
    ),
    ("L2", "The attack is bounded by the Euclidean length of the whole change instead of one pixel's."),
    ("L1", "The attack is bounded by the sum of all changes, which favours large changes of few pixels."),
    (
        "no ball",
        "Figures of the released code's space: it clamps normalised images to [0, 1], which moves some pixels much "
        "further than epsilon. They are not robust accuracy; the largest real change stands beside them.",
    ),
)


GROUPS = {
    "Steer the run": "dashboard",
    "Look": "dashboard",
    "When a run has ended": "dashboard",
    "Adversarial examples": "examples",
    "Checkpoint browser": "browser",
    "Audit": "audit",
    "Card": "card",
    "Steer": "reproduction",
    "The table": "reproduction",
    "A run": "runs",
    "The list": "runs",
    "Compare": "comparison",
    "Curves": "comparison",
    "Pages": "comparison",
    "New run": "new-run",
}
"""Whose keys a topic tells, as their ids begin; of others only keys that work everywhere are shown as changed."""


class HelpScreen(ModalScreen[None]):
    """All keys and figures on one page.

    Nothing shines through: to draw the screen below dimmed would take longer than the page itself.
    """

    KEYS = KEYS
    FIGURES = FIGURES
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,f1,q", "dismiss(None)", "close"),
        Binding("down,j", "scroll(1)", show=False, id="down"),
        Binding("up,k", "scroll(-1)", show=False, id="up"),
        Binding("pagedown", "scroll(12)", show=False, id="page-down"),
        Binding("pageup", "scroll(-12)", show=False, id="page-up"),
        Binding("end", "scroll(9999)", show=False, id="end"),
        Binding("home", "scroll(-9999)", show=False, id="home"),
    ]
    BINDINGS = named("help", BINDINGS)

    def compose(self) -> ComposeResult:
        """Lay out the page."""
        with VerticalScroll(classes="page") as page:
            page.border_title = Content("help")
            page.border_subtitle = Content("escape closes · arrows scroll")
            yield HelpText(with_own_keys(self.KEYS, getattr(self.app, "own_keys", ())), self.FIGURES)

    def action_scroll(self, lines: int) -> None:
        """Scroll the page."""
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)


def with_own_keys(topics: KeyTopics, own: Sequence[OwnKey]) -> KeyTopics:
    """The topics with the keys that a person has changed, which also come first by themselves."""
    if not own:
        return topics
    first = tuple((_keys_text(key.now), f"{key.text} (before: {_keys_text(key.before)})") for key in own)
    changed = []
    for title, rows in topics:
        of_topic = [key for key in own if key.group in (GROUPS.get(title), "app")]
        changed.append((title, tuple((_with_new_keys(text, of_topic), meaning) for text, meaning in rows)))
    return (("Your own keys", first), *changed)


def _with_new_keys(text: str, own: Sequence[OwnKey]) -> str:
    words = re.split(r"(,? )", text)
    for key in own:
        old = {shown for name in key.before for shown in (name, shown_key(name))}
        words = [_keys_text(key.now) if word in old else word for word in words]
    return "".join(words)


def _keys_text(keys: Sequence[str]) -> str:
    return ", ".join(map(shown_key, keys))


class HelpText(Widget):
    """The page itself, wrapped anew for every width."""

    def __init__(self, keys_by_topic: KeyTopics, figures: FigureTexts) -> None:
        super().__init__()
        self._keys_by_topic = keys_by_topic
        self._figures = figures

    def get_content_height(self, _container: object, _viewport: object, width: int) -> int:
        """As many lines as there are at this width."""
        return len(help_lines(self._keys_by_topic, self._figures, width))

    def render(self) -> Content:
        """Draw the page."""
        return Content("\n").join(help_lines(self._keys_by_topic, self._figures, self.size.width))


@cache
def help_lines(keys_by_topic: KeyTopics, figures: FigureTexts, width: int) -> tuple[Content, ...]:
    """Write the page as lines of at most `width` cells; what goes on in the next line hangs under its text."""
    lines: list[Content] = []
    for title, keys in keys_by_topic:
        lines.append(Content.styled(title, "bold $primary"))
        for key, text in keys:
            lines += _hanging(f"  {key:<13} ", text, width, ("bold $accent", "$foreground"))
        lines.append(Content(""))
    lines.append(Content.styled("What the figures mean", "bold $primary"))
    for name, text in figures:
        first, *more = textwrap.wrap(f"{name}: {text}", max(12, width - 4))
        head, tail = first[: len(name) + 1], first[len(name) + 1 :]
        lines.append(Content.assemble((f"  {head}", "bold"), (tail, "$foreground 60%")))
        lines += [Content.styled(f"    {line}", "$foreground 60%") for line in more]
    return tuple(lines)


def _hanging(head: str, text: str, width: int, styles: tuple[str, str]) -> list[Content]:
    first, *more = textwrap.wrap(text, max(12, width - len(head)))
    hung = [Content.styled(f"{'':<{len(head)}}{line}", styles[1]) for line in more]
    return [Content.assemble((head, styles[0]), (first, styles[1])), *hung]


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
        "The table",
        (
            ("d, enter", "dashboard of the current run; escape leads back"),
            ("tab", "bar chart, and back, where not everything fits"),
            ("up, down", "scroll the table"),
            ("b", "checkpoints of the current run"),
            ("i", "settings of the current run, and how busy the machine is"),
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
