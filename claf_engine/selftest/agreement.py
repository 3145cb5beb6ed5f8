"""Checks that the same inputs give the same numbers: on the accelerator and the CPU, captured and eager, fp32 and bf16.

Gradients are compared in a network with SiLU. Where ReLU is nearly at its kink, rounding decides whether a unit
passes a gradient, and even two memory layouts on one CPU then differ by half a percent; smooth, they agree to 2e-5.
"""

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from functools import partial

import torch
from torch import Tensor, nn

from claf_engine.attacks import Attack, ascent_steps, log_odds
from claf_engine.attacks.gradients import Target
from claf_engine.compute.device import Compute, make_generator
from claf_engine.data.views import Jitter, apply_jitter, resample
from claf_engine.events.ticks import exhaust
from claf_engine.selftest.findings import Finding, graded, worst
from claf_engine.selftest.places import CPU, Places
from claf_engine.training.phases.contrastive import contrastive_loss
from claf_engine.training.state import FEATURES

AGREES, NEARLY = 1e-4, 1e-3
"""Relative difference up to which fp32 results agree, and above which something other than rounding is at work: TF32
products, for one."""
STRAYS, FAR = 0.01, 0.05
"""Share of pixels that may differ after an attack: the sign of a gradient near zero is a matter of rounding."""
BF16_LOSS, BF16_FAR = 0.02, 0.1
"""Relative difference of a loss in bf16."""
EPSILON, STEP_SIZE = Fraction(8, 255), Fraction(2, 255)


def views_agree(places: Places) -> Finding:
    """Crop, flip and colour of the same images with the same parameters."""
    here, there = (_augmented(places, compute).cpu() for compute in (places.compute, places.reference))
    difference = float((here - there).abs().max())
    return Finding(
        graded(difference, AGREES, NEARLY),
        "largest difference of a pixel",
        f"{difference:.1e}",
        {"largest": difference},
    )


def step_agrees(places: Places) -> Finding:
    """One contrastive step: its loss, the gradient of every weight, and the network after it."""
    here, there = (_stepped(places, compute) for compute in (places.compute, places.reference))
    differences = {name: _relative(here[name], there[name]) for name in here}
    verdict = worst({name: graded(value, AGREES, NEARLY) for name, value in differences.items()})
    figure = ", ".join(f"{name} {value:.1e}" for name, value in differences.items())
    return Finding(verdict, "relative difference", figure, {**differences, "allowed": AGREES})


def attack_agrees(places: Places) -> Finding:
    """PGD in fp32 from the images themselves."""
    spec = Attack(EPSILON, STEP_SIZE, places.scale.steps, "none")
    here, there = (_attacked(places, compute, spec) for compute in (places.compute, places.reference))
    equal, largest = float((here == there).double().mean()), float((here - there).abs().max())
    return Finding(
        graded(1 - equal, STRAYS, FAR),
        f"{100 * equal:.2f}% of the pixels are equal",
        f"largest difference {largest:.1e}",
        {"steps": spec.steps, "equal_share": equal, "largest": largest},
    )


def capture_agrees(places: Places) -> Finding:
    """Captured passes against eager ones, for two batches and once more after the weights have changed."""
    differing = {precision: _num_differing(places, precision) for precision in places.precisions}
    total = sum(differing.values())
    result = f"{total} pixels differ" if total else "equal bit for bit"
    return Finding("fails" if total else "passes", result, f"3 batches in {' and '.join(differing)}", differing)


def bf16_is_close(places: Places) -> Finding:
    """The loss of one contrastive step in bf16 and in fp32, on the same device."""
    exact, rounded = (_loss(places, replace(places.compute, precision=precision)) for precision in ("fp32", "bf16"))
    difference = abs(rounded - exact) / abs(exact)
    return Finding(
        graded(difference, BF16_LOSS, BF16_FAR),
        f"loss {rounded:.4f} in bf16, {exact:.4f} in fp32",
        f"{100 * difference:.2f}% apart",
        {"fp32": exact, "bf16": rounded, "relative": difference},
    )


def _augmented(places: Places, compute: Compute) -> Tensor:
    images, _ = places.images(compute)
    count, generator = len(images), make_generator(CPU, 1)
    draws = torch.rand((count, 9), generator=generator)
    boxes = torch.stack((draws[:, 0] / 2, draws[:, 1] / 2, draws[:, 2] / 2, draws[:, 3] / 2), 1)
    order = torch.stack([torch.randperm(3, generator=generator) for _ in range(count)])
    jitter = Jitter((0.6 + 0.8 * draws[:, 4:7]).to(images), order.to(compute.device), (draws[:, 7] - 0.5).to(images))
    return apply_jitter(resample(images, boxes.to(images), (draws[:, 8] < 0.5).to(compute.device)), jitter, 1)


def _stepped(places: Places, compute: Compute) -> dict[str, Tensor]:
    session = places.session(compute, places.config(activation="silu"))
    session.state.network.projection_head.layers[1] = nn.SiLU()  # its ReLU has a kink too
    loss, _ = session.feature_step(partial(contrastive_loss, session, *places.views(compute)), 1)
    network, optimizer = session.state.network, session.optimizer(FEATURES)
    gradients = [weight.grad for group in optimizer.param_groups for weight in group["params"]]
    state = [value for value in network.state_dict().values() if value.is_floating_point()]
    return {"loss": _flat([loss.detach()]), "gradients": _flat(gradients), "weights": _flat(state)}


def _loss(places: Places, compute: Compute) -> float:
    session = places.session(compute)
    return float(contrastive_loss(session, *places.views(compute)).detach())


def _attacked(places: Places, compute: Compute, spec: Attack) -> Tensor:
    images, labels = places.images(compute)
    climb = Target(places.pipeline(compute), compute).gradient(log_odds, labels)
    return exhaust(ascent_steps(climb, images, spec, make_generator(compute.device, 0))).cpu()


def _num_differing(places: Places, precision: str) -> int:
    eager = replace(places.compute, precision=precision, captures=False)
    model = places.pipeline(eager)
    targets = Target(model, replace(eager, captures=True)), Target(model, eager)
    spec, total = Attack(EPSILON, STEP_SIZE, places.scale.steps), 0
    for number in range(3):
        if number == 2:
            _change(model)
            for target in targets:
                target.refresh()
        images, labels = places.images(eager, f"batch {number}")
        ones, others = (
            exhaust(ascent_steps(target.gradient(log_odds, labels), images, spec, make_generator(eager.device, number)))
            for target in targets
        )
        total += int((ones != others).sum())
    return total


@torch.no_grad()
def _change(model: nn.Module) -> None:
    """Move the weights in place, as an optimiser does."""
    for parameter in model.parameters():
        parameter.mul_(1.01)


def _flat(tensors: Iterable[Tensor | None]) -> Tensor:
    return torch.cat([tensor.detach().double().cpu().flatten() for tensor in tensors if tensor is not None])


def _relative(here: Tensor, there: Tensor) -> float:
    return float((here - there).norm() / there.norm())
