"""Whether the attack went as far as it could: more steps, more starts, a single step, and the way it took."""

from collections.abc import Callable, Generator, Mapping

import torch
from torch import Tensor, nn

from claf_engine.accuracy.suite import AttackSuite
from claf_engine.attacks import ascent_steps, crossing_step_size, gradient_of, log_odds, predict
from claf_engine.audits.bench import Bench, Outcome, recipe_of
from claf_engine.audits.chance import Estimate, share
from claf_engine.audits.crafted import Crafted, attackable_steps, crafted_steps, fallen, lost, percent
from claf_engine.audits.diagnostic import Check, Finding, graded
from claf_engine.compute.device import Compute
from claf_engine.compute.seeding import measurement_generator
from claf_engine.events.ticks import Pulse
from claf_engine.models.folding import fold

Loss = Callable[[Tensor, Tensor], Tensor]
"""Logits (N, K) and true classes (N,) to losses (N,)."""

WARNS_AT, FAILS_AT = 0.01, 0.05
"""Differences of accuracy, as shares of all examples."""


class Path:
    """Where an attack first broke each image on its way; `gradient` is what the attack climbs.

    Args:
        model: images to logits; gradient and verdict come from the same pass through it.
        images: (N, C, H, W) that the attack starts from.
        labels: (N,) true classes.
        compute: where.
        loss: what is climbed: logits (N, K) and labels (N,) to losses (N,).
    """

    def __init__(
        self, model: nn.Module, images: Tensor, labels: Tensor, compute: Compute, loss: Loss = log_odds
    ) -> None:
        self.broken = torch.zeros_like(labels, dtype=torch.bool)
        self._points = images
        self._labels = labels
        self._is_wrong = self.broken
        self._climbed = loss
        self._climb = gradient_of(model, self._loss, compute)

    def gradient(self, images: Tensor) -> Tensor:
        """Gradient by images (N, C, H, W); takes note of those that are misclassified for the first time."""
        gradient = self._climb(images)
        is_first = (self._is_wrong & ~self.broken)[:, None, None, None]
        self._points = images.where(is_first, self._points)
        self.broken = self.broken | self._is_wrong
        return gradient

    def worst(self, last: Tensor) -> Tensor:
        """Where each image was first broken, or else the last point (N, C, H, W)."""
        return self._points.where(self.broken[:, None, None, None], last)

    def _loss(self, logits: Tensor) -> Tensor:
        self._is_wrong = logits.detach().argmax(1) != self._labels
        return self._climbed(logits, self._labels)


def more_steps(bench: Bench) -> Generator[Pulse, None, Finding]:
    """PGD with the claim's number of steps against PGD with more of them."""
    yield from attackable_steps(bench)
    outcomes: dict[int, Outcome] = {}
    for steps in bench.budget.steps:
        outcomes[steps] = yield from bench.attack(steps=steps)
    first, *_, last = outcomes.values()
    return _fallen(outcomes, fallen(first.survives, last.survives))


def more_restarts(bench: Bench) -> Generator[Pulse, None, Finding]:
    """PGD from one random start against the worst of several."""
    yield from attackable_steps(bench)
    outcomes: dict[int, Outcome] = {}
    for restarts in bench.budget.restarts:
        outcomes[restarts] = yield from bench.attack(steps=bench.budget.steps[0], restarts=restarts)
    first, *_, last = outcomes.values()
    return _fallen(outcomes, lost(first.survives, last.survives))


def single_step(bench: Bench) -> Generator[Pulse, None, Finding]:
    """FGSM against PGD."""
    yield from attackable_steps(bench)
    steps = bench.budget.steps[0]
    single = yield from bench.attack("fgsm")
    multi = yield from bench.attack(steps=steps)
    lead = fallen(multi.survives, single.survives)
    return Finding(
        graded(lead.at_least, WARNS_AT, WARNS_AT),
        f"FGSM leaves {percent(single.accuracy)}, PGD-{steps} {percent(multi.accuracy)}: {lead}",
        {"fgsm": single.accuracy, "pgd": multi.accuracy, "at_least": lead.at_least},
    )


def silent_success(bench: Bench) -> Generator[Pulse, None, Finding]:
    """Examples that PGD broke on its way although its last point is classified correctly."""
    subject, target, steps = bench.subject, fold(bench.subject.model), bench.budget.steps[0]
    standing = yield from attackable_steps(bench)
    suite = AttackSuite((subject.epsilon,), steps, crossing_step_size(subject.epsilon, steps), space=subject.space)
    spec, num_silent = suite.attack(subject.epsilon), 0

    def craft(images: Tensor, labels: Tensor, batch: int) -> Generator[Pulse, None, Tensor]:
        nonlocal num_silent
        path = Path(target, images, labels, bench.compute)
        generator = measurement_generator(subject.seed, f"path of {spec.title}, batch {batch}", bench.compute.device)
        last = yield from ascent_steps(path.gradient, images, spec, generator)
        num_silent += int((path.broken & (predict(subject.model, last, bench.compute) == labels)).sum())
        return path.worst(last)

    attack = Crafted(f"{spec.title}, every step judged", recipe_of(suite, subject.epsilon), craft, subject.batch_size)
    # An outcome that was kept does not say what became of the last points.
    bench.outcomes.pop(attack.label, None)
    yield from crafted_steps(bench, attack, standing)
    silent = share(num_silent, len(subject.split))
    return Finding(
        graded(silent.at_least, WARNS_AT, FAILS_AT),
        f"{silent} broken on the way only",
        {"share": silent.value, "at_least": silent.at_least, "steps": steps},
    )


def _fallen(outcomes: Mapping[int, Outcome], drop: Estimate) -> Finding:
    """How far the accuracy fell from the cheapest attack to the costliest; ascending in cost."""
    accuracy = {str(cost): outcome.accuracy for cost, outcome in outcomes.items()}
    cheapest, *_, costliest = accuracy.values()
    return Finding(
        graded(drop.at_least, WARNS_AT, FAILS_AT),
        f"{percent(cheapest)} -> {percent(costliest)}: {drop}",
        {"accuracy": accuracy, "drop": drop.value, "at_least": drop.at_least},
    )


CHECKS: tuple[Check, ...] = (
    Check(
        name="steps",
        title="More attack steps find nothing more",
        threshold="warns above 1 point between the fewest and the most steps, fails above 5",
        meaning="The attack had not converged; report the accuracy under the most steps.",
        source="Carlini et al. 2019, section 4 (arXiv 1902.06705)",
        run=more_steps,
    ),
    Check(
        name="restarts",
        title="More random starts find nothing more",
        threshold="warns above 1 point between one start and several, fails above 5",
        meaning="The outcome depends on where the attack starts; report the worst case over several starts.",
        source="Carlini et al. 2019, section 4 (arXiv 1902.06705)",
        run=more_restarts,
    ),
    Check(
        name="fgsm",
        title="One large step is not stronger than many small ones",
        threshold="fails if FGSM leaves over 1 point less than PGD",
        meaning="Gradients mislead the iterative attack, a sign of masking or of catastrophic overfitting to one step; "
        "the accuracy under PGD is too high.",
        source="Athalye et al. 2018, section 3 (arXiv 1802.00420)",
        run=single_step,
    ),
    Check(
        name="silent-success",
        title="The attack's last point is as bad as any on its way",
        threshold="warns above 1 point of examples broken on the way only, fails above 5",
        meaning="The attack found adversarial points and left them; judge every step, or take smaller steps.",
        source="Pintor et al. 2022, silent success (arXiv 2106.09947)",
        run=silent_success,
    ),
)
