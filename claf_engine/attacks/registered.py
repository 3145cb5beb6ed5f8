"""Attacks that plugins register, to measure with."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from claf_engine.config.registry import ATTACKS
from claf_engine.models.modes import frozen
from claf_engine.terms.errors import ClafError, ConfigError
from claf_engine.terms.names import Norm, SpaceName

CraftImages = Callable[[nn.Module, Tensor, Tensor, float, torch.Generator], Tensor]
"""Model (images in [0, 1] to logits, in eval mode), images (N, C, H, W) in [0, 1], labels (N,), epsilon and a generator
on the images' device, to images of the same shape in [0, 1] within epsilon of the first."""

Function = TypeVar("Function", bound=CraftImages)


@dataclass(frozen=True)
class RegisteredAttack:
    """A plugin's attack, and the norm of the ball that it keeps to."""

    craft: CraftImages
    norm: Norm


def register_attack(name: str, *, norm: Norm = "linf") -> Callable[[Function], Function]:
    """Register what crafts adversarial examples as an attack to measure with; a decorator.

    Images outside of the ball or of [0, 1] are refused, not clipped. With several restarts it is called once for each,
    with another generator.

    Args:
        name: as it is chosen and reported.
        norm: of the ball that it keeps to.

    Raises:
        ConfigError: the name is no plain word, or taken.
    """

    def register(craft: Function) -> Function:
        ATTACKS.add(name, RegisteredAttack(craft, norm))
        return craft

    return register


def require_registered(name: str, norm: Norm, space: SpaceName) -> None:
    """Refuse an attack that no plugin registers, or not for this ball.

    Raises:
        ConfigError: there is no such attack, or it is of another norm or space.
    """
    if name not in ATTACKS.entries:
        raise ConfigError(ATTACKS.complaint(name))
    attack: RegisteredAttack = ATTACKS.entries[name].value
    if attack.norm != norm:
        raise ConfigError(f"attack {name!r} keeps to {attack.norm} balls; use --norm {attack.norm}, not {norm}")
    if space != "pixel":
        raise ConfigError(f"attack {name!r} searches an epsilon-ball, and --space {space} has none; leave it out")


def crafted(
    name: str, model: nn.Module, images: Tensor, labels: Tensor, epsilon: float, generator: torch.Generator
) -> Tensor:
    """Adversarial examples (N, C, H, W) of a plugin's attack on a frozen model.

    Raises:
        ClafError: it gives something else than images of the same shape.
    """
    attack: RegisteredAttack = ATTACKS.entries[name].value
    with ATTACKS.calling(name), frozen(model), torch.enable_grad():
        points = attack.craft(model, images.clone(), labels.clone(), epsilon, generator)
    if not isinstance(points, Tensor) or points.shape != images.shape or not points.is_floating_point():
        found = (
            f"{points.dtype} of shape {tuple(points.shape)}" if isinstance(points, Tensor) else type(points).__name__
        )
        raise ClafError(
            f"attack {name!r} gives {found.removeprefix('torch.')}; return floating images of shape "
            f"{tuple(images.shape)}"
        )
    return points.detach().to(images)
