"""Settings of adversarial training over several perturbation types."""

from fractions import Fraction
from typing import Literal

from pydantic import Field, model_validator

from claf_engine.config.base import BallDistance, Positive, Settings, require_reach
from claf_engine.terms.names import Norm
from claf_engine.terms.pixels import require_length


class BallConfig(Settings):
    """One ball: its radius and the length of a step, in its norm."""

    epsilon: BallDistance = Fraction(3, 100)
    step_size: BallDistance = Fraction(3, 1000)


class UnionConfig(Settings):
    """Adversarial training over the union of several balls, by default those of Maini et al. (2020) for CIFAR-10."""

    strategy: Literal["max", "avg", "msd"] = Field(
        "msd",
        description="what is learned: of each image the worst of all attacks (max), all of them (avg), or the point of "
        "one attack that takes the worst of all steps at every step (msd)",
    )
    norms: tuple[Norm, ...] = Field(("linf", "l2", "l1"), description="of the balls that are attacked in")
    steps: Positive = Field(50, description="of each attack, from the image itself")
    linf: BallConfig = BallConfig()
    l2: BallConfig = BallConfig(epsilon=Fraction(1, 2), step_size=Fraction(1, 20))
    l1: BallConfig = BallConfig(epsilon=Fraction(12), step_size=Fraction(1))

    def ball(self, norm: Norm) -> BallConfig:
        """The ball of a norm."""
        found: BallConfig = getattr(self, norm)
        return found

    @model_validator(mode="after")
    def _has_balls(self) -> "UnionConfig":
        if not self.norms or len(set(self.norms)) < len(self.norms):
            raise ValueError("union.norms needs each norm once, such as ['linf', 'l2', 'l1']")
        for norm in self.norms:
            ball = self.ball(norm)
            for distance in (ball.epsilon, ball.step_size):
                require_length(distance, norm)
            require_reach(norm, (ball.epsilon,), ball.step_size, self.steps)
        return self
