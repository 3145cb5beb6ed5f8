"""A robustness curve for a person: a chart, and tables of radii, classes and confusions. Pure, no Textual."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from claf_engine.accuracy.curve import Confusion, Curve
from claf_engine.terms.pixels import LONGEST, USUAL_RADII, parse_distance
from claf_tui.charts.plot import ChartLine, ChartOptions, Row, plot
from claf_tui.reports.fitted_table import FittedTable
from claf_tui.state.series import Series
from claf_tui.words import figures
from claf_tui.words.attack_words import LAST, NO_BALL, PIXEL, radius_text
from claf_tui.words.safe_text import safe

ALL_COLOR, WORST_COLOR = "#56b4e9", "#e69f00"
WIDEST_CHART, CHART_HEIGHT = 110, 16
NUM_RADII = 4
"""Radii that the table of classes has room for."""
NUM_CLASSES = 20
"""Classes that are shown at most, the worst ones; JSON has all."""
NUM_CONFUSIONS = 3
NAME_ROOM = 16

MONOTONE = (
    "a ball contains the smaller ones, so an example broken at one radius counts as broken at all larger ones and only "
    "survivors are attacked again: each accuracy is the worst case so far, and the curve never rises"
)
NOT_MONOTONE = (
    "without a ball nothing carries over: every example is attacked at every radius, and the curve may rise; broken "
    "here means misclassified at this radius first"
)
BOUNDS = (
    "smallest perturbations are upper bounds, among the radii that were tested; misclassified unattacked counts as 0"
)
RADII_HEADINGS = (
    "epsilon",
    "accuracy",
    "worst class",
    "broken here",
    "share",
    "attacked",
    "steps",
    "step size",
    "moved",
)


def curve_tables(record: Mapping[str, Any]) -> list[RenderableType]:
    """The curve of an evaluation's record: figures by radius, chart, classes, confusions, and what they mean.

    Raises:
        CurveError: the record has no curve that can be read.
    """
    curve = Curve.from_record(record["curve"])
    number = claim_number(curve)
    sentences = [quartile_sentence(curve), BOUNDS, MONOTONE if curve.is_epsilon_ball else NOT_MONOTONE]
    return [
        radii_table(curve, record.get("robust") or ()),
        CurveChart(curve),
        Text(f"accuracy of every class, natural and at each radius{_mark(curve)}"),
        class_table(curve, number),
        ConfusionTable(curve, number),
        Text(confusion_sentence(curve, number)),
        *(Text(sentence, style="dim" if index else "") for index, sentence in enumerate(sentences)),
    ]


def claim_number(curve: Curve) -> int:
    """The point that classes are shown at: at the usual radius of the norm, else at the largest."""
    radii = [point.epsilon for point in curve.points]
    claim = USUAL_RADII.get(curve.norm)
    return radii.index(claim) if claim in radii else len(radii) - 1


def curve_chart(curve: Curve, width: int, height: int) -> list[Row]:
    """Draw accuracy over epsilon, of all classes and of the worst one at each radius, as spans of styled text.

    In pixel space both begin with natural accuracy, which is what a radius of 0 gives.
    """
    levels = [float(255 * parse_distance(point.epsilon, LONGEST)) for point in curve.points]
    overall = [point.robust_accuracy for point in curve.points]
    worst = [curve.worst_class(number).robust[number] or 0.0 for number in range(len(curve.points))]
    marks = list(zip(levels, (point.epsilon for point in curve.points), strict=True))
    if curve.is_epsilon_ball and levels[0] > 0:
        levels, marks = [0.0, *levels], [(0.0, "0"), *marks]
        overall = [curve.natural_accuracy, *overall]
        worst = [min(item.natural for item in curve.classes if item.natural is not None), *worst]
    lines = [
        ChartLine(f"all classes{_mark(curve)}", ALL_COLOR, _series(levels, overall)),
        ChartLine("worst class, below", WORST_COLOR, _series(levels, worst)),
    ]
    return plot(lines, width, height, ChartOptions(is_percent=True, x_name="ε", x_marks=tuple(marks))).rows


@dataclass(frozen=True)
class CurveChart:
    """The chart as wide as the terminal, up to `WIDEST_CHART`."""

    curve: Curve

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it."""
        for row in curve_chart(self.curve, min(options.max_width, WIDEST_CHART), CHART_HEIGHT):
            yield Text.assemble(
                *((text, style if style.startswith("#") else "dim") for text, style in row), no_wrap=True
            )
        yield Text("")


