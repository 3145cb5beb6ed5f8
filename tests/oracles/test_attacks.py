"""Our attacks beside those of torchattacks and foolbox: the same network, the same images, the same start.

Theirs climb the cross-entropy, ours the log-odds; the gradients of one image differ by a positive factor, which neither
a sign nor a unit length sees. A gradient within rounding of zero may get either sign, so a pixel in a thousand may
differ.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from claf_engine.attacks import RELEASED_CODE, Attack, Space, attack, make_attack
from claf_engine.attacks.deepfool import DeepFool, deepfool_steps
from claf_engine.attacks.loop import start
from claf_engine.attacks.norms import distances
from claf_engine.attacks.sparse import project_l1
from claf_engine.compute.device import Compute
from claf_engine.events.ticks import exhaust
from claf_engine.terms.names import Norm

# The libraries are imported inside the tests, where this holds: foolbox asks SciPy for a name that it has moved.
pytestmark = pytest.mark.filterwarnings("ignore:Please import `gaussian_filter`:DeprecationWarning")

FP32 = Compute(torch.device("cpu"), "fp32", 1)
EPSILON, STEP = Fraction(8, 255), Fraction(2, 255)
RADIUS, LENGTH = Fraction(1, 2), Fraction(1, 8)
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
SEED, NUM_CLASSES, SIDE = 7, 10, 16
LABELS = torch.arange(16) % NUM_CLASSES

Network = Callable[[], nn.Module]


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def seeded(seed: int = SEED) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images() -> Tensor:
    """A third of the values is black or white, where the ball is cut off."""
    return (torch.rand(len(LABELS), 3, SIDE, SIDE, generator=seeded(1)) * 1.5 - 0.25).clamp(0, 1)


@torch.no_grad()
def initialised(model: nn.Module) -> nn.Module:
    generator = seeded(2)
    for parameter in model.parameters():
        spread = parameter[0].numel() ** -0.5 if parameter.dim() > 1 else 0.1
        parameter.normal_(0, spread, generator=generator)
    return model.eval()


def linear() -> nn.Module:
    return initialised(nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE**2, NUM_CLASSES)))


def convolutional() -> nn.Module:
    return initialised(
        nn.Sequential(
            *(nn.Conv2d(3, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU()),
            *(nn.Conv2d(12, 16, 3, 2, padding=1), nn.BatchNorm2d(16), nn.ReLU()),
            *(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(64, NUM_CLASSES)),
        )
    )


EACH_NETWORK = pytest.mark.parametrize("network", [linear, convolutional])


def ours(model: nn.Module, spec: Attack) -> Tensor:
    return attack(model, images(), LABELS, spec, seeded(), FP32)


def with_global_seed(craft: Callable[[], Tensor]) -> Tensor:
    """Let a library that draws from the global generator draw what our own generator gives."""
    with torch.random.fork_rng(devices=()):
        torch.set_rng_state(seeded().get_state())
        return craft()


def share_of_equal_pixels(one: Tensor, other: Tensor) -> float:
    return float(((one - other).abs() <= 1e-6).double().mean())


def assert_same_attack(one: Tensor, other: Tensor) -> None:
    assert share_of_equal_pixels(one, images()) < 0.5, "the attack does something"
    assert share_of_equal_pixels(one, other) >= 0.999


@EACH_NETWORK
def test_pgd_is_that_of_torchattacks(network: Network) -> None:
    import torchattacks

    model = network()
    library = torchattacks.PGD(model, eps=float(EPSILON), alpha=float(STEP), steps=10, random_start=True)
    spec = make_attack("pgd", EPSILON, steps=10, step_size=STEP)
    assert_same_attack(ours(model, spec), with_global_seed(lambda: library(images(), LABELS)))


@EACH_NETWORK
def test_pgd_in_l2_is_that_of_torchattacks(network: Network) -> None:
    import torchattacks

    model = network()
    library = torchattacks.PGDL2(model, eps=float(RADIUS), alpha=float(LENGTH), steps=10, random_start=True)
    spec = make_attack("pgd", RADIUS, steps=10, step_size=LENGTH, norm="l2")
    assert_same_attack(ours(model, spec), with_global_seed(lambda: library(images(), LABELS)))


@EACH_NETWORK
def test_fgsm_is_that_of_torchattacks(network: Network) -> None:
    import torchattacks

    model = network()
    assert_same_attack(
        ours(model, make_attack("fgsm", EPSILON)), torchattacks.FGSM(model, eps=float(EPSILON))(images(), LABELS)
    )


@EACH_NETWORK
def test_mi_fgsm_is_that_of_torchattacks(network: Network) -> None:
    import torchattacks

    # The library divides by the mean of |g|, the paper by its sum: a constant factor, which the sign does not see.
    # Its step size is 2/255 by default, the paper's is epsilon / T. Foolbox is left out: what its momentum collects is
    # the signs of the gradients, not the gradients.
    model = network()
    library = torchattacks.MIFGSM(model, eps=float(EPSILON), alpha=float(EPSILON / 10), steps=10, decay=1.0)
    assert_same_attack(ours(model, make_attack("mi-fgsm", EPSILON, steps=10)), library(images(), LABELS))


class Normalised(nn.Module):
    """A network of normalised values as a network of pixels."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self.inner(normalise(pixels))
        return logits


def normalise(pixels: Tensor) -> Tensor:
    return (pixels - torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)


