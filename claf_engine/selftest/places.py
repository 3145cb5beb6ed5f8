"""What the checks compute with: two places, and networks and images that are the same in both."""

from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from claf_engine.compute.device import Compute, has_bf16, make_generator
from claf_engine.compute.seeding import derive_seed
from claf_engine.config import RunConfig
from claf_engine.data import Dataset, Split
from claf_engine.models.network import ATTACK_CLASSIFIER, Network, Pipeline, build_network
from claf_engine.training.methods import feature_epochs, phases_of
from claf_engine.training.session import Session
from claf_engine.training.state import begin

CPU = torch.device("cpu")
NUM_CLASSES = 10
COARSE = 4
"""Patches along a side of an image."""


@dataclass(frozen=True)
class Scale:
    """How much the checks compute.

    Attributes:
        width: channels of the network that is compared.
        blocks: its residual blocks.
        side: of an image.
        batch: images that are compared.
        steps: of the attack that is compared and timed.
        timed_width: channels of the network that is timed.
        timed_batch: images of a timed step.
        repeats: timed repetitions; their median counts.
        matrix: rows of the square matrices that the peak is measured with.
    """

    width: int = 16
    blocks: tuple[int, ...] = (2, 2, 2, 2)
    side: int = 32
    batch: int = 32
    steps: int = 10
    timed_width: int = 64
    timed_batch: int = 256
    repeats: int = 5
    matrix: int = 8192


@dataclass(frozen=True)
class Places:
    """Where the checks compute.

    Attributes:
        reference: what is believed, in fp32.
        compute: what is checked against it, in fp32.
        scale: how much.
    """

    reference: Compute
    compute: Compute
    scale: Scale = Scale()

    @property
    def captures(self) -> bool:
        """Whether passes can be captured here."""
        return self.compute.device.type != "cpu"

    @property
    def training(self) -> Compute:
        """As a run would compute in fp32: with captured passes where that is possible."""
        return replace(self.compute, captures=self.captures)

    @property
    def precisions(self) -> tuple[str, ...]:
        """Those that the hardware computes in."""
        return ("fp32", "bf16") if has_bf16(self.compute.device) else ("fp32",)

    def config(self, **model: Any) -> RunConfig:
        """The settings of a small run; `model` replaces settings of the network."""
        scale = self.scale
        plain = {
            "batch_size": scale.batch,
            "model": {"width": scale.width, "blocks": list(scale.blocks), **model},
            "attack": {"steps": 3},
            "contrastive": {"epochs": 1},
            "adversarial": {"epochs": 1, "classifier_epochs": 1},
            "features_optimizer": {"learning_rate": 0.05},
            "probe": {"num_examples": scale.batch},
        }
        return RunConfig.model_validate(plain)

    def network(self, compute: Compute, config: RunConfig | None = None) -> Network:
        """The same untrained network everywhere, in fp32."""
        network = build_network((config or self.config()).model, NUM_CLASSES, make_generator(CPU, 0))
        compute.place(network)
        return network

    def pipeline(self, compute: Compute, config: RunConfig | None = None) -> Pipeline:
        """The same network with its attack classifier, as attacks want it."""
        return self.network(compute, config).with_classifier(ATTACK_CLASSIFIER)

    def images(self, compute: Compute, purpose: str = "images", count: int | None = None) -> tuple[Tensor, Tensor]:
        """Images (N, 3, H, W) in [0, 1] and labels (N,): the same for one purpose everywhere.

        They are coarse patterns: to an untrained network all images of noise look alike, and what is computed from the
        differences between almost equal features has few digits.
        """
        count, side = count or self.scale.batch, self.scale.side
        coarse = torch.rand((count, 3, COARSE, COARSE), generator=make_generator(CPU, derive_seed(0, purpose)))
        drawn = F.interpolate(coarse, (side, side))
        return drawn.to(compute.device), (torch.arange(count) % NUM_CLASSES).to(compute.device)

    def views(self, compute: Compute, num_views: int = 2) -> tuple[Tensor, Tensor]:
        """Views (B, V, 3, H, W) in [0, 1] and labels (B,): the same everywhere."""
        batch = self.scale.batch
        images, labels = self.images(compute, "views", batch * num_views)
        return images.view(batch, num_views, *images.shape[1:]), labels[:batch]

    def session(self, compute: Compute, config: RunConfig | None = None, num_batches: int = 6) -> Session:
        """A run that has not trained yet, on random images; its batches are all of one size."""
        config = config or self.config()
        train = self._split(compute, "train", num_batches * config.batch_size)
        watched, test = (self._split(compute, name, config.batch_size) for name in ("validation", "test"))
        names = tuple(f"class {number}" for number in range(NUM_CLASSES))
        data = Dataset("random", names, train, watched, test)
        state = begin(config, NUM_CLASSES, compute)
        return Session(config, compute, data, state, feature_epochs(phases_of(config)))

    def _split(self, compute: Compute, purpose: str, count: int) -> Split:
        images, labels = self.images(compute, purpose, count)
        return Split((images * 255).to(torch.uint8), labels)
