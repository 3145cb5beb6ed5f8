"""BatchNorm of a whole batch that is computed a micro-batch at a time (see `micro_batches` for the arithmetic)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.overrides import TorchFunctionMode

from claf_engine.compute.batch_norm import Shared
from claf_engine.compute.world import World
from claf_engine.terms.errors import ConfigError


@dataclass
class NormCall:
    """One call of BatchNorm for a whole batch, which may lie in several processes.

    Attributes:
        mean: (C,) over the batch, in fp32 or float64.
        variance: (C,) likewise, biased.
        count: values of a channel.
        world: the processes.
        sums: (2, C) of g and of g x' over the batch; None while they are not known.
    """

    mean: Tensor
    variance: Tensor
    count: int | Tensor
    world: World = World()
    sums: Tensor | None = None


@dataclass(frozen=True)
class Arguments:
    """Those of `F.batch_norm`."""

    input: Tensor
    running_mean: Tensor | None
    running_var: Tensor | None
    weight: Tensor | None = None
    bias: Tensor | None = None
    training: bool = False
    momentum: float = 0.1
    eps: float = 1e-5

    @property
    def count(self) -> int:
        """Values of a channel."""
        return self.input.numel() // self.input.shape[1]


class _NormMode(TorchFunctionMode):
    """While it is entered, BatchNorm that normalises by the batch is computed by `normalise` instead."""

    def __torch_function__(
        self,
        function: Callable[..., Any],
        _types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Hand a call of torch's on, or take it over."""
        named = kwargs or {}
        if function is Shared.forward:
            return self.normalise_shared(*args)
        if function is F.batch_norm and (given := Arguments(*args, **named)).training:
            return self.normalise(given)
        return function(*args, **named)

    def normalise(self, given: Arguments) -> Tensor:
        """What takes the place of `F.batch_norm`."""
        raise NotImplementedError

    def normalise_shared(self, norm: Shared, inputs: Tensor) -> Tensor:
        """What takes the place of BatchNorm over several processes in train mode."""
        raise NotImplementedError


class Recording(_NormMode):
    """Keep the statistics of each call in `calls`; outputs and running statistics are as ever.

    Raises:
        ValueError: a channel has one value, as torch itself complains.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[NormCall] = []

    def normalise(self, given: Arguments) -> Tensor:
        """Normalise by the batch."""
        if given.count < 2:
            raise ValueError(f"BatchNorm needs more than one value of a channel, and has {tuple(given.input.shape)}")
        outputs, mean, inverse = torch.native_batch_norm(
            given.input,
            given.weight,
            given.bias,
            given.running_mean,
            given.running_var,
            given.training,
            given.momentum,
            given.eps,
        )
        self.calls.append(NormCall(mean, inverse.pow(-2) - given.eps, given.count))
        return outputs

    def normalise_shared(self, norm: Shared, inputs: Tensor) -> Tensor:
        """Normalise by the batch of all processes."""
        count, mean, variance = norm.statistics(inputs)
        self.calls.append(NormCall(mean, variance, count, norm.world))
        return norm.normalised(inputs, mean, variance)


class Replaying(_NormMode):
    """Normalise a micro-batch by the recorded statistics, call by call.

    Attributes:
        affine: gamma and beta (C,) of each call, as they lie in its graph; ones and zeros where a layer has none.

    Raises:
        ConfigError: BatchNorm was called less often for the whole batch.
    """

    def __init__(self, calls: list[NormCall]) -> None:
        super().__init__()
        self.affine: list[tuple[Tensor, Tensor]] = []
        self._calls = iter(calls)

    def normalise(self, given: Arguments) -> Tensor:
        """Normalise by the next recorded statistics."""
        return self._by_next(given.input, given.weight, given.bias, given.eps)

    def normalise_shared(self, norm: Shared, inputs: Tensor) -> Tensor:
        """Likewise."""
        return self._by_next(inputs, norm.weight, norm.bias, norm.eps)

    def _by_next(self, inputs: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
        call = next(self._calls, None)
        if call is None:
            raise ConfigError(
                "the model computes other layers for a micro-batch than for its batch; set runtime.micro_batch = none"
            )
        gamma = torch.ones_like(call.mean, requires_grad=True) if weight is None else weight.view_as(weight)
        beta = torch.zeros_like(call.mean, requires_grad=True) if bias is None else bias.view_as(bias)
        self.affine.append((gamma, beta))
        outputs: Tensor = _Normalise.apply(inputs, gamma, beta, call, eps)
        return outputs


class _Normalise(torch.autograd.Function):
    """BatchNorm of a part of a batch; the gradient by the inputs is that of the whole batch once its sums are known."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor, call: NormCall, eps: float) -> Tensor:
        ctx.save_for_backward(inputs, weight)
        ctx.call, ctx.eps = call, eps
        return F.batch_norm(inputs, call.mean, call.variance, weight, bias, training=False, eps=eps)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        inputs, weight = ctx.saved_tensors
        call: NormCall = ctx.call
        if not len(inputs):  # torch's kernel divides by their number
            return gradient, torch.zeros_like(weight), torch.zeros_like(weight), None, None
        wanted = [ctx.needs_input_grad[0], True, True]
        below, by_weight, by_bias = torch.ops.aten.native_batch_norm_backward(
            gradient, inputs, weight, call.mean, call.variance, None, None, False, ctx.eps, wanted
        )
        if below is not None and call.sums is not None:
            shape = [1, -1, *(1 for _ in inputs.shape[2:])]
            inverse = (call.variance + ctx.eps).rsqrt()
            of_gradient, of_product = call.sums * (weight * inverse / call.count)
            slope = of_product * inverse
            below = below - (inputs * slope.view(shape) + (of_gradient - call.mean * slope).view(shape)).to(below.dtype)
        return below, by_weight, by_bias, None, None