def radii_table(curve: Curve, robust: Sequence[Mapping[str, Any]] = ()) -> FittedTable:
    """Accuracy, worst class and the examples that break first, at each radius.

    Args:
        curve: the curve.
        robust: the figure of each point as a JSON object, for its step size and distances, where they are known.
    """
    minimal, total = curve.minimal, curve.num_examples
    has_steps = len({figure.get("steps") for figure in robust}) > 1
    # A single step of epsilon needs no column.
    has_step_sizes = len({str(figure.get("step_size")) for figure in robust}) > 1 and any(
        figure.get("step_size") != figure.get("epsilon") for figure in robust
    )
    worst = min((item for item in curve.classes if item.natural is not None), key=lambda item: item.natural or 0.0)
    rows = [
        ("natural", figures.percent(curve.natural_accuracy), _named(worst.name, worst.natural))
        + _counted(minimal.unattacked, total)
        + ("", "", "", "")
    ]
    for number, point in enumerate(curve.points):
        worst, figure = curve.worst_class(number), robust[number] if number < len(robust) else {}
        moved = figure.get("largest_distance")
        rows.append(
            (
                _radius(curve, number),
                figures.percent(point.robust_accuracy),
                _named(worst.name, worst.robust[number]),
                *_counted(minimal.broken[number], total),
                figures.count(point.num_attacked),
                safe(figure.get("steps", ""), 12) if has_steps else "",
                safe(figure.get("step_size", ""), 12) if has_step_sizes else "",
                figures.levels(moved) if isinstance(moved, float) and point.num_attacked else "",
            )
        )
    rows.append(("survive", "", "", *_counted(minimal.survivors, total), "", "", "", ""))
    kept = [column for column in range(len(RADII_HEADINGS)) if any(row[column] for row in rows)]
    return FittedTable(
        tuple(RADII_HEADINGS[column] for column in kept),
        [tuple(Text(row[column]) for column in kept) for row in rows],
        optional=tuple(
            name for name in ("steps", "step size", "attacked", "moved") if RADII_HEADINGS.index(name) in kept
        ),
    )


def class_table(curve: Curve, number: int) -> FittedTable:
    """Natural and robust accuracy of every class at a few radii, the worst class at point `number` marked."""
    radii, worst = _few_radii(curve, number), curve.worst_class(number)
    ordered = sorted(range(len(curve.classes)), key=lambda index: _or_one(curve.classes[index].robust[number]))
    shown = sorted(ordered[:NUM_CLASSES])
    claim, rows = _radius(curve, number, PIXEL), []
    for item in (curve.classes[index] for index in shown):
        cells = [safe(item.name, NAME_ROOM), figures.count(item.num_examples), figures.percent(item.natural)]
        cells += [figures.percent(item.robust[radius]) for radius in radii]
        style = "bold yellow" if item is worst else ""
        rows.append(tuple(Text(cell, style=style) for cell in (*cells, f"worst at {claim}" if item is worst else "")))
    headings = [_radius(curve, radius, PIXEL) for radius in radii]
    captions = [f"the {NUM_CLASSES} worst of {len(curve.classes)} classes"] * (len(curve.classes) > NUM_CLASSES)
    captions += [f"{len(radii)} of {len(curve.points)} radii"] * (len(radii) < len(curve.points))
    left_out = (Text(f"{' at '.join(captions)}; --json has all", style="dim"),) if captions else ()
    optional = tuple(heading for heading in headings if heading != claim)
    return FittedTable(("class", "images", "natural", *headings, ""), rows, optional, captions=left_out)


