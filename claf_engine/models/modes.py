"""Modes of modules, as context managers that put every flag back.

A frozen module is one whose parameters take no gradient AND whose BatchNorm buffers stand still: the released code
stops only the first and lets the statistics of its "frozen" encoder drift (`docs/deviations.md`).
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from torch import nn

BATCH_NORMS = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d | nn.SyncBatchNorm


def evaluating(module: nn.Module) -> AbstractContextManager[None]:
    """Eval mode (BatchNorm uses and keeps its running statistics); restores each submodule's own mode."""
    return _in_mode(module, is_training=False)


def training(module: nn.Module) -> AbstractContextManager[None]:
    """Train mode; restores each submodule's own mode."""
    return _in_mode(module, is_training=True)


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
def batch_statistics(module: nn.Module) -> Iterator[None]:
    """Frozen, but BatchNorm normalises by the batch; its buffers are neither used nor changed. Restores each flag."""
    was_tracking = {child: child.track_running_stats for child in module.modules() if isinstance(child, BATCH_NORMS)}
    with frozen(module):
        for norm in was_tracking:
            norm.training, norm.track_running_stats = True, False
        try:
            yield
        finally:
            for norm, tracking in was_tracking.items():
                norm.track_running_stats = tracking


@contextmanager
def buffers_kept(module: nn.Module) -> Iterator[None]:
    """Passes change copies of the buffers, such as BatchNorm's statistics; afterwards the buffers are as before."""
    kept = [(child, name, buffer) for child in module.modules() for name, buffer in child.named_buffers(recurse=False)]
    for child, name, buffer in kept:
        setattr(child, name, buffer.clone())
    try:
        yield
    finally:
        for child, name, buffer in kept:
            setattr(child, name, buffer)


@contextmanager
def _in_mode(module: nn.Module, is_training: bool) -> Iterator[None]:
    own_modes = {child: child.training for child in module.modules()}
    if any(own_mode != is_training for own_mode in own_modes.values()):  # setting a flag costs more than reading it
        module.train(is_training)
    try:
        yield
    finally:
        for child, own_mode in own_modes.items():
            if child.training != own_mode:
                child.training = own_mode
