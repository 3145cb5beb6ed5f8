"""Losses as pure functions."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from claf_engine.compute.world import Part

DENSE_ROWS = 2048
"""Up to so many rows `supcon_loss` holds all similarities at once; with more it goes through them by chunks."""
CHUNK_BYTES = 2**25
"""Similarities held at a time above `DENSE_ROWS`: few kernel launches, and small beside what a network holds."""


def supcon_loss(projections: Tensor, labels: Tensor, temperature: float, part: Part | None = None) -> Tensor:
    """Supervised contrastive loss: the paper's eq. 2, averaged over anchors.

    For anchor i with positives P(i) (same label, not i itself) among all other rows A(i):

        L_i = -1/|P(i)| * sum_{p in P(i)} log( exp(z_i . z_p / tau) / sum_{a in A(i)} exp(z_i . z_a / tau) )

    and the loss is the mean of L_i over the anchors that have a positive; eq. 2 sums, which differs by that factor
    (Khosla et al. 2020 and the released code average too). An anchor without a positive has no defined term and is left
    out; it still serves the others as a negative. With no positive anywhere the loss is 0.

    Memory grows with the rows, B * V, and not with their square, above `DENSE_ROWS`; there the loss can be
    differentiated once only.

    Args:
        projections: (B, V, P): V views of B images; unit length is not required. Computed in fp32 whatever the dtype
            (float64 stays float64).
        labels: (B,) integers.
        temperature: tau > 0.
        part: of a batch that these images are; by default all of it. They are then compared with the images of all
            processes, and the result is their share of the loss of the whole batch, with its exact gradient.

    Returns:
        A 0-d tensor.

    Raises:
        ValueError: the shapes do not fit, or the temperature is not positive.
    """
    if projections.ndim != 3 or labels.shape != projections.shape[:1]:
        raise ValueError(f"need (B, V, P) and (B,), got {tuple(projections.shape)} and {tuple(labels.shape)}")
    if temperature <= 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    num_views = projections.shape[1]
    projections = projections if projections.dtype == torch.float64 else projections.float()
    with torch.autocast(projections.device.type, enabled=False):
        if part is not None and not part.is_whole:
            return _shared_supcon(projections, labels, temperature, part)
        rows = projections.transpose(0, 1).flatten(0, 1)
        row_labels = labels.repeat(num_views)
        if len(rows) <= DENSE_ROWS:
            return _dense_supcon(rows, row_labels, temperature)
        loss: Tensor = _ChunkedSupCon.apply(rows, row_labels, temperature, range(len(rows)))
        return loss


def nt_xent_loss(projections: Tensor, temperature: float, part: Part | None = None) -> Tensor:
    """Contrastive loss without labels (Chen et al. 2020): the positives of a view are its image's other views.

    It is `supcon_loss` with every image a class of its own; with V > 2 views an anchor's V - 1 positives are averaged.

    Args:
        projections: (B, V, P): V views of B images.
        temperature: tau > 0.
        part: see `supcon_loss`.

    Returns:
        A 0-d tensor.
    """
    if part is None or part.is_whole:
        return supcon_loss(projections, torch.arange(len(projections), device=projections.device), temperature)
    images = torch.arange(part.total, device=projections.device)
    return supcon_loss(projections, part.take(images), temperature, part)


def kl_divergence(attacked: Tensor, natural: Tensor) -> Tensor:
    """KL(natural || attacked) of the predicted distributions, for each example: the robustness term of TRADES.

    Zhang et al. (2019) with the boundary loss that their code uses:

        KL_i = sum_k p_ik (log p_ik - log q_ik),   p = softmax(natural_i), q = softmax(attacked_i)

    Args:
        attacked: logits (N, K).
        natural: logits (N, K); gradients flow through both.

    Returns:
        (N,), not negative.
    """
    return F.kl_div(F.log_softmax(attacked, 1), F.log_softmax(natural, 1), reduction="none", log_target=True).sum(1)


def logit_distance(attacked: Tensor, natural: Tensor) -> Tensor:
    """Mean squared distance between paired logits: the pairing term of adversarial logit pairing.

    The released code of Kannan et al. (2018) averages over examples and classes (TensorFlow's `mean_squared_error`),
    and its weights of around 0.5 belong to that scale.

    Args:
        attacked: logits (N, K).
        natural: logits (N, K); gradients flow through both.

    Returns:
        A 0-d tensor, not negative.
    """
    return (attacked - natural).square().mean()


def _dense_supcon(rows: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Eq. 2 of rows (N, P) with labels (N,), all N * N similarities at once."""
    is_self = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    is_positive = (labels[:, None] == labels[None, :]) & ~is_self
    similarity = rows @ rows.T / temperature
    log_denominator = similarity.masked_fill(is_self, -torch.inf).logsumexp(1)
    num_positives = is_positive.sum(1)
    mean_positive_similarity = (similarity * is_positive).sum(1) / num_positives.clamp(min=1)
    has_positive = num_positives > 0
    per_anchor = torch.where(has_positive, log_denominator - mean_positive_similarity, 0.0)
    return per_anchor.sum() / has_positive.sum().clamp(min=1)


def _shared_supcon(projections: Tensor, labels: Tensor, temperature: float, part: Part) -> Tensor:
    """What the anchors of one process, projections (b, V, P) with labels (b,), add to eq. 2 of the whole batch."""
    num_views = projections.shape[1]
    rows = part.gather_with_graph(projections).flatten(0, 1)
    row_labels = part.gather(labels).repeat_interleave(num_views)
    anchors = range(num_views * part.begin, num_views * (part.begin + part.count))
    loss: Tensor = _ChunkedSupCon.apply(rows, row_labels, temperature, anchors)
    return loss


class _ChunkedSupCon(torch.autograd.Function):
    """Eq. 2 in memory that grows with the rows: the pass over the similarities makes the gradient as well.

    With s_ia = z_i . z_a / tau, softmax_i over the other rows and n anchors that have a positive,

        dL/ds_ia = (softmax_ia - [a in P(i)] / |P(i)|) / n,

    and z_i is in s both as an anchor and as what the other anchors are compared with. Only the terms of some anchors
    may be wanted, a range of the rows; n counts those of all.
    """

    @staticmethod
    def forward(ctx: Any, rows: Tensor, labels: Tensor, temperature: float, anchors: range) -> Tensor:
        own = slice(anchors.start, anchors.stop)
        num_positives, positive_sums = _positives(rows, labels)
        has_positive = num_positives > 0
        weights = has_positive / has_positive.sum().clamp(min=1).to(rows.dtype)
        mean_positives = positive_sums / num_positives.clamp(min=1)[:, None]
        log_denominators, gradient = _log_denominators(rows, weights, anchors, temperature, ctx.needs_input_grad[0])
        if gradient is not None and len(anchors) == len(rows):
            # The rows of a class share one weight, so z_i gets the same as an anchor and as a positive.
            gradient.addcmul_(mean_positives, weights[:, None], value=-2 / temperature)
        elif gradient is not None:
            gradient[own].addcmul_(mean_positives[own], weights[own, None], value=-1 / temperature)
            is_anchor = torch.zeros_like(rows[:, :1])
            is_anchor[own] = 1
            _, anchor_sums = _positives(rows * is_anchor, labels)
            per_positive = weights / num_positives.clamp(min=1)
            gradient.addcmul_(anchor_sums, per_positive[:, None], value=-1 / temperature)
        ctx.save_for_backward(gradient)
        return (log_denominators - (rows[own] * mean_positives[own]).sum(1) / temperature).dot(weights[own])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return upstream * gradient, None, None, None


def _log_denominators(
    rows: Tensor, weights: Tensor, wanted: range, temperature: float, differentiate: bool
) -> tuple[Tensor, Tensor | None]:
    """The log of sum_{a in A(i)} exp(z_i . z_a / tau) of some of the rows (N, P), N >= 2; a chunk of anchors at a time.

    Returns:
        These of the wanted rows, and the gradient (N, P) of their sum weighted by `weights` (N,), None where it is not
        wanted.
    """
    num_chunk_rows = max(1, CHUNK_BYTES // (rows.element_size() * len(rows)))
    buffer = rows.new_empty((min(num_chunk_rows, len(wanted)), len(rows)))
    gradient = torch.zeros_like(rows) if differentiate else None
    logarithms = [rows.new_zeros(0)]
    for start in wanted[::num_chunk_rows]:
        chunk = slice(start, min(start + num_chunk_rows, wanted.stop))
        anchors = rows[chunk]
        similarity = buffer[: len(anchors)].addmm_(anchors, rows.T, beta=0, alpha=1 / temperature)
        similarity.diagonal(start).fill_(-torch.inf)
        greatest = similarity.amax(1)
        exponentials = similarity.sub_(greatest[:, None]).exp_()
        denominators = exponentials.sum(1)
        logarithms.append(greatest + denominators.log())
        if gradient is not None:
            share = (weights[chunk] / denominators / temperature)[:, None]
            gradient[chunk].addcmul_(share, exponentials @ rows)
            gradient.addmm_(exponentials.T, share * anchors)
    return torch.cat(logarithms), gradient


def _positives(rows: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """How many positives each of the rows (N, P) has, (N,), and their sum (N, P).

    It takes no similarity, for the sum of z_i . z_p over p is z_i . (sum of z_p). Bags, unlike `index_add`, are summed
    in the same order every time on every device.
    """
    ordered, order = labels.sort(stable=True)
    class_of_ordered = F.pad((ordered[1:] != ordered[:-1]).cumsum(0), (1, 0))
    starts = torch.searchsorted(class_of_ordered, torch.arange(len(rows) + 1, device=rows.device))
    class_of_row = torch.empty_like(order).scatter_(0, order, class_of_ordered)
    sums = F.embedding_bag(order, rows, starts[:-1], mode="sum")
    return starts.diff()[class_of_row] - 1, sums[class_of_row] - rows
