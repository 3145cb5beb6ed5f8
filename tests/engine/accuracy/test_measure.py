import math
from collections.abc import Callable, Iterator
from fractions import Fraction

import pytest
import torch
from torch import Tensor, nn

from claf_engine.accuracy.measure import Accuracy, accuracy_steps
from claf_engine.accuracy.suite import AttackSuite
from claf_engine.attacks import predict
from claf_engine.compute.device import Compute
from claf_engine.data import Split, to_pixels
from claf_engine.models.network import NATURAL
from claf_engine.terms.errors import ClafError, DataError
from claf_engine.training.session import Session
from tests.engine.known_accuracy import Linear, Reader, gray_images, measure, robust, suite
from tests.engine.tiny import CPU, FP32, exhaust, natural_training, tiny_config, tiny_data, tiny_session

RADII = (Fraction(2, 255), Fraction(8, 255))
BF16 = Compute(CPU, "bf16", 1)


@pytest.fixture(scope="module")
def trained() -> Session:
    """A session with a natural classifier that is right most of the time and can be attacked."""
    optimizer = {"name": "adam", "learning_rate": 0.01}
    views = {"crop_scale": [1, 1], "flip": 0}
    session = tiny_session(tiny_config(supervised={"epochs": 25, "optimizer": optimizer}, views=views))
    list(natural_training(session))
    return session


def measured(session: Session, attacks: AttackSuite, **options: int) -> Accuracy:
    return measure(session.state.network.with_classifier(NATURAL), session.data.train, attacks, **options)


def test_natural_accuracy_is_the_share_of_right_answers() -> None:
    images = torch.zeros(5, 3, 2, 2, dtype=torch.uint8)
    images[:, 0, 0, 0] = torch.tensor([0, 255, 200, 10, 130])
    accuracy = measure(Reader(), Split(images, torch.tensor([0, 1, 0, 1, 1])), suite())
    assert accuracy == Accuracy(3 / 5, ())


def test_an_example_that_is_wrong_unattacked_is_never_robust() -> None:
    images = torch.full((4, 3, 2, 2), 100, dtype=torch.uint8)
    accuracy = measure(Reader(), Split(images, torch.tensor([1, 1, 0, 0])), suite(Fraction(1, 255)))
    assert accuracy.natural == 0.5
    assert robust(accuracy) == [0.5]


def test_when_all_answers_are_wrong_there_is_nothing_to_attack() -> None:
    images = torch.zeros(4, 3, 2, 2, dtype=torch.uint8)
    accuracy = measure(Reader(), Split(images, torch.ones(4, dtype=torch.int64)), suite(*RADII))
    assert (accuracy.natural, robust(accuracy)) == (0.0, [0.0, 0.0])


@pytest.mark.parametrize("restarts", [1, 3])
def test_a_radius_of_zero_gives_natural_accuracy(trained: Session, restarts: int) -> None:
    accuracy = measured(trained, suite(0, restarts=restarts))
    assert robust(accuracy) == [accuracy.natural]
    assert accuracy.natural > 0.5


class Fickle(nn.Module):
    """Answers right the first time it is asked, and wrong from then on."""

    def __init__(self) -> None:
        super().__init__()
        self.num_calls = 0

    def forward(self, images: Tensor) -> Tensor:
        self.num_calls += 1
        sign = 1 if self.num_calls == 1 else -1
        return sign * torch.stack([images.mean((1, 2, 3)), -images.mean((1, 2, 3))], dim=1)


def test_a_forward_pass_that_cannot_be_repeated_is_found_out_by_a_radius_of_zero() -> None:
    split = Split(torch.full((4, 3, 2, 2), 100, dtype=torch.uint8), torch.zeros(4, dtype=torch.int64))
    with pytest.raises(ClafError, match="attack of epsilon 0 changed predictions"):
        measure(Fickle(), split, suite(0))


def test_a_larger_radius_is_never_easier(trained: Session) -> None:
    figures = robust(measured(trained, suite(0, *RADII, Fraction(1, 8), steps=10)))
    assert figures == sorted(figures, reverse=True)
    assert figures[0] > figures[-1]


def test_every_radius_is_measured_as_if_it_were_alone(trained: Session) -> None:
    together = robust(measured(trained, suite(*RADII)))
    assert together == [robust(measured(trained, suite(radius)))[0] for radius in RADII]


@pytest.mark.parametrize("seed", [0, 1])
def test_a_measurement_repeats_itself(trained: Session, seed: int) -> None:
    attacks = suite(*RADII, steps=1, seed=seed)
    assert measured(trained, attacks) == measured(trained, attacks)


def test_another_seed_draws_other_starts() -> None:
    model, split = Linear(), gray_images(2000)
    one, other = (robust(measure(model, split, suite(Fraction(8, 255), steps=1, seed=seed))) for seed in (0, 1))
    assert one != other


@pytest.mark.parametrize("batch_size", [1, 5, 24, 250])
def test_the_batch_size_does_not_change_natural_accuracy(trained: Session, batch_size: int) -> None:
    assert measured(trained, suite(), batch_size=batch_size) == measured(trained, suite())


def test_the_batch_size_does_not_change_what_an_attack_reaches_in_the_end() -> None:
    model, split = Linear(), gray_images()
    attacks = suite(Fraction(4, 255), steps=20)
    assert measure(model, split, attacks, batch_size=7) == measure(model, split, attacks)


