"""Losses as pure functions."""

import torch
import torch.nn.functional as F
from torch import Tensor


def supcon_loss(projections: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Supervised contrastive loss: the paper's eq. 2, averaged over anchors.

    For anchor i with positives P(i) (same label, not i itself) among all other rows A(i):

        L_i = -1/|P(i)| * sum_{p in P(i)} log( exp(z_i . z_p / tau) / sum_{a in A(i)} exp(z_i . z_a / tau) )

    and the loss is the mean of L_i over the anchors that have a positive; eq. 2 sums, which differs by that factor
    (Khosla et al. 2020 and the released code average too). An anchor without a positive has no defined term and is left
    out; it still serves the others as a negative. With no positive anywhere the loss is 0.

    Args:
        projections: (B, V, P): V views of B images; unit length is not required. Computed in fp32 whatever the dtype
            (float64 stays float64).
        labels: (B,) integers.
        temperature: tau > 0.

    Returns:
        A 0-d tensor.

    Raises:
        ValueError: the shapes do not fit, or the temperature is not positive.
    """
    if projections.ndim != 3 or labels.shape != projections.shape[:1]:
        raise ValueError(f"need (B, V, P) and (B,), got {tuple(projections.shape)} and {tuple(labels.shape)}")
    if temperature <= 0:
        raise ValueError(f"temperature must be positive, got {temperature}")
    num_images, num_views, _ = projections.shape
    anchors = projections.transpose(0, 1).reshape(num_images * num_views, -1)
    anchors = anchors if anchors.dtype == torch.float64 else anchors.float()
    row_labels = labels.repeat(num_views)
    is_self = torch.eye(len(row_labels), dtype=torch.bool, device=labels.device)
    is_positive = (row_labels[:, None] == row_labels[None, :]) & ~is_self

    with torch.autocast(anchors.device.type, enabled=False):
        similarity = anchors @ anchors.T / temperature
    log_denominator = similarity.masked_fill(is_self, -torch.inf).logsumexp(1)
    num_positives = is_positive.sum(1)
    mean_positive_similarity = (similarity * is_positive).sum(1) / num_positives.clamp(min=1)
    has_positive = num_positives > 0
    per_anchor = torch.where(has_positive, log_denominator - mean_positive_similarity, 0.0)
    return per_anchor.sum() / has_positive.sum().clamp(min=1)


def nt_xent_loss(projections: Tensor, temperature: float) -> Tensor:
    """Contrastive loss without labels (Chen et al. 2020, eq. 1): the positives of a view are its image's other views.

    It is `supcon_loss` with every image a class of its own; with V > 2 views an anchor's V - 1 positives are averaged.

    Args:
        projections: (B, V, P): V views of B images.
        temperature: tau > 0.

    Returns:
        A 0-d tensor.
    """
    return supcon_loss(projections, torch.arange(len(projections), device=projections.device), temperature)


def kl_divergence(attacked: Tensor, natural: Tensor) -> Tensor:
    """KL(natural || attacked) of the predicted distributions, for each example: the robustness term of TRADES.

    Zhang et al. (2019), eq. 5 with the boundary loss that their code uses:

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

    Kannan et al. (2018), section 4, take an L2 loss averaged over examples and leave its scale over classes open; their
    released code averages over classes too (TensorFlow's `mean_squared_error`), and its weights of around 0.5 belong to
    that scale.

    Args:
        attacked: logits (N, K).
        natural: logits (N, K); gradients flow through both.

    Returns:
        A 0-d tensor, not negative.
    """
    return (attacked - natural).square().mean()
