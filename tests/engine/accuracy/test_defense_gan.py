from fractions import Fraction

import pytest
import torch
from torch import Tensor, nn

from claf_engine.accuracy.defences import defended_steps
from claf_engine.accuracy.defense_gan import (
    SEARCH_RATE,
    SEARCH_STEPS,
    DefenseGan,
    Descent,
    Search,
    nearest_latents,
    project,
    search_steps,
    starting_points,
)
from claf_engine.accuracy.suite import AttackSuite
from claf_engine.attacks import make_attack
from claf_engine.data import Split, to_pixels
from claf_engine.events.ticks import Pulse
from tests.engine.tiny import FP32, exhaust

LATENT = 2
EPSILON = Fraction(32, 255)


class Linear(nn.Module):
    """A generator whose images lie in a plane, so that projection has a closed form: G(z) = 0.5 + z A / 8."""

    def __init__(self) -> None:
        super().__init__()
        stream = torch.Generator().manual_seed(0)
        self.directions = nn.Parameter(torch.linalg.qr(torch.randn(48, LATENT, generator=stream))[0].T.contiguous())

    def forward(self, latents: Tensor) -> Tensor:
        return (0.5 + latents @ self.directions / 8).view(-1, 3, 4, 4)


@pytest.fixture
def decode() -> Linear:
    return Linear()


@pytest.fixture
def images() -> Tensor:
    return torch.rand(5, 3, 4, 4, generator=torch.Generator().manual_seed(1))


def nearest(decode: Linear, images: Tensor) -> Tensor:
    """Least squares, in closed form."""
    moved = images.flatten(1) - 0.5
    return 0.5 + (moved @ decode.directions.T @ decode.directions)


def test_the_projection_onto_a_plane_is_least_squares(decode: Linear, images: Tensor) -> None:
    descent = Descent(starting_points(3, LATENT), 200, step_size=500.0)
    found = project(decode, images, descent)
    assert torch.allclose(found.flatten(1), nearest(decode, images), atol=1e-6)


def test_descent_is_the_slow_loop_of_its_equation(decode: Linear, images: Tensor) -> None:
    """Image by image, with the gradient by hand: momentum 0.7, and a tenth of the step from four fifths on."""
    starts = starting_points(3, LATENT)
    found = nearest_latents(decode, images, Descent(starts, 10, step_size=50.0))
    matrix = decode.directions.detach() / 8
    for image, expected in zip(images, found, strict=True):
        ends = []
        for start in starts:
            latent, move = start.clone(), torch.zeros(LATENT)
            for step in range(10):
                gradient = 2 / 48 * matrix @ (0.5 + latent @ matrix - image.flatten())
                move = 0.7 * move + gradient
                latent = latent - (50.0 if step < 8 else 5.0) * move
            ends.append((float((0.5 + latent @ matrix - image.flatten()).square().mean()), latent))
        assert torch.allclose(min(ends, key=lambda end: end[0])[1], expected, atol=1e-6)


def test_an_image_is_projected_alike_in_any_company_and_at_every_look(decode: Linear, images: Tensor) -> None:
    defence = DefenseGan(decode, Descent(starting_points(3, LATENT), 5))
    seen = defence.guarded(nn.Flatten())
    assert torch.equal(seen(images), seen(images))
    assert torch.allclose(torch.cat([seen(image[None]) for image in images]), seen(images), atol=1e-6)


def test_the_gradient_is_that_of_the_identity(decode: Linear, images: Tensor) -> None:
    guarded = DefenseGan(decode, Descent(starting_points(3, LATENT), 5)).guarded(nn.Flatten())
    point, weights = images.requires_grad_(True), torch.rand(5, 48)
    (guarded(point) * weights).sum().backward()
    assert point.grad is not None
    assert torch.equal(point.grad.flatten(1), weights)
    assert not any(weight.grad is not None for weight in decode.parameters())


def test_the_guarded_model_holds_the_generators_weights_and_tells_its_numbers(decode: Linear) -> None:
    guarded = DefenseGan(decode, Descent(starting_points(3, LATENT), 5)).guarded(nn.Flatten())
    assert "generator.directions" in guarded.state_dict()
    assert "defense-gan:3,5" in repr(guarded)


class Sided(nn.Module):
    """Two classes by the side of the plane's first direction, and by a faint pattern that no generated image has."""

    def __init__(self, decode: Linear, pattern: Tensor) -> None:
        super().__init__()
        self.direction, self.pattern = decode.directions[0].detach(), pattern

    def forward(self, images: Tensor) -> Tensor:
        moved = images.flatten(1) - 0.5
        score = moved @ self.direction + 20 * moved @ self.pattern
        return torch.stack([-score, score], dim=1)


