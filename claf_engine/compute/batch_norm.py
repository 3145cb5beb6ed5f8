"""BatchNorm over the batch of all processes.

On an accelerator it is torch's own SyncBatchNorm, which exists for accelerators alone; on processors, and for
micro-batches, the one below, which computes the same. Parameters, buffers and their names stay as they are, so that a
checkpoint does not say how many processes trained it, and in eval mode nothing is exchanged.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import handle_torch_function, has_torch_function_unary

from claf_engine.compute.world import World
from claf_engine.terms.errors import ConfigError


def synchronise_batch_norms(
    network: nn.Module, world: World, device: torch.device, *, in_micro_batches: bool = False
) -> None:
    """Let every BatchNorm of a network on this device see the batch of all processes, in place.

    Args:
        network: on the device.
        world: the processes.
        device: whose BatchNorm is taken.
        in_micro_batches: the network is trained in micro-batches, which cannot follow torch's own.

    Raises:
        ConfigError: a layer derives from torch's BatchNorm, and computes something of its own.
    """
    if world.is_single:
        return
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    ours = {norm: _shared_kind(norm) for norm in norms if not isinstance(norm, nn.SyncBatchNorm)}
    # Torch would put its own in the place of a layer that does more, which is then left undone.
    if device.type != "cpu" and not in_micro_batches and all(type(norm) in SHARED for norm in ours):
        nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        return
    for norm, kind in ours.items():
        norm.__class__ = kind
        norm.world = world  # type: ignore[assignment]


def _shared_kind(norm: nn.Module) -> "type[Shared]":
    """What takes the place of a layer.

    Raises:
        ConfigError: nobody knows.
    """
    kind = type(norm)
    if kind.__name__ == "BatchNormAct2d" and kind.__module__.startswith("timm."):
        return SharedBatchNormAct2d
    if kind not in SHARED:
        raise ConfigError(
            f"the model's {kind.__name__} computes BatchNorm in a way of its own, which several processes cannot "
            "follow; train in one process, or build the model of torch's own BatchNorm"
        )
    return SHARED[kind]


class Shared(nn.modules.batchnorm._BatchNorm):
    """BatchNorm of a batch that lies in several processes; a process may hold none of it.

    Each gives its mean, its sum of squares around it and its number of values; they are put together as Chan et al.
    (1983) do, which does not cancel as E[x^2] - E[x]^2 does.
    """

    world: World

    def forward(self, input: Tensor) -> Tensor:
        """Map (N, C, ...) to the same shape, in the type of the input."""
        if not self.training:
            return super().forward(input)
        if has_torch_function_unary(input):  # somebody takes the computation over, as micro-batches do
            found: Tensor = handle_torch_function(Shared.forward, (input,), self, input)
            return found
        _, mean, variance = self.statistics(input)
        return self.normalised(input, mean, variance)

    def statistics(self, input: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Number of values of a channel (0-d), mean (C,) and variance (C,) over all processes; running ones follow."""
        self._check_input_dim(input)  # type: ignore[no-untyped-call]
        dims = [dim for dim in range(input.dim()) if dim != 1]
        count, mean, variance = self._statistics(_in_full(input), dims)
        if self.track_running_stats and self.running_mean is not None:
            self._keep(count, mean.detach(), variance.detach())
        return count, mean, variance

    def normalised(self, input: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        """Map (N, C, ...) to the same shape by statistics (C,), in the type of the input."""
        values, shape = _in_full(input), [1, -1, *([1] * (input.dim() - 2))]
        scale = (variance + self.eps).rsqrt()
        shift = -mean * scale
        if self.affine:
            scale, shift = scale * self.weight, shift * self.weight + self.bias
        return torch.addcmul(shift.view(shape), values, scale.view(shape)).to(input.dtype)

    def _statistics(self, values: Tensor, dims: list[int]) -> tuple[Tensor, Tensor, Tensor]:
        """Number of values (0-d), mean (C,) and variance (C,) over all processes."""
        own_count = values.numel() // values.shape[1]
        own_mean = values.sum(dims) / max(1, own_count)
        shape = [1, -1, *([1] * (values.dim() - 2))]
        own_squares = (values - own_mean.view(shape)).square().sum(dims)
        own = torch.cat([own_mean, own_squares, own_mean.new_tensor([own_count])])
        # One row of each process.
        found = self.world.part(self.world.size).gather_with_graph(own[None])
        means, squares, counts = torch.split(found, [values.shape[1], values.shape[1], 1], dim=1)
        count = counts.sum().detach().clamp(min=1)
        mean = (counts * means).sum(0) / count
        spread = (counts * (means - mean).square()).sum(0)
        return count, mean, (squares.sum(0) + spread) / count

    @torch.no_grad()
    def _keep(self, count: Tensor, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics towards those of a batch, as nn.BatchNorm2d does."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked += 1
        factor = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        unbiased = variance * count / (count - 1).clamp(min=1)
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), factor)
        self.running_var.lerp_(unbiased.to(self.running_var.dtype), factor)


def _in_full(input: Tensor) -> Tensor:
    return input if input.dtype == torch.float64 else input.float()


class SharedBatchNorm1d(Shared, nn.BatchNorm1d):
    """nn.BatchNorm1d of a batch in several processes."""


class SharedBatchNorm2d(Shared, nn.BatchNorm2d):
    """nn.BatchNorm2d of a batch in several processes."""


class SharedBatchNormAct2d(SharedBatchNorm2d):
    """The BatchNormAct2d of timm, which drops out and activates what BatchNorm gives."""

    drop: nn.Module
    act: nn.Module

    def forward(self, input: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape, in the type of the input."""
        activated: Tensor = self.act(self.drop(super().forward(input)))
        return activated


class SharedBatchNorm3d(Shared, nn.BatchNorm3d):
    """nn.BatchNorm3d of a batch in several processes."""


SHARED: dict[type[Any], type[Shared]] = {
    nn.BatchNorm1d: SharedBatchNorm1d,
    nn.BatchNorm2d: SharedBatchNorm2d,
    nn.BatchNorm3d: SharedBatchNorm3d,
}
