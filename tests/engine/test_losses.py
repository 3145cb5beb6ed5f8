import math
from random import Random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import normalize

from claf_engine.losses import supcon_loss

PROPERTY = settings(derandomize=True, deadline=None, max_examples=60)
SEEDS = st.integers(0, 2**31)


def paper_loss(projections: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """The paper's eq. 2, letter by letter, over the anchors that have a positive, divided by their number."""
    num_images, num_views, _ = projections.shape
    rows = [(projections[image, view], labels[image]) for image in range(num_images) for view in range(num_views)]
    terms: list[Tensor] = []
    for i, (z_i, y_i) in enumerate(rows):
        others = [row for a, row in enumerate(rows) if a != i]
        positives = [z_p for z_p, y_p in others if y_p == y_i]
        if not positives:
            continue
        denominator = torch.stack([torch.exp(z_i.dot(z_a) / temperature) for z_a, _ in others]).sum()
        logs = [torch.log(torch.exp(z_i.dot(z_p) / temperature) / denominator) for z_p in positives]
        terms.append(-1 / len(positives) * torch.stack(logs).sum())
    return torch.stack(terms).mean() if terms else projections.sum() * 0


def unit_projections(shape: tuple[int, int, int], seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return normalize(torch.randn(shape, generator=generator, dtype=torch.float64), dim=2)


@st.composite
def batches(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    num_images = draw(st.integers(1, 6))
    shape = (num_images, draw(st.integers(1, 3)), draw(st.integers(1, 5)))
    labels = draw(st.lists(st.integers(0, 3), min_size=num_images, max_size=num_images))
    return unit_projections(shape, draw(SEEDS)), torch.tensor(labels)


@PROPERTY
@given(batches(), st.floats(0.05, 2))
def test_the_loss_is_the_papers_equation(batch: tuple[Tensor, Tensor], temperature: float) -> None:
    loss = supcon_loss(*batch, temperature)
    assert loss.dtype == torch.float64
    torch.testing.assert_close(loss, paper_loss(*batch, temperature), rtol=0, atol=1e-10)


@PROPERTY
@given(batches(), st.floats(0.05, 2))
def test_the_loss_in_fp32_is_the_papers_equation(batch: tuple[Tensor, Tensor], temperature: float) -> None:
    projections, labels = batch
    loss = supcon_loss(projections.float(), labels, temperature)
    torch.testing.assert_close(loss.double(), paper_loss(projections, labels, temperature), rtol=1e-5, atol=1e-5)


@PROPERTY
@given(batches(), st.floats(0.05, 2))
def test_the_gradient_is_that_of_the_papers_equation(batch: tuple[Tensor, Tensor], temperature: float) -> None:
    projections, labels = batch
    projections.requires_grad_(True)
    (ours,) = torch.autograd.grad(supcon_loss(projections, labels, temperature), projections)
    (papers,) = torch.autograd.grad(paper_loss(projections, labels, temperature), projections)
    torch.testing.assert_close(ours, papers, rtol=0, atol=1e-9)


def test_the_gradient_is_that_of_finite_differences() -> None:
    projections = unit_projections((3, 2, 3), seed=0).requires_grad_(True)
    labels = torch.tensor([0, 1, 0])
    assert torch.autograd.gradcheck(lambda z: supcon_loss(z, labels, 0.5), (projections,))


@pytest.mark.parametrize(
    ("shape", "labels"),
    [((1, 1, 4), [0]), ((3, 1, 4), [0, 1, 2])],
    ids=["a lone view", "one view of each class"],
)
def test_without_any_positive_the_loss_is_zero(shape: tuple[int, int, int], labels: list[int]) -> None:
    assert supcon_loss(unit_projections(shape, seed=1), torch.tensor(labels), 0.1).item() == 0


@pytest.mark.parametrize(
    ("shape", "labels"),
    [((1, 1, 4), [0]), ((3, 1, 4), [0, 1, 2])],
    ids=["a lone view", "one view of each class"],
)
def test_without_any_positive_the_gradient_is_zero(shape: tuple[int, int, int], labels: list[int]) -> None:
    projections = unit_projections(shape, seed=1).requires_grad_(True)
    (gradient,) = torch.autograd.grad(supcon_loss(projections, torch.tensor(labels), 0.1), projections)
    assert torch.equal(gradient, torch.zeros(shape, dtype=torch.float64))


def test_an_image_without_a_positive_still_serves_as_a_negative() -> None:
    projections, labels = unit_projections((3, 1, 4), seed=2), torch.tensor([0, 0, 1])
    with_negative = supcon_loss(projections, labels, 0.5)
    assert supcon_loss(projections[:2], labels[:2], 0.5).item() == pytest.approx(0, abs=1e-12)
    assert with_negative > 0.1


@pytest.mark.parametrize("temperature", [0.01, 0.07, 1.0])
@pytest.mark.parametrize(("num_images", "num_views"), [(1, 2), (2, 1), (4, 2), (5, 3)])
def test_identical_projections_cost_the_log_of_the_number_of_other_rows(
    num_images: int, num_views: int, temperature: float
) -> None:
    projections = unit_projections((1, 1, 8), seed=3).expand(num_images, num_views, 8)
    loss = supcon_loss(projections, torch.zeros(num_images, dtype=torch.long), temperature)
    assert loss.item() == pytest.approx(math.log(num_images * num_views - 1), abs=1e-10)


def test_two_collapsed_orthogonal_classes_have_their_closed_form() -> None:
    projections = torch.eye(2, dtype=torch.float64)[:, None, :].expand(2, 2, 2)
    expected = -math.log(math.exp(1 / 0.5) / (math.exp(1 / 0.5) + 2))
    assert supcon_loss(projections, torch.tensor([0, 1]), 0.5).item() == pytest.approx(expected, abs=1e-12)


@PROPERTY
@given(batches(), st.randoms(use_true_random=False))
def test_the_order_of_the_images_does_not_matter(batch: tuple[Tensor, Tensor], random: Random) -> None:
    projections, labels = batch
    order = random.sample(range(len(labels)), len(labels))
    shuffled = supcon_loss(projections[order], labels[order], 0.2)
    torch.testing.assert_close(shuffled, supcon_loss(projections, labels, 0.2), rtol=0, atol=1e-10)


@PROPERTY
@given(batches())
def test_the_order_of_the_views_does_not_matter(batch: tuple[Tensor, Tensor]) -> None:
    projections, labels = batch
    mirrored = supcon_loss(projections.flip(1), labels, 0.2)
    torch.testing.assert_close(mirrored, supcon_loss(projections, labels, 0.2), rtol=0, atol=1e-10)


@PROPERTY
@given(batches(), st.permutations(range(4)))
def test_the_names_of_the_classes_do_not_matter(batch: tuple[Tensor, Tensor], names: list[int]) -> None:
    projections, labels = batch
    renamed = torch.tensor(names)[labels]
    assert torch.equal(supcon_loss(projections, renamed, 0.2), supcon_loss(projections, labels, 0.2))


@PROPERTY
@given(batches())
def test_the_loss_is_never_negative(batch: tuple[Tensor, Tensor]) -> None:
    assert supcon_loss(*batch, 0.1) >= -1e-12


def test_huge_similarities_give_a_finite_loss_and_gradient() -> None:
    projections = (30 * unit_projections((4, 2, 8), seed=4)).float().requires_grad_(True)
    loss = supcon_loss(projections, torch.tensor([0, 0, 1, 1]), 0.01)
    (gradient,) = torch.autograd.grad(loss, projections)
    assert loss.isfinite()
    assert gradient.isfinite().all()


def test_bf16_projections_are_computed_in_fp32() -> None:
    projections, labels = unit_projections((4, 2, 8), seed=5).bfloat16(), torch.tensor([0, 0, 1, 1])
    loss = supcon_loss(projections, labels, 0.07)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, supcon_loss(projections.float(), labels, 0.07))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_autocast_does_not_change_the_loss(dtype: torch.dtype) -> None:
    projections, labels = unit_projections((4, 2, 8), seed=6).to(dtype), torch.tensor([0, 0, 1, 1])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = supcon_loss(projections, labels, 0.07)
    assert torch.equal(inside, supcon_loss(projections, labels, 0.07))


@pytest.mark.parametrize("temperature", [0.0, -0.1])
def test_a_temperature_that_is_not_positive_is_refused(temperature: float) -> None:
    with pytest.raises(ValueError, match="temperature must be positive"):
        supcon_loss(torch.zeros(2, 2, 3), torch.zeros(2, dtype=torch.long), temperature)


@pytest.mark.parametrize(
    ("shape", "labels_shape"), [((4, 3), (4,)), ((4, 2, 3), (3,)), ((4, 2, 3), (8,)), ((4, 2, 3), (4, 2))]
)
def test_shapes_that_do_not_fit_are_refused(shape: tuple[int, ...], labels_shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"need \(B, V, P\) and \(B,\)"):
        supcon_loss(torch.zeros(shape), torch.zeros(labels_shape, dtype=torch.long), 0.1)
