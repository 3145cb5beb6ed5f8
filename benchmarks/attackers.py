"""The sides of the benchmark of attacks: PGD of ours, of torchattacks and of foolbox, called alike."""

from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

import torch
from torch import Tensor, nn

from claf_engine.attacks import Attack, ascent_steps, log_odds, make_attack
from claf_engine.attacks.gradients import Target
from claf_engine.compute.device import choose_compute, make_generator, own_process
from claf_engine.config import ModelConfig, RuntimeConfig
from claf_engine.events.ticks import exhaust
from claf_engine.models.modes import BATCH_NORMS, training
from claf_engine.models.network import ADVERSARIAL, Pipeline, build_network

EPSILON, STEP_SIZE = Fraction(8, 255), Fraction(2, 255)
NUM_CLASSES, SIZE = 10, 32
SEED = 5
CPU = torch.device("cpu")
LIBRARIES = ("torchattacks", "foolbox")

Craft = Callable[[Tensor, Tensor], Tensor]
"""Images (N, 3, H, W) in [0, 1] and labels (N,) to attacked images; the start comes from torch's default generator."""


class Attacker(NamedTuple):
    """A side's attack, and the precision that it computes in."""

    craft: Craft
    precision: str


def runtimes(device: str) -> dict[str, RuntimeConfig]:
    """How each side computes: all on one device, in as many threads as torch takes by itself.

    What the engine would measure when a run begins is measured here, once, while no other side is at work.
    """
    plain = RuntimeConfig(device=device, threads=torch.get_num_threads())
    own = {"ours": settled(plain), "ours_fp32": settled(plain.model_copy(update={"precision": "fp32"}))}
    return own | dict.fromkeys(LIBRARIES, plain)


def settled(runtime: RuntimeConfig) -> RuntimeConfig:
    """The same settings with precision and layout as the engine chooses them here."""
    own_process(runtime)
    compute = choose_compute(runtime)
    return runtime.model_copy(update={"precision": compute.precision, "layout": compute.layout})


def ours(model: Pipeline, steps: int, runtime: RuntimeConfig) -> Attacker:
    """Our engine, as a training loop calls it: brought up to date with the weights before every batch."""
    own_process(runtime)
    compute = choose_compute(runtime)
    compute.place(model)
    target, spec, generator = Target(model, compute), attack_of(steps), default_generator(compute.device)

    def craft(images: Tensor, labels: Tensor) -> Tensor:
        target.refresh()
        return exhaust(ascent_steps(target.gradient(log_odds, labels), images, spec, generator))

    return Attacker(craft, compute.precision)


def by_torchattacks(model: Pipeline, steps: int, runtime: RuntimeConfig) -> Attacker:
    """The PGD of torchattacks."""
    import torchattacks

    device = torch.device(runtime.device)
    library = torchattacks.PGD(
        model.to(device).eval(), eps=float(EPSILON), alpha=float(STEP_SIZE), steps=steps, random_start=True
    )
    return Attacker(library, default_precision(device))


def by_foolbox(model: Pipeline, steps: int, runtime: RuntimeConfig) -> Attacker:
    """The PGD of foolbox."""
    from foolbox.attacks import LinfPGD
    from foolbox.models.pytorch import PyTorchModel

    device = torch.device(runtime.device)
    library = LinfPGD(abs_stepsize=float(STEP_SIZE), steps=steps, random_start=True)
    bounded = PyTorchModel(model.to(device).eval(), bounds=(0, 1), device=device)

    def craft(images: Tensor, labels: Tensor) -> Tensor:
        attacked: Tensor = library(bounded, images, labels, epsilons=float(EPSILON))[1]
        return attacked

    return Attacker(craft, default_precision(device))


ATTACKERS: dict[str, Callable[[Pipeline, int, RuntimeConfig], Attacker]] = {
    "ours": ours,
    "ours_fp32": ours,
    "torchattacks": by_torchattacks,
    "foolbox": by_foolbox,
}
"""The sides: a network, a number of steps and how to compute (see `runtimes`) to an attack."""


def attack_of(steps: int) -> Attack:
    """The attack that all sides make."""
    return make_attack("pgd", EPSILON, steps=steps, step_size=STEP_SIZE)


def default_generator(device: torch.device) -> torch.Generator:
    """The generator that both libraries draw from."""
    if device.type == "cuda":
        return torch.cuda.default_generators[device.index or 0]
    return torch.default_generator


def default_precision(device: torch.device) -> str:
    """What an fp32 network computes in with torch's own settings."""
    return "tf32" if device.type == "cuda" and torch.backends.cudnn.allow_tf32 else "fp32"


def random_network(width: int) -> Pipeline:
    """A ResNet-18 whose BatchNorm has statistics of real activations and random weights, on the CPU."""
    generator = make_generator(CPU, SEED)
    model = build_network(ModelConfig(width=width), NUM_CLASSES, generator).with_classifier(ADVERSARIAL)
    for norm in (module for module in model.modules() if isinstance(module, BATCH_NORMS)):
        nn.init.uniform_(norm.weight, 0.5, 1.5, generator=generator)
        nn.init.normal_(norm.bias, 0.0, 0.1, generator=generator)
        norm.momentum = None  # the running statistics become those of the one batch below
    with training(model), torch.no_grad():
        model(random_batch(16, CPU)[0])
    return model.eval()


def random_batch(size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Random images (N, 3, 32, 32) in [0, 1] and labels (N,)."""
    generator = make_generator(CPU, SEED + 1)
    images = torch.rand(size, 3, SIZE, SIZE, generator=generator)
    return images.to(device), torch.randint(NUM_CLASSES, (size,), generator=generator).to(device)


def from_start(craft: Craft, seed: int, images: Tensor, labels: Tensor) -> Tensor:
    """Attacked images (N, 3, H, W), from the random start that the seed gives to every side."""
    default_generator(images.device).manual_seed(seed)
    return craft(images, labels).detach()
