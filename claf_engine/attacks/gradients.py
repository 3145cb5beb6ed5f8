"""What an attack climbs: gradients by the images of a loss of a frozen model, such as the log-odds of the true class.

`Target` is a model for as long as a loop attacks it: folded, kept current while the model learns, captured on a GPU.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from claf_engine.compute.device import Captured, Compute
from claf_engine.compute.parts import in_parts
from claf_engine.models.folding import fold, refold
from claf_engine.models.modes import frozen

Gradient = Callable[[Tensor], Tensor]
"""Images (N, C, H, W) in [0, 1] to the gradient of the summed loss by them, of the same shape."""
Mode = Callable[[nn.Module], AbstractContextManager[None]]


def outputs_and_gradient(
    model: nn.Module, loss: Callable[[Tensor], Tensor], images: Tensor, compute: Compute, mode: Mode = frozen
) -> tuple[Tensor, Tensor]:
    """One forward and one backward pass.

    Args:
        model: images to outputs; its flags are put back.
        loss: fp32 outputs to losses, which are summed.
        images: (N, C, H, W) in [0, 1]; not modified.
        compute: precision of both passes.
        mode: how the model is frozen meanwhile; by default in eval mode.

    Returns:
        Detached outputs in fp32, and the fp32 gradient of the summed loss by the images.
    """
    images = images.detach().requires_grad_(True)
    with mode(model), torch.enable_grad():
        with compute.autocast():
            outputs = model(compute.arrange(images)).float()
        (gradient,) = torch.autograd.grad(loss(outputs).sum(), images)
    return outputs.detach(), gradient


def gradient_of(model: nn.Module, loss: Callable[[Tensor], Tensor], compute: Compute, mode: Mode = frozen) -> Gradient:
    """The gradient of a loss of the model's output, as what an attack climbs (see `outputs_and_gradient`)."""
    return lambda images: outputs_and_gradient(model, loss, images, compute, mode)[1]


def log_odds(logits: Tensor, labels: Tensor) -> Tensor:
    """Log-odds (N,) against the true class: s = logsumexp_{j != y} z_j - z_y.

    Cross-entropy is log(1 + e^s), so its gradient is sigmoid(s) times this one: the same direction, but that factor,
    and with it the term of z_y, vanishes in floating point where a network is sure of itself. An attack on plain
    cross-entropy then finds nothing, and the network looks robust.
    """
    own = labels[:, None]
    return logits.scatter(1, own, -torch.inf).logsumexp(1) - logits.gather(1, own)[:, 0]


def cross_entropy_by_log_odds(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy (N,) as log(1 + e^s) of the log-odds s, whose gradient does not vanish in a sure network."""
    return F.softplus(log_odds(logits, labels))


def logit_margin(logits: Tensor, labels: Tensor) -> Tensor:
    """How far the highest other logit lies above that of the true class: (N,), positive where the answer is wrong.

    The loss of Carlini and Wagner (2017, f_6) without its constant. It does not saturate, whatever the logits' scale.
    """
    own = labels[:, None]
    return logits.scatter(1, own, -torch.inf).amax(1) - logits.gather(1, own)[:, 0]


CLIMBED = {"log-odds": log_odds, "margin": logit_margin}
"""What an attack on a classifier may climb, by name."""


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
        # With statistics of a batch in several processes every pass waits for the others, which cannot be captured.
        self._captures = compute.captures and (mode is frozen or compute.world.is_single)
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

    def gradient(self, loss: Loss, *context: Tensor, is_joint: bool = False) -> Gradient:
        """What an attack climbs on one batch, in micro-batches where images do not move the losses of others.

        Args:
            loss: outputs in fp32 and the context to losses, which are summed; the same function from batch to batch.
            context: (N, ...) each; what the loss takes besides the outputs, such as labels (N,).
            is_joint: the loss of an image depends on the other images too.
        """
        size = self._compute.micro_batch
        if size is None or is_joint or self.mode is not frozen:
            return self._at_once(loss, *context)

        def in_micro_batches(images: Tensor) -> Tensor:
            found = [self._at_once(loss, *held)(points) for points, *held in in_parts(size, images, *context)]
            return torch.cat([images[:0], *found])

        return in_micro_batches

    def _at_once(self, loss: Loss, *context: Tensor) -> Gradient:
        if not self._captures:
            return self._eager(loss, *context)

        def replay(images: Tensor) -> Tensor:
            if not len(images):
                return torch.zeros_like(images)
            key = loss, tuple((tensor.shape, tensor.dtype) for tensor in (images, *context))
            if key not in self._captured:
                self._captured[key] = Captured(
                    lambda points, *held: self._eager(loss, *held)(points), (images, *context)
                )
            return self._captured[key](images, *context)

        return replay

    def _eager(self, loss: Loss, *context: Tensor) -> Gradient:
        return gradient_of(self.model, lambda outputs: loss(outputs, *context), self._compute, self.mode)
