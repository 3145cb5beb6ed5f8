"""What the attacks of training climb: a frozen copy of the model, kept current, captured where the device can."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from claf_engine.attacks.gradients import Gradient, Mode, gradient_of
from claf_engine.compute.device import Captured, Compute
from claf_engine.models.folding import fold, refold
from claf_engine.models.modes import frozen

Loss = Callable[..., Tensor]
"""Outputs of the model in fp32, and whatever else a loss needs (labels, say), to losses, which are summed."""


class Target:
    """A model under attack, for as long as a loop attacks it.

    In eval mode it is a folded copy, made once; `refresh` brings it up to date after the model has learnt. Where the
    device can, forward and backward pass are captured, once for each shape, and replayed as a whole: then no step waits
    for the processor to hand out its kernels one by one.

    Attributes:
        model: what gradients are taken from: images (N, 3, H, W) in [0, 1] to outputs.
        mode: how it is frozen meanwhile.
    """

    def __init__(self, model: nn.Module, compute: Compute, mode: Mode = frozen) -> None:
        self.model = fold(model) if mode is frozen else model
        self.mode = mode
        self._source = model
        self._compute = compute
        self._captured: dict[object, Captured] = {}

    def refresh(self) -> None:
        """Take over what the model has learnt since."""
        refold(self.model, self._source)

    @torch.no_grad()
    def outputs(self, images: Tensor) -> Tensor:
        """Outputs in fp32 of images (N, 3, H, W) in [0, 1], without a graph."""
        with self.mode(self.model), self._compute.autocast():
            found: Tensor = self.model(self._compute.arrange(images)).float()
        return found

    def gradient(self, loss: Loss, *context: Tensor) -> Gradient:
        """What an attack climbs on one batch.

        Args:
            loss: outputs in fp32 and the context to losses, which are summed; the same function from batch to batch.
            context: what the loss takes besides the outputs, such as labels (N,).
        """
        if not self._compute.captures:
            return self._eager(loss, *context)

        def replay(images: Tensor) -> Tensor:
            key = loss, tuple((tensor.shape, tensor.dtype) for tensor in (images, *context))
            if key not in self._captured:
                self._captured[key] = Captured(
                    lambda points, *held: self._eager(loss, *held)(points), (images, *context)
                )
            return self._captured[key](images, *context)

        return replay

    def _eager(self, loss: Loss, *context: Tensor) -> Gradient:
        return gradient_of(self.model, lambda outputs: loss(outputs, *context), self._compute, self.mode)
