import torch
from torch import nn

from claf_engine.accuracy.squeezing import Squeezing
from claf_engine.accuracy.squeezing_detector import SqueezingDetector

SQUEEZERS = (Squeezing("bit-depth", 2), Squeezing("median", 3))


def test_a_score_is_the_largest_distance_of_what_is_said_of_the_squeezed_image() -> None:
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(5, 3, 6, 6, generator=generator)
    model = nn.Sequential(nn.Flatten(), nn.Linear(108, 4))
    with torch.no_grad():
        scores = SqueezingDetector(model, SQUEEZERS).scores(images)
        for row in range(5):
            said = [squeezed.softmax(1)[0].tolist() for squeezed in _answers(model, images[row : row + 1])]
            distances = [sum(abs(a - b) for a, b in zip(said[0], other, strict=True)) for other in said[1:]]
            assert abs(float(scores[row]) - max(distances)) < 1e-6


def _answers(model: nn.Module, image: torch.Tensor) -> list[torch.Tensor]:
    return [model(image), *(model(squeezer.squeeze(image)) for squeezer in SQUEEZERS)]


def test_an_excess_is_zero_at_the_threshold_and_grows_with_the_score() -> None:
    detector = SqueezingDetector(nn.Flatten(), SQUEEZERS)
    excess = detector.excess(torch.tensor([0.1, 0.5, 1.9]), 0.5)
    assert excess[0] < 0
    assert excess[1] == 0
    assert excess[2] > 0


def test_where_softmax_is_saturated_the_excess_still_has_a_gradient() -> None:
    """Both answers are certain and differ: of a distance near 2 a plain gradient vanishes beside that of a margin."""
    image = torch.full((1, 1, 2, 2), 0.6, requires_grad=True)
    detector = SqueezingDetector(nn.Sequential(nn.Flatten(), _Certain()), (Squeezing("bit-depth", 1),))
    scores = detector.scores(image)
    assert scores > 1.99
    (plain,) = torch.autograd.grad(scores.sum(), image, retain_graph=True)
    (gradient,) = torch.autograd.grad(detector.excess(scores, 1e-4).sum(), image)
    assert gradient.abs().max() > 0
    assert torch.equal(gradient.sign(), plain.sign())


class _Certain(nn.Module):
    """Two logits of (N, 4) pixels, far apart unless the mean is near 0.75."""

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        mean = pixels.mean(1)
        return torch.stack([40 * (0.75 - mean), 40 * (mean - 0.75)], 1)


def test_it_is_named_as_it_is_asked_for() -> None:
    assert str(SqueezingDetector(nn.Flatten(), SQUEEZERS)) == "squeezing:bit-depth:2+median:3"
