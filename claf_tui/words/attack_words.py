"""How an attack's radius is written, and the warning where a figure is not accuracy in an epsilon-ball. Pure functions.

A figure of the released code's space looks like one of pixel space but means something else, so it never stands alone.
Nor does one that any point of an attack decides: most papers judge the last.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from claf_engine.events import RobustFigure
from claf_engine.terms.pixels import format_levels
from claf_engine.terms.reach import written_reach
from claf_tui.words.safe_text import safe

PIXEL, LINF = "pixel", "linf"
NORM_NAMES = {LINF: "", "l2": "L2", "l1": "L1"}
NO_BALL = "(no ball)"
UNION = "all of these"
"""What the worst case over balls of several norms is called."""
DOUBTED = "!"
"""Marks a figure that cannot be right; a sentence nearby says why."""
MAX_NOTICE = 400
LAST, ANY, OWN = "last", "any", "own"
ANY_POINT = "(any point)"
DECIDING = {
    LAST: "the last point of the attack",
    ANY: "any point of the attack, from its start on",
    OWN: "the worst point that the attack found",
}


def radius(figure: RobustFigure) -> str:
    """Write epsilon with its norm and marks; Linf, the last point and a ball go without saying: "8/255 (no ball)"."""
    return radius_text(figure.epsilon, figure.norm, figure.space, figure.decides, figure.notice)


def ball_radius(figure: RobustFigure) -> str:
    """Write epsilon with its norm alone, for places whose title carries the warning."""
    return radius_text(figure.epsilon, figure.norm, PIXEL, figure.decides)


def marked_radius(figure: RobustFigure) -> str:
    """The same as `ball_radius`, with a mark where the figure cannot be right."""
    return radius_text(figure.epsilon, figure.norm, PIXEL, figure.decides, figure.notice)


def radius_text(epsilon: object, norm: object, space: object, decides: object = LAST, notice: object = "") -> str:
    """Write a radius from the words that describe it; one whose figure cannot be right is marked: "16/255 !"."""
    name = NORM_NAMES.get(str(norm), safe(norm, 8))
    marks = (ANY_POINT if decides == ANY else "", "" if space == PIXEL else NO_BALL, DOUBTED if notice else "")
    return " ".join(filter(None, (name, safe(epsilon, 12), *marks)))


def notice_of(figure: Mapping[str, Any]) -> str:
    """Why a figure in a record cannot be right; one of earlier code says nothing of it, and its steps are looked at."""
    if "notice" in figure:
        return safe(figure["notice"], MAX_NOTICE)
    return written_reach(*(figure.get(name) for name in ("attack", "epsilon", "steps", "step_size")))


def recorded_notices(robust: Iterable[Mapping[str, Any]]) -> list[str]:
    """The same of several, each sentence once."""
    return list(dict.fromkeys(filter(None, map(notice_of, robust))))


def deciding_text(decides: object) -> str:
    """Say which point of an attack decided; a figure that says nothing is of the last one."""
    return DECIDING.get(str(decides), safe(decides, 20))


def notices(robust: Iterable[RobustFigure]) -> list[str]:
    """Why figures cannot be right, each sentence once."""
    return list(dict.fromkeys(safe(figure.notice, MAX_NOTICE) for figure in robust if figure.notice))


def caveat(robust: Iterable[RobustFigure]) -> str:
    """Say that figures are not accuracy in a ball, and how far images were moved; empty where they are."""
    outside = [figure for figure in robust if not figure.is_in_a_ball]
    if not outside:
        return ""
    distances = [figure.largest_distance for figure in outside if figure.largest_distance is not None]
    return caveat_text(outside[0].space, max(distances, default=None))


def caveat_text(space: object, largest_distance: float | None) -> str:
    """The same from the name of the space and the largest Linf distance in pixel space, if it is known."""
    moved = "" if largest_distance is None else f", moved up to {format_levels(largest_distance)}"
    return f"{safe(space, 20)}: not an ε-ball{moved}"


def training_caveat(config: Mapping[str, Any]) -> str:
    """The same for accuracies under the attack of training, from a run's settings; empty in pixel space."""
    attack = config.get("attack")
    space = attack.get("space", PIXEL) if isinstance(attack, Mapping) else PIXEL
    return "" if space == PIXEL else caveat_text(space, None)
