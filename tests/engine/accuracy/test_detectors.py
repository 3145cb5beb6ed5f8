import pytest
import torch
from torch import Tensor, nn

from claf_engine.accuracy.detectors import Detector, Gate, scores_of, threshold_at
from claf_engine.terms.errors import ClafError, DataError
from tests.engine.tiny import FP32


class Brightness(Detector):
    """Scores an image by its mean."""

    def __str__(self) -> str:
        return "brightness"

    def scores(self, images: Tensor) -> Tensor:
        return images.mean((1, 2, 3))


@pytest.mark.parametrize(("count", "rate"), [(20, 0.05), (40, 0.05), (59, 0.05), (10, 0.3), (100, 0.29), (7, 1 / 7)])
def test_a_threshold_is_the_lowest_score_that_rejects_no_more_than_wanted(count: int, rate: float) -> None:
    scores = torch.rand(count, generator=torch.Generator().manual_seed(count))
    found = threshold_at(scores, rate)
    fitting = [
        score for score in scores.tolist() if sum(other > score for other in scores.tolist()) <= rate * count + 1e-9
    ]
    assert found.value == min(fitting)
    assert found.rejected.hits == int((scores > found.value).sum()) <= rate * count + 1e-9


def test_equal_scores_are_never_split() -> None:
    found = threshold_at(torch.ones(40), 0.05)
    assert (found.value, found.rejected.hits, found.rejected.total) == (1, 0, 40)


def test_too_few_validation_images_are_refused_with_how_many_it_takes() -> None:
    with pytest.raises(DataError, match=r"set on at least 20 validation images, and there are 19; take a higher --fpr"):
        threshold_at(torch.rand(19), 0.05)


def test_a_rejected_image_is_no_success_of_an_attack() -> None:
    images = torch.stack([torch.full((1, 2, 2), value) for value in (0.1, 0.4, 0.9)])
    labels = torch.zeros(3, dtype=torch.int64)
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False))
    with torch.no_grad():
        model[1].weight.copy_(torch.tensor([[0.0] * 4, [1.0] * 4]))
    assert Gate(model, Brightness(), 0.5).judge(images, labels, FP32).tolist() == [1, 1, 0]


def test_a_score_that_is_no_number_is_refused() -> None:
    with pytest.raises(ClafError, match="the detector brightness gave a score that is no number"):
        scores_of(Brightness(), torch.full((1, 1, 2, 2), torch.nan), FP32)


def test_an_excess_is_the_distance_to_the_threshold_unless_a_detector_says_otherwise() -> None:
    assert Brightness().excess(torch.tensor([0.5, 2.0]), 0.5).tolist() == [0, 1.5]
