"""Terms of objectives against closed forms, NumPy and slow loops of their equations."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from claf_engine.training.losses import kl_divergence
from claf_engine.training.objective_terms import (
    asymmetric_supcon_loss,
    nuclear_norm,
    true_class_weight,
    with_margin,
)
from tests.engine.compute.pretended import pretended
from tests.properties import examples

PROPERTY = examples(40)
SEEDS = st.integers(0, 2**31)


def random_matrix(rows: int, columns: int, seed: int = 0) -> Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@PROPERTY
@given(st.integers(1, 7), st.integers(1, 5), SEEDS)
def test_the_nuclear_norm_is_that_of_numpy(rows: int, columns: int, seed: int) -> None:
    matrix = random_matrix(rows, columns, seed)
    assert float(nuclear_norm(matrix)) == pytest.approx(np.linalg.norm(matrix.numpy(), "nuc"), abs=1e-9)


def test_the_gradient_of_the_nuclear_norm_is_that_of_finite_differences() -> None:
    matrix, step = random_matrix(6, 3), 1e-6
    (gradient,) = torch.autograd.grad(nuclear_norm(matrix.requires_grad_(True)), matrix)
    for row in range(6):
        for column in range(3):
            moved = torch.zeros(6, 3, dtype=torch.float64)
            moved[row, column] = step
            slope = (nuclear_norm(matrix.detach() + moved) - nuclear_norm(matrix.detach() - moved)) / (2 * step)
            assert_close(gradient[row, column], slope, rtol=0, atol=1e-7)


def test_a_matrix_of_rank_one_has_the_gradient_of_its_only_direction() -> None:
    """Torch's own norm has arbitrary singular vectors of zero in its gradient as well."""
    left, right = F.normalize(random_matrix(8, 1), dim=0), F.normalize(random_matrix(5, 1, seed=1), dim=0)
    matrix = (3 * left @ right.T).float().requires_grad_(True)
    norm = nuclear_norm(matrix)
    (gradient,) = torch.autograd.grad(norm, matrix)
    assert_close(norm, torch.tensor(3.0), rtol=0, atol=1e-5)
    assert_close(gradient, (left @ right.T).float(), rtol=0, atol=1e-5)
    (torchs,) = torch.autograd.grad(torch.linalg.matrix_norm(matrix, "nuc"), matrix)
    assert float((torchs - gradient).norm()) > 1


def test_equal_singular_values_have_a_gradient_too() -> None:
    """That of the singular vectors themselves has none."""
    matrix = torch.linalg.qr(random_matrix(6, 3)).Q.requires_grad_(True)
    norm = nuclear_norm(2 * matrix)
    assert float(norm.detach()) == pytest.approx(6)
    assert_close(torch.autograd.grad(norm, matrix)[0], 2 * matrix.detach())


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_a_logit_that_is_not_finite_makes_the_norm_so_instead_of_an_error(broken: float) -> None:
    matrix = random_matrix(4, 3)
    matrix[1, 2] = broken
    assert not math.isfinite(float(nuclear_norm(matrix)))


@pytest.mark.parametrize("shape", [(4, 3), (1, 3), (3, 4)])
def test_a_matrix_of_zeros_has_no_gradient(shape: tuple[int, int]) -> None:
    matrix = torch.zeros(shape, requires_grad=True)
    norm = nuclear_norm(matrix)
    (gradient,) = torch.autograd.grad(norm, matrix)
    assert norm == 0
    assert torch.equal(gradient, torch.zeros(shape))


@PROPERTY
@given(st.integers(2, 8), st.integers(2, 5), SEEDS)
def test_shares_of_the_nuclear_norm_add_up_to_that_of_the_whole_batch(rows: int, size: int, seed: int) -> None:
    alone, shared = (random_matrix(rows, 3, seed).requires_grad_(True) for _ in range(2))
    parts = pretended(size, shared)
    shares = [nuclear_norm(part.take(shared), part) * (part.count / part.total) for part in parts]
    expected = nuclear_norm(alone)
    found = torch.stack(shares).sum()
    assert_close(found, expected, rtol=1e-9, atol=1e-9)
    assert_close(torch.autograd.grad(found, shared), torch.autograd.grad(expected, alone), rtol=1e-7, atol=1e-7)


