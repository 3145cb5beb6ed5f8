"""One attack at several radii, and the figures that come of it."""

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

from torch import Tensor

from claf_engine.attacks import PIXEL, Attack, Space, crossing_step_size, make_attack, space_of
from claf_engine.attacks.norms import distances
from claf_engine.attacks.spec import USUAL_STEPS, Climbed
from claf_engine.attacks.weakness import reach_notices, weaknesses
from claf_engine.config import EvaluationConfig, ModelConfig, ProbeConfig, RunConfig
from claf_engine.data import Split
from claf_engine.events import RobustFigure
from claf_engine.terms.names import Norm, PointName
from claf_engine.terms.pixels import exact_distance, format_distance


@dataclass(frozen=True)
class AttackSuite:
    """One attack at several radii.

    Attributes:
        epsilons: radii; floats and text such as "8/255" are taken too, and kept as fractions.
        steps: None is as many as cross the ball of each radius (see `make_attack`).
        step_size: "crossing" is what crosses the ball of each radius (see `crossing_step_size`), None the attack's own
            (see `make_attack`).
        restarts: independent runs; an example counts as robust only if all of them fail.
        seed: of the random starts.
        name: pgd, fgsm, mi-fgsm or the name that a plugin registers.
        climbs: the loss of its attacks, see `Attack`.
        decides: the last point of a run, or any: then an example is broken by the first that is misclassified.
    """

    epsilons: tuple[Fraction, ...]
    steps: int | None = 10
    step_size: Fraction | Literal["crossing"] | None = Fraction(2, 255)
    restarts: int = 1
    seed: int = 0
    name: str = "pgd"
    norm: Norm = "linf"
    space: Space = PIXEL
    decides: PointName = "last"
    climbs: Climbed = "log-odds"

    def __post_init__(self) -> None:
        object.__setattr__(self, "epsilons", tuple(exact_distance(epsilon, self.norm) for epsilon in self.epsilons))

    @property
    def first_attacked(self) -> int | None:
        """The place of the first radius above 0; None where nothing is attacked."""
        return next((index for index, epsilon in enumerate(self.epsilons) if epsilon), None)

    def attack(self, epsilon: Fraction) -> Attack:
        """The attack at one radius."""
        step_size = self.step_size
        if step_size == "crossing":
            step_size = crossing_step_size(epsilon, max(1, USUAL_STEPS if self.steps is None else self.steps))
        attack = make_attack(
            self.name, epsilon, steps=self.steps, step_size=step_size, norm=self.norm, space=self.space
        )
        return replace(attack, climbs=self.climbs)

    def crossing(self) -> "AttackSuite | None":
        """The same at the radii whose balls its steps cannot cross, with ones that can; None where they cross all.

        It takes the steps of `claf-tui eval` without further options, which therefore repeats its figures.
        """
        short = tuple(epsilon for epsilon in self.epsilons if reach_notices([self.attack(epsilon)]))
        return replace(self, epsilons=short, steps=None, step_size=None) if short else None

    def notices(self, num_values: int | None = None) -> tuple[str, ...]:
        """Why its figures cannot be right, as sentences (see `weaknesses`); `num_values` is C * H * W of an image."""
        return weaknesses([self.attack(epsilon) for epsilon in sorted(self.epsilons)], num_values)

    def notice(self, epsilon: Fraction, num_values: int | None = None) -> str:
        """The same of the figure at one radius, in one line."""
        return "; ".join(weaknesses([self.attack(epsilon)], num_values, max(self.epsilons)))


def suite_of(config: ProbeConfig | EvaluationConfig, model: ModelConfig) -> AttackSuite:
    """The attack that a section of the settings describes, against a network with these settings."""
    space = space_of(config.space, model)
    suite = AttackSuite(config.epsilons, config.steps, config.step_size, norm=config.norm, space=space)
    if isinstance(config, ProbeConfig):
        return suite
    return replace(suite, restarts=config.restarts, decides=config.decides)


def training_suite(config: RunConfig, steps: int, step_size: Fraction) -> AttackSuite:
    """PGD with these steps at the radius of training, in its norm and space."""
    attack = config.attack
    space = space_of(attack.space, config.model)
    return AttackSuite((attack.epsilon,), steps, step_size, norm=attack.norm, space=space)


@dataclass
class Distances:
    """Linf distances in pixel space between attacked images and their originals, as they are met."""

    largest: float = 0.0
    total: float = 0.0
    count: int = 0

    def add(self, images: Tensor, adversarial: Tensor) -> None:
        """Take note of a batch (N, C, H, W)."""
        moved = distances(images, adversarial, "linf")
        self.largest = max(self.largest, float(moved.max()))
        self.total += float(moved.sum())
        self.count += len(moved)

    def include(self, others: "Distances") -> None:
        """Take over what others have met."""
        self.largest = max(self.largest, others.largest)
        self.total += others.total
        self.count += others.count

    @property
    def mean(self) -> float:
        """Mean over all attacked images; 0 when there was none."""
        return self.total / max(1, self.count)


def figure_of(suite: AttackSuite, epsilon: Fraction, accuracy: float, split: Split, moved: Distances) -> RobustFigure:
    """An accuracy on a split, with what a reader needs to repeat it and, where it cannot be right, why."""
    attack = suite.attack(epsilon)
    return RobustFigure(
        epsilon=format_distance(epsilon),
        accuracy=accuracy,
        attack=attack.name,
        steps=attack.steps,
        step_size="own" if attack.is_registered else format_distance(attack.step_size),
        restarts=suite.restarts,
        num_examples=len(split),
        space=suite.space.name,
        seed=suite.seed,
        norm=suite.norm,
        largest_distance=round(moved.largest, 6),
        mean_distance=round(moved.mean, 6),
        decides=suite.decides,
        notice=suite.notice(epsilon, split.images[0].numel()),
    )
