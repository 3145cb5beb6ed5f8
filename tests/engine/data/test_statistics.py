import pytest
import torch

from claf_engine.data.statistics import channel_statistics, count_levels, statistics_of


def drawn(channels: int = 3, count: int = 20) -> torch.Tensor:
    return torch.randint(0, 256, (count, channels, 5, 7), generator=torch.Generator().manual_seed(0)).to(torch.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_statistics_are_those_of_all_pixels_of_a_channel(channels: int) -> None:
    images = drawn(channels)
    found = channel_statistics(images)
    pixels = images.double() / 255
    assert found.mean == pytest.approx(pixels.mean((0, 2, 3)).tolist(), abs=5e-5)
    assert found.std == pytest.approx(pixels.std((0, 2, 3), correction=0).tolist(), abs=5e-5)


def test_counts_of_parts_add_up_to_those_of_the_whole() -> None:
    images = drawn()
    assert statistics_of(count_levels(images[:7]) + count_levels(images[7:])) == channel_statistics(images)


def test_a_channel_that_is_the_same_everywhere_is_divided_by_one() -> None:
    images = drawn()
    images[:, 1] = 51
    found = channel_statistics(images)
    assert (found.mean[1], found.std[1]) == (0.2, 1.0)