@pytest.fixture
def broken(decode: Linear) -> tuple[Sided, Split]:
    """Images near the plane, 0.3 on either side of the boundary there; the pattern lies across the plane."""
    stream = torch.Generator().manual_seed(3)
    pattern = torch.randn(48, generator=stream)
    pattern -= decode.directions.detach().T @ (decode.directions.detach() @ pattern)
    pattern /= pattern.norm()
    labels = torch.arange(24) % 2
    latents = torch.stack([(2 * labels - 1) * 2.4, torch.randn(24, generator=stream)], dim=1)
    with torch.no_grad():
        pixels = (decode(latents) * 255).round().to(torch.uint8)
    return Sided(decode, pattern), Split(pixels, labels)


def measured(broken: tuple[Sided, Split], decode: Linear) -> dict[str, float]:
    model, split = broken
    defence = DefenseGan(decode, Descent(starting_points(2, LATENT), 40, step_size=500.0))
    suite = AttackSuite((EPSILON,), steps=10, step_size=None)
    found = exhaust(defended_steps(model, defence, split, suite, FP32))[1]
    return {"natural": found.natural, **{figure.knowledge: figure.accuracy for figure in found.robust}}


def test_the_oblivious_figure_stays_high_and_the_adaptive_attacker_breaks_it(
    broken: tuple[Sided, Split], decode: Linear
) -> None:
    found = measured(broken, decode)
    assert found["natural"] == found["oblivious"] == 1
    assert found["adaptive"] == 0


def test_where_the_plane_alone_decides_there_is_nothing_to_break(decode: Linear) -> None:
    """The control: the nearest generated image of another class lies outside the ball."""
    labels = torch.arange(8) % 2
    with torch.no_grad():
        pixels = (decode(torch.stack([(2 * labels - 1) * 20.0, torch.zeros(8)], dim=1)).clamp(0, 1) * 255).round()
    model = Sided(decode, torch.zeros(48))
    found = measured((model, Split(pixels.to(torch.uint8), labels)), decode)
    assert set(found.values()) == {1.0}


def test_the_search_is_the_slow_loop_of_its_equation(broken: tuple[Sided, Split], decode: Linear) -> None:
    """Adam by hand, image by image, gradients by hand: d|G(z) - x|^2 / (D eps^2) - w min(m, 1)."""
    model, split = broken
    images, labels = to_pixels(split.images[:4]), split.labels[:4]
    spec, begin = make_attack("pgd", EPSILON, steps=1, step_size=None, norm="linf"), torch.zeros(4, LATENT)
    _, found = exhaust(search_steps(Search(decode, model, begin, 1.0), images, labels, spec))
    matrix, radius = decode.directions.detach() / 8, float(EPSILON)
    for image, label, expected in zip(images.flatten(1), labels, found, strict=True):
        latent, mean, square = torch.zeros(LATENT), torch.zeros(LATENT), torch.zeros(LATENT)
        sign = 1 if label == 0 else -1
        for step in range(1, SEARCH_STEPS + 1):
            made = 0.5 + latent @ matrix
            gradient = 2 / 48 / radius**2 * matrix @ (made - image)
            score = (made - 0.5) @ (model.direction + 20 * model.pattern)
            if 2 * sign * score < 1:
                gradient = gradient - 2 * sign * matrix @ (model.direction + 20 * model.pattern)
            mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
            latent = latent - SEARCH_RATE * (mean / (1 - 0.9**step)) / ((square / (1 - 0.999**step)).sqrt() + 1e-8)
        reached = torch.clamp(0.5 + latent @ matrix, image - radius, image + radius).clamp(0, 1)
        assert torch.allclose(reached, expected.flatten(), atol=1e-4)


def test_pulses_come_often_enough_to_pause(broken: tuple[Sided, Split], decode: Linear) -> None:
    model, split = broken
    defence = DefenseGan(decode, Descent(starting_points(2, LATENT), 2))
    suite = AttackSuite((EPSILON,), steps=2, step_size=None)
    pulses, _ = exhaust(defended_steps(model, defence, split, suite, FP32))
    assert all(isinstance(pulse, Pulse) and pulse.abandonable for pulse in pulses)
    assert "search among generated images, adaptive" in {pulse.activity for pulse in pulses}
