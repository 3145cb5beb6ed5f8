"""The parts of a robustness card on the screen. Pure functions of card.json, which others may have written."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from textual.content import Content
from textual.widget import Widget

from claf_engine.evaluation.detection_text import detection_sentences
from claf_tui.state.audit import VERDICTS
from claf_tui.widgets.audit_bar import figure_lines, subject_facts
from claf_tui.widgets.chart import robust_color
from claf_tui.widgets.diagnostics import clipped, wrapped
from claf_tui.widgets.glyphs import bar, fit, spread
from claf_tui.widgets.verdicts import DIM, badge, glyph, is_number, word
from claf_tui.words import attack_words, figures
from claf_tui.words.safe_text import safe

Card = Mapping[str, Any]
DrawSection = Callable[[Card, int], list[Content]]

NO_DIAGNOSTICS = "none were run: claf-tui audit asks whether these figures can be believed"
PROVENANCE = (
    ("run", "run"),
    ("method", "method"),
    ("checkpoint", "checkpoint"),
    ("phase", "phase"),
    ("classifier", "classifier"),
    ("weights are", "weights"),
    ("weights", "weights_sha256"),
    ("settings", "config_sha256"),
    ("edited", "edited"),
    ("data", "data"),
    ("split", "split"),
    ("seed", "seed"),
    ("device", "device"),
    ("date", "date"),
    ("command", "command"),
    ("folder", "folder"),
)
"""Label and key of what a reader needs to repeat the figures; both hashes are SHA-256."""
LABEL_ROOM = 12
ACCURACY_BAR = 10


class CardSection(Widget):
    """One part of a card, as high as it needs to be."""

    def __init__(self, card: Card, draw: DrawSection, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._card = card
        self._draw = draw

    def get_content_height(self, _container: object, _viewport: object, width: int) -> int:
        """As many lines as there is to say."""
        return max(1, len(self._draw(self._card, width)))

    def render(self) -> Content:
        """Draw the part."""
        return Content("\n").join(self._draw(self._card, self.size.width))


class CardHead(CardSection):
    """The first lines: verdict, subject, natural accuracy and the worst case."""

    def __init__(self, card: Card, *, id: str | None = None) -> None:
        super().__init__(card, head_lines, id=id)


def head_lines(card: Card, width: int) -> list[Content]:
    """Write the verdict, what the card is about, and both figures; a warning where they are not of a ball."""
    verdict = str(card.get("verdict"))
    is_audit = card.get("kind") != "evaluation"
    mark = badge(f"AUDIT {word(verdict).upper()}" if is_audit else "NOT AUDITED", verdict if is_audit else "")
    facts = subject_facts(card)
    title = fit([Content.assemble(mark, *facts[:count]) for count in range(len(facts), -1, -1)], width)
    lines = [spread(title, Content.styled("robustness card ", DIM), width), *figure_lines(card, width)]
    if card.get("space", attack_words.PIXEL) != attack_words.PIXEL:
        distances = [item.get("largest_distance") for item in _items(card, "attacks")]
        moved = max((float(item) for item in distances if is_number(item)), default=None)
        warning = attack_words.caveat_text(card["space"], moved)
        lines.append(Content.styled(f" ! {warning}", "bold $warning").truncate(width, ellipsis=True))
    worst = card.get("worst_case")
    return [*lines, *_notice_lines([worst] if isinstance(worst, Mapping) else [], width)]


def diagnostic_lines(card: Card, width: int) -> list[Content]:
    """Write every diagnostic, the gravest first; below those that do not pass stands what they mean."""
    listed = _items(card, "diagnostics")
    if not listed:
        return [Content.styled(f" {line}", DIM) for line in wrapped(NO_DIAGNOSTICS, width - 2)]
    order: dict[str, int] = {verdict: number for number, verdict in enumerate(VERDICTS)}
    lines: list[Content] = []
    for item in sorted(listed, key=lambda item: order.get(str(item.get("verdict")), 0)):
        lines += _diagnostic(item, width)
    return lines


def attack_lines(card: Card, width: int) -> list[Content]:
    """Write every attack with its accuracy, the lowest first; those that do not count for the worst case come last."""
    listed = _items(card, "attacks")
    if not listed:
        return [Content.styled(" no attack was run", DIM)]
    ordered = sorted(listed, key=lambda item: (not item.get("counts"), _accuracy(item)))
    has_moved = width >= 60
    room = width - 8 - ACCURACY_BAR - 2 - (10 if has_moved else 0)
    head = f" {'attack':<{room}} {'robust':>6} {'':<{ACCURACY_BAR}}" + (f" {'moved':>9}" if has_moved else "")
    lines = [Content.styled(head, DIM).truncate(width)]
    left_out = [item for item in ordered if not item.get("counts")]
    for item in ordered:
        if left_out and item is left_out[0]:
            lines.append(Content.styled(" outside the ball of the claim, not counted", DIM).truncate(width))
        lines.append(_attack(item, room, width, has_moved=has_moved))
    return [*lines, *_notice_lines(listed, width), *_detector_lines(card, width)]


def provenance_lines(card: Card, width: int) -> list[Content]:
    """Write what a reader needs to repeat the figures, every value to its end."""
    values = [(label, card.get(key)) for label, key in PROVENANCE]
    made = card.get("versions")
    if isinstance(made, Mapping):
        values.append(("versions", ", ".join(f"{name} {version}" for name, version in made.items())))
    if is_number(card.get("seconds")):
        values.append(("took", figures.duration(card["seconds"])))
    lines: list[Content] = []
    for label, value in values:
        if value is not None and value != "":
            lines += _labelled(label, value, width)
    notices = card.get("notices")
    for notice in notices if isinstance(notices, list) else ():
        lines += [Content.styled(f" {line}", "$warning") for line in wrapped(f"! {safe(notice, 400)}", width - 2)]
    return lines


def _diagnostic(item: Card, width: int) -> list[Content]:
    verdict = str(item.get("verdict"))
    sign, style = glyph(verdict)
    is_quiet = verdict in {"passes", "not-run"}
    bright, figure_style = DIM if is_quiet else "$foreground", DIM if verdict == "not-run" else style
    title, *more = wrapped(item.get("title", ""), width - 4)
    figure = wrapped(item.get("figure", ""), width - 4)
    head = Content.assemble((f" {sign} ", style), (title, bright))
    right = Content.styled(f"{figure[0]} ", figure_style)
    if not more and len(figure) == 1 and head.cell_length + right.cell_length < width:
        lines = [spread(head, right, width)]
    else:
        lines = [head, *(Content.styled(f"   {line}", bright) for line in more)]
        lines += [Content.styled(f"   {line}", figure_style) for line in figure]
    if is_quiet:
        return lines
    about = f"{safe(item.get('meaning', ''), 600)} (threshold: {safe(item.get('threshold', ''), 200)})"
    source = f"source: {safe(item.get('source', ''), 200)}"
    explained = [*wrapped(about, width - 4), *wrapped(source, width - 4)]
    return [*lines, *(Content.styled(f"   {line}", DIM) for line in explained)]


def _attack(item: Card, room: int, width: int, *, has_moved: bool) -> Content:
    counts = bool(item.get("counts"))
    style = robust_color(0) if counts else DIM
    accuracy = item.get("robust_accuracy")
    share = figures.percent(float(accuracy)) if is_number(accuracy) else figures.UNKNOWN
    mark = attack_words.DOUBTED if item.get("notice") else " "
    parts = [
        Content.styled(f" {clipped(item.get('label', ''), room):<{room}}", "$foreground" if counts else DIM),
        Content.styled(f" {share:>6}{mark}", f"bold {style}" if counts else DIM),
        bar(_accuracy(item), ACCURACY_BAR, style),
    ]
    if has_moved:
        moved = item.get("largest_distance")
        text = figures.levels(float(moved)) if is_number(moved) else figures.UNKNOWN
        parts.append(Content.styled(f" {text:>9}", DIM))
    line = Content.assemble(*parts)
    return line if line.cell_length <= width else line.truncate(width, ellipsis=True)


def _notice_lines(items: Sequence[Card], width: int) -> list[Content]:
    """Why figures cannot be right, each sentence once."""
    told = [text for item in items if (text := safe(item.get("notice") or "", attack_words.MAX_NOTICE))]
    lines = [line for text in dict.fromkeys(told) for line in wrapped(f"{attack_words.DOUBTED} {text}", width - 2)]
    return [Content.styled(f" {line}", "bold $warning") for line in lines]


def _detector_lines(card: Card, width: int) -> list[Content]:
    """What a detector beside the classifier did; nothing where there was none."""
    detector = card.get("detector")
    sentences = detection_sentences(detector) if isinstance(detector, Mapping) else []
    lines = [line for text in sentences for line in wrapped(safe(text, 400), width - 4)]
    heading = [Content(""), Content.styled(" detector", DIM)] if lines else []
    return [*heading, *(Content.styled(f"   {line}", "$foreground") for line in lines)]


def _labelled(label: str, value: object, width: int) -> list[Content]:
    room = max(12, width - LABEL_ROOM - 2)
    text = safe(value, 600)
    pieces = wrapped(text, room) if " " in text else [text[at : at + room] for at in range(0, len(text), room)]
    first = Content.assemble((f" {label:<{LABEL_ROOM}}", DIM), (pieces[0], "$foreground"))
    return [first, *(Content.styled(f"{'':<{LABEL_ROOM + 1}}{piece}", "$foreground") for piece in pieces[1:])]


def _items(card: Card, key: str) -> Sequence[Card]:
    value = card.get(key)
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list | tuple) else []


def _accuracy(item: Card) -> float:
    value = item.get("robust_accuracy")
    return float(value) if is_number(value) else 1.0
