"""Networks and images small enough to attack thousands of times."""

from fractions import Fraction
from typing import get_args

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from claf_engine.attacks import PIXEL, RELEASED_CODE, Attack, Space, attack
from claf_engine.attacks.spec import Start
from claf_engine.compute.device import Compute
from claf_engine.terms.names import Norm
from tests.properties import examples

FP32 = Compute(torch.device("cpu"), "fp32", 1)
BF16 = Compute(torch.device("cpu"), "bf16", 1)
PROPERTY = examples(30)
SEEDS = st.integers(0, 2**31)
ROUNDING = 1e-6
LABELS = torch.tensor([0, 1, 2, 0])
STARTS = get_args(Start)
NORMS = get_args(Norm)

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
RELEASED = Space(RELEASED_CODE, MEAN, STD)

PGD = Attack(Fraction(8, 255), Fraction(2, 255), steps=3)
PGD_L2 = Attack(Fraction(1, 2), Fraction(1, 4), steps=3, norm="l2")
PGD_L1 = Attack(Fraction(2), Fraction(1, 2), steps=3, norm="l1")
MI_FGSM = Attack(Fraction(8, 255), Fraction(2, 255), 3, "none", momentum=1.0, name="mi-fgsm")
AS_RELEASED = Attack(Fraction(8, 255), Fraction(2, 255), steps=3, space=RELEASED)
ATTACKS = {"pgd": PGD, "pgd l2": PGD_L2, "pgd l1": PGD_L1, "mi-fgsm": MI_FGSM, "released code": AS_RELEASED}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def random_images(seed: int, num: int = 4, size: int = 4) -> Tensor:
    return torch.rand(num, 3, size, size, generator=seeded(seed))


def grey_images(seed: int, num: int = 4, size: int = 4) -> Tensor:
    """Far enough from black and white that no ball of these tests is cut off."""
    return 0.4 + 0.2 * random_images(seed, num, size)


@torch.no_grad()
def randomised(model: nn.Module, seed: int, scale: float = 0.3) -> nn.Module:
    generator = seeded(seed)
    for parameter in model.parameters():
        parameter.normal_(0, scale, generator=generator)
    return model


def linear_model(seed: int, num_classes: int = 2) -> nn.Module:
    return randomised(nn.Sequential(nn.Flatten(), nn.Linear(48, num_classes)), seed)


def convolutional_model(seed: int = 0) -> nn.Module:
    """Everything an attack could disturb: BatchNorm, dropout, a mixture of modes and of wanted gradients."""
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Tanh(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(64, 3)
    )
    randomised(model, seed)
    model[0].weight.requires_grad_(False)
    model[3].eval()
    weight = next(model[5].parameters())
    weight.grad = torch.ones_like(weight)
    return model


class Normalised(nn.Module):
    """A network of normalised values as a network of pixels."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.inner((images - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1))
        return logits


def assert_close(ours: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(ours, expected, rtol=0, atol=ROUNDING)


def craft(
    model: nn.Module, images: Tensor, labels: Tensor, spec: Attack, *, seed: int = 0, compute: Compute = FP32
) -> Tensor:
    return attack(model, images, labels, spec, seeded(seed), compute)


@st.composite
def specs(draw: st.DrawFn, space: Space = PIXEL) -> Attack:
    distances = st.builds(Fraction, st.integers(0, 255), st.just(255))
    return Attack(
        draw(distances),
        draw(distances),
        draw(st.integers(0, 4)),
        draw(st.sampled_from(STARTS)),
        draw(st.sampled_from(NORMS)),
        draw(st.sampled_from([None, 0.5, 1.0])),
        space=space,
    )
