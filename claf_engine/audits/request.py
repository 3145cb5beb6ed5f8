"""What to audit, and what each budget affords. No torch."""

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from claf_engine.terms.errors import ConfigError
from claf_engine.terms.names import BudgetName, SpaceName

if TYPE_CHECKING:
    from claf_engine.evaluation.defences import DefenceChoice
    from claf_engine.evaluation.model_source import ModelSource


@dataclass(frozen=True)
class AuditRequest:
    """What to audit, and how thoroughly.

    Attributes:
        checkpoint: the file; of a model that no run of ours trained, its `place`.
        budget: quick, standard or full.
        epsilon: Linf radius of the claim.
        space: of the claim; None is the one in which the run reported its figures.
        num_examples: test images, in the order of the split; None is what the budget affords.
        data: another source than the run's.
        classifier: attack, natural or adversarial; None is the one that the checkpoint was measured with.
        surrogate: checkpoint of a second model for transfer attacks, or None.
        seed: of random starts.
        batch_size: examples attacked at once.
        device: auto, cpu, cuda or cuda:N.
        command: the command line, for the card.
        accepts_changed_data: audit although the run's images are not those that it was trained with.
        source: a model that no run of ours trained, in place of a checkpoint; what needs an encoder is not run.
        defence: what stands before the classifier and is audited with it; what needs an encoder is not run.

    Raises:
        ConfigError: the radius is 0.
    """

    checkpoint: Path
    budget: BudgetName = "quick"
    epsilon: Fraction = Fraction(8, 255)
    space: SpaceName | None = None
    num_examples: int | None = None
    data: str | None = None
    classifier: str | None = None
    surrogate: Path | None = None
    seed: int = 0
    batch_size: int = 250
    device: str = "auto"
    command: tuple[str, ...] = ()
    accepts_changed_data: bool = False
    source: "ModelSource | None" = None
    defence: "DefenceChoice | None" = None

    def __post_init__(self) -> None:
        if self.epsilon == 0:
            raise ConfigError("an audit needs a ball to attack in, and epsilon 0 has none; use --eps 8/255")


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


def budget_for(name: BudgetName, steps: int, num_examples: int | None) -> Budget:
    """A budget for a claim.

    Args:
        name: quick, standard or full.
        steps: of the claim's own attack; they come first among those that are compared, and only larger ones follow.
        num_examples: how many to ask about; None is what the budget affords.
    """
    budget = BUDGETS[name]
    more = tuple(larger for larger in budget.steps if larger > steps) or (2 * steps,)
    return replace(
        budget, steps=(steps, *more), num_examples=budget.num_examples if num_examples is None else num_examples
    )
