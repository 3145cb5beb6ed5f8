"""DefenseGAN (Samangouei et al. 2018, arXiv 1805.06605): a classifier that sees the nearest generated image.

Of an image x it sees G(z*), where z* is the best of R runs of gradient descent, L steps each, on

    |G(z) - x|^2 / D        over latent vectors z,

with D values in an image. Descent hides the gradient, and what hides it is not robust: one adaptive attacker
takes the projection for the identity (Athalye et al. 2018, arXiv 1802.00420), another one searches among generated
images, which the projection leaves as they are (there, section 5.4; Jalal et al. 2017, arXiv 1712.09196).
"""

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from claf_engine.accuracy.defences import Defence, Preprocessed
from claf_engine.attacks import Attack, logit_margin, norms
from claf_engine.compute.seeding import measurement_generator
from claf_engine.events.ticks import Pulse
from claf_engine.models.modes import frozen

Decode = Callable[[Tensor], Tensor]
"""Latent vectors (M, Z) to images (M, C, H, W) in [0, 1]."""

STEP_SIZE, MOMENTUM, DROP_AFTER, DROP = 10.0, 0.7, 0.8, 0.1
"""Of the descent, as in the authors' code: after so much of its steps they become a tenth."""
SEARCH_STEPS, SEARCH_RATE = 100, 0.05
"""Of the search among generated images, by Adam."""
SEARCH_WEIGHTS = (0.1, 1.0, 10.0)
"""Of the margin against the squared distance to the image, in units of the radius; each is a search of its own."""
LARGEST_BATCH = 50
"""Images projected at once: small enough for a pause to be heard within seconds."""


@dataclass(frozen=True)
class Descent:
    """How the nearest generated image is looked for.

    Attributes:
        starts: (R, Z) latent vectors that every image's descents begin at: a figure is the same at every look.
        steps: L of each.
        step_size: of the first four fifths of the steps; the others are a tenth as long.
        momentum: share of the last move that a step keeps.
    """

    starts: Tensor
    steps: int
    step_size: float = STEP_SIZE
    momentum: float = MOMENTUM


def starting_points(restarts: int, latent: int) -> Tensor:
    """Where descents begin (R, Z): Gaussian, of length about 1, always the same ones."""
    stream = measurement_generator(0, "defense-gan", torch.device("cpu"))
    return torch.randn(restarts, latent, generator=stream) * math.sqrt(1 / latent)


def project(decode: Decode, images: Tensor, descent: Descent) -> Tensor:
    """The generated image nearest to each (N, C, H, W) that descent finds, of the same shape.

    Args:
        decode: the generator.
        images: in [0, 1]; no gradient flows back to them.
        descent: where it starts, and how it goes on.
    """
    latents = nearest_latents(decode, images, descent)
    with torch.no_grad():
        found: Tensor = decode(latents)
    return found


def nearest_latents(decode: Decode, images: Tensor, descent: Descent) -> Tensor:
    """Latent vectors (N, Z) of the generated images nearest to these (N, C, H, W); the first start in a tie."""
    images, restarts = images.detach(), len(descent.starts)
    repeated = images.repeat_interleave(restarts, dim=0)
    latents = descent.starts.to(images).repeat(len(images), 1)
    move = torch.zeros_like(latents)
    for step in range(descent.steps):
        gradient = _gradient(lambda point: squared_errors(decode(point), repeated).sum(), latents)
        rate = descent.step_size * (DROP if step >= DROP_AFTER * descent.steps else 1.0)
        move = descent.momentum * move + gradient
        latents = latents - rate * move
    with torch.no_grad():
        errors = squared_errors(decode(latents), repeated).view(-1, restarts)
    rows = torch.arange(len(images), device=images.device) * restarts + errors.argmin(1)
    return latents[rows]


def squared_errors(ones: Tensor, others: Tensor) -> Tensor:
    """Mean squared difference (N,) between each pair of images (N, C, H, W)."""
    return (ones - others).square().flatten(1).mean(1)


