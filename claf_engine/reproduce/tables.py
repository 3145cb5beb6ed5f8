"""The tables of the paper, and one of our own: what each row is trained with, what is measured, what the paper printed.

Figures are from arXiv 2203.08959v2, Tables 1 to 6; Figure 1 draws those of Table 1.
"""

import math
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Literal

from claf_engine.models.network import ADVERSARIAL, NATURAL
from claf_engine.terms.names import RecipeName, SpaceName, TableName
from claf_engine.terms.pixels import format_distance

STEP_SIZE = Fraction(2, 255)
"""Of every attack in the paper (section 4.1)."""
CROSSINGS = Fraction(5, 2)
"""How often the steps of a stronger attack reach across its ball: 20 of 2/255 at 8/255, 40 at 16/255."""
AUTOATTACK_RADIUS = Fraction(8, 255)

SPACE_WORDS: dict[SpaceName, str] = {"pixel": "pixels", "released-code": "the released code's space"}


@dataclass(frozen=True)
class Column:
    """One attack of a table, Linf; PGD has one random start, and its last point decides.

    Attributes:
        steps: of PGD; AutoAttack has its own.
        epsilon: radius.
        step_size: of PGD.
        space: where the attack lives.
        attack: pgd or autoattack.
        num_examples: the first so many test images; None is all.
        tells_space: the title names the space, because other columns of the table are of another one.
    """

    steps: int
    epsilon: Fraction
    step_size: Fraction = STEP_SIZE
    space: SpaceName = "pixel"
    attack: Literal["pgd", "autoattack"] = "pgd"
    num_examples: int | None = None
    tells_space: bool = field(default=False, compare=False)

    @property
    def title(self) -> str:
        """For a person: "PGD-10 at 8/255"; "PGD-20 at 8/255 in pixels" beside columns of another space."""
        name = "AutoAttack" if self.attack == "autoattack" else f"PGD-{self.steps}"
        space = f" in {SPACE_WORDS[self.space]}" if self.tells_space else ""
        return f"{name} at {format_distance(self.epsilon)}{space}"


@dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        label: as the paper names it, where the row is one of its.
        recipe: what it is trained with.
        natural: the paper's accuracy on natural images, in [0, 1]; None where the table gives none.
        robust: the paper's robust accuracies, for the first columns; none in a row of our own.
        changes: settings that differ from the recipe, by dotted key.
        classifier: the one that the row is about, of the last state; None leaves checkpoint and classifier to the
            robust accuracy on validation images.
        note: what a reader must know about the paper's figures.
    """

    label: str
    recipe: RecipeName
    natural: float | None
    robust: tuple[float, ...]
    changes: tuple[tuple[str, Any], ...] = ()
    classifier: str | None = None
    note: str = ""


@dataclass(frozen=True)
class Table:
    """One table, or figure, of the paper; or one of our own, whose rows have no figures of the paper."""

    name: TableName
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


def columns_of(table: Table, space: SpaceName, num_autoattacked: int) -> tuple[Column, ...]:
    """The attacks that rows of a table are measured under.

    First come the table's own, in the space that is asked for. Beside them, always in the pixel ball, stand attacks
    whose steps cross it, at each of the table's radii, and AutoAttack.

    Args:
        table: which one.
        space: of the table's own attacks.
        num_autoattacked: test images under AutoAttack; 0 leaves it out.
    """
    own = tuple(replace(column, space=space) for column in table.columns)
    strong = [Column(thorough_steps(epsilon), epsilon) for epsilon in dict.fromkeys(item.epsilon for item in own)]
    if num_autoattacked:
        strong.append(Column(0, AUTOATTACK_RADIUS, attack="autoattack", num_examples=num_autoattacked))
    more = (replace(column, tells_space=space != "pixel") for column in strong)
    return (*own, *(column for column in more if column not in own))


def thorough_steps(epsilon: Fraction) -> int:
    """So many steps of the paper's length cross a ball several times, see `CROSSINGS`."""
    return math.ceil(CROSSINGS * 2 * epsilon / STEP_SIZE)


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
    table.name: table for table in (TABLE1, TABLE2, TABLE3, TABLE4, TABLE5, TABLE6, FIGURE1, ROBUST)
}
