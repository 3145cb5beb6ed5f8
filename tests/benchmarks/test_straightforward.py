import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.epochs import SIZE, random_data
from benchmarks.straightforward import (
    Attack,
    Images,
    Model,
    contrastive_view,
    linear_evaluation,
    loader,
    pgd,
    retrain,
    shifted_view,
    supcon,
    trades_attack,
    unchanged_view,
)
from claf_engine.training.losses import supcon_loss
from tests.engine.tiny import CPU

WIDTH, CLASSES = 2, 3
VIEWS = {"unchanged": unchanged_view(), "contrastive": contrastive_view(SIZE), "shifted": shifted_view(SIZE)}


def attack(steps: int = 2) -> Attack:
    return Attack(8 / 255, 2 / 255, steps, torch.rand_like)


def some_batches(count: int = 1) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    return [
        (torch.rand(4, 3, SIZE, SIZE, generator=generator), torch.randint(0, CLASSES, (4,), generator=generator))
        for _ in range(count)
    ]


def some_images(count: int) -> tuple[Tensor, Tensor]:
    split = random_data(count, CPU).train
    return split.images, split.labels


def test_pgd_on_two_linear_classes_ends_in_the_corner_that_raises_the_other_logit() -> None:
    (x, _), y = some_batches()[0], torch.tensor([0, 1, 0, 1])
    towards_one = torch.randint(0, 2, (3 * SIZE * SIZE,), generator=torch.Generator().manual_seed(2)) * 2.0 - 1
    layer = nn.Linear(3 * SIZE * SIZE, 2, bias=False)
    layer.weight.data = 0.01 * torch.stack([-towards_one, towards_one])
    start = Attack(8 / 255, 2 / 255, 10, lambda like: torch.full_like(like, 0.5))
    found = pgd(nn.Sequential(nn.Flatten(), layer), x, y, start)
    towards_the_other = torch.where(y[:, None] == 0, towards_one, -towards_one).view_as(x)
    torch.testing.assert_close(found, (x + 8 / 255 * towards_the_other).clamp(0, 1))


@pytest.mark.parametrize("climb", ["pgd", "trades"])
def test_attacked_images_stay_in_the_ball_and_in_the_cube(climb: str) -> None:
    model, (x, y) = Model(WIDTH, CLASSES), some_batches()[0]
    found = pgd(model, x, y, attack(10)) if climb == "pgd" else trades_attack(model, x, attack(10))
    assert 0 < float((found - x).abs().max()) <= 8 / 255 + 1e-6
    assert 0 <= float(found.min()) <= float(found.max()) <= 1


def test_supcon_is_the_loss_of_the_engine() -> None:
    generator = torch.Generator().manual_seed(0)
    z, y = F.normalize(torch.randn(18, 4, generator=generator), dim=1), torch.arange(6) % 3
    ours = supcon(z, y.repeat(3), 0.07)
    torch.testing.assert_close(ours, supcon_loss(z.view(3, 6, 4).transpose(0, 1), y, 0.07))


def test_retraining_steps_the_classifier_alone_although_gradients_reach_the_encoder() -> None:
    model = Model(WIDTH, CLASSES)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    losses = retrain(model, some_batches(2), attack(), sweeps=3)
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"classifier.weight", "classifier.bias"}
    assert model.encoder.conv1.weight.grad is not None
    assert len(losses) == 6


def test_linear_evaluation_passes_the_encoder_in_every_epoch() -> None:
    model, passes = Model(WIDTH, CLASSES), []
    model.encoder.register_forward_hook(lambda *_: passes.append(1))
    losses = linear_evaluation(model, some_batches(2), epochs=3)
    assert len(passes) == len(losses) == 6
    assert losses[-1] < losses[0]


def test_an_image_that_is_not_augmented_comes_out_of_the_loader_as_pixels() -> None:
    images, labels = some_images(3)
    for index, (found, label) in enumerate(Images(images, labels, [unchanged_view()])[i] for i in range(3)):
        torch.testing.assert_close(found, images[index] / 255)
        assert label == labels[index]


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_is_an_image_in_the_unit_cube(name: str) -> None:
    images, labels = some_images(2)
    ((view, seen),) = loader(images, labels, 2, [VIEWS[name]])
    assert view.shape == (2, 3, SIZE, SIZE)
    assert 0 <= float(view.min()) <= float(view.max()) <= 1
    assert sorted(seen.tolist()) == sorted(labels.tolist())


def test_every_image_draws_a_view_of_its_own() -> None:
    images, labels = some_images(1)
    pairs = Images(images.repeat(8, 1, 1, 1), labels.repeat(8), [contrastive_view(SIZE), contrastive_view(SIZE)])
    views = [view for index in range(8) for view in pairs[index][:2]]
    assert len({view.numpy().tobytes() for view in views}) == 16
