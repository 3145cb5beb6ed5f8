from collections.abc import Iterator
from fractions import Fraction

import pytest
import torch
from torch import Tensor, nn

from claf_engine.accuracy.measure import accuracy_steps
from claf_engine.accuracy.suite import AttackSuite
from claf_engine.attacks import attack, make_attack, register_attack, space_of
from claf_engine.config import ModelConfig
from claf_engine.data import Split
from claf_engine.models.network import NATURAL, build_network
from claf_engine.terms.errors import ClafError, ConfigError
from claf_engine.terms.names import Norm
from tests.engine.tiny import FP32, exhaust, tiny_data
from tests.plugins import registries_restored

EPSILON = Fraction(8, 255)
SPLIT = tiny_data().test


@pytest.fixture(autouse=True)
def _registries_are_put_back() -> Iterator[None]:
    with registries_restored():
        yield


@pytest.fixture
def model() -> nn.Module:
    config = ModelConfig(width=4, blocks=(1,), projection_hidden=8, projection_dim=4)
    return build_network(config, 4, torch.Generator().manual_seed(1)).with_classifier(NATURAL)


def one_step(model: nn.Module, images: Tensor, labels: Tensor, epsilon: float, _generator: torch.Generator) -> Tensor:
    """FGSM on cross-entropy."""
    images = images.requires_grad_(True)
    (gradient,) = torch.autograd.grad(nn.functional.cross_entropy(model(images), labels), images)
    return (images + epsilon * gradient.sign()).clamp(0, 1)


def noise(_model: nn.Module, images: Tensor, _labels: Tensor, epsilon: float, generator: torch.Generator) -> Tensor:
    return (images + epsilon * (torch.rand(images.shape, generator=generator) * 2 - 1)).clamp(0, 1)


def measure(model: nn.Module, split: Split = SPLIT, **options: object) -> object:
    suite = AttackSuite((EPSILON,), **{"name": "mine", **options})  # type: ignore[arg-type]
    return exhaust(accuracy_steps(model, split, suite, FP32))[1]


def test_a_registered_attack_measures_what_ours_of_the_same_rule_measures(model: nn.Module) -> None:
    register_attack("mine")(one_step)
    images, labels = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(2)), torch.arange(6) % 4
    points = [
        attack(model, images, labels, make_attack(name, EPSILON), torch.Generator(), FP32) for name in ("mine", "fgsm")
    ]
    assert torch.equal(*points)


def test_a_figure_carries_its_name_and_says_that_steps_are_its_own_affair(model: nn.Module) -> None:
    register_attack("mine")(one_step)
    figure = measure(model).robust[0]  # type: ignore[attr-defined]
    assert (figure.attack, figure.steps, figure.step_size, figure.epsilon) == ("mine", 0, "own", "8/255")
    assert figure.largest_distance == pytest.approx(8 / 255, abs=1e-6)


def test_its_title_is_its_name() -> None:
    register_attack("mine")(one_step)
    assert make_attack("mine", EPSILON).title == "MINE at 8/255"


def test_the_generator_is_the_same_at_every_measurement_and_another_at_every_restart(model: nn.Module) -> None:
    draws: list[int] = []

    def drawing(_model: nn.Module, images: Tensor, _labels: Tensor, _eps: float, generator: torch.Generator) -> Tensor:
        draws.append(int(torch.randint(2**40, (), generator=generator)))
        return images

    register_attack("mine")(drawing)
    for _ in range(2):
        measure(model, restarts=2)
    assert draws[:2] == draws[2:]
    assert draws[0] != draws[1]


def test_the_model_is_frozen_meanwhile_and_its_flags_are_put_back(model: nn.Module) -> None:
    def looking(model: nn.Module, images: Tensor, _labels: Tensor, _eps: float, _gen: torch.Generator) -> Tensor:
        assert not any(module.training for module in model.modules())
        assert not any(parameter.requires_grad for parameter in model.parameters())
        return images

    register_attack("mine")(looking)
    attack(model, torch.rand(2, 3, 8, 8), torch.tensor([0, 1]), make_attack("mine", EPSILON), torch.Generator(), FP32)
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_an_attack_cannot_change_the_images_that_it_is_judged_by(model: nn.Module) -> None:
    register_attack("mine")(lambda _model, images, _labels, _eps, _gen: images.add_(0.5).clamp_(0, 1))
    with pytest.raises(ClafError, match=r"MINE at 8/255 left the ball: an attacked image lies 0\.5"):
        measure(model)


def test_a_point_outside_of_the_image_range_is_refused(model: nn.Module) -> None:
    register_attack("mine")(lambda _model, images, _labels, epsilon, _gen: images - epsilon)
    dark = torch.zeros_like(SPLIT.images)
    rightly = model.eval()(dark.float()).argmax(1)
    with pytest.raises(ClafError, match=r"MINE at 8/255 left \[0, 1\]"):
        measure(model, Split(dark, rightly))


def test_a_point_that_is_not_finite_is_refused(model: nn.Module) -> None:
    register_attack("mine")(lambda _model, images, _labels, _eps, _gen: images * torch.nan)
    with pytest.raises(ClafError, match="MINE at 8/255 gave an image that is not finite"):
        measure(model)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (None, "NoneType"),
        (torch.rand(3), r"float32 of shape \(3,\)"),
        (torch.zeros(2, 3, 8, 8).int(), "int32 of shape"),
    ],
)
def test_what_are_no_images_of_the_same_shape_is_refused(model: nn.Module, given: object, found: str) -> None:
    register_attack("mine")(lambda *_: given)  # type: ignore[arg-type,return-value]
    spec, labels = make_attack("mine", EPSILON), torch.tensor([0, 1])
    with pytest.raises(
        ClafError, match=rf"attack 'mine' gives {found}.*; return floating images of shape \(2, 3, 8, 8\)"
    ):
        attack(model, torch.rand(2, 3, 8, 8), labels, spec, torch.Generator(), FP32)


def test_what_it_raises_says_whose_it_is(model: nn.Module) -> None:
    register_attack("mine")(lambda *_: 1 / 0)  # type: ignore[arg-type,return-value]
    with pytest.raises(ZeroDivisionError) as raised:
        measure(model)
    assert raised.value.__notes__[0].startswith("raised in the attack 'mine' of ")


def test_any_point_of_it_cannot_decide(model: nn.Module) -> None:
    register_attack("mine")(noise)
    with pytest.raises(ConfigError, match="MINE at 8/255 is a plugin's and gives its last points alone; let the last"):
        measure(model, decides="any")


@pytest.mark.parametrize(("declared", "asked"), [("linf", "l2"), ("l2", "linf")])
def test_a_ball_of_another_norm_than_it_keeps_to_is_refused(declared: Norm, asked: Norm) -> None:
    register_attack("mine", norm=declared)(noise)
    with pytest.raises(ConfigError, match=f"'mine' keeps to {declared} balls; use --norm {declared}, not {asked}"):
        make_attack("mine", EPSILON, norm=asked)


def test_the_released_code_s_space_has_no_ball_for_it() -> None:
    register_attack("mine")(noise)
    space = space_of("released-code", ModelConfig())
    with pytest.raises(ConfigError, match="'mine' searches an epsilon-ball, and --space released-code has none"):
        make_attack("mine", EPSILON, space=space)


def test_an_attack_that_is_not_registered_is_refused() -> None:
    with pytest.raises(ConfigError, match="unknown attack 'pgf'; .* did you mean pgd"):
        make_attack("pgf", EPSILON)
