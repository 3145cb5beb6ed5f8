import itertools
from fractions import Fraction

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from claf_engine.attacks import Attack, attack
from claf_engine.compute.device import Compute, choose_compute
from claf_engine.config import DataConfig, ModelConfig, RuntimeConfig
from claf_engine.data import Dataset, Split, dataset_steps, load_dataset, to_pixels
from claf_engine.data.shapes import COLOUR_RANGE, PATTERN_LEVELS, SHAPES, class_patterns, draw_shapes
from claf_engine.events.ticks import Pulse
from claf_engine.models.modes import evaluating, training
from claf_engine.models.network import NATURAL, Pipeline, build_network
from claf_engine.terms.errors import DataError

CPU = torch.device("cpu")


def load(**settings: int) -> Dataset:
    return load_dataset(DataConfig(**{"num_train": 60, "num_validation": 20, "num_test": 30, **settings}), CPU)


def draw(count: int, seed: int = 0) -> Split:
    steps = draw_shapes(count, torch.Generator().manual_seed(seed), "drawing")
    try:
        while True:
            next(steps)
    except StopIteration as stop:
        drawn: Split = stop.value
        return drawn


def without_pattern(drawn: Split) -> Tensor:
    return drawn.images.to(torch.int16) - class_patterns()[drawn.labels]


def test_the_default_sizes_are_4000_1000_and_1000() -> None:
    dataset = load_dataset(DataConfig(), CPU)
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (4000, 1000, 1000)


def test_as_many_images_are_drawn_as_are_asked_for() -> None:
    dataset = load()
    assert (len(dataset.train), len(dataset.validation), len(dataset.test)) == (60, 20, 30)


def test_images_are_32_by_32_colour_images_of_ten_classes() -> None:
    dataset = load()
    assert dataset.train.images.shape == (60, 3, 32, 32)
    assert dataset.train.images.dtype == torch.uint8
    assert dataset.train.labels.dtype == torch.int64
    assert dataset.class_names == tuple(SHAPES)
    assert len(dataset.class_names) == 10


def test_every_split_holds_the_classes_equally() -> None:
    dataset = load()
    assert torch.bincount(dataset.train.labels).tolist() == [6] * 10
    assert torch.bincount(dataset.validation.labels).tolist() == [2] * 10
    assert torch.bincount(dataset.test.labels).tolist() == [3] * 10


def test_the_same_seed_draws_the_same_images() -> None:
    assert torch.equal(load(seed=5).train.images, load(seed=5).train.images)


def test_another_seed_draws_other_images() -> None:
    assert not torch.equal(load(seed=5).train.images, load(seed=6).train.images)


def test_no_test_image_is_a_training_image() -> None:
    dataset = load()
    pool = torch.cat((dataset.train.images, dataset.validation.images)).flatten(1).float()
    assert torch.cdist(dataset.test.images.flatten(1).float(), pool).min() > 0


def test_more_images_than_fit_in_memory_are_refused() -> None:
    with pytest.raises(DataError, match="draws at most"):
        load(num_train=10**9)


def test_drawing_pulses_so_that_a_screen_can_show_progress() -> None:
    pulses = list(dataset_steps(DataConfig(num_train=900), CPU))
    assert all(isinstance(pulse, Pulse) and pulse.done < pulse.total for pulse in pulses)
    assert {pulse.activity for pulse in pulses} == {"drawing training shapes", "drawing test shapes"}


def test_the_pattern_is_faint_and_has_no_mean() -> None:
    patterns = class_patterns()
    assert patterns.abs().max() == PATTERN_LEVELS == 4
    assert (patterns.sum((2, 3)) == 0).all()


