"""What to audit. No torch."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from claf_engine.terms.errors import ConfigError
from claf_engine.terms.names import BudgetName, SpaceName


@dataclass(frozen=True)
class AuditRequest:
    """What to audit, and how thoroughly.

    Attributes:
        checkpoint: the file.
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

    def __post_init__(self) -> None:
        if self.epsilon == 0:
            raise ConfigError("an audit needs a ball to attack in, and epsilon 0 has none; use --eps 8/255")