def denormalise(values: Tensor) -> Tensor:
    return values * torch.tensor(STD).view(3, 1, 1) + torch.tensor(MEAN).view(3, 1, 1)


@EACH_NETWORK
def test_the_released_code_is_torchattacks_on_normalised_values(network: Network) -> None:
    import torchattacks

    model = network()
    library = torchattacks.PGD(model, eps=float(EPSILON), alpha=float(STEP), steps=10, random_start=True)
    theirs = with_global_seed(lambda: library(normalise(images()), LABELS))
    spec = make_attack("pgd", EPSILON, steps=10, step_size=STEP, space=Space(RELEASED_CODE, MEAN, STD))
    assert_same_attack(ours(Normalised(model), spec), denormalise(theirs))


def by_foolbox(kind: str, model: nn.Module, spec: Attack, **options: Any) -> Tensor:
    """An attack of foolbox from the start that ours draws.

    Foolbox insists that images lie within the bounds, so what the released code did cannot be asked of it.
    """
    import foolbox

    library = getattr(foolbox.attacks, kind)

    class FromOurStart(library):  # type: ignore[misc, valid-type]
        def get_random_start(self, x0: Any, epsilon: float) -> Any:
            return type(x0)(start(x0.raw, spec, seeded()))

    bounded = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    attacked: Tensor = FromOurStart(**options)(bounded, images(), LABELS, epsilons=float(spec.epsilon))[0]
    return attacked


@EACH_NETWORK
def test_pgd_is_that_of_foolbox(network: Network) -> None:
    spec = make_attack("pgd", EPSILON, steps=10, step_size=STEP)
    theirs = by_foolbox("LinfPGD", network(), spec, abs_stepsize=float(STEP), steps=10, random_start=True)
    assert_same_attack(ours(network(), spec), theirs)


@EACH_NETWORK
def test_pgd_in_l2_is_that_of_foolbox(network: Network) -> None:
    spec = make_attack("pgd", RADIUS, steps=10, step_size=LENGTH, norm="l2")
    theirs = by_foolbox("L2PGD", network(), spec, abs_stepsize=float(LENGTH), steps=10, random_start=True)
    assert_same_attack(ours(network(), spec), theirs)


@EACH_NETWORK
@pytest.mark.parametrize(("kind", "norm"), [("LinfFastGradientAttack", "linf"), ("L2FastGradientAttack", "l2")])
def test_fgsm_is_that_of_foolbox(network: Network, kind: str, norm: Norm) -> None:
    spec = make_attack("fgsm", EPSILON, norm=norm)
    assert_same_attack(ours(network(), spec), by_foolbox(kind, network(), spec, random_start=False))


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_deepfool_finds_about_what_foolbox_finds(norm: Norm) -> None:
    """Theirs goes a ten-thousandth farther in every step, against rounding."""
    import foolbox

    model, shown = convolutional(), images()[:4]
    labels = model(shown).argmax(1)
    kinds = {"l2": foolbox.attacks.L2DeepFoolAttack, "linf": foolbox.attacks.LinfDeepFoolAttack}
    attacked = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    _, theirs, _ = kinds[norm](steps=50, candidates=10, overshoot=0.02)(attacked, shown, labels, epsilons=None)
    found = exhaust(deepfool_steps(model, shown, DeepFool(norm=norm), FP32))
    torch.testing.assert_close(distances(found, shown, norm), distances(theirs, shown, norm), rtol=0.02, atol=1e-3)


def test_deepfool_takes_the_step_of_torchattacks_on_a_linear_classifier() -> None:
    """There one step is enough; afterwards theirs overshoots step by step, ours and the paper's once on the whole."""
    import torchattacks

    model, shown = linear(), images()
    theirs = torchattacks.DeepFool(model, steps=1, overshoot=0.02)(shown, model(shown).argmax(1))
    found = exhaust(deepfool_steps(model, shown, DeepFool(steps=1), FP32))
    torch.testing.assert_close(found, theirs, rtol=0, atol=1e-6)


def smooth() -> nn.Module:
    """Its gradients have no ties; foolbox moves every coordinate of a tie."""
    layers = (nn.Flatten(), nn.Linear(3 * SIDE**2, 32), nn.Tanh(), nn.Linear(32, NUM_CLASSES))
    return initialised(nn.Sequential(*layers))


@pytest.mark.parametrize("network", [linear, smooth])
def test_a_sparse_step_is_that_of_foolbox(network: Network) -> None:
    # The steps reach the border of the ball and no farther: what foolbox projects lies outside of it by a few per cent.
    spec = replace(make_attack("pgd", Fraction(2), steps=10, step_size=Fraction(1, 5), norm="l1"), start="none")
    theirs = by_foolbox("SparseL1DescentAttack", network(), spec, abs_stepsize=0.2, steps=10)
    crafted = ours(network(), spec)
    assert share_of_equal_pixels(crafted, images()) < 0.99, "the attack does something"
    assert share_of_equal_pixels(crafted, theirs) >= 0.999


@pytest.mark.parametrize("epsilon", [0.5, 12.0, 100.0])
def test_the_projection_in_l1_is_that_of_autoattack(epsilon: float) -> None:
    # Theirs adds thousands of values up in single precision.
    from pyautoattack.autopgd_base import L1_projection

    moved = torch.randn(images().shape, generator=seeded(3))
    theirs = images() + moved + L1_projection(images(), moved, epsilon)
    torch.testing.assert_close(project_l1(images() + moved, images(), epsilon), theirs, rtol=0, atol=5e-4)
