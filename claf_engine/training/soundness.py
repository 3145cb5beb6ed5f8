"""Whether the libraries below torch compute the gradients of a model right."""

import torch
from torch import nn

from claf_engine.compute.device import Compute
from claf_engine.models.layers import REGISTER, Pointwise
from claf_engine.terms.errors import ConfigError


def require_sound(network: nn.Module, compute: Compute) -> None:
    """Refuse to train what oneDNN computes wrong gradients of, or crashes at (see `Pointwise`).

    Raises:
        ConfigError: on a processor with AVX2 alone and in channels_last, the model has a strided 1x1 convolution of
            few channels.
    """
    is_avx2 = compute.device.type == "cpu" and torch.backends.cpu.get_cpu_capability() == "AVX2"
    if not is_avx2 or compute.layout != "channels_last":
        return
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d) and not isinstance(module, Pointwise) and _is_unsound(module):
            raise ConfigError(
                f"the convolution {name} has a 1x1 kernel, a stride and {module.in_channels} channels, whose gradient "
                "is computed wrong on this processor in channels_last; give it 8 channels, or set "
                "runtime.layout=contiguous"
            )


def _is_unsound(convolution: nn.Conv2d) -> bool:
    return (
        tuple(convolution.kernel_size) == (1, 1)
        and max(convolution.stride) > 1
        and 1 < convolution.in_channels // convolution.groups < REGISTER
    )
