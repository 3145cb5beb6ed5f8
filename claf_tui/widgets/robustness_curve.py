"""Accuracy over the radius of the attack, as the chart of a card or of an evaluation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from claf_engine.terms.pixels import LONGEST, parse_distance
from claf_tui.charts.plot import ChartLine, ChartOptions
from claf_tui.state.series import Series
from claf_tui.widgets.chart import PALETTE, Chart
from claf_tui.widgets.verdicts import is_number, share_of
from claf_tui.words.attack_words import LAST, LINF, PIXEL, radius_text
from claf_tui.words.safe_text import safe

LEAST_RADII = 3
"""Radii from which on figures are drawn as a curve; fewer are read faster as numbers."""
LARGEST_LEVEL = 32.0
"""Levels of 255 beyond which an audit's sweep is left out of the drawing: accuracy has long fallen by then."""


@dataclass(frozen=True)
class CurveLines:
    """Curves with the marks of their horizontal axis, which has levels of 255; `title` says what is drawn."""

    title: str
    lines: tuple[ChartLine, ...]
    marks: tuple[tuple[float, str], ...]


class RobustnessCurve(Chart):
    """The chart of a `CurveLines`."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__("", ChartOptions(is_percent=True, x_name="ε"), id=id)

    def show_curve(self, curve: CurveLines) -> None:
        """Draw this from now on."""
        self._options = replace(self._options, x_marks=curve.marks)
        self.show(curve.lines)
        self._redraw()


def curve_of(record: Mapping[str, Any]) -> CurveLines | None:
    """The curve of an evaluation, or of a card: its own, or that of its attacks at several radii.

    Returns:
        None where there are too few radii, or where the record is not what we write.
    """
    try:
        if isinstance(record.get("curve"), Mapping):
            return _measured(record["curve"])
        return _of_attacks(record)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def _measured(curve: Mapping[str, Any]) -> CurveLines | None:
    natural = share_of(curve["natural"])
    overall = [(_level(item["epsilon"]), _marked(item), item["robust_accuracy"]) for item in curve["points"]]
    worst = [item["worst_class"]["robust_accuracy"] for item in curve["points"]]
    starts_at_zero = overall[0][0] == 0 or not curve["is_epsilon_ball"] or natural is None
    first = [] if starts_at_zero else [(0.0, "0", natural)]
    levels, labels, accuracies = zip(*first, *overall, strict=True)
    lines = (
        ChartLine("all classes", PALETTE[0], _series(levels, accuracies)),
        ChartLine("worst class", PALETTE[1], _series([item[0] for item in overall], worst)),
    )
    title = f"accuracy over ε, {safe(str(curve['attack']).upper(), 20)}"
    return CurveLines(title, lines, tuple(zip(levels, labels, strict=True))) if len(overall) >= LEAST_RADII else None


def _of_attacks(card: Mapping[str, Any]) -> CurveLines | None:
    """The lowest accuracy at each radius, from natural accuracy on."""
    lowest: dict[float, tuple[str, float]] = {}
    for item in card["attacks"]:
        epsilon, accuracy = item.get("epsilon"), item["robust_accuracy"]
        if epsilon is None or item.get("norm") != "linf" or not is_number(accuracy):
            continue
        level = _level(epsilon)
        if level <= LARGEST_LEVEL and (level not in lowest or accuracy < lowest[level][1]):
            lowest[level] = _marked(item), float(accuracy)
    natural = share_of(card["natural"])
    if len(lowest) < LEAST_RADII or natural is None:
        return None
    levels = sorted({0.0, *lowest})
    named = {0.0: ("0", natural), **lowest}
    line = ChartLine("lowest accuracy", PALETTE[0], _series(levels, [named[level][1] for level in levels]))
    title = f"accuracy over ε, up to {named[levels[-1]][0]}"
    return CurveLines(title, (line,), tuple((level, named[level][0]) for level in levels))


def _marked(item: Mapping[str, Any]) -> str:
    """The radius of a figure, marked where it cannot be right."""
    return radius_text(item["epsilon"], LINF, PIXEL, LAST, item.get("notice"))


def _level(epsilon: object) -> float:
    return float(255 * parse_distance(str(epsilon), LONGEST))


def _series(levels: Sequence[float], accuracies: Sequence[object]) -> Series:
    series = Series()
    for level, accuracy in zip(levels, accuracies, strict=True):
        series = series.append(level, float(accuracy) if isinstance(accuracy, int | float) else float("nan"))
    return series
