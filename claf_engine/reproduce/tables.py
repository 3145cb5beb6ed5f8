"""The tables of the paper, and one of our own: what each row is trained with, what is measured, what the paper printed.

Figures are from arXiv 2203.08959v2, Tables 1 to 6; Figure 1 draws those of Table 1.
"""

from dataclasses import replace
from fractions import Fraction
from typing import Any

from claf_engine.models.network import ADVERSARIAL, NATURAL
from claf_engine.reproduce.related import RELATED
from claf_engine.reproduce.rows import Column, Row, Table

TWO_RADII = (Column(10, Fraction(8, 255)), Column(10, Fraction(16, 255)))
MORE_STEPS = tuple(Column(steps, Fraction(8, 255)) for steps in (20, 40, 100))
UNKNOWN_SPACE = "the paper does not say in which space this row was attacked; its released code holds no baseline"
RELEASED_SPACE = "the released code attacks normalised, clamped images: the paper's figure is of no epsilon-ball"
COPIED = "copied from the RoCL paper: PGD-20 of step epsilon/10 in pixel space, so not comparable with the other rows"


def _claf(label: str, natural: float | None, robust: tuple[float, ...], **more: Any) -> Row:
    return Row(label, "claf", natural, robust, note=RELEASED_SPACE, **more)


TABLE1 = Table(
    "table1",
    "Natural and robust accuracy of every method",
    TWO_RADII,
    (
        Row("Natural", "natural", 0.955, (0.0, 0.0), classifier=NATURAL, note=UNKNOWN_SPACE),
        Row("SCL", "scl", 0.926, (0.183, 0.091), classifier=NATURAL, note=UNKNOWN_SPACE),
        Row("AT", "at", 0.848, (0.447, 0.259), note=UNKNOWN_SPACE),
        Row("TRADES", "trades", 0.837, (0.514, 0.343), note=UNKNOWN_SPACE),
        Row("RoCL-AT", "rocl-at", 0.802, (0.407, 0.228), note=COPIED),
        _claf("CLAF", 0.924, (0.604, 0.483)),
    ),
)
TABLE2 = Table(
    "table2",
    "Attack classifier trained on natural or on adversarial images",
    TWO_RADII,
    (
        _claf("Natural", 0.923, (0.561, 0.475), changes=(("adversarial.classifier_images", "natural"),)),
        _claf("Adversarial", 0.924, (0.604, 0.483)),
    ),
)
TABLE3 = Table("table3", "CLAF attacked with more steps", MORE_STEPS, (_claf("CLAF", None, (0.6012, 0.6005, 0.6003)),))
TABLE4 = Table(
    "table4",
    "Linear evaluation on natural or on adversarial images",
    TWO_RADII,
    (
        _claf("Natural", 0.924, (0.604, 0.483), classifier=NATURAL),
        _claf("Adversarial", 0.819, (0.507, 0.365), classifier=ADVERSARIAL),
    ),
)
TABLE5 = Table(
    "table5",
    "Attack classifier reinitialised before each retraining, or continued",
    TWO_RADII,
    (
        _claf("Reinitialised", 0.922, (0.608, 0.495), changes=(("adversarial.classifier_start", "reinitialise"),)),
        _claf("Continuous", 0.924, (0.604, 0.483)),
    ),
)
TABLE6 = Table(
    "table6",
    "Linear evaluation from scratch, or from the attack classifier",
    TWO_RADII,
    (
        _claf("Reinitialised", 0.924, (0.604, 0.483), classifier=NATURAL),
        _claf(
            "Continued classifier c",
            0.924,
            (0.609, 0.483),
            changes=(("linear_evaluation.start", "attack"),),
            classifier=NATURAL,
        ),
    ),
)
WITH_CONTRAST, WITHOUT_CONTRAST = "Robust, with contrast", "Robust, without contrast"
ROBUST = Table(
    "robust",
    "The recipe of preset robust beside AT, TRADES and CLAF",
    TWO_RADII,
    (
        Row("AT", "at", None, ()),
        Row("TRADES", "trades", None, ()),
        Row("CLAF", "claf", None, ()),
        Row(WITHOUT_CONTRAST, "robust", None, (), changes=(("objective.contrast_weight", 0.0),)),
        Row(WITH_CONTRAST, "robust", None, (), changes=(("objective.contrast_weight", 0.15),)),
    ),
)
"""Whichever of the two the preset is, the other one stands beside it: so one sees what the contrastive term adds."""
FIGURE1 = replace(TABLE1, name="figure1", title="Natural and robust accuracy of every method, as a bar chart")

TABLES: dict[str, Table] = {
    table.name: table for table in (TABLE1, TABLE2, TABLE3, TABLE4, TABLE5, TABLE6, FIGURE1, ROBUST, RELATED)
}
