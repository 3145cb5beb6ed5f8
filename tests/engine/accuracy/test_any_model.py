"""The library's `attack` and `measure`: against the engine's own measuring, closed forms, and what they leave alone."""

from collections.abc import Callable
from fractions import Fraction

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from claf_engine.accuracy.any_model import attack, measure
from claf_engine.accuracy.measure import accuracy_steps
from claf_engine.accuracy.suite import AttackSuite
from claf_engine.attacks import predict
from claf_engine.attacks.registered import register_attack
from claf_engine.data import Split
from claf_engine.terms.errors import ClafError, ConfigError, DataError
from tests.engine.known_accuracy import Waves
from tests.engine.tiny import FP32, exhaust
from tests.plugins import registries_restored

EPSILON = Fraction(8, 255)


class Linear(nn.Module):
    """Class 1 where the mean pixel lies above one half: the margin of an image is that distance, in Linf."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(10.0))

    def forward(self, images: Tensor) -> Tensor:
        level = self.scale * (images.flatten(1).mean(1, keepdim=True) - 0.5)
        return torch.cat([-level, level], 1)


def convolutional() -> nn.Module:
    layers = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(), nn.Flatten(), nn.Linear(512, 4)
    model, generator = nn.Sequential(*layers), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.2, generator=generator)
    return model.train()


def levels(*values: float) -> tuple[Tensor, Tensor]:
    images = torch.tensor(values).view(-1, 1, 1, 1).expand(-1, 3, 4, 4).clone()
    return images, (images.flatten(1).mean(1) > 0.5).long()


def random_examples(count: int = 24) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    return torch.rand(count, 3, 8, 8, generator=generator), torch.randint(0, 4, (count,), generator=generator)


def test_an_attack_breaks_what_lies_within_its_radius_and_nothing_else() -> None:
    images, labels = levels(0.5 + 7 / 255, 0.5 + 9 / 255, 0.5 - 7 / 255, 0.5 - 9 / 255)
    adversarial = attack(Linear(), images, labels)
    assert (predict(Linear(), adversarial, FP32) != labels).tolist() == [True, False, True, False]


def test_attacked_images_stay_in_the_ball_and_are_images() -> None:
    images, labels = random_examples()
    adversarial = attack(convolutional(), images, labels, eps="16/255", steps=3)
    assert float((adversarial - images).abs().max()) <= 16 / 255 + 1e-6
    assert float(adversarial.min()) >= 0
    assert float(adversarial.max()) <= 1


def test_what_one_restart_broke_stays_broken() -> None:
    model, images = Waves(), random_examples(100)[0][:, :, :2, :2]
    labels = predict(model, images, FP32)
    broken = [
        predict(model, attack(model, images, labels, eps="16/255", steps=1, restarts=restarts), FP32) != labels
        for restarts in (1, 4)
    ]
    assert not (broken[0] & ~broken[1]).any()
    assert int(broken[1].sum()) > int(broken[0].sum())


@pytest.mark.parametrize("eps", ["8/255", 8 / 255, Fraction(8, 255)])
def test_a_radius_may_be_text_a_float_or_a_fraction(eps: str | float | Fraction) -> None:
    images, labels = random_examples()
    figures = measure(convolutional(), images, labels, eps=eps).robust
    assert [figure.epsilon for figure in figures] == ["8/255"]


def test_accuracy_is_that_of_the_engine() -> None:
    images, labels = random_examples()
    model, suite = convolutional(), AttackSuite((EPSILON,), 4, Fraction(5, 255), decides="any")
    _, expected = exhaust(accuracy_steps(model, Split(images, labels), suite, FP32))
    assert measure(model, images, labels, eps=EPSILON, steps=4) == expected


def test_accuracy_of_a_linear_network_has_its_closed_form() -> None:
    margins = torch.linspace(-20.5, 20.5, 42) / 255
    images, labels = levels(*(0.5 + margins).tolist())
    found = measure(Linear(), images, labels, eps=("4/255", "8/255", "16/255"))
    assert found.natural == 1.0
    expected = [float((margins.abs() > radius / 255).double().mean()) for radius in (4, 8, 16)]
    assert [figure.accuracy for figure in found.robust] == pytest.approx(expected)


def test_the_steps_cross_the_ball_of_every_radius() -> None:
    images, labels = random_examples(4)
    figures = measure(convolutional(), images, labels, eps=("4/255", "16/255"), steps=10).robust
    assert [figure.step_size for figure in figures] == ["1/255", "4/255"]


def as_tensors(images: Tensor, labels: Tensor) -> tuple[object, ...]:
    return images, labels


def as_loader(images: Tensor, labels: Tensor) -> tuple[object, ...]:
    return (DataLoader(TensorDataset(images, labels), batch_size=7),)


def as_data_set(images: Tensor, labels: Tensor) -> tuple[object, ...]:
    return (TensorDataset(images, labels),)


def as_pairs(images: Tensor, labels: Tensor) -> tuple[object, ...]:
    return ([(image, int(label)) for image, label in zip(images, labels, strict=True)],)


@pytest.mark.parametrize("form", [as_loader, as_data_set, as_pairs])
def test_examples_may_come_in_any_usual_form(form: Callable[[Tensor, Tensor], tuple[object, ...]]) -> None:
    model, examples = convolutional(), random_examples()
    assert measure(model, *form(*examples)) == measure(model, *as_tensors(*examples))  # type: ignore[arg-type]


def test_whole_grey_levels_are_the_same_images_as_their_floats() -> None:
    images, labels = random_examples()
    grey = (images * 255).round().to(torch.uint8)
    model = convolutional()
    assert measure(model, grey, labels) == measure(model, grey.float() / 255, labels)


def test_arrays_and_lists_are_taken_as_tensors_are() -> None:
    model, (images, labels) = convolutional(), random_examples()
    expected = measure(model, images, labels)
    assert measure(model, images.numpy(), labels.tolist()) == expected
    crafted = attack(model, images.numpy(), labels.numpy())  # type: ignore[arg-type]
    assert torch.equal(crafted, attack(model, images, labels))


def test_no_radius_measures_natural_accuracy_alone() -> None:
    model, (images, labels) = convolutional(), random_examples()
    found = measure(model, images, labels, eps=())
    assert found.natural == measure(model, images, labels).natural
    assert found.robust == ()


def test_only_the_first_examples_are_asked_about() -> None:
    images, labels = random_examples()
    model = convolutional()
    assert measure(model, images, labels, num_examples=5) == measure(model, images[:5], labels[:5])
    drawn = []

    def pairs() -> object:
        for image, label in zip(images, labels, strict=True):
            drawn.append(label)
            yield image, label

    measure(model, pairs(), num_examples=5)  # type: ignore[arg-type]
    assert len(drawn) == 5


class RandomForward(nn.Module):
    """Draws from the global generator at every pass, in eval mode too."""

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)[:, :4] + 1e-9 * torch.rand(4)


@pytest.mark.parametrize("call", [attack, measure])
@pytest.mark.parametrize("model", [convolutional(), RandomForward()], ids=["ordinary", "random"])
def test_a_call_leaves_the_caller_s_process_as_it_was(call: Callable[..., object], model: nn.Module) -> None:
    images, labels = random_examples(8)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    torch.set_num_threads(2)
    before = look(model), torch.get_rng_state(), torch.get_num_threads(), images.clone(), labels.clone()
    call(model, images, labels, steps=2)
    now = look(model), torch.get_rng_state(), torch.get_num_threads(), images, labels
    assert now[0] == before[0]
    assert torch.equal(now[1], before[1])
    assert now[2] == before[2] == 2
    assert torch.equal(now[3], before[3])
    assert torch.equal(now[4], before[4])
    assert torch.is_grad_enabled()


def look(model: nn.Module) -> list[object]:
    """All that a call could change of a network."""
    flags = [module.training for module in model.modules()]
    wants = [parameter.requires_grad for parameter in model.parameters()]
    values = [tensor.tolist() for tensor in model.state_dict().values()]
    return [flags, wants, values, [parameter.grad.sum().item() for parameter in model.parameters()]]  # type: ignore[union-attr]


def test_a_part_that_was_in_eval_mode_stays_there() -> None:
    model = convolutional()
    batch_norm = next(module for module in model.modules() if isinstance(module, nn.BatchNorm2d)).eval()
    measure(model, *random_examples(8), steps=1)
    assert model.training
    assert not batch_norm.training


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_call_works_where_gradients_are_switched_off(mode: Callable[[], object]) -> None:
    model, (images, labels) = convolutional(), random_examples(8)
    expected = attack(model, images, labels, steps=2)
    with mode():  # type: ignore[attr-defined]
        found = attack(model, images.clone(), labels.clone(), steps=2)
        figures = measure(model, images.clone(), labels.clone(), steps=2)
    assert torch.equal(found, expected)
    assert figures == measure(model, images, labels, steps=2)


def test_the_same_call_gives_the_same_images_and_another_seed_gives_others() -> None:
    model, (images, labels) = convolutional(), random_examples(8)
    first, second, other = (attack(model, images, labels, steps=2, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def halves(images: Tensor) -> Tensor:
    return images.flatten(1).mean(1, keepdim=True)


class Unusual(nn.Module):
    def forward(self, images: Tensor) -> dict[str, Tensor]:
        return {"logits": images.flatten(1)}


class OneLogit(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return halves(images)


IMAGES, LABELS = random_examples(4)


@pytest.mark.parametrize(
    ("model", "images", "labels", "sentence"),
    [
        (convolutional(), IMAGES[0], LABELS, r"images \(N, C, H, W\) and labels \(N,\) are needed"),
        (convolutional(), IMAGES, LABELS[:3], "are needed"),
        (convolutional(), IMAGES, LABELS[:, None], "are needed"),
        (convolutional(), IMAGES[:0], LABELS[:0], "there are no images"),
        (convolutional(), IMAGES * 2 - 1, LABELS, r"images must lie in \[0, 1\]"),
        (convolutional().half(), IMAGES, LABELS, r"does not take float32 images \(1, 3, 8, 8\): .*model\.float\(\)"),
        (convolutional(), IMAGES[:, :1], LABELS, r"does not take float32 images \(1, 1, 8, 8\): .*check channels"),
        (halves, IMAGES, LABELS, "must be an nn.Module, and is a function"),
        (convolutional(), IMAGES, {"a": 1}, "must be tensors or arrays, and one is a dict"),
        (convolutional(), IMAGES * torch.nan, LABELS, r"images must lie in \[0, 1\]"),
        (convolutional(), (IMAGES * 255).long(), LABELS, "floats in .* or uint8"),
        (convolutional(), IMAGES, LABELS.float(), "labels whole numbers"),
        (convolutional(), IMAGES, LABELS + 4, r"labels must lie in \[0, 4\)"),
        (convolutional(), IMAGES, LABELS - 4, r"labels must lie in \[0, 4\)"),
        (Unusual(), IMAGES, LABELS, "gives dict; wrap it"),
        (OneLogit(), IMAGES, LABELS, r"gives \(1, 1\); wrap it"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(
    model: nn.Module, images: Tensor, labels: Tensor, sentence: str
) -> None:
    for call in (attack, measure):
        with pytest.raises(DataError, match=sentence):
            call(model, images, labels)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"eps": "8"}, "did you mean 8/255"),
        ({"eps": "x"}, "is not a distance"),
        ({"step_size": -0.1}, "is negative"),
        ({"norm": "l3"}, "norm='l3' is unknown; use one of 'linf', 'l2', 'l1'"),
        ({"name": "cw"}, "unknown attack 'cw'"),
        ({"steps": -1}, "steps of at least 0"),
        ({"restarts": 0}, "restarts of at least 1"),
    ],
)
def test_a_wrong_option_is_refused_in_a_sentence(options: dict[str, object], sentence: str) -> None:
    for call in (attack, measure):
        with pytest.raises(ConfigError, match=sentence):
            call(Linear(), *levels(0.4), **options)  # type: ignore[operator]


def test_an_attack_that_was_registered_is_measured_with() -> None:
    def down(model: nn.Module, images: Tensor, labels: Tensor, epsilon: float, generator: torch.Generator) -> Tensor:
        del model, labels, generator
        return (images - epsilon).clamp(0, 1)

    images, labels = levels(0.5 + 7 / 255, 0.5 + 9 / 255, 0.5 - 7 / 255)
    with registries_restored():
        register_attack("down")(down)
        (figure,) = measure(Linear(), images, labels, name="down").robust
        adversarial = attack(Linear(), images, labels, name="down")
    assert figure.accuracy == pytest.approx(2 / 3)
    assert torch.allclose(adversarial, images - 8 / 255)


def test_a_figure_of_an_attack_too_weak_for_its_ball_says_so() -> None:
    weak = measure(Linear(), *levels(0.4), eps="24/255", steps=3, step_size="1/255")
    strong = measure(Linear(), *levels(0.4), eps="24/255", steps=30, step_size="2/255")
    assert weak.notices == (weak.robust[0].notice,)
    assert "3 steps of 1/255 do not span the ball" in weak.robust[0].notice
    assert (strong.notices, strong.robust[0].notice) == ((), "")


def test_an_l2_ball_may_have_a_radius_above_1() -> None:
    (figure,) = measure(Linear(), *levels(0.4), eps=2.0, norm="l2").robust
    assert figure.epsilon == "2"


@pytest.mark.parametrize("value", [torch.inf, -torch.inf, torch.nan])
def test_a_network_with_a_weight_that_is_not_finite_is_refused(value: float) -> None:
    model, (images, labels) = convolutional(), random_examples(4)
    assert measure(model, images, labels).natural >= 0
    with torch.no_grad():
        next(model.parameters()).view(-1)[0] = value
    for call in (attack, measure):
        with pytest.raises(ClafError, match="1 weights of the network are infinite or NaN"):
            call(model, images, labels)


def test_images_without_labels_are_refused() -> None:
    with pytest.raises(DataError, match="give images with labels"):
        measure(Linear(), IMAGES)


@pytest.mark.parametrize("data", [[1, 2], [(1, 2)], [(IMAGES,)]])
def test_pairs_of_another_kind_are_refused(data: list[object]) -> None:
    with pytest.raises(DataError, match="pairs"):
        measure(Linear(), data)


class NotFinite(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([halves(images), 1 - halves(images)], 1) + (images * 0).flatten(1).sum(1, keepdim=True).sqrt()


def test_gradients_that_are_not_numbers_give_no_figure() -> None:
    with pytest.raises(ClafError, match="not finite"):
        measure(NotFinite(), IMAGES, torch.zeros(4, dtype=torch.int64))
