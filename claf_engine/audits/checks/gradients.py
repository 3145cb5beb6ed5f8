"""Whether the gradients that attacks follow are there: zero gradients, saturation, the scale of the logits."""

from collections.abc import Callable, Generator, Mapping
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from claf_engine.accuracy.suite import AttackSuite
from claf_engine.attacks import ascent_steps, gradient_of, log_odds
from claf_engine.audits.bench import Bench, Outcome, recipe_of
from claf_engine.audits.chance import Estimate, share
from claf_engine.audits.checks.claim import claimed_steps
from claf_engine.audits.checks.convergence import FAILS_AT, WARNS_AT, Loss
from claf_engine.audits.crafted import Crafted, attackable_steps, crafted_steps, fallen, first_rows, percent
from claf_engine.audits.diagnostic import Check, Finding, graded
from claf_engine.compute.device import Compute
from claf_engine.compute.seeding import measurement_generator
from claf_engine.data import to_pixels
from claf_engine.events.ticks import Pulse
from claf_engine.models.folding import fold
from claf_engine.models.modes import frozen
from claf_engine.terms.names import Verdict
from claf_engine.terms.pixels import format_distance

ZERO_WARNS_AT, ZERO_FAILS_AT = 0.01, 0.1
"""Share of images without a gradient."""
SATURATED = 1e-6
"""Distance from 1 within which the likeliest class counts as certain."""
CERTAIN_WARNS_AT, CERTAIN_FAILS_AT = 0.1, 0.5
"""Share of images that the softmax is certain about; of those that the claim's attack left, to fail."""
SCALES = (0.1, 1.0, 10.0)


def cross_entropy(logits: Tensor, labels: Tensor, scale: float = 1.0) -> Tensor:
    """Cross-entropy (N,) of scaled logits (N, K), the way a plain attack climbs it."""
    return F.cross_entropy(scale * logits, labels, reduction="none")


def zero_gradients(bench: Bench) -> Generator[Pulse, None, Finding]:
    """Share of images that the attack's loss has no gradient at; for comparison, that of cross-entropy as well."""
    yield from attackable_steps(bench)
    if not has_gradient(bench.subject.model, to_pixels(bench.subject.split.images[:1]), bench.compute):
        return Finding("fails", "the logits have no gradient by the image at all", {"log_odds": 1.0, "at_least": 1.0})
    own = yield from _useless_share_steps(bench, log_odds)
    plain = yield from _useless_share_steps(bench, cross_entropy)
    return Finding(
        graded(own.at_least, ZERO_WARNS_AT, ZERO_FAILS_AT),
        f"{own.percentage} of images, {percent(plain.value)} of them under cross-entropy",
        {"log_odds": own.value, "at_least": own.at_least, "cross_entropy": plain.value},
    )


def has_gradient(model: nn.Module, images: Tensor, compute: Compute) -> bool:
    """Whether the logits of images (N, C, H, W) are computed from them where autograd sees it."""
    with frozen(model), torch.enable_grad():
        return bool(model(compute.arrange(images.detach().requires_grad_(True))).requires_grad)


def saturation(bench: Bench) -> Generator[Pulse, None, Finding]:
    """Share of images that the softmax is certain about, and of those among them that the claim's attack left.

    An undefended network may be certain of all, and nothing is left of them. Where much is left, it may be so because
    an attack on cross-entropy, as others make it, stands still.
    """
    standing = (yield from claimed_steps(bench)).survives
    model = bench.subject.model

    def certain(images: Tensor, _: Tensor) -> Tensor:
        with torch.no_grad(), frozen(model), bench.compute.autocast():
            likeliest: Tensor = model(bench.compute.arrange(images)).float().softmax(1).amax(1)
        return likeliest > 1 - SATURATED

    is_certain = yield from _rows_steps(bench, "saturation", certain)
    asked = len(is_certain)
    every = share(int(is_certain.sum()), asked)
    left = share(int((is_certain & standing[first_rows((yield from attackable_steps(bench)))]).sum()), asked)
    verdict: Verdict = "fails" if left.at_least > CERTAIN_FAILS_AT else graded(every.at_least, CERTAIN_WARNS_AT, 1)
    return Finding(
        verdict,
        f"{every.percentage} of images, {percent(left.value)} of them left by PGD",
        {"share": every.value, "at_least": every.at_least, "left": left.value, "left_at_least": left.at_least},
    )


def logit_scale(bench: Bench) -> Generator[Pulse, None, Finding]:
    """The claim's attack on plain cross-entropy of logits x0.1, x1 and x10, against the same on log-odds.

    Scaling changes no prediction, so that it should not change what is found. What a scale finds beyond log-odds is
    held against the claim; what plain cross-entropy misses of what log-odds find, against those who attack with it.
    """
    own = yield from claimed_steps(bench)
    scaled = {}
    for scale in SCALES:
        scaled[scale] = yield from _cross_entropy_steps(bench, scale)
    verdict, overlooked, masked = judge_scales(own.survives, {scale: each.survives for scale, each in scaled.items()})
    found = ", ".join(f"x{scale:g} {percent(each.accuracy)}" for scale, each in scaled.items())
    values = {
        "log_odds": own.accuracy,
        "scaled": {str(scale): each.accuracy for scale, each in scaled.items()},
        "overlooked": overlooked.value,
        "at_least": overlooked.at_least,
        "masked": masked.value,
        "masked_at_least": masked.at_least,
    }
    figure = f"{percent(own.accuracy)} under log-odds; cross-entropy {found}: overlooks {overlooked}, masks {masked}"
    return Finding(verdict, figure, values)


