"""Freezing, as context managers that put every flag back.

A frozen module is one whose parameters take no gradient AND whose BatchNorm buffers stand still: the released code
stops only the first and lets the statistics of its "frozen" encoder drift (`docs/deviations.md`).
"""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Eval mode (BatchNorm uses and keeps its running statistics); restores each submodule's own mode."""
    was_training = {child: child.training for child in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for child, training in was_training.items():
            child.training = training


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Eval mode and no parameter gradients; restores each flag."""
    wanted_gradient = {parameter: parameter.requires_grad for parameter in module.parameters()}
    with evaluating(module):
        for parameter in wanted_gradient:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter, requires_grad in wanted_gradient.items():
                parameter.requires_grad_(requires_grad)


@contextmanager
def training(module: nn.Module) -> Iterator[None]:
    """Train mode; restores each submodule's own mode."""
    was_training = {child: child.training for child in module.modules()}
    module.train()
    try:
        yield
    finally:
        for child, mode in was_training.items():
            child.training = mode


@contextmanager
def batch_statistics(module: nn.Module) -> Iterator[None]:
    """No parameter gradients, and BatchNorm normalises by the batch but keeps its buffers; restores everything."""
    norms = [child for child in module.modules() if isinstance(child, nn.BatchNorm2d)]
    buffers = [{name: buffer.clone() for name, buffer in norm.named_buffers()} for norm in norms]
    with frozen(module):
        for norm in norms:
            norm.train()
        try:
            yield
        finally:
            for norm, saved in zip(norms, buffers, strict=True):
                for name, buffer in norm.named_buffers():
                    buffer.copy_(saved[name])
