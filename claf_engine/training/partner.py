"""The second of two encoders, which is trained beside the measured one and is no part of the network that is kept."""

from typing import TYPE_CHECKING

import torch
from torch import nn

from claf_engine.config import RunConfig
from claf_engine.models.network import ADVERSARIAL, NATURAL, Network, Pipeline, build_network

if TYPE_CHECKING:
    from claf_engine.training.companions import Surroundings

PARTNER = "partner"
"""Its name among companions."""


class Partner(nn.Module):
    """Encoder, projection head and classifier of their own, of the same kinds as those of a network.

    Args:
        network: whose parts become those of the partner.
        classifier: the one of its classifiers that is taken.
    """

    def __init__(self, network: Network, classifier: str) -> None:
        super().__init__()
        self.encoder = network.encoder
        self.head = network.projection_head
        self.classifier = network.classifiers[classifier]

    @property
    def pipeline(self) -> Pipeline:
        """Images in [0, 1] to logits."""
        return Pipeline(self.encoder, self.classifier)

    def begin_as(self, network: Network, classifier: str) -> None:
        """Take over the weights of a network and one of its classifiers, in place."""
        self.load_state_dict(Partner(network, classifier).state_dict())


def build_partner(surroundings: "Surroundings", generator: torch.Generator) -> Partner:
    """A partner on the CPU, initialised from the generator alone.

    Raises:
        ConfigError: see `build_network`.
        DataError: see `build_network`.
    """
    of, config = surroundings, surroundings.config
    network = build_network(config.model, of.num_classes, generator, of.image_size)
    return Partner(network, measured_classifier(config))


def measured_classifier(config: RunConfig) -> str:
    """The classifier on the measured one of two encoders, named after the images that it is trained on."""
    return ADVERSARIAL if config.two_encoders.measured == "attacked" else NATURAL


def measured_encoder_notices(config: RunConfig) -> tuple[str, ...]:
    """What whoever reads a figure must know where a run trains two encoders; nothing elsewhere."""
    if config.method != "two-encoders":
        return ()
    settings = config.two_encoders
    other = "clean" if settings.measured == "attacked" else "attacked"
    return (
        f"of two encoders, trained in {settings.training} mode, the {settings.measured} one is measured, chosen by and "
        f"exported; the {other} one stays in the checkpoints",
    )
