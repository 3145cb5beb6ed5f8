"""Encoders that plugins register."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor, nn

from claf_engine.config import ModelConfig
from claf_engine.config.registry import MODELS
from claf_engine.models.segments import Segment, segments_of
from claf_engine.terms.errors import ConfigError

BuildEncoder = Callable[[ModelConfig], nn.Module]
"""Settings to an encoder: images (N, C, H, W) in [0, 1] to features (N, D), with D as its attribute `num_features`."""

Function = TypeVar("Function", bound=BuildEncoder)


def register_model(name: str) -> Callable[[Function], Function]:
    """Register what builds an encoder as `model.architecture`; a decorator.

    The encoder normalises its images itself. It is built on the CPU, where torch's global generator is seeded from the
    run's, so that its own initialisation is the same in every run of a seed; what the global generator was is put back.

    Raises:
        ConfigError: the name is no plain word, or taken.
    """

    def register(build: Function) -> Function:
        MODELS.add(name, build)
        return build

    return register


class RegisteredEncoder(nn.Module):
    """A plugin's encoder, which gives what it promises or is refused.

    Its text representation has the hash of the plugin's text: equal weights do not make equal models, and what was
    measured of one must not be taken for the other.
    """

    def __init__(self, module: nn.Module, num_features: int, name: str) -> None:
        super().__init__()
        self.module = module
        self.num_features = num_features
        self.name = name
        plugin = MODELS.entries[name].plugin
        self._origin = "" if plugin is None else plugin.sha256

    def extra_repr(self) -> str:
        """Its name and where it is from."""
        return f"{self.name}, {self._origin}"

    def forward(self, images: Tensor) -> Tensor:
        """Map images (N, C, H, W) in [0, 1] to features (N, D).

        Raises:
            ConfigError: the module gives something else.
        """
        with MODELS.calling(self.name):
            features = self.module(images)
        wanted = (len(images), self.num_features)
        if not isinstance(features, Tensor) or tuple(features.shape) != wanted:
            found = f"shape {tuple(features.shape)}" if isinstance(features, Tensor) else type(features).__name__
            raise ConfigError(
                f"architecture {self.name!r} gives {found} for {len(images)} images; its forward pass must return "
                f"features of shape {wanted}, as its num_features = {self.num_features} says"
            )
        return features

    def segments(self) -> tuple[Segment, ...]:
        """The parts that the module gives, or the whole."""
        is_one = not hasattr(self.module, "segments")
        return (self,) if is_one else segments_of(self.module)


def registered_encoder(config: ModelConfig, generator: torch.Generator) -> RegisteredEncoder:
    """Build the encoder of the settings, initialised from a CPU generator alone.

    Raises:
        ConfigError: what is registered builds no encoder on the CPU, or nothing is.
    """
    name = config.architecture
    if name not in MODELS.entries:
        raise ConfigError(MODELS.complaint(name))
    with MODELS.calling(name), seeded_from(generator):
        module = MODELS.entries[name].value(config)
    if not isinstance(module, nn.Module):
        raise ConfigError(f"architecture {name!r} builds a {type(module).__name__}; return a torch.nn.Module")
    width = getattr(module, "num_features", None)
    if not isinstance(width, int) or width < 1:
        raise ConfigError(f"architecture {name!r} has num_features = {width!r}; set it to the length of its features")
    if any(tensor.device.type != "cpu" for tensor in module.state_dict().values()):
        raise ConfigError(f"architecture {name!r} is not built on the CPU; leave its device to the run")
    return RegisteredEncoder(module, width, name)


@contextmanager
def seeded_from(generator: torch.Generator) -> Iterator[None]:
    """Torch's global CPU generator begins at a draw from another one, and is put back afterwards."""
    seed = int(torch.randint(2**62, (), generator=generator))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