def test_no_two_classes_share_a_pattern_even_when_shifted_or_mirrored() -> None:
    patterns = class_patterns().double()
    norms = patterns.flatten(1).norm(dim=1)
    for shift in itertools.product((0, 1), repeat=2):
        for mirrored in (False, True):
            moved = patterns.roll(shift, (2, 3)).flip(3) if mirrored else patterns.roll(shift, (2, 3))
            alike = (moved.flatten(1) @ patterns.flatten(1).T).abs() / (norms[:, None] * norms)
            assert (alike - torch.diag(alike.diag())).max() <= 0.4


def test_the_pattern_is_never_clipped() -> None:
    base = without_pattern(draw(500))
    assert base.min() >= COLOUR_RANGE[0]
    assert base.max() <= COLOUR_RANGE[1]


def test_a_matched_filter_reads_the_class_off_the_pattern_alone() -> None:
    drawn = draw(200)
    patterns = class_patterns().float().flatten(1)
    scores = drawn.images.float().flatten(1) @ (patterns / patterns.norm(dim=1, keepdim=True)).T
    assert (scores.argmax(1) == drawn.labels).float().mean() >= 0.95


def test_shape_and_background_differ_by_far_more_than_an_attack_can_change() -> None:
    base = without_pattern(draw(500)).float().mean(1)
    darkest, lightest = base.flatten(1).quantile(0.05, dim=1), base.flatten(1).quantile(0.95, dim=1)
    assert (lightest - darkest).min() > 3 * 16


def test_the_classes_look_different_on_average() -> None:
    drawn = draw(1000)
    base = without_pattern(drawn).float().mean(1)
    corners = torch.stack((base[:, 0, 0], base[:, 0, -1], base[:, -1, 0], base[:, -1, -1])).mean(0)
    figure = (base - corners.view(-1, 1, 1)).abs()
    means = torch.stack([figure[drawn.labels == label].mean(0) for label in range(10)]).flatten(1)
    apart = torch.cdist(means, means) / 32 + torch.eye(10) * 1e9
    assert apart.min() > 5


def train_ordinarily(dataset: Dataset, compute: Compute, epochs: int = 3) -> Pipeline:
    generator = torch.Generator().manual_seed(0)
    network = build_network(ModelConfig(width=16, blocks=(1, 1, 1)), 10, generator)
    compute.place(network)
    model = network.with_classifier(NATURAL)
    learned = [*network.encoder.parameters(), *network.classifiers[NATURAL].parameters()]
    optimizer = torch.optim.SGD(learned, lr=0.1, momentum=0.9, weight_decay=5e-4)
    images, labels = to_pixels(dataset.train.images), dataset.train.labels
    with training(model):
        for epoch in range(epochs):
            optimizer.param_groups[0]["lr"] = 0.1 * (1 - epoch / epochs)
            for batch in torch.randperm(len(labels), generator=generator).split(128):
                with compute.autocast():
                    logits = model(compute.arrange(images[batch]))
                loss = cross_entropy(logits, labels[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return model


@torch.no_grad()
def accuracy(model: Pipeline, images: Tensor, labels: Tensor) -> float:
    with evaluating(model):
        return (model(images).argmax(1) == labels).float().mean().item()


@pytest.mark.slow
@pytest.mark.timeout(600)  # 15 s of work, on cores that may be busy
def test_ordinary_training_is_accurate_until_it_is_attacked() -> None:
    # One thread: two that share their cores with another process wait for each other many times longer.
    compute = choose_compute(RuntimeConfig(device="cpu", threads=1))
    dataset = load_dataset(DataConfig(num_validation=10, num_test=100), CPU)
    model = train_ordinarily(dataset, compute)
    images, labels = to_pixels(dataset.test.images), dataset.test.labels
    robust = {}
    for levels in (8, 16):
        spec = Attack(Fraction(levels, 255), Fraction(2, 255), steps=10)
        adversarial = attack(model, images, labels, spec, torch.Generator().manual_seed(1), compute)
        robust[levels] = accuracy(model, adversarial, labels)
    assert accuracy(model, images, labels) >= 0.95
    assert robust[8] <= 0.20
    assert robust[16] <= 0.03
