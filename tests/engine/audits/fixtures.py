"""Networks of known robustness, and what may be wrong with one.

An image of class k carries two signals. Its three channels are *tinted*: in most images strongly enough to outlive an
attack of 8/255, in some weakly, and in one of ten with the tint of another class. And it has a *texture*, which is
always right but only 4/255 deep. Whoever reads the texture is right about every image, and about none that is attacked
(Tsipras et al. 2019, arXiv 1805.12152).
"""

import copy
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from claf_engine.attacks import RELEASED_CODE, Space, attack, make_attack
from claf_engine.audits.bench import Bench, Subject
from claf_engine.audits.diagnostic import Check, Finding
from claf_engine.audits.request import Budget
from claf_engine.config import ModelConfig
from claf_engine.data import Split, to_pixels
from claf_engine.models.modes import BATCH_NORMS
from claf_engine.models.network import ADVERSARIAL, NATURAL, Network, build_network
from tests.engine.tiny import FP32, exhaust

Build = Callable[[], nn.Module]
Damage = Callable[[nn.Module], nn.Module]
SIDE = 8
NUM_CLASSES = 4
EPSILON = Fraction(8, 255)
CODE = torch.tensor([[1.0, 1.0, 1.0], [1.0, -1.0, -1.0], [-1.0, 1.0, -1.0], [-1.0, -1.0, 1.0]])
"""A sign per class and channel; two classes differ in two channels."""
CHECKERBOARD = 1 - 2 * ((torch.arange(SIDE)[:, None] + torch.arange(SIDE)) % 2).float()
TEXTURE = 4
"""Depth of the texture in levels of an 8-bit image."""
RELEASED = Space(RELEASED_CODE, (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
"""Normalised coordinates that are clamped to [0, 1], as the released code does."""
BUDGET = Budget(
    name="full",
    num_examples=None,
    steps=(10, 20),
    restarts=(1, 2),
    radii=(Fraction(4, 255), EPSILON, Fraction(64, 255), Fraction(1)),
    noise_draws=20,
    noise_examples=20,
    square_queries=200,
    apgd_steps=10,
    fit_images=200,
    surrogate_epochs=3,
)
"""So small that a test can afford it, and of a name that affords every check."""


def images_of(count: int = 60, seed: int = 0, *, tint_is_random: bool = False, level: int = 128) -> Split:
    """Images (count, 3, 8, 8) of 4 classes in turn around a level; at 128 no ball of 64/255 around one is cut off."""
    generator = torch.Generator().manual_seed(seed)
    labels, group = torch.arange(count) % NUM_CLASSES, torch.arange(count) // NUM_CLASSES
    shift = torch.randint(NUM_CLASSES, (count,), generator=generator) if tint_is_random else (group % 10 == 9).long()
    tint = CODE[(labels + shift) % NUM_CLASSES][:, :, None, None]
    is_weak = (group % 6 == 5)[:, None, None, None]
    depth = (20 + 20 * torch.rand(count, 1, 1, 1, generator=generator)).where(~is_weak, 4)
    noise = 4 * torch.randn(count, 3, SIDE, SIDE, generator=generator).clamp(-2, 2)
    texture = TEXTURE * CODE[labels][:, :, None, None] * CHECKERBOARD
    return Split((level + depth * tint + texture + noise).round().to(torch.uint8), labels)


def grey(count: int) -> Split:
    """Images (count, 3, 8, 8) of one grey, level 128, and of class 0."""
    return Split(torch.full((count, 3, SIDE, SIDE), 128, dtype=torch.uint8), torch.zeros(count, dtype=torch.int64))


@torch.no_grad()
def misclassified(model: nn.Module) -> Split:
    """A few images, each with another label than the one that a model of 4 classes gives it."""
    images = images_of(8).images
    return Split(images, (model(to_pixels(images)).argmax(1) + 1) % NUM_CLASSES)


class Linear(nn.Module):
    """Logits linear in the image, so that the worst point of the ball is known; `weight` is (4, 3, 8, 8)."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, images: Tensor) -> Tensor:
        return (images - 0.5).flatten(1) @ self.weight.flatten(1).T


def robust_linear() -> Linear:
    """Reads the tint: most images stay right at 8/255."""
    linear = Linear(0.1 * CODE[:, :, None, None].expand(-1, -1, SIDE, SIDE).clone())
    linear.eval()
    return linear


def undefended_linear() -> Linear:
    """Reads the texture: natural accuracy 1, at 8/255 none."""
    linear = Linear(CODE[:, :, None, None] * CHECKERBOARD)
    linear.eval()
    return linear


@torch.no_grad()
def linear_robust_accuracy(model: Linear, split: Split, epsilon: Fraction) -> float:
    """Closed form: the worst point takes epsilon times the L1 norm of w_y - w_j off the margin over each class j."""
    logits, own = model(to_pixels(split.images)), split.labels
    margins = logits.gather(1, own[:, None]) - logits
    taken = float(epsilon) * (model.weight[own][:, None] - model.weight[None]).abs().flatten(2).sum(2)
    is_safe = (margins > taken).scatter(1, own[:, None], value=True)
    return float(is_safe.all(1).double().mean())


@cache
def undefended_network() -> Network:
    """A small residual network that has learnt to read the texture, in about a second; not to be changed: copy it."""
    return _trained(NATURAL, images_of(400, seed=11, tint_is_random=True), epochs=16, attack_steps=0)


@cache
def robust_network() -> Network:
    """The same trained on PGD at 8/255, in about two seconds; not to be changed: copy it."""
    return _trained(ADVERSARIAL, images_of(400, seed=1), epochs=15, attack_steps=4)


def undefended() -> nn.Module:
    """The undefended network from images to logits."""
    return undefended_network().with_classifier(NATURAL).eval()


def robust() -> nn.Module:
    """The adversarially trained network from images to logits."""
    return robust_network().with_classifier(ADVERSARIAL).eval()


SOUND: tuple[Build, ...] = (robust, undefended, robust_linear, undefended_linear)
"""Models that hide nothing from an attack."""


def _trained(classifier: str, split: Split, *, epochs: int, attack_steps: int) -> Network:
    """Train a network without corners: with ReLU, how a processor rounds would decide what it learns."""
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(7)
    config = ModelConfig(width=8, blocks=(1,), activation="silu", projection_hidden=8, projection_dim=4)
    network = build_network(config, NUM_CLASSES, generator)
    model = network.with_classifier(classifier)
    spec = make_attack("pgd", EPSILON, steps=attack_steps, step_size=Fraction(4, 255))
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(epochs):
        for rows in torch.randperm(len(split), generator=generator).split(50):
            images, labels = to_pixels(split.images[rows]), split.labels[rows]
            if attack_steps:
                images = attack(model, images, labels, spec, generator, FP32)
            optimizer.zero_grad()
            F.cross_entropy(model.train()(images), labels).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return network.eval()


class Wrapped(nn.Module):
    """A model with something done to its images or to its logits.

    Args:
        before: images in [0, 1] to images.
        after: logits to logits.
    """

    def __init__(
        self,
        model: nn.Module,
        before: Callable[[Tensor], Tensor] = lambda images: images,
        after: Callable[[Tensor], Tensor] = lambda logits: logits,
    ) -> None:
        super().__init__()
        self.model, self._before, self._after = model, before, after
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        return self._after(self.model(self._before(images)))


def gradient_killed(model: nn.Module) -> nn.Module:
    """The same logits, without a gradient that leads anywhere."""
    return Wrapped(model, after=lambda logits: logits.detach() + 0 * logits)


def quantised(model: nn.Module, levels: int = 16) -> nn.Module:
    """The image rounded to a few levels per channel; rounding has a gradient of zero."""
    return Wrapped(model, before=lambda images: (images * (levels - 1)).round() / (levels - 1))


def softmax_output(model: nn.Module) -> nn.Module:
    """Probabilities in place of logits."""
    return Wrapped(model, after=lambda logits: logits.softmax(1))


def random_forward(model: nn.Module, deviation: float = 0.05, seed: int = 0) -> nn.Module:
    """Gaussian noise on the image, drawn anew at every call."""
    generator = torch.Generator().manual_seed(seed)
    return Wrapped(model, lambda images: images + deviation * torch.randn(images.shape, generator=generator))


def saturated(model: nn.Module, factor: float = 1e4) -> nn.Module:
    """Logits so large that the softmax is one-hot in fp32."""
    return Wrapped(model, after=lambda logits: factor * logits)


class Decoy(nn.Module):
    """The same predictions, but the likeliest wrong class is bait: it never wins, and its gradient leads astray.

    Untargeted attacks climb towards it. Only on smaller logits do the other classes have a say.
    """

    def __init__(self, model: nn.Module, factor: float = 5.0) -> None:
        super().__init__()
        self.model, self.factor = model, factor
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        logits = self.factor * self.model(images)
        top, classes = logits.max(1, keepdim=True)
        stripes = 1 - 2 * (torch.arange(SIDE) % 2).float()
        bait = 0.5 * (0.3 * ((images - 0.5) * stripes).flatten(1).sum(1, keepdim=True)).tanh()
        return logits.scatter(1, (classes + 1) % NUM_CLASSES, top - 1 + bait)


class Gated(nn.Module):
    """The same predictions, but features are multiplied by the row of the class that they are predicted to be first.

    A published defence does so when it is tested. No gradient flows through the choice, and where the rows have a
    negative weight at their own class, what lowers the gated margin raises the one that chooses.
    """

    def __init__(self, model: nn.Module, num_classes: int = NUM_CLASSES) -> None:
        super().__init__()
        self.model, self.rows = model, 1 - 3 * torch.eye(num_classes)
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        features = 20 - self.model(images)
        chosen = (features @ self.rows.T).argmax(1)
        logits: Tensor = (features * self.rows[chosen]) @ self.rows.T
        return logits / 20


class Rippled(nn.Module):
    """A model whose small logits ripple around every image, as those of logit pairing do (Mosbach et al. 2018).

    The ripples move no decision by much, but turn the gradient: few steps go nowhere, many add up, and so do starts.

    Args:
        model: that decides.
        height: of each of four ripples of a class, in units of the model's logits.
        frequency: of each, per unit of the sum of all pixels with random signs.
    """

    NUM_RIPPLES = 4
    SQUEEZED = 0.1

    def __init__(self, model: nn.Module, height: float = 0.3, frequency: float = 12.0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        signs = torch.randint(0, 2, (NUM_CLASSES * self.NUM_RIPPLES, 3 * SIDE * SIDE), generator=generator)
        self.model, self.height, self.frequency = model, height, frequency
        self.register_buffer("directions", (signs * 2 - 1).float())
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        along = (images - 0.5).flatten(1) @ self.get_buffer("directions").T
        ripples = (self.frequency * along).sin().view(-1, NUM_CLASSES, self.NUM_RIPPLES).sum(2)
        logits: Tensor = self.SQUEEZED * (self.model(images) + self.height * ripples)
        return logits


def dropout_left_on(model: nn.Module) -> nn.Module:
    """A layer of dropout whose mode was forgotten: it is in train mode, and all else in eval mode."""
    wrapped = nn.Sequential(nn.Dropout(0.2), model).eval()
    wrapped[0].train()
    return wrapped


class StubbornDropout(nn.Dropout):
    """Dropout that `eval()` does not switch off."""

    def train(self, mode: bool = True) -> "StubbornDropout":
        super().train(True)
        return self


def stubborn_dropout(model: nn.Module) -> nn.Module:
    """A layer of dropout that is active whatever the mode."""
    return nn.Sequential(StubbornDropout(0.2), model).eval()


@torch.no_grad()
def drifted(model: nn.Module, by: float = 3.0) -> nn.Module:
    """A copy whose BatchNorm means have moved by some deviations."""
    drifted_model = copy.deepcopy(model)
    for norm in drifted_model.modules():
        if isinstance(norm, BATCH_NORMS):
            assert norm.running_mean is not None
            assert norm.running_var is not None
            norm.running_mean += by * norm.running_var.sqrt() * (1 - 2 * (torch.arange(norm.num_features) % 2))
    return drifted_model


def bench_of(model: nn.Module, split: Split | None = None, *, budget: Budget = BUDGET, **changes: Any) -> Bench:
    """A bench with a small budget; `changes` are fields of the subject."""
    return Bench(Subject(model, images_of() if split is None else split, FP32, **changes), budget)


def resumed(bench: Bench) -> Bench:
    """The bench of an audit that was interrupted and goes on: it knows what was attacked before."""
    return Bench(bench.subject, bench.budget, tuple(bench.outcomes.values()))


def refitting_bench(model: nn.Module, network: Network | None, **changes: Any) -> Bench:
    """A bench for checks that fit classifiers anew on the encoder of a network; `changes` as in `bench_of`."""
    options: dict[str, Any] = {"train": images_of(200, seed=1), **changes}
    return bench_of(model, network=network, **options)


def found(check: Check, bench: Bench) -> Finding:
    """What a check finds; lets `NotRun` pass."""
    return exhaust(check.run(bench))[1]


def check_of(checks: tuple[Check, ...], name: str) -> Check:
    """The check of this name."""
    return next(check for check in checks if check.name == name)


def examiner(checks: tuple[Check, ...]) -> Callable[[str, Bench], Finding]:
    """What the check of a name finds on a bench; lets `NotRun` pass."""
    return lambda name, bench: found(check_of(checks, name), bench)
