import math

import pytest
import torch
from torch import Tensor, nn

from claf_engine.accuracy.non_local_means import NonLocalMeans, non_local_means


def mirrored(index: int, size: int) -> int:
    """The pixel that stands for one beyond the border: c b | a b c | b a."""
    index %= 2 * size - 2
    return min(index, 2 * size - 2 - index)


def slow(image: Tensor, search: int, patch: int, strength: float) -> Tensor:
    """The definition, pixel by pixel, in Python floats: image is (C, H, W)."""
    channels, height, width = image.shape
    plain = image.double().tolist()

    def at(channel: int, row: int, column: int) -> float:
        return float(plain[channel][mirrored(row, height)][mirrored(column, width)])

    result = torch.zeros(channels, height, width, dtype=torch.float64)
    around = [
        (down, right) for down in range(-(patch // 2), patch // 2 + 1) for right in range(-(patch // 2), patch // 2 + 1)
    ]
    for row in range(height):
        for column in range(width):
            total, sums = 0.0, [0.0] * channels
            for down in range(-(search // 2), search // 2 + 1):
                for right in range(-(search // 2), search // 2 + 1):
                    squares = [
                        (at(c, row + i, column + j) - at(c, row + down + i, column + right + j)) ** 2
                        for c in range(channels)
                        for i, j in around
                    ]
                    weight = math.exp(-sum(squares) / len(squares) * (255 / strength) ** 2)
                    total += weight
                    sums = [value + weight * at(c, row + down, column + right) for c, value in enumerate(sums)]
            for channel in range(channels):
                result[channel, row, column] = sums[channel] / total
    return result


@pytest.mark.parametrize(("search", "patch", "strength"), [(3, 1, 20), (5, 3, 60)])
def test_non_local_means_is_its_definition(search: int, patch: int, strength: int) -> None:
    images = torch.rand(2, 3, 5, 6, generator=torch.Generator().manual_seed(1)) * 0.3
    expected = torch.stack([slow(image, search, patch, strength) for image in images])
    assert (non_local_means(images, search, patch, strength) - expected).abs().max() < 1e-6


def test_an_image_of_one_colour_stays_as_it_is() -> None:
    image = torch.full((1, 3, 6, 6), 0.3)
    assert torch.allclose(non_local_means(image, 13, 3, 2), image, atol=1e-6)


def test_a_faint_grain_goes_and_an_edge_stays() -> None:
    image = torch.zeros(1, 1, 12, 12)
    image[..., 6:] = 1
    grain = 0.004 * torch.randn(1, 1, 12, 12, generator=torch.Generator().manual_seed(2))
    smoothed = non_local_means(image + grain, 7, 3, 4)
    assert (smoothed - image).abs().mean() < grain.abs().mean() / 2
    assert (smoothed[..., 6] - smoothed[..., 5] > 0.95).all()


def test_as_a_squeezer_its_gradient_is_that_of_the_identity() -> None:
    images = torch.rand(2, 3, 6, 6, requires_grad=True)
    squeezer = NonLocalMeans(5, 3, 4)
    (3 * squeezer.guarded(nn.Identity())(images)).sum().backward()
    assert images.grad is not None
    assert torch.equal(images.grad, torch.full_like(images, 3))
    assert str(squeezer) == "nlm:5,3,4"
