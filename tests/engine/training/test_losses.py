import math
from random import Random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import normalize

from claf_engine.training.losses import kl_divergence, logit_distance, nt_xent_loss, supcon_loss
from tests.properties import examples

PROPERTY = examples(60)
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
    exact = projections.float().double()
    loss = supcon_loss(projections.float(), labels, temperature)
    largest_similarity = max(1, 1 / temperature)
    expected = paper_loss(exact, labels, temperature)
    torch.testing.assert_close(loss.double(), expected, rtol=0, atol=1e-6 * largest_similarity)


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


def chens_loss(projections: Tensor, temperature: float) -> Tensor:
    """Chen et al. (2020), eq. 1, averaged over all pairs of views of one image, letter by letter."""
    num_images, num_views, _ = projections.shape
    places = [(image, view) for image in range(num_images) for view in range(num_views)]
    terms: list[Tensor] = []
    for i in places:
        others = [torch.exp(projections[i].dot(projections[k]) / temperature) for k in places if k != i]
        for j in places:
            if j[0] == i[0] and j != i:
                term = torch.exp(projections[i].dot(projections[j]) / temperature) / torch.stack(others).sum()
                terms.append(-torch.log(term))
    return torch.stack(terms).mean()


@PROPERTY
@given(st.integers(1, 5), st.integers(2, 3), SEEDS, st.floats(0.05, 2))
def test_nt_xent_is_chens_equation(num_images: int, num_views: int, seed: int, temperature: float) -> None:
    projections = unit_projections((num_images, num_views, 4), seed)
    loss = nt_xent_loss(projections, temperature)
    torch.testing.assert_close(loss, chens_loss(projections, temperature), rtol=0, atol=1e-10)


@PROPERTY
@given(st.integers(1, 5), st.integers(2, 3), SEEDS, st.floats(0.05, 2))
def test_nt_xent_in_fp32_is_chens_equation(num_images: int, num_views: int, seed: int, temperature: float) -> None:
    projections = unit_projections((num_images, num_views, 4), seed).float()
    expected = chens_loss(projections.double(), temperature)
    loss = nt_xent_loss(projections, temperature)
    torch.testing.assert_close(loss.double(), expected, rtol=0, atol=1e-6 * max(1, 1 / temperature))


def test_the_gradient_of_nt_xent_is_that_of_finite_differences() -> None:
    projections = unit_projections((3, 3, 3), seed=8).requires_grad_(True)
    assert torch.autograd.gradcheck(lambda z: nt_xent_loss(z, 0.5), (projections,))


def test_nt_xent_of_one_view_of_each_image_is_zero() -> None:
    assert nt_xent_loss(unit_projections((4, 1, 3), seed=9), 0.5).item() == 0


@st.composite
def logit_pairs(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(draw(SEEDS))
    shape = (draw(st.integers(1, 5)), draw(st.integers(2, 6)))
    scale = draw(st.floats(0.01, 10))
    pair = scale * torch.randn((2, *shape), generator=generator, dtype=torch.float64)
    return pair[0], pair[1]


def slow_divergence(attacked: Tensor, natural: Tensor) -> Tensor:
    """KL(natural || attacked) of each example, one class after the other."""
    values = []
    for attacked_row, natural_row in zip(attacked.tolist(), natural.tolist(), strict=True):
        p = [math.exp(z) / sum(map(math.exp, natural_row)) for z in natural_row]
        q = [math.exp(z) / sum(map(math.exp, attacked_row)) for z in attacked_row]
        values.append(sum(p_k * math.log(p_k / q_k) for p_k, q_k in zip(p, q, strict=True)))
    return torch.tensor(values, dtype=torch.float64)


@PROPERTY
@given(logit_pairs())
def test_the_divergence_is_its_sum_over_classes(logits: tuple[Tensor, Tensor]) -> None:
    torch.testing.assert_close(kl_divergence(*logits), slow_divergence(*logits), rtol=1e-9, atol=1e-10)


@PROPERTY
@given(logit_pairs())
def test_the_divergence_in_fp32_is_its_sum_over_classes(logits: tuple[Tensor, Tensor]) -> None:
    attacked, natural = (values.float() for values in logits)
    expected = slow_divergence(attacked.double(), natural.double())
    torch.testing.assert_close(kl_divergence(attacked, natural).double(), expected, rtol=1e-6, atol=2e-6)


@PROPERTY
@given(logit_pairs())
def test_the_divergence_is_never_negative(logits: tuple[Tensor, Tensor]) -> None:
    assert (kl_divergence(*logits) >= -1e-12).all()


@PROPERTY
@given(logit_pairs(), st.floats(-50, 50))
def test_the_divergence_sees_only_differences_of_logits(logits: tuple[Tensor, Tensor], shift: float) -> None:
    attacked, natural = logits
    shifted = kl_divergence(attacked + shift, natural - shift)
    torch.testing.assert_close(shifted, kl_divergence(attacked, natural), rtol=0, atol=1e-9)


def test_equal_logits_do_not_diverge() -> None:
    logits = unit_projections((1, 4, 3), seed=10)[0]
    assert torch.equal(kl_divergence(logits, logits), torch.zeros(4, dtype=torch.float64))


def test_the_divergence_is_taken_from_the_natural_distribution() -> None:
    sure, unsure = torch.tensor([[4.0, 0.0]]), torch.tensor([[0.0, 0.0]])
    p = 1 / (1 + math.exp(-4))
    expected = p * math.log(2 * p) + (1 - p) * math.log(2 * (1 - p))
    assert kl_divergence(unsure, sure).item() == pytest.approx(expected, abs=1e-6)
    assert kl_divergence(sure, unsure).item() != pytest.approx(expected, abs=0.1)


def test_the_divergence_of_a_saturated_network_is_finite_with_its_gradient() -> None:
    natural = torch.tensor([[300.0, 0.0, 0.0]], requires_grad=True)
    attacked = torch.tensor([[0.0, 300.0, 0.0]], requires_grad=True)
    divergence = kl_divergence(attacked, natural).sum()
    assert divergence.item() == pytest.approx(300)
    assert all(gradient.isfinite().all() for gradient in torch.autograd.grad(divergence, [attacked, natural]))


def test_the_gradient_of_the_divergence_is_that_of_finite_differences_on_both_sides() -> None:
    attacked, natural = (unit_projections((1, 3, 4), seed)[0].requires_grad_(True) for seed in (11, 12))
    assert torch.autograd.gradcheck(kl_divergence, (attacked, natural))


@PROPERTY
@given(logit_pairs())
def test_the_logit_distance_is_the_mean_square_over_examples_and_classes(logits: tuple[Tensor, Tensor]) -> None:
    attacked, natural = (values.float() for values in logits)
    squares = [
        (float(one) - float(other)) ** 2 for one, other in zip(attacked.flatten(), natural.flatten(), strict=True)
    ]
    assert logit_distance(attacked, natural).item() == pytest.approx(sum(squares) / len(squares), rel=1e-6, abs=1e-9)


def test_the_logit_distances_gradient_is_that_of_finite_differences_on_both_sides() -> None:
    attacked, natural = (unit_projections((1, 3, 4), seed)[0].requires_grad_(True) for seed in (13, 14))
    assert torch.autograd.gradcheck(logit_distance, (attacked, natural))
