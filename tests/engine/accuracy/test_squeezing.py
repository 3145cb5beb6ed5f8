import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import median_filter
from torch import Tensor

from claf_engine.accuracy.squeezing import Squeezing, reduce_bits, smooth
from tests.properties import examples

DEFENCES = [Squeezing("bit-depth", bits) for bits in range(1, 8)] + [Squeezing("median", side) for side in range(2, 6)]

every_defence = pytest.mark.parametrize("defence", DEFENCES, ids=str)
images_of_any_size = st.builds(
    lambda seed, height, width: torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(seed)),
    st.integers(0, 2**31),
    st.integers(2, 9),
    st.integers(2, 9),
)


@every_defence
@examples(15)
@given(images=images_of_any_size)
def test_squeezed_images_are_images_of_the_same_shape(defence: Squeezing, images: Tensor) -> None:
    squeezed = defence.squeeze(images)
    assert squeezed.shape == images.shape
    assert squeezed.min() >= 0
    assert squeezed.max() <= 1


@pytest.mark.parametrize("bits", range(1, 8))
@examples(15)
@given(images=images_of_any_size)
def test_bit_depth_reduction_gives_the_nearest_of_its_levels(bits: int, images: Tensor) -> None:
    levels = torch.arange(2**bits) / (2**bits - 1)
    squeezed = reduce_bits(images, bits)
    assert torch.isin(squeezed, levels).all()
    nearest = (images[..., None] - levels).abs().amin(-1)
    assert torch.allclose((images - squeezed).abs(), nearest, atol=1e-6)


@pytest.mark.parametrize("bits", range(1, 8))
@examples(15)
@given(images=images_of_any_size)
def test_bit_depth_reduction_leaves_what_is_reduced_already(bits: int, images: Tensor) -> None:
    once = reduce_bits(images, bits)
    assert torch.equal(reduce_bits(once, bits), once)


def test_one_bit_is_black_or_white() -> None:
    assert reduce_bits(torch.tensor([0.0, 0.49, 0.51, 1.0]), 1).tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("side", range(2, 6))
@examples(25)
@given(images=images_of_any_size)
def test_median_smoothing_is_that_of_scipy(side: int, images: Tensor) -> None:
    expected = median_filter(images.numpy(), size=(1, 1, side, side), mode="reflect")
    assert np.array_equal(smooth(images, side).numpy(), expected)


@pytest.mark.parametrize("side", range(2, 6))
def test_median_smoothing_leaves_an_image_of_one_colour(side: int) -> None:
    image = torch.full((1, 3, 6, 6), 0.3)
    assert torch.equal(smooth(image, side), image)


def test_median_smoothing_does_not_mix_channels_or_images() -> None:
    images = torch.stack([torch.full((3, 5, 5), 0.1), torch.full((3, 5, 5), 0.9)])
    images[0, 1] = 0.5
    assert torch.equal(smooth(images, 3), images)
