import math

import pytest
import torch
from torch import Tensor, nn

from claf_engine.attacks.deepfool import (
    OVERSHOOT,
    DeepFool,
    deepfool_steps,
    margins_and_gradients,
    other_classes,
    to_nearest_boundary,
)
from claf_engine.compute.device import Compute
from claf_engine.events.ticks import Pulse, exhaust
from claf_engine.terms.names import Norm

FP32 = Compute(torch.device("cpu"), "fp32", 1)
NORMS: tuple[Norm, ...] = ("linf", "l2")
EACH_NORM = pytest.mark.parametrize("norm", NORMS)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def grey(count: int = 6) -> Tensor:
    """Images far from black and white, so that nothing is cut off."""
    return 0.45 + 0.1 * torch.rand(count, 2, 3, 3, generator=seeded(1), dtype=torch.float64)


class Smooth(nn.Module):
    """Two layers in fp64: the closer to exact, the closer a slow loop can be compared."""

    def __init__(self, hidden: int | None, num_classes: int = 4) -> None:
        super().__init__()
        widths = [18, hidden, num_classes] if hidden else [18, num_classes]
        layers = [nn.Linear(*pair).double() for pair in zip(widths, widths[1:], strict=False)]
        with torch.no_grad():
            for weight in (weight for layer in layers for weight in layer.parameters()):
                weight.normal_(0, weight.shape[-1] ** -0.5, generator=seeded(2))
        self.layers = nn.ModuleList(layers)

    def forward(self, images: Tensor) -> Tensor:
        values = images.flatten(1)
        for number, layer in enumerate(self.layers):
            values = layer(values if number == 0 else values.tanh())
        return values


def slow_step(model: nn.Module, image: Tensor, own: int, norm: Norm) -> Tensor:
    """Algorithm 2 of the paper at one image (C, H, W), class by class."""
    best, found = math.inf, torch.zeros_like(image)
    for other in range(model(image[None]).shape[1]):
        if other == own:
            continue
        point = image.clone().requires_grad_(True)
        logits = model(point[None])[0]
        (weight,) = torch.autograd.grad(logits[other] - logits[own], point)
        value = float((logits[other] - logits[own]).detach().abs())
        size = math.sqrt(float((weight**2).sum())) if norm == "l2" else float(weight.abs().sum())
        if value / size < best:
            best = value / size
            found = value / size**2 * weight if norm == "l2" else value / size * weight.sign()
    return found


@EACH_NORM
def test_one_step_is_that_of_a_slow_loop_over_the_classes(norm: Norm) -> None:
    model, images = Smooth(5), grey()
    logits = model(images).detach()
    own = logits.argmax(1)
    margins, gradients = margins_and_gradients(model, images, (own, other_classes(logits, own, 10)), FP32)
    ours = to_nearest_boundary(margins.double(), gradients, norm)
    slow = torch.stack([slow_step(model, image, int(label), norm) for image, label in zip(images, own, strict=True)])
    torch.testing.assert_close(ours, slow, rtol=0, atol=1e-6)


@EACH_NORM
def test_one_step_reaches_the_boundary_of_a_linear_classifier(norm: Norm) -> None:
    model, images = Smooth(None), grey()
    logits = model(images).detach()
    own = logits.argmax(1)
    margins, gradients = margins_and_gradients(model, images, (own, other_classes(logits, own, 10)), FP32)
    after = model(images + to_nearest_boundary(margins.double(), gradients, norm)).detach()
    highest = after.topk(2).values
    torch.testing.assert_close(highest[:, 0], highest[:, 1], rtol=0, atol=1e-6)


@EACH_NORM
def test_it_changes_every_class_by_a_small_move(norm: Norm) -> None:
    model, images = Smooth(8).float(), grey().float()
    points = exhaust(deepfool_steps(model, images, DeepFool(norm=norm), FP32))
    assert (model(points).argmax(1) != model(images).argmax(1)).all()
    assert float((points - images).abs().max()) < 0.2


@EACH_NORM
@pytest.mark.parametrize("scale", [2.0**-100, 2.0**70])
def test_the_size_of_logits_changes_no_step(norm: Norm, scale: float) -> None:
    margins = torch.randn(6, 3, generator=seeded(3))
    gradients = torch.randn(6, 3, 2, 3, 3, generator=seeded(4))
    scaled = to_nearest_boundary(scale * margins, scale * gradients, norm)
    torch.testing.assert_close(scaled, to_nearest_boundary(margins, gradients, norm))


def test_it_goes_beyond_the_boundary_by_its_overshoot() -> None:
    model, images = Smooth(None).float(), grey().float()
    points = exhaust(deepfool_steps(model, images, DeepFool(steps=1), FP32))
    logits = model(images).detach()
    own = logits.argmax(1)
    found = margins_and_gradients(model, images, (own, other_classes(logits, own, 10)), FP32)
    torch.testing.assert_close(points - images, (1 + OVERSHOOT) * to_nearest_boundary(*found, "l2"), rtol=0, atol=1e-6)


def test_a_step_whose_image_has_crossed_is_not_taken() -> None:
    steps = deepfool_steps(Smooth(None).float(), grey().float(), DeepFool(steps=50), FP32)
    assert sum(isinstance(pulse, Pulse) for pulse in steps) == 1, "a linear classifier needs one"


def test_one_that_cannot_be_changed_ends_after_its_steps() -> None:
    constant = nn.Sequential(nn.Flatten(), nn.Linear(18, 3))
    with torch.no_grad():
        constant[1].weight.zero_()
        constant[1].bias.copy_(torch.tensor([1.0, 0.0, 0.0]))
    images = grey().float()
    points = exhaust(deepfool_steps(constant, images, DeepFool(steps=3), FP32))
    torch.testing.assert_close(points, images)


def test_candidates_are_the_highest_other_classes() -> None:
    logits = torch.tensor([[3.0, 1.0, 2.0, 0.0]])
    assert other_classes(logits, torch.tensor([0]), 3).tolist() == [[2, 1]]
    assert other_classes(logits, torch.tensor([0]), 10).tolist() == [[2, 1, 3]]