LOOKS: dict[str, Callable[[Session], list[object]]] = {
    "global randomness": lambda _: [torch.get_rng_state().tolist()],
    "training generators": lambda session: [
        stream.get_state().tolist() for stream in session.state.generators.values()
    ],
    "modes": lambda session: [module.training for module in session.state.network.modules()],
    "wanted gradients": lambda session: [weight.requires_grad for weight in session.state.network.parameters()],
    "gradients": lambda session: [
        None if weight.grad is None else weight.grad.tolist() for weight in session.state.network.parameters()
    ],
    "weights and buffers": lambda session: [value.tolist() for value in session.state.network.state_dict().values()],
}


@pytest.fixture(params=[True, False])
def in_either_mode(trained: Session, request: pytest.FixtureRequest) -> Iterator[Session]:
    network = trained.state.network
    before = {module: module.training for module in network.modules()}
    network.train(request.param)
    yield trained
    for module, mode in before.items():
        module.training = mode


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS.keys())
def test_a_measurement_leaves_everything_as_it_was(
    in_either_mode: Session, look: Callable[[Session], list[object]]
) -> None:
    before = look(in_either_mode)
    measured(in_either_mode, suite(*RADII, restarts=2))
    assert look(in_either_mode) == before


@pytest.mark.parametrize("num_pulses", [1, 2, 5])
def test_a_measurement_that_is_abandoned_leaves_the_network_as_it_was(trained: Session, num_pulses: int) -> None:
    before = [look(trained) for look in LOOKS.values()]
    steps = accuracy_steps(trained.state.network.with_classifier(NATURAL), trained.data.train, suite(*RADII), FP32)
    for _ in range(num_pulses):
        next(steps)
    steps.close()
    assert [look(trained) for look in LOOKS.values()] == before


class Dtypes(nn.Module):
    """Notes the precision that its layer computes in."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = Linear()
        self.seen: set[torch.dtype] = set()

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.linear(images)
        self.seen.add(logits.dtype)
        return logits


def test_accuracy_is_measured_in_fp32_whatever_the_precision_of_training() -> None:
    model = Dtypes()
    exhaust(accuracy_steps(model, gray_images(), suite(*RADII), BF16))
    assert model.seen == {torch.float32}


def test_the_precision_of_training_does_not_change_a_figure(trained: Session) -> None:
    model = trained.state.network.with_classifier(NATURAL)
    _, in_bf16 = exhaust(accuracy_steps(model, trained.data.train, suite(*RADII), BF16))
    assert in_bf16 == measured(trained, suite(*RADII))


def test_every_pulse_of_a_measurement_is_a_place_to_leave(trained: Session) -> None:
    steps = accuracy_steps(trained.state.network.with_classifier(NATURAL), trained.data.train, suite(*RADII), FP32)
    pulses, _ = exhaust(steps)
    assert pulses
    assert all(pulse.abandonable for pulse in pulses)


def test_a_measurement_says_what_it_does() -> None:
    pulses, _ = exhaust(accuracy_steps(Linear(), gray_images(10), suite(Fraction(1, 255), steps=2), FP32, 5))
    step = [("PGD-2 at 1/255", 0, 2), ("PGD-2 at 1/255", 1, 2)]
    expected = [("natural accuracy", 0, 2), ("natural accuracy", 1, 2), *step]
    assert [(pulse.activity, pulse.done, pulse.total) for pulse in pulses] == expected


def test_a_figure_says_how_to_repeat_it() -> None:
    attacks = suite(Fraction(1, 51), steps=4, restarts=3, seed=9)
    (figure,) = measure(Linear(), gray_images(20), attacks).robust
    assert (figure.epsilon, figure.attack, figure.steps, figure.step_size) == ("5/255", "pgd", 4, "2/255")
    assert (figure.restarts, figure.num_examples, figure.seed) == (3, 20, 9)
    assert (figure.space, figure.precision) == ("pixel", "fp32")


def test_images_that_are_not_pixels_are_refused() -> None:
    split = Split(torch.full((2, 3, 2, 2), 300.0), torch.zeros(2, dtype=torch.int64))
    with pytest.raises(DataError, match=r"images must lie in \[0, 1\]"):
        measure(Linear(), split, suite())


@pytest.mark.parametrize(("count", "length"), [(None, 24), (7, 7), (24, 24), (100, 24)])
def test_the_first_examples_of_a_split_are_taken_in_its_order(count: int | None, length: int) -> None:
    split = tiny_data().train
    taken = split.first(count)
    assert torch.equal(taken.images, split.images[:length])
    assert torch.equal(taken.labels, split.labels[:length])


def test_predictions_are_made_in_eval_mode(trained: Session) -> None:
    images = to_pixels(trained.data.train.images)
    model = trained.state.network.with_classifier(NATURAL)
    alone = torch.cat([predict(model, image[None], FP32) for image in images])
    assert torch.equal(predict(model, images, FP32), alone)


def test_predictions_carry_no_graph(trained: Session) -> None:
    assert not predict(Linear(), torch.rand(1, 3, 2, 2), FP32).requires_grad


def test_accuracies_are_shares(trained: Session) -> None:
    accuracy = measured(trained, suite(*RADII))
    for share in (accuracy.natural, *robust(accuracy)):
        assert math.isclose(share * 24, round(share * 24), abs_tol=1e-9)
        assert 0 <= share <= 1
