"""Clean logit pairing against a plain loop of its equations."""

import pytest
import torch
import torch.nn.functional as F

from claf_engine.compute.seeding import VIEWS
from claf_engine.compute.world import Part, World
from claf_engine.events.ticks import Boundary
from claf_engine.models.network import NATURAL
from claf_engine.training.methods import phases_of
from claf_engine.training.phases.clean_pairing import clean_distance, clean_pairing_loss, with_noise
from claf_engine.training.session import Session
from tests.engine.tiny import tiny_config, tiny_session

ALONE = World()


def session_of(**clp: float) -> Session:
    return tiny_session(tiny_config(method="clp", clp=clp))


def first_loss(session: Session) -> float:
    (phase,) = phases_of(session.config)
    return next(float(tick.loss) for tick in phase.play(session) if isinstance(tick, Boundary))


@pytest.mark.parametrize("num_images", [2, 7, 8])
def test_the_distance_is_the_slow_loop_over_pairs_and_classes(num_images: int) -> None:
    logits = torch.randn(num_images, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    half, summed = num_images // 2, 0.0
    for first in range(half):
        for label in range(5):
            summed += (float(logits[first, label]) - float(logits[half + first, label])) ** 2
    assert float(clean_distance(logits, Part(ALONE, num_images))) == pytest.approx(summed / (half * 5), abs=1e-6)


def test_a_batch_of_one_image_has_no_pair() -> None:
    logits = torch.ones(1, 4, requires_grad=True)
    distance = clean_distance(logits, Part(ALONE, 1))
    distance.backward()
    assert float(distance.detach()) == 0
    assert torch.equal(logits.grad, torch.zeros(1, 4))


def test_the_loss_is_the_plain_sum_of_its_three_terms() -> None:
    session = session_of(weight=0.7, squeezing=0.2, noise=0.0)
    images, labels = session.training_batch(torch.arange(8))
    session.state.order = torch.arange(8)
    model = session.state.network.with_classifier(NATURAL)
    logits = model.train()(images)
    pairing = ((logits[:4] - logits[4:]) ** 2).sum() / (4 * 4)
    expected = F.cross_entropy(logits, labels) + 0.7 * pairing + 0.2 * (logits**2).sum() / (8 * 4)
    found = clean_pairing_loss(session, model, (images, labels)).item()
    assert found == pytest.approx(expected.item(), abs=1e-6)


def test_noise_is_gaussian_of_the_deviation_and_pixels_stay_pixels() -> None:
    images = torch.full((64, 3, 8, 8), 0.5)
    noisy = with_noise(images, 0.1, torch.Generator().manual_seed(1), Part(ALONE, 64))
    assert float((noisy - images).std()) == pytest.approx(0.1, rel=0.05)
    far = with_noise(images, 1.0, torch.Generator().manual_seed(1), Part(ALONE, 64))
    assert (float(far.min()), float(far.max())) == (0, 1)


def test_without_noise_nothing_is_drawn() -> None:
    stream = torch.Generator().manual_seed(1)
    before = stream.get_state()
    images = torch.rand(4, 3, 8, 8)
    assert with_noise(images, 0.0, stream, Part(ALONE, 4)) is images
    assert torch.equal(stream.get_state(), before)


def test_without_its_terms_it_is_natural_training() -> None:
    natural = first_loss(tiny_session(tiny_config(method="natural")))
    assert first_loss(session_of(weight=0, squeezing=0, noise=0)) == natural
    assert first_loss(session_of(weight=1, squeezing=0, noise=0)) > natural


def test_noise_comes_from_the_stream_of_views() -> None:
    one, other = session_of(weight=1), session_of(weight=1)
    other.state.generators[VIEWS].manual_seed(9)
    assert first_loss(one) != first_loss(other)