def slow_contrast(anchors: Tensor, keys: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """The equation, letter by letter."""
    terms = []
    for anchor, label in zip(anchors, labels, strict=True):
        denominator = torch.stack([torch.exp(anchor.dot(key) / temperature) for key in keys]).sum()
        positives = [key for key, other in zip(keys, labels, strict=True) if other == label]
        logs = [torch.log(torch.exp(anchor.dot(key) / temperature) / denominator) for key in positives]
        terms.append(-torch.stack(logs).sum() / len(positives))
    return torch.stack(terms).mean()


@st.composite
def batches(draw: st.DrawFn) -> tuple[Tensor, Tensor, Tensor]:
    num_images, seed = draw(st.integers(1, 7)), draw(SEEDS)
    labels = draw(st.lists(st.integers(0, 3), min_size=num_images, max_size=num_images))
    anchors, keys = (F.normalize(random_matrix(num_images, 3, seed + kind), dim=1) for kind in range(2))
    return anchors.float(), keys.float(), torch.tensor(labels)


@PROPERTY
@given(batches(), st.floats(0.1, 2))
def test_the_contrast_and_its_gradient_are_those_of_the_equation(
    batch: tuple[Tensor, Tensor, Tensor], temperature: float
) -> None:
    anchors, keys, labels = batch
    ours, slow = anchors.clone().requires_grad_(True), anchors.double().requires_grad_(True)
    found = asymmetric_supcon_loss(ours, keys, labels, temperature)
    expected = slow_contrast(slow, keys.double(), labels, temperature)
    assert_close(found.double(), expected, rtol=0, atol=1e-5)
    (gradient,) = torch.autograd.grad(found, ours)
    assert_close(gradient.double(), torch.autograd.grad(expected, slow)[0], rtol=0, atol=1e-5)


def test_keys_take_no_gradient() -> None:
    anchors, keys = (random_matrix(4, 3, seed).float().requires_grad_(True) for seed in range(2))
    asymmetric_supcon_loss(anchors, keys, torch.tensor([0, 1, 0, 1]), 0.5).backward()
    assert keys.grad is None
    assert anchors.grad is not None


def test_the_key_of_an_anchors_own_image_is_a_positive() -> None:
    """With a class for each image it alone is, and with keys that are all the same nothing can be told apart."""
    eye = torch.eye(4)
    loss = asymmetric_supcon_loss(eye, eye, torch.arange(4), 0.5)
    assert float(loss) == pytest.approx(math.log(math.exp(2) + 3) - 2, abs=1e-6)
    same = torch.ones(4, 2)
    assert float(asymmetric_supcon_loss(eye[:, :2], same, torch.arange(4), 0.5)) == pytest.approx(math.log(4))


@PROPERTY
@given(batches(), st.integers(2, 4))
def test_shares_of_the_contrast_add_up_to_that_of_the_whole_batch(
    batch: tuple[Tensor, Tensor, Tensor], size: int
) -> None:
    anchors, keys, labels = batch
    parts = [part for part in pretended(size, keys, labels) if part.count]
    taken = [
        part.share_of(asymmetric_supcon_loss(part.take(anchors), part.take(keys), part.take(labels), 0.3, part))
        for part in parts
    ]
    assert_close(torch.stack(taken).sum(), asymmetric_supcon_loss(anchors, keys, labels, 0.3), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("shapes", "temperature", "complaint"),
    [
        (((2, 3, 4), (2, 3, 4)), 0.3, r"need \(B, P\)"),
        (((2, 3), (3, 3)), 0.3, r"need \(B, P\)"),
        (((2, 3), (2, 3)), 0.0, "temperature must be positive"),
    ],
)
def test_a_contrast_of_nothing_that_fits_is_refused(
    shapes: tuple[tuple[int, ...], ...], temperature: float, complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        asymmetric_supcon_loss(torch.ones(shapes[0]), torch.ones(shapes[1]), torch.tensor([0, 1]), temperature)


def test_a_margin_is_taken_off_the_true_class_alone() -> None:
    logits = random_matrix(3, 4)
    found = with_margin(logits, torch.tensor([2, 0, 3]), 1.5)
    assert_close(logits - found, 1.5 * torch.eye(4, dtype=torch.float64)[[2, 0, 3]])


def test_the_weight_is_what_the_true_class_lacks() -> None:
    logits = random_matrix(5, 4)
    labels = torch.tensor([0, 1, 2, 3, 0])
    expected = [
        1 - math.exp(row[label]) / sum(map(math.exp, row)) for row, label in zip(logits.tolist(), labels, strict=True)
    ]
    assert true_class_weight(logits, labels).tolist() == pytest.approx(expected)


def test_a_weighted_divergence_of_a_sure_network_is_finite_with_its_gradient() -> None:
    natural, attacked = torch.tensor([[9e3, -9e3, 0.0]]), torch.tensor([[-9e3, 9e3, 0.0]], requires_grad=True)
    weighted = (kl_divergence(attacked, natural) * true_class_weight(attacked, torch.tensor([0]))).mean()
    (gradient,) = torch.autograd.grad(weighted, attacked)
    assert float(weighted.detach()) == pytest.approx(18e3)
    assert bool(gradient.isfinite().all())