@dataclass(frozen=True)
class ConfusionTable:
    """What the examples of every class are taken for at point `number`: names over the columns where there is room."""

    curve: Curve
    number: int

    def __rich_console__(self, _: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it, or say where it can be had."""
        radius = _radius(self.curve, self.number)
        yield Text(f"confusion at {radius}: rows are true classes, columns predicted ones")
        names = [safe(name, NAME_ROOM) for name in self.curve.class_names]
        for is_named in (len(set(names)) == len(names), False):
            table = self._table(names, is_named=is_named)
            if table.least_width(()) <= options.max_width and len(names) <= NUM_CLASSES:
                yield table
                return
        yield Text(f"  {len(names)} classes have no room here; --json has all", style="dim")

    def _table(self, names: list[str], *, is_named: bool) -> FittedTable:
        rows = []
        for index, counts in enumerate(self.curve.points[self.number].confusion):
            cells = [Text(figures.count(count) if count else "·") for count in counts]
            cells[index].stylize("bold")
            rows.append((Text(names[index] if is_named else f"{index} {names[index]}"), *cells))
        return FittedTable(("", *(names if is_named else map(str, range(len(names))))), rows)


def confusion_sentence(curve: Curve, number: int) -> str:
    """Name the most frequent confusions at point `number`."""
    confusion, names = curve.points[number].confusion, [safe(name, NAME_ROOM) for name in curve.class_names]
    found = _confusions(confusion)[:NUM_CONFUSIONS]
    if not found:
        return "no class is taken for another"
    said = [
        f"{names[true]} for {names[taken]} {figures.count(count)} ({figures.percent(count / sum(confusion[true]), 0)})"
        for count, true, taken in found
    ]
    return f"most often mistaken: {', '.join(said)}"


def quartile_sentence(curve: Curve) -> str:
    """Say how large a perturbation a quarter, a half and three quarters of the examples need."""
    last = _radius(curve, -1)
    radii = {point.epsilon: _radius(curve, number) for number, point in enumerate(curve.points)}
    needs = []
    for quarter, share in ((1, "a quarter"), (2, "half"), (3, "three quarters")):
        radius = curve.minimal.quartile(quarter)
        reached = f"beyond {last}" if radius is None else f"at {radii.get(radius, radius)}"
        needs.append(f"{share} {reached}")
    return f"examples are misclassified: {', '.join(needs)}"


def _confusions(confusion: Confusion) -> list[tuple[int, int, int]]:
    """Counts off the diagonal with their row and column, the largest first, then in the order of the classes."""
    found = [
        (count, true, taken)
        for true, row in enumerate(confusion)
        for taken, count in enumerate(row)
        if count and true != taken
    ]
    return sorted(found, key=lambda item: (-item[0], item[1:]))


def _few_radii(curve: Curve, always: int) -> list[int]:
    """At most `NUM_RADII` points spread over the curve, among them the last one and `always`.

    In a ball of radius 0 accuracy is natural accuracy, which needs no column of its own.
    """
    numbers = [number for number, point in enumerate(curve.points) if parse_distance(point.epsilon, LONGEST) > 0]
    numbers = numbers if numbers and curve.is_epsilon_ball else list(range(len(curve.points)))
    if len(numbers) <= NUM_RADII:
        return numbers
    gaps = NUM_RADII - 1
    spread = [numbers[round(gap * (len(numbers) - 1) / gaps)] for gap in range(gaps + 1)]
    if always not in spread:
        nearest = min(range(gaps), key=lambda place: abs(spread[place] - always))
        spread[nearest] = always
    return sorted(spread)


def _radius(curve: Curve, number: int, space: str | None = None) -> str:
    """Write the radius of a point, marked where its accuracy cannot be right; `space` is the curve's own by default."""
    point = curve.points[number]
    return radius_text(point.epsilon, curve.norm, curve.space if space is None else space, LAST, point.notice)


def _mark(curve: Curve) -> str:
    return "" if curve.is_epsilon_ball else f" {NO_BALL}"


def _series(levels: Sequence[float], values: Sequence[float]) -> Series:
    series = Series()
    for level, value in zip(levels, values, strict=True):
        series = series.append(level, value)
    return series


def _named(name: str, accuracy: float | None) -> str:
    return f"{safe(name, NAME_ROOM)} {figures.percent(accuracy)}"


def _counted(count: int, total: int) -> tuple[str, str]:
    return figures.count(count), figures.percent(count / total)


def _or_one(accuracy: float | None) -> float:
    """Classes without an example come last."""
    return 2.0 if accuracy is None else accuracy
