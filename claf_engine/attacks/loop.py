"""The one loop of all first-order attacks: start, gradient, step, project, clip.

It is a generator, so that a run may be paused between two steps.
"""

import math
from collections.abc import Generator
from functools import partial

import torch
from torch import Tensor, nn

from claf_engine.attacks import norms
from claf_engine.attacks.gradients import CLIMBED, Gradient, gradient_of
from claf_engine.attacks.registered import crafted
from claf_engine.attacks.spec import Attack
from claf_engine.compute.device import Compute
from claf_engine.compute.world import Part
from claf_engine.events.ticks import Pulse, exhaust
from claf_engine.terms.errors import ClafError, ConfigError, DataError


def require_pixels(images: Tensor) -> None:
    """Refuse what is not an image in [0, 1]: a normalised tensor here means a wrong epsilon, not a detail.

    Raises:
        DataError: a value lies outside [0, 1] or is not finite.
    """
    low, high = torch.aminmax(images)
    if not (low >= 0 and high <= 1):
        raise DataError(
            f"images must lie in [0, 1], these lie in [{low:.3g}, {high:.3g}]; normalise inside the network"
        )


def require_ball(images: Tensor, adversarial: Tensor, spec: Attack, title: str | None = None) -> None:
    """Refuse attacked images (N, C, H, W) that are not what their figure will say; rounding is forgiven.

    Args:
        images: the originals, in [0, 1].
        adversarial: what became of them.
        spec: radius, norm and space of the figure.
        title: what a complaint calls the attack; by default the title of `spec`.

    Raises:
        ClafError: one is not finite; or, in pixel space, lies beyond epsilon in the attack's norm or outside [0, 1].
    """
    title = spec.title if title is None else title
    distance = float(norms.distances(images, adversarial, spec.norm).max())
    if not math.isfinite(distance):
        raise ClafError(f"{title} gave an image that is not finite: the model's logits or gradients are not")
    if not spec.space.is_pixel:
        return
    if distance > spec.epsilon + norms.rounding(spec.norm, images[0].numel()):
        raise ClafError(f"{title} left the ball: an attacked image lies {distance:.6f} from its original")
    low, high = torch.aminmax(adversarial)
    if low < -norms.ROUNDING or high > 1 + norms.ROUNDING:
        raise ClafError(f"{title} left [0, 1]: attacked images lie in [{low:.6f}, {high:.6f}]")


def ascent_steps(
    gradient: Gradient,
    images: Tensor,
    spec: Attack,
    generator: torch.Generator,
    begin: Tensor | None = None,
    part: Part | None = None,
) -> Generator[Pulse, None, Tensor]:
    """Climb a gradient within the ball, with a pulse before every step.

    Args:
        gradient: what to climb.
        images: (N, C, H, W) in [0, 1]; not modified.
        spec: the attack. Zero steps and no random start return the images unchanged.
        generator: of the random start, on the images' device; how much it is consumed depends on start, norm and
            shape alone.
        begin: (N, C, H, W) where the attack begins in place of its start, projected into the ball; the generator is
            then not consumed.
        part: of a batch that these images are, for whose whole the random start is drawn; by default all of it.

    Returns:
        The last point, (N, C, H, W): in pixel space in [0, 1] and within epsilon of the images; in the released
        code's, between mean and mean + deviation of every channel.
    """
    space = spec.space
    origin = space.enter(images)
    if begin is None:
        point = start(origin, spec, generator, part)
    else:
        point = norms.project(space.enter(begin), origin, float(spec.epsilon), spec.norm)
    velocity = torch.zeros_like(origin)
    for number in range(spec.steps):
        yield Pulse(spec.title, number, spec.steps)
        point, velocity = take_step((point, velocity), gradient(space.leave(point)), origin, spec)
    return space.leave(point).detach()


def take_step(state: tuple[Tensor, Tensor], gradient: Tensor, origin: Tensor, spec: Attack) -> tuple[Tensor, Tensor]:
    """One step of an attack and back into the ball.

    Args:
        state: where it is and, with momentum, its velocity; coordinates (N, C, H, W) of the attack's space.
        gradient: by the images, where it is.
        origin: centre of the ball.
        spec: the attack.

    Returns:
        The same after the step.
    """
    (point, velocity), direction = state, spec.space.pull_back(gradient)
    if spec.momentum is not None:
        direction = direction / norms.magnitudes(direction)
        direction = velocity = spec.momentum * velocity + direction / mean_size(direction)
    point = norms.step(point, direction, float(spec.step_size), spec.norm)
    return norms.project(point, origin, float(spec.epsilon), spec.norm), velocity


def start(origin: Tensor, spec: Attack, generator: torch.Generator, part: Part | None = None) -> Tensor:
    """Where the attack begins: at the origin, or at a random point of the ball, in [0, 1].

    Raises:
        ConfigError: the attack is a plugin's, which has no points to climb from or to judge.
    """
    if spec.is_registered:
        raise ConfigError(f"{spec.title} is a plugin's and gives its last points alone; let the last point decide")
    if spec.start == "none":
        return origin.clone()
    epsilon, like = float(spec.epsilon), origin
    if part is not None and not part.is_whole:
        like = origin.new_empty((part.total, *origin.shape[1:]))
    if spec.start == "uniform":
        noise = norms.uniform_noise(like, epsilon, spec.norm, generator)
    elif spec.start == "bernoulli":
        noise = norms.bernoulli_noise(like, epsilon, generator)
    else:
        noise = norms.gaussian_noise(like, generator)
    noise = noise if part is None else part.take(noise)
    return norms.project(origin + noise, origin, epsilon, spec.norm)


def mean_size(gradient: Tensor) -> Tensor:
    """Mean absolute value of each image's gradient, (N, 1, 1, 1): a constant times its L1 norm, which no step sees."""
    return gradient.abs().mean((1, 2, 3), keepdim=True).clamp(min=norms.TINY)


def attack_steps(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    spec: Attack,
    generator: torch.Generator,
    compute: Compute,
) -> Generator[Pulse, None, Tensor]:
    """Craft adversarial examples of a classifier: `ascent_steps` on a loss against the true class.

    Args:
        model: images (N, C, H, W) in [0, 1] to logits (N, K); frozen here, in eval mode.
        images: (N, C, H, W) in [0, 1]; not modified.
        labels: (N,) true classes.
        spec: the attack.
        generator: of the random start.
        compute: precision of the forward and backward passes; the images themselves stay fp32.

    Returns:
        (N, C, H, W) in [0, 1]; what a plugin's attack gives is checked by `require_ball` alone.

    Raises:
        ClafError: a plugin's attack gives no images.
    """
    if spec.is_registered:
        return _registered_steps(model, images, labels, spec, generator)
    gradient = gradient_of(model, partial(CLIMBED[spec.climbs], labels=labels), compute)
    return ascent_steps(gradient, images, spec, generator)


def _registered_steps(
    model: nn.Module, images: Tensor, labels: Tensor, spec: Attack, generator: torch.Generator
) -> Generator[Pulse, None, Tensor]:
    """An attack of a plugin, which has no steps that we know of."""
    yield Pulse(spec.title)
    return crafted(spec.name, model, images, labels, float(spec.epsilon), generator)


def attack(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    spec: Attack,
    generator: torch.Generator,
    compute: Compute,
) -> Tensor:
    """`attack_steps` without the pauses.

    Raises:
        DataError: the images do not lie in [0, 1].
    """
    require_pixels(images)
    return exhaust(attack_steps(model, images, labels, spec, generator, compute))
