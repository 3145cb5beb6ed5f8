"""What events carry: a plan, an accuracy with its proof, a result."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PhasePlan:
    """One phase as the run intends it: its title, its epochs and its optimiser steps in all."""

    name: str
    title: str
    epochs: int
    steps: int


@dataclass(frozen=True)
class RobustFigure:
    """Accuracy under one attack, with what a reader needs to repeat it.

    Attributes:
        epsilon: radius, such as "8/255", in the units of `space`.
        accuracy: fraction in [0, 1] of `num_examples`.
        space: "pixel", or "released-code": then the figure is not accuracy in an epsilon-ball.
        defence: preprocessing that guards the model, such as "bit-depth:4", or "none".
        knowledge: "white-box" without a defence; with one "adaptive", or "oblivious" of the defence.
        largest_distance: largest Linf distance between an attacked image and its original, in pixel space.
        mean_distance: the mean of the same.
        decides: "last" point of each run of the attack, or "any": then one misclassified point is enough; or "own",
            where the attack, which is AutoAttack, keeps the worst point by rules of its own.
        notice: why the figure cannot be right, such as steps that do not cross the ball; empty where nothing is known.
        num_crafted: training images that one perturbation for all images was crafted on; None where each has its own.
    """

    epsilon: str
    accuracy: float
    attack: str
    steps: int
    step_size: str
    restarts: int
    num_examples: int
    space: str = "pixel"
    precision: str = "fp32"
    seed: int = 0
    norm: str = "linf"
    defence: str = "none"
    knowledge: str = "white-box"
    largest_distance: float | None = None
    mean_distance: float | None = None
    decides: str = "last"
    notice: str = ""
    num_crafted: int | None = None

    @property
    def is_in_a_ball(self) -> bool:
        """Whether every attacked image lies within epsilon of its original, as the figure's name promises."""
        return self.space == "pixel"


@dataclass(frozen=True)
class TestResult:
    """Accuracy on the test split of one classifier of one checkpoint.

    Attributes:
        weights_sha256: of the network that was measured; empty where earlier code measured it.
    """

    __test__ = False  # pytest: not a test class

    checkpoint: str
    classifier: str
    natural: float
    robust: tuple[RobustFigure, ...]
    selected: bool
    weights_sha256: str = ""