def _gradient(loss: Callable[[Tensor], Tensor], point: Tensor) -> Tensor:
    """The gradient of a loss (0-d) at a point, also where gradients are switched off around it."""
    with torch.enable_grad():
        point = point.detach().requires_grad_(True)
        (gradient,) = torch.autograd.grad(loss(point), point)
    return gradient


class DefenseGan(Defence):
    """A classifier behind the projection onto a generator's images."""

    largest_batch = LARGEST_BATCH

    def __init__(self, generator: nn.Module, descent: Descent) -> None:
        """Stand before a classifier with a generator: latent vectors (N, Z) to images (N, C, H, W) in [0, 1]."""
        self.generator = generator.eval().requires_grad_(False)
        self.descent = descent

    def __str__(self) -> str:
        return f"defense-gan:{len(self.descent.starts)},{self.descent.steps}"

    def guarded(self, model: nn.Module) -> nn.Module:
        """The model behind the projection, whose gradient takes the projection for the identity."""
        return _Projected(model, self)

    def further_steps(
        self, model: nn.Module, images: Tensor, labels: Tensor, spec: Attack
    ) -> Generator[Pulse, None, tuple[Tensor, ...]]:
        """Images in the ball towards generated ones that the classifier mistakes (see `search_steps`)."""
        found = []
        with frozen(model):
            latents = nearest_latents(self.generator, images, self.descent)
            for weight in SEARCH_WEIGHTS:
                search = Search(self.generator, model, latents, weight)
                found.append((yield from search_steps(search, images, labels, spec)))
        return tuple(found)


class _Projected(Preprocessed):
    """A classifier behind the projection; the generator's weights are among its own."""

    def __init__(self, model: nn.Module, defence: DefenseGan) -> None:
        super().__init__(model, defence, lambda images: project(self.generator, images, defence.descent))
        self.generator = defence.generator


@dataclass(frozen=True)
class Search:
    """What is searched among generated images.

    Attributes:
        decode: the generator.
        model: images to logits, of the classifier without its defence.
        latents: (N, Z), where it begins.
        weight: of the margin.
    """

    decode: Decode
    model: nn.Module
    latents: Tensor
    weight: float


def search_steps(search: Search, images: Tensor, labels: Tensor, spec: Attack) -> Generator[Pulse, None, Tensor]:
    """Towards a generated image near x that is misclassified: the overpowered attack.

    Adam minimises, over latent vectors and with the margin m(u) = max_{j != y} s_j(u) - s_y(u) of logits,

        |G(z) - x|^2 / (D eps^2) - w min(m(G(z)), 1),

    and G(z), brought back into the ball around x, is the attacked image: a projection that worked perfectly would
    leave it where it was found.

    Args:
        search: generator, classifier, start and w.
        images: (N, C, H, W) in [0, 1].
        labels: (N,) true classes.
        spec: radius and norm of the ball; in L2 the first term is |G(z) - x|^2 / eps^2.

    Returns:
        Images (N, C, H, W) in the ball and in [0, 1].
    """
    radius = float(spec.epsilon)
    scale = 1 / radius**2 * (images[0].numel() if spec.norm == "l2" else 1)

    def loss(latents: Tensor) -> Tensor:
        made = search.decode(latents)
        margin = logit_margin(search.model(made), labels).clamp(max=1)
        return (scale * squared_errors(made, images) - search.weight * margin).sum()

    latents = search.latents.clone()
    optimizer: Any = torch.optim.Adam([latents], lr=SEARCH_RATE)
    for step in range(SEARCH_STEPS):
        yield Pulse("search among generated images", step, SEARCH_STEPS, abandonable=True)
        latents.grad = _gradient(loss, latents)
        optimizer.step()
    with torch.no_grad():
        return norms.project(search.decode(latents), images, radius, spec.norm)
