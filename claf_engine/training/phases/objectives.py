"""What supervised training minimises: one function for each method, all of them played by the one supervised loop.

Each takes a batch and yields the pulses of the attack that it crafts; it returns how the loss of what was crafted is
computed, which may be done more than once.
"""

from collections.abc import Callable, Generator
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from claf_engine.attacks import Attack, ascent_steps, from_config, log_odds
from claf_engine.attacks.gradients import Gradient, Target, cross_entropy_by_log_odds
from claf_engine.compute.seeding import ATTACK_STREAM
from claf_engine.events.ticks import Pulse
from claf_engine.models.modes import batch_statistics, frozen
from claf_engine.models.network import Pipeline
from claf_engine.training.costs import shows_natural
from claf_engine.training.losses import kl_divergence, logit_distance
from claf_engine.training.objective_terms import true_class_weight
from claf_engine.training.phases.rotation import TurnedTarget
from claf_engine.training.phases.terms import (
    ROTATION,
    Outputs,
    Shown,
    added_terms,
    cross_entropy,
    joint_gradient,
    natural_keys,
    trained_pass,
)
from claf_engine.training.ramps import grown
from claf_engine.training.session import Session
from claf_engine.training.weight_perturbation import LossOf

Batch = tuple[Tensor, Tensor]
"""Images (B, C, H, W) in [0, 1] and labels (B,)."""
Objective = Callable[[Session, Pipeline, Target, Batch], Generator[Pulse, None, LossOf]]
"""Session, the model that learns, the target of its attacks and a batch to a 0-d loss, the mean over the batch."""


def natural_loss(session: Session, model: Pipeline, _target: Target, batch: Batch) -> Generator[Pulse, None, LossOf]:
    """Cross-entropy of the images as they are."""
    yield from ()
    return partial(classified_loss, session, model, batch)


def classified_loss(session: Session, model: Pipeline, batch: Batch) -> Tensor:
    """Cross-entropy of natural images."""
    images, labels = batch
    return cross_entropy(session, trained_pass(session, model, images).logits, labels)


def adversarial_loss(session: Session, model: Pipeline, target: Target, batch: Batch) -> Generator[Pulse, None, LossOf]:
    """Cross-entropy of attacked images alone (Madry et al. 2018), and what terms the settings add."""
    attacked = yield from craft(session, target, batch, from_config(session.config.attack, session.config.model))
    return partial(classification_loss, session, model, show(session, batch, attacked))


def fgsm_loss(session: Session, model: Pipeline, target: Target, batch: Batch) -> Generator[Pulse, None, LossOf]:
    """The same after one large step from a random start (Wong et al. 2020)."""
    attacked = yield from craft(session, target, batch, single_step(session))
    return partial(classification_loss, session, model, show(session, batch, attacked))


def classification_loss(session: Session, model: Pipeline, shown: Shown) -> Tensor:
    """Cross-entropy of attacked or natural images, and the terms; natural ones are shown where something needs them.

    With the cross-entropy of natural images and the nuclear norm it is NuAT (Sriramanan et al. 2021).
    """
    natural = trained_pass(session, model, shown.images).logits if shows_natural(session.config.objective) else None
    adversarial = trained_pass(session, model, shown.attacked)
    is_natural = session.config.objective.cross_entropy == "natural"
    classified = natural if is_natural and natural is not None else adversarial.logits
    return cross_entropy(session, classified, shown.labels) + added_terms(session, shown, natural, adversarial)


def alp_loss(session: Session, model: Pipeline, target: Target, batch: Batch) -> Generator[Pulse, None, LossOf]:
    """Mean cross-entropy of natural and attacked images, and the distance between their logits.

    Kannan et al. (2018): both halves share one forward pass, and so one BatchNorm batch.
    """
    attacked = yield from craft(session, target, batch, from_config(session.config.attack, session.config.model))
    return partial(paired_loss, session, model, show(session, batch, attacked))


def paired_loss(session: Session, model: Pipeline, shown: Shown) -> Tensor:
    """What `alp_loss` minimises of images that are crafted already."""
    both = trained_pass(session, model, torch.cat([shown.images, shown.attacked]))
    (natural, adversarial), (_, features) = both.logits.chunk(2), both.features.chunk(2)
    pairing = session.config.alp.weight * logit_distance(adversarial, natural)
    terms = added_terms(session, shown, natural, Outputs(features, adversarial))
    return cross_entropy(session, torch.cat([natural, adversarial]), shown.labels.repeat(2)) + pairing + terms


