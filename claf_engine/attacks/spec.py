"""What an attack is: its name, radius, norm, steps, start and space, as plain values."""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, get_args

from claf_engine.attacks.registered import require_registered
from claf_engine.attacks.spaces import PIXEL, Space, space_of
from claf_engine.config import AttackConfig, ModelConfig
from claf_engine.terms.names import AttackName, Norm
from claf_engine.terms.pixels import Distance, exact_distance, format_distance

Start = Literal["none", "uniform", "bernoulli", "gaussian"]
Climbed = Literal["log-odds", "margin"]

MI_FGSM_MOMENTUM = 1.0
"""Decay factor mu of Dong et al. (2018)."""
LONGEST = 5
"""A fraction of more characters is rounded in a title, unless it is one of levels."""
REACH = Fraction(5, 2)
"""Steps times step size, in radii: enough to cross the ball and a little more."""
USUAL_STEPS, MOST_STEPS = 10, 1000
"""Steps where nobody asks for another number, and the most that are taken unasked."""
USUAL_STEP_SIZE = Fraction(2, 255)


@dataclass(frozen=True)
class Attack:
    """A first-order attack in a ball.

    Attributes:
        epsilon: radius, in the units of the space.
        step_size: length of one step, likewise.
        steps: how many; none leaves the start.
        start: "none" (the image), "uniform" (in the ball), "bernoulli" (half a radius away in Linf, with random signs),
            or "gaussian" (deviation 0.001, as TRADES does).
        norm: of ball and step.
        momentum: None for a plain gradient, else the factor by which MI-FGSM keeps the past ones.
        name: for reports; that of a plugin's attack says what is run, and steps and start are its own affair.
        space: the coordinates it lives in.
        climbs: the loss against the true class: "log-odds" (the direction of cross-entropy) or "margin"; a plugin's
            attack has its own.
    """

    epsilon: Fraction
    step_size: Fraction
    steps: int
    start: Start = "uniform"
    norm: Norm = "linf"
    momentum: float | None = None
    name: str = "pgd"
    space: Space = PIXEL
    climbs: Climbed = "log-odds"

    @property
    def is_registered(self) -> bool:
        """Whether it is a plugin's."""
        return self.name not in get_args(AttackName)

    @property
    def title(self) -> str:
        """For a person: "PGD-10 at 8/255"; where the radius is no distance between images, with the space's name."""
        is_plain = self.name == "fgsm" or self.is_registered
        name = self.name.upper() if is_plain else f"{self.name.upper()}-{self.steps}"
        norm = "" if self.norm == "linf" else f" {self.norm.upper()}"
        space = "" if self.space.is_pixel else f" ({self.space.name})"
        return f"{name}{norm} at {_short(self.epsilon)}{space}"


def _short(distance: Fraction) -> str:
    """A distance for a title; what lies between, while an attack grows, is rounded."""
    exact = format_distance(distance)
    is_odd = "/" in exact and not exact.endswith("/255") and len(exact) > LONGEST
    return f"{float(distance):.3g}" if is_odd else exact


def make_attack(
    name: str,
    epsilon: Distance,
    *,
    steps: int | None = USUAL_STEPS,
    step_size: Distance | None = None,
    norm: Norm = "linf",
    space: Space = PIXEL,
) -> Attack:
    """An attack by its name, as it is used to measure accuracy.

    Args:
        name: "pgd" (Madry et al. 2018, random start), "fgsm" (Goodfellow et al. 2015, one step of epsilon, no random
            start) or "mi-fgsm" (Dong et al. 2018, momentum 1, no random start); or the name that a plugin registers.
        epsilon: radius, as a Fraction, a float or text such as "8/255".
        steps: None is as many of the step size as cross the ball (pgd, see `crossing_steps`), else 10; ignored by fgsm
            and by a plugin's attack.
        step_size: by default 2/255 (pgd), epsilon / steps (mi-fgsm), or 2.5 epsilon / steps in L2 and L1; ignored by
            fgsm and by a plugin's attack.
        norm: of ball and step.
        space: the coordinates.

    Raises:
        ConfigError: there is no such attack, a plugin's is of another norm or space, or a distance is none.
    """
    epsilon = exact_distance(epsilon, norm)
    # A step that crosses a ball in one go may be longer than any radius.
    step_size = step_size if step_size is None or isinstance(step_size, Fraction) else exact_distance(step_size, norm)
    if name not in get_args(AttackName):
        require_registered(name, norm, space.name)
        return Attack(epsilon, Fraction(0), 0, "none", norm, None, name, space)
    if steps is None:
        steps = _default_steps(name, epsilon, step_size, norm)
    if step_size is None:
        step_size = _default_step_size(name, epsilon, steps, norm)
    match name:
        case "fgsm":
            return Attack(epsilon, epsilon, 1, "none", norm, None, name, space)
        case "mi-fgsm":
            return Attack(epsilon, step_size, steps, "none", norm, MI_FGSM_MOMENTUM, name, space)
        case _:
            return Attack(epsilon, step_size, steps, "uniform", norm, None, name, space)


def crossing_step_size(epsilon: Fraction, steps: int) -> Fraction:
    """The step size with which so many steps cross the ball: 2.5 epsilon / steps."""
    return REACH * epsilon / steps


def crossing_steps(epsilon: Fraction, step_size: Fraction) -> int:
    """How many steps of this size go 2.5 epsilon, and so cross the ball: at least 10, at most 1,000."""
    enough = math.ceil(REACH * epsilon / step_size) if step_size else 0
    return min(max(enough, USUAL_STEPS), MOST_STEPS)


def from_config(
    config: AttackConfig, model: ModelConfig, *, steps: int | None = None, usual: Start = "uniform"
) -> Attack:
    """The attack of training that the settings describe.

    Args:
        config: of the attack.
        model: whose statistics its space may need.
        steps: another number of steps.
        usual: the random start where the settings name none.
    """
    random = usual if config.start == "auto" else config.start
    return Attack(
        epsilon=config.epsilon,
        step_size=config.step_size,
        steps=config.steps if steps is None else steps,
        start=random if config.random_start else "none",
        norm=config.norm,
        space=space_of(config.space, model),
    )


def _default_steps(name: str, epsilon: Fraction, step_size: Fraction | None, norm: Norm) -> int:
    if name != "pgd" or (step_size is None and norm != "linf"):  # the step size follows from their number
        return USUAL_STEPS
    return crossing_steps(epsilon, USUAL_STEP_SIZE if step_size is None else step_size)


def _default_step_size(name: str, epsilon: Fraction, steps: int, norm: Norm) -> Fraction:
    if name == "mi-fgsm":
        return epsilon / steps
    return crossing_step_size(epsilon, steps) if norm != "linf" else USUAL_STEP_SIZE
