"""Losses against independent implementations: pytorch-metric-learning and torch.distributions."""

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from pytorch_metric_learning.losses import NTXentLoss, SupConLoss
from torch import Tensor
from torch.distributions import Categorical
from torch.distributions import kl_divergence as kl_of_distributions
from torch.nn.functional import mse_loss, normalize

from claf_engine.training.losses import kl_divergence, logit_distance, nt_xent_loss, supcon_loss
from tests.properties import examples

PROPERTY = examples(40)
SEEDS = st.integers(0, 2**31)
TEMPERATURES = st.sampled_from([0.07, 0.1, 0.5, 1.0])


def drawn(shape: tuple[int, ...], seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def stacked(projections: Tensor) -> Tensor:
    """(B, V, P) to (B * V, P), one image's views after each other."""
    return projections.flatten(0, 1)


@PROPERTY
@given(st.integers(2, 6), st.integers(1, 3), st.lists(st.integers(0, 3), min_size=6, max_size=6), SEEDS, TEMPERATURES)
def test_supcon_is_that_of_pytorch_metric_learning(
    num_images: int, num_views: int, classes: list[int], seed: int, temperature: float
) -> None:
    """Theirs, too, averages over the anchors that have a positive; without any negative theirs is zero."""
    labels = torch.tensor(classes[:num_images])
    projections = normalize(drawn((num_images, num_views, 5), seed), dim=2)
    assume(len(labels.unique()) > 1)
    theirs = SupConLoss(temperature)(stacked(projections), labels.repeat_interleave(num_views))
    torch.testing.assert_close(supcon_loss(projections, labels, temperature), theirs, rtol=0, atol=1e-9)


@pytest.mark.parametrize("temperature", [0.07, 0.5])
def test_the_gradient_of_supcon_is_that_of_pytorch_metric_learning(temperature: float) -> None:
    labels = torch.tensor([0, 1, 0, 2])
    projections = normalize(drawn((4, 3, 5), seed=1), dim=2).requires_grad_(True)
    # Theirs divides by the lengths once more, which takes the radial part of the gradient away.
    (ours,) = torch.autograd.grad(supcon_loss(normalize(projections, dim=2), labels, temperature), projections)
    loss = SupConLoss(temperature)(stacked(projections), labels.repeat_interleave(3))
    (theirs,) = torch.autograd.grad(loss, projections)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-9)


@PROPERTY
@given(st.integers(2, 6), SEEDS, TEMPERATURES)
def test_nt_xent_of_two_views_is_that_of_pytorch_metric_learning(
    num_images: int, seed: int, temperature: float
) -> None:
    """With more views theirs leaves an anchor's other positives out of the denominator; eq. 1 has two views."""
    projections = normalize(drawn((num_images, 2, 5), seed), dim=2)
    theirs = NTXentLoss(temperature)(stacked(projections), torch.arange(num_images).repeat_interleave(2))
    torch.testing.assert_close(nt_xent_loss(projections, temperature), theirs, rtol=0, atol=1e-9)


@PROPERTY
@given(st.integers(1, 5), st.integers(2, 6), st.floats(0.01, 10), SEEDS)
def test_the_divergence_is_that_of_torch_distributions(num: int, num_classes: int, scale: float, seed: int) -> None:
    attacked, natural = scale * drawn((2, num, num_classes), seed)
    expected = kl_of_distributions(Categorical(logits=natural), Categorical(logits=attacked))
    torch.testing.assert_close(kl_divergence(attacked, natural), expected, rtol=0, atol=1e-9)


@PROPERTY
@given(st.integers(1, 5), st.integers(2, 6), SEEDS)
def test_the_logit_distance_is_torchs_mean_squared_error(num: int, num_classes: int, seed: int) -> None:
    attacked, natural = drawn((2, num, num_classes), seed)
    torch.testing.assert_close(logit_distance(attacked, natural), mse_loss(attacked, natural), rtol=0, atol=1e-12)
