"""What a table is made of: columns are attacks, rows what is trained and what stands before it when it is measured."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Literal

from claf_engine.terms.names import PointName, RecipeName, SpaceName, TableName
from claf_engine.terms.pixels import format_distance

STEP_SIZE = Fraction(2, 255)
"""Of every attack in the paper (section 4.1)."""
CROSSINGS = Fraction(5, 2)
"""How often the steps of a stronger attack reach across its ball: 20 of 2/255 at 8/255, 40 at 16/255."""
AUTOATTACK_RADIUS = Fraction(8, 255)

SPACE_WORDS: dict[SpaceName, str] = {"pixel": "pixels", "released-code": "the released code's space"}

Knowledge = Literal["", "oblivious", "adaptive"]


@dataclass(frozen=True)
class Column:
    """One attack of a table, Linf.

    Attributes:
        steps: of PGD; AutoAttack has its own.
        epsilon: radius.
        step_size: of PGD; None is what crosses the ball.
        space: where the attack lives.
        attack: pgd or autoattack; or worst, the images that stand against all other columns of the row.
        num_examples: the first so many test images; None is all.
        tells_space: the title names the space, because other columns of the table are of another one.
        restarts: of PGD; an image stands only if it does in each.
        decides: the last point of each restart, or any.
        knowledge: of what stands before the network: an oblivious attacker climbs the network alone; "" is adaptive
            too, and the title does not say so.
    """

    steps: int
    epsilon: Fraction
    step_size: Fraction | None = STEP_SIZE
    space: SpaceName = "pixel"
    attack: Literal["pgd", "autoattack", "worst"] = "pgd"
    num_examples: int | None = None
    tells_space: bool = field(default=False, compare=False)
    restarts: int = 1
    decides: PointName = "last"
    knowledge: Knowledge = ""

    @property
    def title(self) -> str:
        """For a person: "PGD-10 at 8/255"; "PGD-20 at 8/255 in pixels" beside columns of another space."""
        names = {"pgd": self.knowledge or f"PGD-{self.steps}", "autoattack": "AutoAttack", "worst": "worst case"}
        space = f" in {SPACE_WORDS[self.space]}" if self.tells_space else ""
        return f"{names[self.attack]} at {format_distance(self.epsilon)}{space}"


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
        note: what a reader must know about the row's figures, or the paper's.
        system: what stands before the network when it is measured, such as "bit-depth:4" (see `systems.SYSTEMS`).
    """

    label: str
    recipe: RecipeName
    natural: float | None = None
    robust: tuple[float, ...] = ()
    changes: tuple[tuple[str, Any], ...] = ()
    classifier: str | None = None
    note: str = ""
    system: str = ""


@dataclass(frozen=True)
class Table:
    """One table, or figure, of the paper; or one of our own, whose rows have no figures of the paper.

    Attributes:
        columns: those that are drawn as bars, before those that `columns_of` adds.
        legend: what a reader must know of the columns.
        is_of_the_ball: all of it is measured in the pixel ball, and in no other space.
    """

    name: TableName
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    legend: str = ""
    is_of_the_ball: bool = False

    @property
    def has_paper(self) -> bool:
        """Whether the paper has figures of any row."""
        return any(row.natural is not None or row.robust for row in self.rows)


def columns_of(table: Table, space: SpaceName, num_autoattacked: int) -> tuple[Column, ...]:
    """The attacks that rows of a table are measured under.

    First come the table's own, in the space that is asked for. Beside them, always in the pixel ball, stand attacks
    whose steps cross it, at each of the table's radii that no own attack crosses, and AutoAttack.

    Args:
        table: which one.
        space: of the table's own attacks.
        num_autoattacked: test images under AutoAttack; 0 leaves it out.
    """
    own = tuple(replace(column, space=space) for column in table.columns)
    crossed = {column.epsilon for column in own if column.step_size is None}
    radii = [epsilon for epsilon in dict.fromkeys(item.epsilon for item in own) if epsilon not in crossed]
    strong = [Column(thorough_steps(epsilon), epsilon) for epsilon in radii]
    if num_autoattacked:
        strong.append(Column(0, AUTOATTACK_RADIUS, attack="autoattack", num_examples=num_autoattacked))
    more = (replace(column, tells_space=space != "pixel") for column in strong)
    return (*own, *(column for column in more if column not in own))


def in_order(columns: Sequence[Column]) -> list[tuple[int, Column]]:
    """The columns with their places as they are filled: the worst case of all others comes last."""
    return sorted(enumerate(columns), key=lambda placed: placed[1].attack == "worst")


def thorough_steps(epsilon: Fraction) -> int:
    """So many steps of the paper's length cross a ball several times, see `CROSSINGS`."""
    return math.ceil(CROSSINGS * 2 * epsilon / STEP_SIZE)
