"""Terms that supervised objectives may have besides their own losses, as pure functions."""

import torch
import torch.nn.functional as F
from torch import Tensor

from claf_engine.compute.world import Part


def nuclear_norm(difference: Tensor, part: Part | None = None) -> Tensor:
    """The sum of the singular values of a matrix: NuAT's regulariser of logit differences (Sriramanan et al. 2021).

    With the singular value decomposition D = U S V^T its gradient is U V^T. Directions in which D has nothing but
    rounding errors are left out of both: there U and V are arbitrary, and so a matrix of zeros has no gradient. It can
    be differentiated once only.

    Args:
        difference: (B, K) logits of attacked minus natural images.
        part: of a batch that these images are, by default all of it. The norm is that of the whole batch, with its
            exact gradient where each process takes the share of it that `Part.share_of` gives.

    Returns:
        A 0-d tensor, not negative; not finite where a logit is not, so that the run can say that it diverged.
    """
    if part is not None:
        difference = part.gather_with_graph(difference)
    if not difference.isfinite().all():
        return difference.sum()
    left, values, right = torch.linalg.svd(difference.detach(), full_matrices=False)
    rounding = max(difference.shape) * torch.finfo(values.dtype).eps
    is_there = (values > rounding * values.amax()).to(values.dtype)
    norm: Tensor = (difference * ((left * is_there) @ right)).sum()
    return norm


def asymmetric_supcon_loss(
    anchors: Tensor, keys: Tensor, labels: Tensor, temperature: float, part: Part | None = None
) -> Tensor:
    """Supervised contrastive loss of anchors against keys of another network, which take no gradient.

    For anchor i with the positives P(i), all keys of its class, that of its own image included,

        L_i = -1/|P(i)| * sum_{p in P(i)} log( exp(a_i . k_p / tau) / sum_j exp(a_i . k_j / tau) )

    with j over all keys; the loss is the mean over anchors. All B * B similarities are held at once.

    Args:
        anchors: (B, P) projections; unit length is not required. Computed in fp32 whatever the dtype.
        keys: (B, P) projections of the same images.
        labels: (B,) integers.
        temperature: tau > 0.
        part: of a batch that these images are; by default all of it. Their anchors are then compared with the keys of
            all processes.

    Returns:
        A 0-d tensor; the mean over no anchors is NaN.

    Raises:
        ValueError: the shapes do not fit, or the temperature is not positive.
    """
    if anchors.ndim != 2 or keys.shape != anchors.shape or labels.shape != anchors.shape[:1]:
        shapes = f"{tuple(anchors.shape)}, {tuple(keys.shape)} and {tuple(labels.shape)}"
        raise ValueError(f"need (B, P), (B, P) and (B,), got {shapes}")
    if temperature <= 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    keys, key_labels = keys.detach(), labels
    if part is not None:
        keys, key_labels = part.gather(keys), part.gather(labels)
    with torch.autocast(anchors.device.type, enabled=False):
        is_positive = labels[:, None] == key_labels[None, :]
        likelihood = F.log_softmax(anchors.float() @ keys.float().T / temperature, dim=1)
        per_anchor = (likelihood * is_positive).sum(1) / is_positive.sum(1)
        return -per_anchor.mean()


def with_margin(logits: Tensor, labels: Tensor, margin: float) -> Tensor:
    """Logits (N, K) that are lower by a margin at the true classes (N,): the loss of a cosine classifier sees these.

    Pang et al. (2020) take it off the cosine, so that logits of scale s lose s times as much; only training does.
    """
    return logits - margin * F.one_hot(labels, logits.shape[1]).to(logits.dtype)


def true_class_weight(attacked: Tensor, labels: Tensor) -> Tensor:
    """1 - p(true class) (N,) of attacked logits (N, K), with its graph: ARoW's weight (Yang et al. 2023)."""
    return 1 - attacked.softmax(1).gather(1, labels[:, None])[:, 0]
