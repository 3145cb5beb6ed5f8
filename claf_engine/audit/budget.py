"""How much of every diagnostic an audit affords."""

from dataclasses import dataclass
from fractions import Fraction

from claf_engine.terms.names import BudgetName

ORDER: tuple[BudgetName, ...] = ("quick", "standard", "full")


@dataclass(frozen=True)
class Budget:
    """Sizes of the diagnostics.

    Attributes:
        num_examples: test images; None is all of them.
        steps: numbers of attack steps that are compared, ascending; the first is the claim's own.
        restarts: numbers of random starts that are compared, ascending.
        radii: of the epsilon sweep, ascending, up to the whole image range.
        noise_draws: random points of the ball asked per image.
        noise_examples: images that they are asked of.
        square_queries: of the black-box attack.
        apgd_steps: of the library's APGD.
        fit_images: training images that classifiers are refitted on.
        surrogate_epochs: of the second model that transfer attacks come from.
    """

    name: BudgetName
    num_examples: int | None
    steps: tuple[int, ...]
    restarts: tuple[int, ...]
    radii: tuple[Fraction, ...]
    noise_draws: int
    noise_examples: int
    square_queries: int
    apgd_steps: int
    fit_images: int
    surrogate_epochs: int

    def affords(self, smallest: BudgetName) -> bool:
        """Whether a check that needs at least `smallest` is within this budget."""
        return ORDER.index(smallest) <= ORDER.index(self.name)


def _radii(*levels: int) -> tuple[Fraction, ...]:
    return tuple(Fraction(level, 255) for level in levels)


BUDGETS: dict[BudgetName, Budget] = {
    "quick": Budget("quick", 100, (10, 40), (1, 5), _radii(4, 8, 16, 64, 255), 100, 50, 300, 20, 2000, 1),
    "standard": Budget(
        "standard",
        500,
        (10, 20, 40, 100),
        (1, 5, 10),
        _radii(1, 2, 4, 8, 16, 32, 64, 255),
        1000,
        100,
        1000,
        100,
        5000,
        4,
    ),
    "full": Budget(
        "full",
        None,
        (10, 20, 40, 100),
        (1, 5, 10),
        _radii(1, 2, 4, 8, 16, 32, 64, 255),
        1000,
        500,
        5000,
        100,
        50_000,
        10,
    ),
}
