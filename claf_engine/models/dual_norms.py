"""A second set of BatchNorm layers for one encoder: the same convolutions, other statistics and affine parameters."""

import copy

from torch import nn

from claf_engine.models.modes import BATCH_NORMS
from claf_engine.terms.errors import ConfigError


def norms_of(encoder: nn.Module) -> list[nn.Module]:
    """The BatchNorm layers of an encoder, in the order of its modules."""
    return [module for module in encoder.modules() if isinstance(module, BATCH_NORMS)]


def second_norms(encoder: nn.Module) -> nn.ModuleList:
    """Copies of an encoder's BatchNorm layers as they are.

    Raises:
        ConfigError: it has none.
    """
    norms = norms_of(encoder)
    if not norms:
        raise ConfigError(
            "the model has no BatchNorm, of which acl.streams = 'dual' keeps one for natural and one for attacked "
            "views; set acl.streams = adversarial, or choose a model with BatchNorm"
        )
    return nn.ModuleList(copy.deepcopy(norm) for norm in norms)


def with_norms(encoder: nn.Module, norms: nn.ModuleList) -> nn.Module:
    """The encoder again, with other BatchNorm layers in the place of its own; everything else is shared, not copied.

    A step on either moves the same convolutions. The encoder itself stays as it is.

    Args:
        encoder: of any kind.
        norms: one for each of its BatchNorm layers, see `second_norms`.

    Raises:
        ConfigError: the model cannot be put together a second time.
    """
    shared: dict[int, object] = {id(tensor): tensor for tensor in (*encoder.parameters(), *encoder.buffers())}
    replaced = {id(norm): other for norm, other in zip(norms_of(encoder), norms, strict=True)}
    try:
        return copy.deepcopy(encoder, shared | replaced)
    except (TypeError, RuntimeError, NotImplementedError) as error:
        raise ConfigError(
            f"the model cannot be given a second BatchNorm, for its {type(encoder).__name__} cannot be copied "
            f"({error}); set acl.streams = adversarial"
        ) from error
