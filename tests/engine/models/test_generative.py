import pytest
import torch

from claf_engine.models.generative import Critic, Generator, initialise, num_doublings

SIZES = [(8, 8), (16, 16), (28, 28), (32, 32), (9, 13), (40, 64)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [1, 3])
def test_latent_vectors_become_images_of_the_size_and_images_scores(size: tuple[int, int], channels: int) -> None:
    images = Generator(5, 2, channels, size)(torch.randn(3, 5))
    assert images.shape == (3, channels, *size)
    assert 0 <= images.min() <= images.max() <= 1
    assert Critic(2, channels, size)(images).shape == (3,)


def test_sides_are_doubled_from_four_pixels_on() -> None:
    assert [num_doublings((side, side)) for side in (8, 16, 28, 32, 224)] == [1, 2, 2, 3, 5]


def test_weights_come_from_the_stream_alone() -> None:
    made = [initialise(Generator(5, 2, 3, (8, 8)), torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    one, same, other = (list(each.parameters())[0] for each in made)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
