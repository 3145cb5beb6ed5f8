"""Networks that are trained beside the measured one: heads of other tasks, a second encoder, a generator.

What a method trains beside encoder, projection head and classifiers is built by its name in `COMPANIONS`, stepped by an
optimiser whose name has that name in it ("encoder+rotation"), and saved with the rest of the state.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import nn

from claf_engine.compute.batch_norm import synchronise_batch_norms
from claf_engine.compute.device import Compute
from claf_engine.config import RunConfig
from claf_engine.config.pretext import NUM_TURNS
from claf_engine.models.dual_norms import second_norms
from claf_engine.models.generative import Critic, Generator, initialise
from claf_engine.models.network import build_network
from claf_engine.models.pretext_heads import linear_head, selfie_head
from claf_engine.models.rectifier import PerturbationSet, build_detector, build_rectifier
from claf_engine.terms.errors import ConfigError
from claf_engine.training.partner import PARTNER, build_partner


@dataclass(frozen=True)
class Surroundings:
    """What a companion is built for.

    Attributes:
        config: of the run.
        num_features: D, that the encoder gives.
        num_classes: of the images.
        image_size: height and width, where they are known.
    """

    config: RunConfig
    num_features: int
    num_classes: int
    image_size: tuple[int, int] | None


Build = Callable[[Surroundings, torch.Generator], nn.Module]
"""Builds a companion on the CPU, initialised from the generator alone."""


def _other_norms(surroundings: Surroundings, generator: torch.Generator) -> nn.Module:
    """The BatchNorm of the stream that is not measured (see `claf_engine.models.dual_norms`)."""
    config, size = surroundings.config, surroundings.image_size
    return second_norms(build_network(config.model, surroundings.num_classes, generator, size).encoder)


def size_of(surroundings: Surroundings) -> tuple[int, int]:
    """Height and width of the images, for what is built for one size.

    Raises:
        ConfigError: they are not known.
    """
    if surroundings.image_size is None:
        raise ConfigError(
            "the size of the images is not known, and what is trained beside the network is built for one"
        )
    return surroundings.image_size


def _rectifier(surroundings: Surroundings, generator: torch.Generator) -> nn.Module:
    config = surroundings.config
    return build_rectifier(config.model.num_channels, config.rectifier.width, config.rectifier.blocks, generator)


def _perturbations(surroundings: Surroundings, _: torch.Generator) -> nn.Module:
    config = surroundings.config
    count = config.rectifier.num_perturbations + config.rectifier.num_synthetic
    return PerturbationSet(count, config.model.num_channels, size_of(surroundings))


def _generator(surroundings: Surroundings, stream: torch.Generator) -> nn.Module:
    channels, size, gan = *_of_images(surroundings), surroundings.config.defense_gan
    return initialise(Generator(gan.latent, gan.width, channels, size), stream)


def _critic(surroundings: Surroundings, stream: torch.Generator) -> nn.Module:
    channels, size, gan = *_of_images(surroundings), surroundings.config.defense_gan
    return initialise(Critic(gan.width, channels, size), stream)


def _of_images(surroundings: Surroundings) -> tuple[int, tuple[int, int]]:
    """Channels, height and width of the images."""
    size = surroundings.image_size
    if size is None:
        raise ConfigError("a generator needs to know how large the images are, which this checkpoint does not say")
    return surroundings.config.model.num_channels, size


def _rotation(surroundings: Surroundings, generator: torch.Generator) -> nn.Module:
    return linear_head(surroundings.num_features, NUM_TURNS, generator)


def _jigsaw(surroundings: Surroundings, generator: torch.Generator) -> nn.Module:
    return linear_head(surroundings.num_features, surroundings.config.pretext.permutations, generator)


def _selfie(surroundings: Surroundings, generator: torch.Generator) -> nn.Module:
    config = surroundings.config.pretext
    return selfie_head(surroundings.num_features, config.grid, config.attention_layers, generator)


OTHER_NORMS = "other-norms"
COMPANIONS: Mapping[str, Build] = {
    OTHER_NORMS: _other_norms,
    PARTNER: build_partner,
    "perturbations": _perturbations,
    "rectifier": _rectifier,
    "detector": lambda surroundings, generator: build_detector(size_of(surroundings), generator),
    "generator": _generator,
    "critic": _critic,
    "rotation": _rotation,
    "jigsaw": _jigsaw,
    "selfie": _selfie,
}
"""By name, a plain word."""


def build_companion(name: str, surroundings: Surroundings, generator: torch.Generator) -> nn.Module:
    """Build a companion on the CPU.

    Raises:
        ConfigError: there is none of this name.
    """
    if name not in COMPANIONS:
        raise ConfigError(f"there is no network {name!r} to train beside the encoder; this version is older than it")
    return COMPANIONS[name](surroundings, generator)


def place_companion(companion: nn.Module, compute: Compute) -> nn.Module:
    """Put a companion on the device, where its BatchNorm sees what that of the network does; gives it back."""
    compute.place(companion)
    in_micro_batches = compute.micro_batch is not None
    synchronise_batch_norms(companion, compute.world, compute.device, in_micro_batches=in_micro_batches)
    return companion
