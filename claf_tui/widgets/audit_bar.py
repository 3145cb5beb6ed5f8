"""The first lines of an audit: what is audited, how far it is, and the figures that it comes to."""

from collections.abc import Mapping
from typing import Any

from textual.content import Content
from textual.widget import Widget

from claf_tui.state.audit import AuditScene, Row, counts, rows
from claf_tui.widgets.chart import PALETTE, robust_color
from claf_tui.widgets.glyphs import bar, fit, spinner, spread
from claf_tui.widgets.status_bar import WORD_STYLES
from claf_tui.widgets.verdicts import DIM, badge, figure_line, glyph, word
from claf_tui.words import attack_words, figures
from claf_tui.words.safe_text import safe

SEGMENT = {"passes": "━", "warns": "━", "fails": "━", "not-run": "╌"}


class AuditBar(Widget):
    """Four lines: title, progress, and either what is being done or the figures."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._scene = AuditScene()

    def show(self, scene: AuditScene) -> None:
        """Show this scene from now on."""
        self._scene = scene
        self.refresh()

    def render(self) -> Content:
        """Draw the lines."""
        return Content("\n").join(bar_lines(self._scene, self.size.width))


def bar_lines(scene: AuditScene, width: int) -> list[Content]:
    """Write exactly four lines of at most `width` cells."""
    below = figure_lines(scene.card, width) if scene.card is not None else activity_lines(scene, width)
    lines = [title_line(scene, width), progress_line(scene, width), *below]
    return [fit([line], width) for line in lines]


def title_line(scene: AuditScene, width: int) -> Content:
    """Write the status word, the verdict once there is one, what is audited, and the clock."""
    status = scene.moment.word
    mark = Content.styled(f" {status} ", WORD_STYLES.get(status, OTHER))
    clock = Content.styled(f"{figures.duration(scene.moment.waited)} ", DIM)
    if scene.card is None:
        about = Content.styled(f" {safe(scene.command, 200)}", DIM)
        return spread(fit([Content.assemble(mark, NAME, about)], width - clock.cell_length - 1), clock, width)
    verdict = str(scene.card.get("verdict"))
    mark = badge(f"AUDIT {word(verdict).upper()}", verdict)
    facts = subject_facts(scene.card)
    options = [Content.assemble(mark, *facts[:count]) for count in range(len(facts), -1, -1)]
    return spread(fit(options, width - clock.cell_length - 1), clock, width)


NAME = (" claf-tui audit ", "bold $primary")
OTHER = "bold $background on $warning"


def subject_facts(card: Mapping[str, Any]) -> list[Content]:
    """What a card is about, the most important first: whether its figures are of a ball, and whose they are."""
    space = card.get("space", attack_words.PIXEL)
    warning = [] if space == attack_words.PIXEL else [_warning(attack_words.caveat_text(space, None))]
    named = [f" {safe(card.get('run', ''), 40)}", f" · {safe(card.get('classifier', ''), 20)} classifier"]
    budget = f" · {safe(card['budget'], 10)} budget" if card.get("budget") else ""
    data = f" · {safe(card.get('data', ''), 40)}" if card.get("data") else ""
    styles = ("bold $primary", "$foreground", DIM, DIM)
    words = zip((*named, budget, data), styles, strict=True)
    return [*warning, *(Content.styled(text, style) for text, style in words if text)]


def _warning(text: str) -> Content:
    return Content.assemble(" ", Content.styled(f" {text} ", OTHER))


def progress_line(scene: AuditScene, width: int) -> Content:
    """One segment for each diagnostic in the colour of its verdict, between its number and the counts."""
    listed = rows(scene)
    done = f" {len(scene.found)} of {scene.num_checks} " if scene.num_checks else " "
    tally = tally_text(listed)
    room = width - len(done) - tally.cell_length - 1
    if room < max(10, len(listed)):
        return spread(Content.styled(done, "bold $foreground"), tally, width)
    return Content.assemble((done, "bold $foreground"), segments(scene, listed, room), " ", tally)


def segments(scene: AuditScene, listed: list[Row], width: int) -> Content:
    """Draw the diagnostics as parts of one bar of exactly `width` cells."""
    if not listed:
        return Content.styled("─" * width, "$foreground 25%")
    num = len(listed)
    gap = 1 if width >= 3 * num else 0
    cells = width - gap * (num - 1)
    parts = []
    for index, row in enumerate(listed):
        room = cells * (index + 1) // num - cells * index // num
        share = scene.activity.activity_fraction if scene.activity and row.status == "running" else 0.0
        drawn = SEGMENT.get(row.status)
        parts.append(bar(share, room) if drawn is None else Content.styled(drawn * room, glyph(row.status)[1]))
    return Content(" " * gap).join(parts)


def tally_text(listed: list[Row]) -> Content:
    """Count the verdicts: a glyph, a number and a word for each."""
    parts = []
    for status, number in counts(listed).items():
        if status in {"running", "waiting"}:
            continue
        sign, style = glyph(status)
        parts.append(Content.styled(f"{sign} {number} {word(status)}", style))
    return Content.assemble(Content("  ").join(parts), " ")


def activity_lines(scene: AuditScene, width: int) -> list[Content]:
    """Two lines: what is being done, or how it ended without a card and how it goes on."""
    if scene.has_ended:
        why = scene.reason or "stopped; what is finished is kept, and the same command goes on from there"
        style = "bold $error" if scene.reason else "$foreground"
        following = Content.assemble((" next: ", DIM), (safe(scene.command, 300), "bold $accent"))
        return [Content.styled(f" {safe(why, 400)}", style), following]
    if scene.moment.word == "PAUSED":
        return [Content.styled(" ‖ paused · space goes on, nothing is lost", "bold $warning"), Content("")]
    sign = (f" {spinner(scene.moment.frame)} ", "$accent")
    if scene.activity is None:
        text = f"loading torch, the checkpoint and its images · {scene.moment.waited:.0f} s"
        return [Content.assemble(sign, (text, "$foreground")), Content("")]
    waiting = {"PAUSING": "pausing: ", "STOPPING": "stopping: "}.get(scene.moment.word, "")
    left = Content.assemble(sign, (waiting, "bold $warning"), (safe(scene.activity.activity, 100), "$foreground"))
    share = Content.styled(f" {100 * scene.activity.activity_fraction:3.0f}% ", "bold $foreground")
    room = width - left.cell_length - share.cell_length - 2
    line = Content.assemble(left, "  ", bar(scene.activity.activity_fraction, min(40, room), "$secondary"), share)
    hint = " worst case per example and its interval follow when every diagnostic is in"
    return [line if room >= 8 else left, Content.styled(hint, DIM)]


def figure_lines(card: Mapping[str, Any], width: int) -> list[Content]:
    """Two lines: natural accuracy and the worst case, each with its interval; a warning where there is no ball."""
    natural, worst = card.get("natural"), card.get("worst_case")
    natural = natural if isinstance(natural, Mapping) else {}
    worst = worst if isinstance(worst, Mapping) else {}
    images = card.get("num_examples")
    of = f"{figures.count(images)} test images" if isinstance(images, int) else ""
    return [
        figure_line("natural", natural, width, PALETTE[0], of),
        figure_line("worst case", worst, width, robust_color(0), worst_text(card, worst)),
    ]


def worst_text(card: Mapping[str, Any], worst: Mapping[str, Any]) -> str:
    """What a worst case is of: radius, number of attacks, and whether it is taken for each example."""
    space = worst.get("space", card.get("space", attack_words.PIXEL))
    norm = worst.get("norm", card.get("norm", attack_words.LINF))
    decides = worst.get("decides", attack_words.LAST)
    radius = attack_words.radius_text(
        worst.get("epsilon", card.get("epsilon", "")), norm, space, decides, worst.get("notice")
    )
    number = worst.get("num_attacks")
    attacks = f", {number} attack{'' if number == 1 else 's'}" if isinstance(number, int) else ""
    per_example = ", per example" if worst.get("is_per_example") else ""
    return f"at {radius}{attacks}{per_example}"
