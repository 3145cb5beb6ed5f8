import math
from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from scipy.fft import dctn
from torch import Tensor

from claf_engine.compute.seeding import ATTACK_STREAM
from claf_engine.data import to_pixels
from claf_engine.events.ticks import Boundary, Tick
from claf_engine.models.hashing import hash_tensors
from claf_engine.models.network import NATURAL
from claf_engine.training.phases.rectifier import (
    all_perturbed,
    changes_of,
    detector_loss,
    guarded_network,
    kept_perturbations,
    mix,
    rectified_loss,
    some_perturbed,
    train_detector,
    train_rectifier,
    universal_perturbations,
)
from claf_engine.training.session import Session
from tests.engine.tiny import tiny_config, tiny_session

EPSILON = 10 / 255
PHASES = (universal_perturbations, train_rectifier, train_detector)


@pytest.fixture
def session() -> Session:
    return tiny_session(tiny_config(method="rectifier"))


def played(session: Session, num_phases: int) -> list[Tick]:
    ticks: list[Tick] = []
    for phase in PHASES[:num_phases]:
        ticks += _phase(session, phase(session))
    return ticks


def _phase(session: Session, steps: Iterator[Tick]) -> list[Tick]:
    ticks = list(steps)
    session.state.cursor.end_phase()
    return ticks


def images_of(session: Session) -> Tensor:
    return to_pixels(session.data.train.images[:8])


def test_perturbations_lie_in_the_ball_and_are_of_many_kinds(session: Session) -> None:
    played(session, 1)
    values = kept_perturbations(session).values
    assert len(values) == 4
    assert values.flatten(1).abs().amax(1).tolist() == pytest.approx([EPSILON] * 4)
    assert all(not torch.equal(values[one], values[other]) for one in range(4) for other in range(one))


def test_a_step_of_a_perturbation_is_that_of_a_slow_loop(session: Session) -> None:
    stream = torch.Generator()
    stream.set_state(session.state.generators[ATTACK_STREAM].get_state())
    steps = universal_perturbations(session)
    boundary = next(tick for tick in steps if isinstance(tick, Boundary))
    rows = session.state.order[:8]
    slow = ((torch.rand(1, 3, 8, 8, generator=stream) * 2 - 1) * EPSILON).requires_grad_(True)
    model = session.state.network.with_classifier(NATURAL).eval()
    total = torch.zeros(())
    for image, label in zip(to_pixels(session.data.train.images[rows]), session.data.train.labels[rows], strict=True):
        chance = F.softmax(model((image + slow).clamp(0, 1)), 1)[0, label]
        total = total + ((1 - chance) / chance).log()
    (gradient,) = torch.autograd.grad(total, slow)
    expected = (slow.detach() + EPSILON / 10 * gradient.sign()).clamp(-EPSILON, EPSILON)
    torch.testing.assert_close(kept_perturbations(session).values[:1], expected, rtol=0, atol=1e-6)
    assert float(boundary.loss) == pytest.approx(float(total.detach()) / 8, abs=1e-5)


def test_the_network_stands_still_while_everything_beside_it_learns(session: Session) -> None:
    before = hash_tensors(session.state.network.state_dict())
    companions = {name: hash_tensors(session.companion(name).state_dict()) for name in ("rectifier", "detector")}
    played(session, 3)
    assert hash_tensors(session.state.network.state_dict()) == before
    assert all(hash_tensors(session.companion(name).state_dict()) != sha for name, sha in companions.items())
    assert session.state.optimizers == {}


def test_a_rectifier_begins_as_the_identity(session: Session) -> None:
    assert changes_of(session, images_of(session)).abs().sum() == 0


def test_its_loss_is_the_cross_entropy_with_the_networks_own_answers(session: Session) -> None:
    played(session, 2)
    model, images = guarded_network(session), images_of(session)
    answers = model.eval()(images).argmax(1)
    moved = all_perturbed(session, images)
    total = 0.0
    for image, answer in zip(moved, answers, strict=True):
        logits = model(session.companion("rectifier")(image[None]))[0]
        total -= math.log(float(F.softmax(logits.detach().double(), 0)[answer]))
    assert float(rectified_loss(session, model, moved, answers).detach()) == pytest.approx(total / 8, abs=1e-6)


def test_its_loss_teaches_the_rectifier_and_not_the_network(session: Session) -> None:
    model, images = guarded_network(session), images_of(session)
    rectified_loss(session, model, images, torch.zeros(8).long()).backward()
    assert all(weight.grad is None for weight in model.parameters())
    assert session.companion("rectifier").last.weight.grad is not None


def test_a_share_of_the_images_is_perturbed(session: Session) -> None:
    played(session, 1)
    images = images_of(session)
    shares = []
    for share in (0.0, 0.5, 1.0):
        config = tiny_config(method="rectifier", rectifier__perturbed_share=share)
        other = Session(config, session.compute, session.data, session.state, 0)
        found = [some_perturbed(other, images).ne(images).flatten(1).any(1).float().mean() for _ in range(20)]
        shares.append(float(torch.stack(found).mean()))
    assert shares[0] == 0
    assert shares[1] == pytest.approx(0.5, abs=0.2)
    assert shares[2] == 1


def test_the_loss_of_the_detector_is_the_hinge_of_the_slow_spectrum(session: Session) -> None:
    played(session, 3)
    images = images_of(session)
    changes = changes_of(session, torch.cat([images, all_perturbed(session, images)]))
    detector = session.companion("detector")
    features = [dctn(change.double().mean(0).numpy(), norm="ortho") for change in changes]
    spectra = torch.stack([torch.as_tensor(abs(found) + 1e-5).log().flatten() for found in features])
    spread = (spectra.var(0, unbiased=False) + 1e-5).sqrt()
    scores = ((spectra - spectra.mean(0)) / spread) @ detector.linear.weight[0].detach().double() + float(
        detector.linear.bias.detach()
    )
    sides = [-1.0] * 8 + [1.0] * 8
    total = sum(max(0.0, 1 - side * float(score)) for side, score in zip(sides, scores, strict=True))
    assert float(detector_loss(session, changes).detach()) == pytest.approx(total / 16, abs=1e-4)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_mixtures_reach_the_edge_of_the_ball(norm: str) -> None:
    values = torch.zeros(6, 3, 4, 4)
    values[:2] = 0.1 * torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(1)).sign()
    radius = 0.1 if norm == "linf" else 0.5
    mix(values, 2, (radius, norm), torch.Generator().manual_seed(2))  # type: ignore[arg-type]
    order = torch.inf if norm == "linf" else 2
    assert torch.linalg.vector_norm(values[2:].flatten(1), order, dim=1).tolist() == pytest.approx([radius] * 4)


def test_nothing_to_mix_of_ends_after_a_long_walk() -> None:
    values = torch.zeros(3, 1, 2, 2)
    mix(values, 1, (0.1, "linf"), torch.Generator())
    assert values.abs().sum() == 0