def judge_scales(own: Tensor, scaled: Mapping[float, Tensor]) -> tuple[Verdict, Estimate, Estimate]:
    """A verdict on what survives, (N,) bool each: `own` under log-odds, and one for each scale under cross-entropy.

    An attack of ours that leaves more than one of them overlooks examples, and the claim falls with it. Plain
    cross-entropy that leaves more than ours is masked by the scale of the logits. That only warns: no figure of ours
    rests on it.

    Returns:
        The verdict; what log-odds overlook, and what plain cross-entropy does.
    """
    overlooked = max((fallen(own, each) for each in scaled.values()), key=lambda estimate: estimate.value)
    masked = fallen(scaled[1.0], own)
    verdict = graded(overlooked.at_least, WARNS_AT, FAILS_AT)
    return ("warns" if verdict == "passes" and masked.at_least > WARNS_AT else verdict), overlooked, masked


def _cross_entropy_steps(bench: Bench, scale: float) -> Generator[Pulse, None, Outcome]:
    """The claim's attack from its own random starts, climbing the cross-entropy of scaled logits."""
    subject, target = bench.subject, fold(bench.subject.model)
    suite = AttackSuite(
        (subject.epsilon,), bench.budget.steps[0], subject.step_size, seed=subject.seed, space=subject.space
    )
    spec, recipe = suite.attack(subject.epsilon), recipe_of(suite, subject.epsilon)

    def craft(images: Tensor, labels: Tensor, batch: int) -> Generator[Pulse, None, Tensor]:
        gradient = gradient_of(target, lambda logits: cross_entropy(logits, labels, scale), bench.compute)
        # The purpose under which log-odds are climbed, so that both attacks start at the same points.
        generator = measurement_generator(subject.seed, f"{spec.title}, batch {batch}, 0", bench.compute.device)
        return (yield from ascent_steps(gradient, images, spec, generator))

    label = f"{spec.title} on cross-entropy of logits x{scale:g}, step {format_distance(spec.step_size)}, 1 start"
    attack = Crafted(label, replace(recipe, attack=f"pgd-ce-x{scale:g}"), craft, subject.batch_size)
    return (yield from crafted_steps(bench, attack, (yield from attackable_steps(bench))))


def _useless_share_steps(bench: Bench, loss: Loss) -> Generator[Pulse, None, Estimate]:
    """Share of images, unperturbed, where a loss has a gradient of zero or one that is not finite."""

    def useless(images: Tensor, labels: Tensor) -> Tensor:
        gradient = gradient_of(bench.subject.model, lambda logits: loss(logits, labels), bench.compute)(images)
        steepest = gradient.abs().flatten(1).amax(1)
        return (steepest == 0) | ~steepest.isfinite()

    rows = yield from _rows_steps(bench, "zero gradients", useless)
    return share(int(rows.sum()), len(rows))


def _rows_steps(
    bench: Bench, activity: str, holds: Callable[[Tensor, Tensor], Tensor]
) -> Generator[Pulse, None, Tensor]:
    """Of which of the attacked examples (M,) something holds.

    Args:
        bench: whose examples.
        activity: for the screen.
        holds: images (N, C, H, W) in [0, 1] and labels (N,) to (N,) bool.

    Raises:
        NotRun: there is nothing to attack.
    """
    rows = first_rows((yield from attackable_steps(bench))).to(bench.compute.device)
    split, found = bench.subject.split, []
    batches = rows.split(bench.subject.batch_size)  # type: ignore[no-untyped-call]
    for number, batch in enumerate(batches):
        yield Pulse(activity, number, len(batches), abandonable=True)
        found.append(holds(to_pixels(split.images[batch]), split.labels[batch]).cpu())
    return torch.cat(found)


CHECKS: tuple[Check, ...] = (
    Check(
        "zero-gradients",
        "The attack's loss has a gradient to follow",
        "more than 1 % of images without one warns, more than 10 % fails",
        "Where the gradient is zero an attack stands still and its images count as robust: the model masks its "
        "gradients (a rounding, a sign, a saturated layer). Attack through an approximation of that layer (BPDA) or "
        "without gradients before believing the figure.",
        "AutoAttack's check of zero gradients (Croce and Hein 2020); Athalye et al. 2018, arXiv 1802.00420",
        zero_gradients,
    ),
    Check(
        "saturation",
        "The softmax is not certain",
        "a largest probability above 1 - 1e-6 on over 10 % of images warns; on over 50 % that PGD leaves, fails",
        "Cross-entropy is flat there in fp32, so that attacks which climb it look weak. The attacks of this audit "
        "climb log-odds, which do not vanish; figures that others measured may be too high.",
        "Carlini and Wagner 2017, arXiv 1608.04644",
        saturation,
    ),
    Check(
        "logit-scale",
        "Scaling the logits lets no attack find more",
        "log-odds above one of cross-entropy x0.1, x1, x10 by more than 1 point warns, by more than 5 fails; "
        "plain cross-entropy above log-odds by more than 1 point warns",
        "Scaling changes no prediction. Where it makes an attack stronger than the claim's, the claim is too high; "
        "where only plain cross-entropy is the weaker one, the logits mask it, and a figure measured with it is.",
        "Carlini et al. 2019, arXiv 1902.06705; Croce and Hein 2020, section 4",
        logit_scale,
        comparisons=4,
    ),
)
