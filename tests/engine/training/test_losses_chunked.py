from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from claf_engine.training import losses
from claf_engine.training.losses import DENSE_ROWS, nt_xent_loss, supcon_loss
from tests.engine.training.test_losses import PROPERTY, SEEDS, batches, chens_loss, paper_loss, unit_projections

TEMPERATURES = st.floats(0.05, 2)
CHUNKS = st.integers(1, 20)
BATCHES = batches().filter(lambda batch: batch[0].shape[0] * batch[0].shape[1] > 1)


@contextmanager
def chunks_of(num_rows: int, projections: Tensor) -> Iterator[None]:
    """So many anchors at a time (twice as many in fp32) for these projections, however few rows there are."""
    num_bytes = num_rows * len(projections) * projections.shape[1] * 8
    with patch.multiple(losses, DENSE_ROWS=0, CHUNK_BYTES=num_bytes):
        yield


@contextmanager
def dense() -> Iterator[None]:
    with patch.object(losses, "DENSE_ROWS", 10**9):
        yield


def with_gradient(projections: Tensor, labels: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    leaf = projections.clone().requires_grad_(True)
    loss = supcon_loss(leaf, labels, temperature)
    (gradient,) = torch.autograd.grad(loss, leaf)
    return loss.detach(), gradient


def papers_gradient(projections: Tensor, labels: Tensor, temperature: float) -> Tensor:
    leaf = projections.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(paper_loss(leaf, labels, temperature), leaf)
    return gradient


@PROPERTY
@given(BATCHES, TEMPERATURES, CHUNKS)
def test_by_chunks_the_loss_is_the_papers_equation(
    batch: tuple[Tensor, Tensor], temperature: float, num_rows: int
) -> None:
    with chunks_of(num_rows, batch[0]):
        loss = supcon_loss(*batch, temperature)
    assert loss.dtype == torch.float64
    torch.testing.assert_close(loss, paper_loss(*batch, temperature), rtol=0, atol=1e-10)


@PROPERTY
@given(BATCHES, TEMPERATURES, CHUNKS)
def test_by_chunks_the_gradient_is_that_of_the_papers_equation(
    batch: tuple[Tensor, Tensor], temperature: float, num_rows: int
) -> None:
    with chunks_of(num_rows, batch[0]):
        _, ours = with_gradient(*batch, temperature)
    torch.testing.assert_close(ours, papers_gradient(*batch, temperature), rtol=0, atol=1e-9)


@PROPERTY
@given(BATCHES, TEMPERATURES, CHUNKS)
def test_by_chunks_in_fp32_loss_and_gradient_are_those_of_the_papers_equation(
    batch: tuple[Tensor, Tensor], temperature: float, num_rows: int
) -> None:
    projections, labels = batch[0].float(), batch[1]
    exact, tolerance = projections.double(), 1e-6 * max(1, 1 / temperature)
    with chunks_of(num_rows, projections):
        loss, gradient = with_gradient(projections, labels, temperature)
    assert loss.dtype == gradient.dtype == torch.float32
    torch.testing.assert_close(loss.double(), paper_loss(exact, labels, temperature), rtol=0, atol=tolerance)
    torch.testing.assert_close(
        gradient.double(), papers_gradient(exact, labels, temperature), rtol=0, atol=tolerance / temperature
    )


@pytest.mark.parametrize("labels", [[0, 1, 0], [0, 1, 2], [5, 5, 5]])
def test_by_chunks_the_gradient_is_that_of_finite_differences(labels: list[int]) -> None:
    projections = unit_projections((3, 2, 3), seed=0).requires_grad_(True)
    with chunks_of(4, projections):
        assert torch.autograd.gradcheck(lambda z: supcon_loss(z, torch.tensor(labels), 0.5), (projections,))


@pytest.mark.parametrize("num_classes", [1, 10, 700])
@pytest.mark.parametrize("temperature", [0.07, 0.5])
def test_chunked_and_dense_agree_on_thousands_of_rows(num_classes: int, temperature: float) -> None:
    """In fp32, against float64 dense, with the chunks that such a batch really gets (two, the second not full)."""
    projections = unit_projections((1100, 3, 32), seed=1).float()
    labels = torch.randint(num_classes, (1100,), generator=torch.Generator().manual_seed(2))
    loss, gradient = with_gradient(projections, labels, temperature)
    with dense():
        expected, expected_gradient = with_gradient(projections.double(), labels, temperature)
    torch.testing.assert_close(loss.double(), expected, rtol=0, atol=1e-6 / temperature)
    torch.testing.assert_close(
        gradient.double(), expected_gradient, rtol=1e-4, atol=1e-6 * expected_gradient.abs().max()
    )


def test_up_to_the_limit_the_loss_is_the_dense_one_bit_for_bit() -> None:
    projections = unit_projections((DENSE_ROWS // 2, 2, 8), seed=3).float()
    labels = torch.arange(DENSE_ROWS // 2) % 10
    assert DENSE_ROWS == 2048
    found = with_gradient(projections, labels, 0.1)
    with dense():
        expected = with_gradient(projections, labels, 0.1)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(found, expected, strict=True))


def test_anchors_without_a_positive_are_left_out_and_serve_as_negatives() -> None:
    projections, labels = unit_projections((5, 1, 4), seed=4), torch.tensor([0, 3, 0, 1, 2])
    with chunks_of(2, projections):
        loss, gradient = with_gradient(projections, labels, 0.5)
    torch.testing.assert_close(loss, paper_loss(projections, labels, 0.5), rtol=0, atol=1e-12)
    assert (gradient[labels > 0].norm(dim=2) > 1e-3).all()


def test_without_any_positive_loss_and_gradient_are_zero_by_chunks() -> None:
    projections = unit_projections((4, 1, 3), seed=5)
    with chunks_of(3, projections):
        loss, gradient = with_gradient(projections, torch.arange(4), 0.1)
    assert loss.item() == 0
    assert torch.equal(gradient, torch.zeros_like(gradient))


def test_labels_may_be_any_integers() -> None:
    projections, labels = unit_projections((4, 2, 3), seed=6), torch.tensor([0, 1, 0, 2])
    strange = torch.tensor([-7, 10**12, -7, 0])
    with chunks_of(3, projections):
        assert torch.equal(supcon_loss(projections, strange, 0.2), supcon_loss(projections, strange.sign(), 0.2))
        expected = supcon_loss(projections, labels, 0.2)
        torch.testing.assert_close(supcon_loss(projections, strange, 0.2), expected, rtol=0, atol=1e-12)


@PROPERTY
@given(st.integers(1, 5), st.integers(2, 3), SEEDS, TEMPERATURES, CHUNKS)
def test_nt_xent_by_chunks_is_chens_equation(
    num_images: int, num_views: int, seed: int, temperature: float, num_rows: int
) -> None:
    projections = unit_projections((num_images, num_views, 4), seed)
    with chunks_of(num_rows, projections):
        loss = nt_xent_loss(projections, temperature)
    torch.testing.assert_close(loss, chens_loss(projections, temperature), rtol=0, atol=1e-10)


def test_two_losses_of_the_same_projections_add_their_gradients() -> None:
    projections = unit_projections((4, 3, 5), seed=7).requires_grad_(True)

    def both(z: Tensor) -> Tensor:
        return 2 * nt_xent_loss(z, 0.5) + 3 * nt_xent_loss(z[:, -2:], 0.5)

    with chunks_of(5, projections):
        (ours,) = torch.autograd.grad(both(projections), projections)
    with dense():
        (expected,) = torch.autograd.grad(both(projections), projections)
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-12)


def test_huge_similarities_give_a_finite_loss_and_gradient_by_chunks() -> None:
    projections = (30 * unit_projections((4, 2, 8), seed=8)).float()
    with chunks_of(3, projections):
        loss, gradient = with_gradient(projections, torch.tensor([0, 0, 1, 1]), 0.01)
    assert loss.isfinite()
    assert gradient.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_autocast_does_not_change_loss_and_gradient_by_chunks(dtype: torch.dtype) -> None:
    projections, labels = unit_projections((4, 2, 8), seed=9).to(dtype), torch.tensor([0, 0, 1, 1])
    with chunks_of(3, projections):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            inside = with_gradient(projections, labels, 0.07)
        outside = with_gradient(projections, labels, 0.07)
    assert inside[0].dtype == torch.float32
    assert inside[1].dtype == dtype
    assert all(torch.equal(one, other) for one, other in zip(inside, outside, strict=True))


def test_the_projections_are_not_modified() -> None:
    projections = unit_projections((4, 2, 8), seed=10)
    before = projections.clone()
    with chunks_of(3, projections):
        with_gradient(projections, torch.tensor([0, 0, 1, 1]), 0.1)
    assert torch.equal(projections, before)


def test_a_second_derivative_is_refused_by_chunks() -> None:
    projections = unit_projections((4, 2, 8), seed=11).requires_grad_(True)
    with chunks_of(3, projections):
        (gradient,) = torch.autograd.grad(nt_xent_loss(projections, 0.5), projections, create_graph=True)
    with pytest.raises(RuntimeError, match="does not require grad"):
        torch.autograd.grad(gradient.sum(), projections)


class Watch(TorchDispatchMode):
    """Notes each operation and the bytes of the greatest tensor that any of them gives."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[str] = []
        self.greatest = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = function(*args, **(kwargs or {}))
        self.operations.append(function.overloadpacket.__name__)
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self.greatest = max(self.greatest, leaf.untyped_storage().nbytes())
        return result


def test_an_accelerator_holds_one_chunk_of_24576_rows_and_is_never_read_from() -> None:
    """A fake tensor has no data: reading from it raises, as does mixing devices."""
    with FakeTensorMode(), Watch() as watch:
        projections = torch.empty(8192, 3, 128, device="cuda", requires_grad=True)
        loss = supcon_loss(projections, torch.empty(8192, dtype=torch.long, device="cuda"), 0.1)
    assert loss.device.type == "cuda"
    assert loss.requires_grad
    assert losses.CHUNK_BYTES / 2 < watch.greatest <= losses.CHUNK_BYTES


def test_without_a_gradient_only_the_similarities_are_multiplied() -> None:
    projections, labels = unit_projections((6, 2, 3), seed=12), torch.zeros(6, dtype=torch.long)
    with chunks_of(4, projections), torch.no_grad(), Watch() as watch:
        supcon_loss(projections, labels, 0.1)
    assert [name for name in watch.operations if "mm" in name] == ["addmm_"] * 3


@pytest.mark.slow
def test_the_chunked_loss_compiles_without_a_graph_break() -> None:
    projections, labels = unit_projections((4, 2, 8), seed=13), torch.tensor([0, 0, 1, 1])
    compiled = torch.compile(supcon_loss, fullgraph=True, backend="aot_eager")
    with chunks_of(3, projections):
        leaf = projections.clone().requires_grad_(True)
        loss = compiled(leaf, labels, 0.1)
        (gradient,) = torch.autograd.grad(loss, leaf)
        expected, expected_gradient = with_gradient(projections, labels, 0.1)
    torch.testing.assert_close(loss, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(gradient, expected_gradient, rtol=0, atol=1e-12)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_cuda_loss_and_gradient_are_those_of_the_cpu_and_the_same_bits_every_time() -> None:
    projections, labels = unit_projections((2000, 3, 64), seed=14).float(), torch.arange(2000) % 10
    found = with_gradient(projections.cuda(), labels.cuda(), 0.1)
    again = with_gradient(projections.cuda(), labels.cuda(), 0.1)
    for ours, repeated, expected in zip(found, again, with_gradient(projections, labels, 0.1), strict=True):
        assert torch.equal(ours, repeated)
        torch.testing.assert_close(ours.cpu(), expected, rtol=1e-4, atol=1e-5 * expected.abs().max().item())
