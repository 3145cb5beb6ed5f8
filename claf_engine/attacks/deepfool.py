"""DeepFool (Moosavi-Dezfooli, Fawzi and Frossard 2016): about the smallest move that changes what a classifier says.

The classifier is taken for linear where the image is, the image is moved onto the nearest boundary, and that is
repeated until the class changes. There is no ball: what it finds is a distance.
"""

from collections.abc import Generator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from claf_engine.attacks.gradients import outputs_and_gradient
from claf_engine.attacks.norms import TINY, magnitudes
from claf_engine.compute.device import Compute
from claf_engine.events.ticks import Pulse
from claf_engine.models.modes import evaluating
from claf_engine.terms.names import Norm

OVERSHOOT = 0.02
"""The published factor eta: how far beyond the boundary an image is moved, as a share of the way to it."""


@dataclass(frozen=True)
class DeepFool:
    """How DeepFool searches.

    Attributes:
        steps: at most so many linearisations.
        candidates: classes that are looked at, the one that is to be left included; those of the highest logits.
        norm: in which the move is small.
    """

    steps: int = 50
    candidates: int = 10
    norm: Norm = "l2"


def deepfool_steps(
    model: nn.Module, images: Tensor, spec: DeepFool, compute: Compute
) -> Generator[Pulse, None, Tensor]:
    """Move images just across the nearest boundary of a classifier, each by itself, with a pulse before every step.

    Args:
        model: images (N, C, H, W) in [0, 1] to logits (N, K); frozen here, in eval mode.
        images: (N, C, H, W) in [0, 1]; not modified.
        spec: the search.
        compute: precision of the passes.

    Returns:
        (N, C, H, W) in [0, 1]; an image whose class did not change in time is where its last step left it.
    """
    logits = logits_of(model, images, compute)
    own, points, moved = logits.argmax(1), images.clone(), torch.zeros_like(images)
    left = torch.arange(len(images), device=images.device)
    for number in range(spec.steps):
        yield Pulse("DeepFool", number, spec.steps)
        others = other_classes(logits, own[left], spec.candidates)
        margins, gradients = margins_and_gradients(model, points[left], (own[left], others), compute)
        moved[left] += to_nearest_boundary(margins, gradients, spec.norm)
        points[left] = (images[left] + (1 + OVERSHOOT) * moved[left]).clamp(0, 1)
        logits = logits_of(model, points[left], compute)
        stands = logits.argmax(1) == own[left]
        logits, left = logits[stands], left[stands]
        if not len(left):
            break
    return points


@torch.no_grad()
def logits_of(model: nn.Module, images: Tensor, compute: Compute) -> Tensor:
    """Logits (N, K) in fp32, in eval mode."""
    with evaluating(model), compute.autocast():
        found: Tensor = model(compute.arrange(images)).float()
    return found


def other_classes(logits: Tensor, own: Tensor, num_candidates: int) -> Tensor:
    """Of logits (N, K) the highest classes (N, M) besides their own (N,); M is `num_candidates` - 1 at most."""
    count = min(num_candidates, logits.shape[1]) - 1
    return logits.scatter(1, own[:, None], -torch.inf).topk(count, dim=1).indices


def margins_and_gradients(
    model: nn.Module, images: Tensor, classes: tuple[Tensor, Tensor], compute: Compute
) -> tuple[Tensor, Tensor]:
    """How far the logits of other classes lie above that of their own, and the gradients of these margins.

    Args:
        model: images to logits (N, K).
        images: (N, C, H, W).
        classes: the class of each (N,), and the others that are looked at (N, M).
        compute: precision of the passes.

    Returns:
        Margins z_k - z_own (N, M), and their gradients by the images (N, M, C, H, W).
    """
    own, others = classes
    count = others.shape[1]
    repeated = images.repeat_interleave(count, 0)
    owned, chosen = own.repeat_interleave(count)[:, None], others.reshape(-1, 1)

    def margin(outputs: Tensor) -> Tensor:
        return (outputs.gather(1, chosen) - outputs.gather(1, owned))[:, 0]

    outputs, gradients = outputs_and_gradient(model, margin, repeated, compute)
    return margin(outputs).view(-1, count), gradients.view(-1, count, *images.shape[1:])


def to_nearest_boundary(margins: Tensor, gradients: Tensor, norm: Norm) -> Tensor:
    """The smallest move onto a boundary of linear margins, in closed form.

    With margins f_k and gradients w_k it goes to the boundary of the smallest |f_k| / ||w_k||_q: in L2 by
    |f| / ||w||_2^2 w, in Linf by |f| / ||w||_1 sign(w).

    Args:
        margins: (N, M).
        gradients: (N, M, C, H, W).
        norm: in which the move is smallest.

    Returns:
        (N, C, H, W).
    """
    order, scales = 2 if norm == "l2" else 1, magnitudes(gradients)
    margins, gradients = margins / scales[..., 0, 0, 0], gradients / scales
    sizes = torch.linalg.vector_norm(gradients, order, dim=(2, 3, 4)).clamp(min=TINY)
    distances = (margins.abs() / sizes).clamp(max=1 / TINY)
    rows, nearest = torch.arange(len(margins), device=margins.device), distances.argmin(1)
    gradient, distance, size = gradients[rows, nearest], distances[rows, nearest], sizes[rows, nearest]
    direction = gradient / size.view(-1, 1, 1, 1) if norm == "l2" else gradient.sign()
    found: Tensor = distance.view(-1, 1, 1, 1) * direction
    return found