def trades_loss(session: Session, model: Pipeline, target: Target, batch: Batch) -> Generator[Pulse, None, LossOf]:
    """Cross-entropy of natural images plus beta times the divergence of the attacked ones (Zhang et al. 2019).

    The attack climbs that divergence, usually from a start very near the image whatever `attack.random_start` says,
    because at the image itself its gradient is zero, and against natural logits that are computed once for the whole
    attack and once more, in train mode, for the loss. The authors' code computes them again at every step and twice in
    the loss.
    """
    config, (images, _) = session.config, batch
    target.refresh()
    spec = from_config(config.attack, config.model, usual="gaussian")
    spec = replace(spec, start="gaussian") if spec.start == "none" else spec
    attacked = yield from climb_steps(session, divergence_gradient(session, target, images), images, spec)
    return partial(divergence_loss, session, model, show(session, batch, attacked))


def divergence_loss(session: Session, model: Pipeline, shown: Shown) -> Tensor:
    """What `trades_loss` minimises of images that are crafted already."""
    config = session.config
    natural = trained_pass(session, model, shown.images).logits
    adversarial = trained_pass(session, model, shown.attacked)
    divergence = kl_divergence(adversarial.logits, natural)
    if config.trades.weighting == "true-class":
        divergence = divergence * true_class_weight(adversarial.logits, shown.labels)
    robustness, terms = config.trades.beta * divergence.mean(), added_terms(session, shown, natural, adversarial)
    return cross_entropy(session, natural, shown.labels) + robustness + terms


def show(session: Session, batch: Batch, attacked: Tensor) -> Shown:
    """A batch and what became of it under attack, with what the terms of the objective compare it with."""
    images, labels = batch
    return Shown(images, labels, attacked, natural_keys(session, images))


def craft(session: Session, target: Target, batch: Batch, spec: Attack) -> Generator[Pulse, None, Tensor]:
    """Adversarial examples (B, C, H, W) of the model as it stands, in the configured BatchNorm mode.

    With batch statistics an image moves the losses of all others too, and cross-entropy weighs those by how wrong the
    model is on each. Log-odds alone would weigh them equally, so there the climb is on cross-entropy itself; so it is
    where the nuclear norm or the loss of the rotation head is added to it.
    """
    images, labels = batch
    terms = session.config.objective
    target.refresh()
    if terms.nuclear_weight:
        climb = joint_gradient(session, target, cross_entropy_by_log_odds, target.outputs(images), labels)
    else:
        is_summed = terms.rotation_in_attack or target.mode is batch_statistics
        climb = target.gradient(cross_entropy_by_log_odds if is_summed else log_odds, labels)
    return (yield from climb_steps(session, climb, images, spec))


def divergence_gradient(session: Session, target: Target, images: Tensor) -> Gradient:
    """What the attack of TRADES climbs, from images (B, C, H, W)."""
    natural = target.outputs(images)
    if session.config.objective.nuclear_weight:
        return joint_gradient(session, target, kl_divergence, natural, natural)
    return target.gradient(kl_divergence, natural)


def climb_steps(session: Session, climb: Gradient, images: Tensor, spec: Attack) -> Generator[Pulse, None, Tensor]:
    """The attack of training on images (B, C, H, W), as large as it is by now, from a start for the whole batch."""
    spec, stream = grown(session, spec, session.config.supervised.epochs), session.state.generators[ATTACK_STREAM]
    return (yield from ascent_steps(climb, images, spec, stream, part=session.part))


def crafting_target(session: Session, model: Pipeline) -> Target:
    """What the attacks of training climb, and how it is frozen meanwhile: with running or with batch statistics.

    Statistics of the batch leave no constants to fold, so that mode costs about half as much again on a CPU. A singular
    value decomposition waits for the accelerator, and cannot be captured.
    """
    uses_batch = session.config.supervised.attack_batch_norm == "batch"
    terms, mode = session.config.objective, batch_statistics if uses_batch else frozen
    compute = replace(session.compute, captures=session.compute.captures and not terms.nuclear_weight)
    if terms.rotation_in_attack:
        return TurnedTarget(model, session.companion(ROTATION), terms.rotation_weight, compute, mode)
    return Target(model, compute, mode)


def single_step(session: Session) -> Attack:
    """The one-step attack of fast training."""
    spec = from_config(session.config.attack, session.config.model, steps=1)
    return replace(spec, step_size=session.config.fgsm.step_size, name="fgsm")


def trained_logits(session: Session, model: Pipeline, images: Tensor) -> Tensor:
    """Logits (N, K) in train mode, with a graph."""
    return trained_pass(session, model, images).logits
