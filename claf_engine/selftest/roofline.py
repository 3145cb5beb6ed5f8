"""What a machine's convolutions attain at most, shape by shape, to hold a piece of training against.

The peak of a convolution is what `torch.conv2d` forward reaches with its batch size in its precision, with inputs and
weights channels_last. A piece of work that consists of several is held against the seconds that all of them would take
at their own peaks.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from claf_engine.compute.device import synchronise
from claf_engine.selftest.flops import Flops, Layer

SAMPLE_SECONDS = 0.005
"""Calls are timed in groups that last at least so long, because a GPU must be waited for after each group."""
DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}


@dataclass(frozen=True)
class Convolution:
    """One convolution with its batch: what the peak is measured for; equal shapes are measured once."""

    batch: int
    weight: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    groups: int
    inputs: tuple[int, ...]
    forward_flops: int

    def describe(self) -> str:
        """Channels, kernel and image of it, such as "64>128 3x3/2 of 32x32, 192 images"."""
        channels = f"{self.inputs[0]}>{self.weight[0]}"
        kernel = f"{self.weight[2]}x{self.weight[3]}/{self.stride[0]}"
        return f"{channels} {kernel} of {self.inputs[1]}x{self.inputs[2]}, {self.batch} images"


Arithmetic = Counter[Convolution]
"""FLOPs that a piece of work spends in each convolution."""


def convolution_of(layer: Layer, batch: int) -> Convolution:
    """A layer of a network with so many images in its batch."""
    return Convolution(
        batch, layer.weight, layer.stride, layer.padding, layer.groups, layer.inputs, layer.flops.forward * batch
    )


def arithmetic(layers: Iterable[Layer], batch: int, images: int, passes: Callable[[Flops], int]) -> Arithmetic:
    """What so many images cost in the convolutions of a network.

    Args:
        layers: of the network; linear ones are left out, which are less than a thousandth.
        batch: images that pass through at once.
        images: that pass in all.
        passes: FLOPs of one image in a layer, made of those of its single passes.
    """
    found: Arithmetic = Counter()
    for layer in layers:
        if layer.is_convolution:
            found[convolution_of(layer, batch)] += images * passes(layer.flops)
    return found


def call_of(shape: Convolution, device: torch.device, dtype: torch.dtype) -> Callable[[], Any]:
    """A function that convolves random images of that shape once."""
    form = torch.channels_last
    images = torch.randn(shape.batch, *shape.inputs, device=device).to(dtype).to(memory_format=form)
    weight = torch.randn(shape.weight, device=device).to(dtype).to(memory_format=form)
    stride, padding, groups = list(shape.stride), list(shape.padding), shape.groups
    return lambda: torch.conv2d(images, weight, None, stride, padding, 1, groups)


@torch.no_grad()
def sample_rates(call: Callable[[], Any], amount: int, device: torch.device, seconds: float) -> list[float]:
    """Of a call that does so much, how much of it is done a second, sampled again and again for so many seconds.

    There is at least one sample.
    """
    rates: list[float] = []
    number, ends = 1, time.perf_counter() + seconds
    while not rates or time.perf_counter() < ends:
        began = time.perf_counter()
        for _ in range(number):
            call()
        synchronise(device)
        took = time.perf_counter() - began
        if took < SAMPLE_SECONDS:
            number *= 2
        else:
            rates.append(number * amount / took)
    return rates


def seconds_at(work: Arithmetic, rates: Mapping[Convolution, float]) -> float:
    """Seconds that a piece of work takes where every shape runs at its rate in FLOP/s."""
    return sum(flops / rates[shape] for shape, flops in work.items())
