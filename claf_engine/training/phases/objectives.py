"""What supervised training minimises: one function for each method, all of them played by the one supervised loop.

Each takes a batch and yields the pulses of the attack that it crafts; it returns the loss with its graph.
"""

from collections.abc import Callable, Generator
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from claf_engine.attacks import Attack, ascent_steps, from_config, log_odds
from claf_engine.attacks.gradients import Target
from claf_engine.compute.seeding import ATTACK_STREAM
from claf_engine.events.ticks import Pulse
from claf_engine.models.modes import batch_statistics, frozen, training
from claf_engine.models.network import Pipeline
from claf_engine.training.encoding import encode
from claf_engine.training.losses import kl_divergence, logit_distance
from claf_engine.training.session import Session

Batch = tuple[Tensor, Tensor]
"""Images (B, C, H, W) in [0, 1] and labels (B,)."""
Objective = Callable[[Session, Pipeline, Target, Batch], Generator[Pulse, None, Tensor]]
"""Session, the model that learns, the target of its attacks and a batch to a 0-d loss."""


def natural_loss(session: Session, model: Pipeline, _target: Target, batch: Batch) -> Generator[Pulse, None, Tensor]:
    """Cross-entropy of the images as they are."""
    yield from ()
    images, labels = batch
    return F.cross_entropy(trained_logits(session, model, images), labels)


def adversarial_loss(session: Session, model: Pipeline, target: Target, batch: Batch) -> Generator[Pulse, None, Tensor]:
    """Cross-entropy of attacked images alone (Madry et al. 2018, eq. 2.1)."""
    attacked = yield from craft(session, target, batch, from_config(session.config.attack, session.config.model))
    return F.cross_entropy(trained_logits(session, model, attacked), batch[1])


def fgsm_loss(session: Session, model: Pipeline, target: Target, batch: Batch) -> Generator[Pulse, None, Tensor]:
    """Cross-entropy after one large step from a random start (Wong et al. 2020, algorithm 3)."""
    attacked = yield from craft(session, target, batch, single_step(session))
    return F.cross_entropy(trained_logits(session, model, attacked), batch[1])


def alp_loss(session: Session, model: Pipeline, target: Target, batch: Batch) -> Generator[Pulse, None, Tensor]:
    """Mean cross-entropy of natural and attacked images, and the distance between their logits.

    Kannan et al. (2018), section 4.1: both halves share one forward pass, and so one BatchNorm batch.
    """
    attacked = yield from craft(session, target, batch, from_config(session.config.attack, session.config.model))
    images, labels = batch
    natural, adversarial = trained_logits(session, model, torch.cat([images, attacked])).chunk(2)
    cross_entropy = F.cross_entropy(torch.cat([natural, adversarial]), labels.repeat(2))
    return cross_entropy + session.config.alp.weight * logit_distance(adversarial, natural)


def trades_loss(session: Session, model: Pipeline, target: Target, batch: Batch) -> Generator[Pulse, None, Tensor]:
    """Cross-entropy of natural images plus beta times the divergence of the attacked ones (Zhang et al. 2019, eq. 5).

    The attack climbs that divergence, from a start very near the image whatever `attack.random_start` says, because at
    the image itself its gradient is zero, and against natural logits that are computed once for the whole attack and
    once more, in train mode, for the loss. The authors' code computes them again at every step and twice in the loss.
    """
    config, (images, labels) = session.config, batch
    target.refresh()
    spec = replace(from_config(config.attack, config.model), start="gaussian")
    climb = target.gradient(kl_divergence, target.outputs(images))
    attacked = yield from ascent_steps(climb, images, spec, session.state.generators[ATTACK_STREAM], part=session.part)
    natural, adversarial = trained_logits(session, model, images), trained_logits(session, model, attacked)
    robustness = kl_divergence(adversarial, natural).mean()
    return F.cross_entropy(natural, labels) + config.trades.beta * robustness


def craft(session: Session, target: Target, batch: Batch, spec: Attack) -> Generator[Pulse, None, Tensor]:
    """Adversarial examples (B, C, H, W) of the model as it stands, in the configured BatchNorm mode.

    With batch statistics an image moves the losses of all others too, and cross-entropy weighs those by how wrong the
    model is on each. Log-odds alone would weigh them equally, so there the climb is on cross-entropy itself.
    """
    images, labels = batch
    target.refresh()
    loss = cross_entropy_by_log_odds if target.mode is batch_statistics else log_odds
    climb = target.gradient(loss, labels)
    return (yield from ascent_steps(climb, images, spec, session.state.generators[ATTACK_STREAM], part=session.part))


def cross_entropy_by_log_odds(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy (N,) as log(1 + e^s) of the log-odds s, whose gradient does not vanish in a sure network."""
    return F.softplus(log_odds(logits, labels))


def crafting_target(session: Session, model: Pipeline) -> Target:
    """What the attacks of training climb, and how it is frozen meanwhile: with running or with batch statistics.

    Statistics of the batch leave no constants to fold, so that mode costs about half as much again on a CPU.
    """
    uses_batch = session.config.supervised.attack_batch_norm == "batch"
    return Target(model, session.compute, batch_statistics if uses_batch else frozen)


def single_step(session: Session) -> Attack:
    """The one-step attack of fast training."""
    spec = from_config(session.config.attack, session.config.model, steps=1)
    return replace(spec, step_size=session.config.fgsm.step_size, name="fgsm")


def trained_logits(session: Session, model: Pipeline, images: Tensor) -> Tensor:
    """Logits (N, K) in train mode, with a graph."""
    with training(model), session.compute.autocast():
        features = encode(model.encoder, session.compute.arrange(images), session.compute)
        logits: Tensor = model.classifier(features)
    return logits.float()
