"""Eq. 2 of a batch that lies in several processes: their shares add up to it, and so do the gradients."""

from unittest.mock import patch

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from claf_engine.training import losses
from claf_engine.training.losses import nt_xent_loss, supcon_loss
from tests.engine.compute.pretended import pretended
from tests.engine.training.test_losses import PROPERTY, batches

SHARED = batches().filter(lambda batch: batch[0].shape[0] * batch[0].shape[1] > 1)


@PROPERTY
@given(SHARED, st.integers(2, 5), st.floats(0.05, 2), st.integers(1, 20))
def test_the_shares_of_processes_add_up_to_the_loss_of_the_whole_batch(
    batch: tuple[torch.Tensor, torch.Tensor], size: int, temperature: float, num_chunk_rows: int
) -> None:
    projections, labels = batch
    alone, shared = (projections.clone().requires_grad_(True) for _ in range(2))
    expected = supcon_loss(alone, labels, temperature)
    parts = pretended(size, shared, labels)
    with patch.object(losses, "CHUNK_BYTES", num_chunk_rows * projections.shape[0] * projections.shape[1] * 8):
        found = sum(supcon_loss(part.take(shared), part.take(labels), temperature, part) for part in parts)
    assert isinstance(found, torch.Tensor)
    assert_close(found, expected, rtol=1e-12, atol=1e-12)
    assert_close(torch.autograd.grad(found, shared), torch.autograd.grad(expected, alone), rtol=1e-12, atol=1e-12)


def test_without_labels_the_positives_are_the_views_of_an_image_wherever_it_lies() -> None:
    projections = torch.randn(7, 2, 5, dtype=torch.float64)
    parts = pretended(3, projections, torch.arange(7))
    found = sum(nt_xent_loss(part.take(projections), 0.3, part) for part in parts)
    assert_close(found, nt_xent_loss(projections, 0.3), rtol=1e-12, atol=1e-12)
