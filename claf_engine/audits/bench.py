"""Attacks a subject on behalf of all diagnostics: what one of them measured, the others find.

Every attack within the claim's ball is kept with its outcome for each example, so that the worst case over everything
run can be told, and so that an interrupted audit goes on where it was.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from fractions import Fraction

import torch
from torch import Tensor, nn

from claf_engine.accuracy.measure import Examples, answer_steps, correct_steps
from claf_engine.accuracy.suite import AttackSuite
from claf_engine.attacks import PIXEL, Attack, Attacked, Space, crossing_step_size, make_attack
from claf_engine.audits.request import Budget
from claf_engine.compute.device import Compute, exact_fp32
from claf_engine.data import Split, to_pixels
from claf_engine.events.ticks import Pulse
from claf_engine.models.modes import frozen
from claf_engine.models.network import Network
from claf_engine.terms.names import AttackName
from claf_engine.terms.pixels import format_distance

CLAIM_STEP = Fraction(2, 255)
"""Step size of the attack that a figure usually rests on."""


@dataclass(frozen=True)
class Subject:
    """A classifier under the claim of a robust accuracy at one Linf radius.

    Attributes:
        model: images in [0, 1] to logits.
        split: test images that it is asked about.
        compute: where; everything is measured in fp32.
        epsilon: radius of the claim.
        step_size: of the claim's attack.
        space: of the claim; in the released code's space it is not about an epsilon-ball.
        seed: of random starts.
        batch_size: examples at once.
        network: the encoder with its classifiers, or None for a model of another kind.
        train: training images, or None where there are none; classifiers are refitted on them.
        classifier: name of the network's classifier that `model` ends in.
        surrogate: a second model for transfer attacks, or None.
        surrogate_from: where it is from, for a person.
        data: name of the images' source, such as "cifar10"; empty where it is not known.
    """

    model: nn.Module
    split: Split
    compute: Compute
    epsilon: Fraction = Fraction(8, 255)
    step_size: Fraction = CLAIM_STEP
    space: Space = PIXEL
    seed: int = 0
    batch_size: int = 250
    network: Network | None = None
    train: Split | None = None
    classifier: str = ""
    surrogate: nn.Module | None = None
    surrogate_from: str = "given"
    data: str = ""


NATURAL = "no attack"


@dataclass(frozen=True)
class Recipe:
    """How an attack was made, for a reader who wants to repeat it; None is what an attack has no use for.

    Attributes:
        attack: its name: "pgd", "square", "apgd-dlr".
        epsilon: radius, such as "8/255", in the units of `space`.
        space: pixel or released-code.
        steps: iterations, or queries of an attack without gradients.
        step_size: such as "2/255", or "adaptive".
        restarts: random starts.
    """

    attack: str
    epsilon: str
    space: str = "pixel"
    steps: int | None = None
    step_size: str | None = None
    restarts: int | None = None
    norm: str = "linf"
    precision: str = "fp32"


@dataclass(frozen=True)
class Outcome:
    """What one attack did to every example.

    Attributes:
        label: what was run, for a person and as a key: "PGD-10 at 8/255, step 2/255, 5 starts".
        survives: (N,) bool on the CPU: classified correctly after the attack; in pixel space without it too.
        is_in_ball: whether it stayed within the claim's ball, so that it counts for the worst case.
        largest_distance: largest Linf distance in pixel space that an image was moved by.
        mean_distance: mean of the same.
        recipe: how it was made, or None where the label says all.
    """

    label: str
    survives: Tensor
    is_in_ball: bool
    largest_distance: float
    mean_distance: float
    recipe: Recipe | None = None

    @property
    def accuracy(self) -> float:
        """Share of all examples that survive."""
        return float(self.survives.double().mean())


@torch.no_grad()
def num_classes_of(model: nn.Module, split: Split) -> int:
    """K of the logits (N, K) that a network gives for images in [0, 1]."""
    with frozen(model):
        return int(model(to_pixels(split.images[:1])).shape[1])


class Bench:
    """A subject with all that was run on it; `keep` is called with every outcome as it is made."""

    def __init__(
        self,
        subject: Subject,
        budget: Budget,
        known: tuple[Outcome, ...] = (),
        keep: Callable[[Outcome], None] = lambda _: None,
    ) -> None:
        self.subject = subject
        self.budget = budget
        self.compute = exact_fp32(subject.compute)
        self.outcomes = {outcome.label: outcome for outcome in known}
        self._keep = keep
        self._attacked = Attacked.by_its_own_gradients(subject.model)

    @property
    def claim(self) -> Attack:
        """The ball that the claim is about: radius, norm and space are what counts."""
        return make_attack("pgd", self.subject.epsilon, step_size=self.subject.step_size, space=self.subject.space)

    def natural(self) -> Generator[Pulse, None, Outcome]:
        """Which examples are classified correctly without an attack."""
        if NATURAL not in self.outcomes:
            subject = self.subject
            rows = yield from correct_steps(subject.model, subject.split, self.compute, subject.batch_size)
            correct = torch.zeros(len(subject.split), dtype=torch.bool)
            correct[rows.cpu()] = True
            self.record(Outcome(NATURAL, correct, is_in_ball=True, largest_distance=0.0, mean_distance=0.0))
        return self.outcomes[NATURAL]

    def attack(
        self,
        name: AttackName = "pgd",
        *,
        steps: int = 10,
        restarts: int = 1,
        epsilon: Fraction | None = None,
        step_size: Fraction | None = None,
    ) -> Generator[Pulse, None, Outcome]:
        """Run one of our own attacks, or find that it was run.

        Args:
            name: pgd, fgsm or mi-fgsm, in Linf and in the claim's space.
            steps: ignored by fgsm.
            restarts: random starts.
            epsilon: the claim's by default.
            step_size: the claim's by default, or what reaches 2.5 radii where that falls short of it.
        """
        subject = self.subject
        epsilon = subject.epsilon if epsilon is None else epsilon
        if step_size is None:
            step_size = max(subject.step_size, crossing_step_size(epsilon, steps))
        suite = AttackSuite((epsilon,), steps, step_size, restarts, subject.seed, name, space=subject.space)
        spec = suite.attack(epsilon)
        label = f"{spec.title}, step {format_distance(spec.step_size)}, {restarts} start{'' if restarts == 1 else 's'}"
        if label not in self.outcomes:
            yield from self._run(label, suite, epsilon)
        return self.outcomes[label]

    def record(self, outcome: Outcome) -> None:
        """Keep the outcome of an attack; of two under one label the worst case, so that none is lost."""
        before = self.outcomes.get(outcome.label)
        if before is not None:
            outcome = replace(outcome, survives=outcome.survives & before.survives)
        self.outcomes[outcome.label] = outcome
        self._keep(outcome)

    def worst_case(self) -> Tensor:
        """(N,) bool: the examples that survive everything that was run within the claim's ball.

        Without an outcome, all of them.
        """
        survives = torch.ones(len(self.subject.split), dtype=torch.bool)
        for outcome in self.outcomes.values():
            if outcome.is_in_ball:
                survives &= outcome.survives
        return survives

    def _run(self, label: str, suite: AttackSuite, epsilon: Fraction) -> Generator[Pulse, None, None]:
        subject = self.subject
        correct = yield from self.natural()
        # The released code's clamp may turn a wrong prediction into a right one, so there every example is attacked.
        attacked = correct.survives if suite.space.is_pixel else torch.ones_like(correct.survives)
        rows = attacked.nonzero()[:, 0].to(self.compute.device)
        examples = Examples(subject.split, rows, subject.batch_size)
        answers = yield from answer_steps(self._attacked, examples, suite, epsilon, self.compute)
        survives, moved = answers.survivors(examples).cpu(), answers.moved
        is_in_ball = epsilon <= subject.epsilon if suite.space.is_pixel else epsilon == subject.epsilon
        self.record(Outcome(label, survives, is_in_ball, moved.largest, moved.mean, recipe_of(suite, epsilon)))


def recipe_of(suite: AttackSuite, epsilon: Fraction) -> Recipe:
    """How one of our own attacks is made at one radius of a suite."""
    spec = suite.attack(epsilon)
    return Recipe(
        attack=spec.name,
        epsilon=format_distance(spec.epsilon),
        space=spec.space.name,
        steps=spec.steps,
        step_size=format_distance(spec.step_size),
        restarts=suite.restarts,
        norm=spec.norm,
    )
