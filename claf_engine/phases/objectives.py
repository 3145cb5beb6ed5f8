"""What supervised training minimises: one function for each method, all of them played by the one supervised loop.

Each takes a batch and yields the pulses of the attack that it crafts; it returns the loss with its graph.
"""

from collections.abc import Callable, Generator
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from claf_engine.attacks import Attack, ascent_steps, from_config, gradient_of, log_odds, log_odds_gradient
from claf_engine.attacks.gradients import Mode
from claf_engine.device import channels_last
from claf_engine.folding import fold
from claf_engine.losses import kl_divergence, logit_distance
from claf_engine.models import Pipeline
from claf_engine.modes import batch_statistics, frozen, training
from claf_engine.seeding import ATTACK as ATTACK_STREAM
from claf_engine.session import Session
from claf_engine.ticks import Pulse

Objective = Callable[[Session, Pipeline, Tensor, Tensor], Generator[Pulse, None, Tensor]]
"""Session, model, images (B, 3, H, W) in [0, 1] and labels (B,) to a 0-d loss."""


def natural_loss(session: Session, model: Pipeline, images: Tensor, labels: Tensor) -> Generator[Pulse, None, Tensor]:
    """Cross-entropy of the images as they are."""
    yield from ()
    return F.cross_entropy(trained_logits(session, model, images), labels)


def adversarial_loss(
    session: Session, model: Pipeline, images: Tensor, labels: Tensor
) -> Generator[Pulse, None, Tensor]:
    """Cross-entropy of attacked images alone (Madry et al. 2018, eq. 2.1)."""
    attacked = yield from craft(
        session, model, images, labels, from_config(session.config.attack, session.config.model)
    )
    return F.cross_entropy(trained_logits(session, model, attacked), labels)


def fgsm_loss(session: Session, model: Pipeline, images: Tensor, labels: Tensor) -> Generator[Pulse, None, Tensor]:
    """Cross-entropy after one large step from a random start (Wong et al. 2020, algorithm 3)."""
    attacked = yield from craft(session, model, images, labels, single_step(session))
    return F.cross_entropy(trained_logits(session, model, attacked), labels)


def alp_loss(session: Session, model: Pipeline, images: Tensor, labels: Tensor) -> Generator[Pulse, None, Tensor]:
    """Mean cross-entropy of natural and attacked images, and the distance between their logits.

    Kannan et al. (2018), section 4.1: both halves share one forward pass, and so one BatchNorm batch.
    """
    attacked = yield from craft(
        session, model, images, labels, from_config(session.config.attack, session.config.model)
    )
    natural, adversarial = trained_logits(session, model, torch.cat([images, attacked])).chunk(2)
    cross_entropy = F.cross_entropy(torch.cat([natural, adversarial]), labels.repeat(2))
    return cross_entropy + session.config.alp.weight * logit_distance(adversarial, natural)


def trades_loss(session: Session, model: Pipeline, images: Tensor, labels: Tensor) -> Generator[Pulse, None, Tensor]:
    """Cross-entropy of natural images plus beta times the divergence of the attacked ones (Zhang et al. 2019, eq. 5).

    The attack climbs that divergence, from a start very near the image whatever `attack.random_start` says, because at
    the image itself its gradient is zero, and against natural logits that are computed once for the whole attack and
    once more, in train mode, for the loss. The authors' code computes them again at every step and twice in the loss.
    """
    config, compute = session.config, session.compute
    target, mode = crafting_model(session, model)
    with torch.no_grad(), mode(target), compute.autocast():
        fixed = target(channels_last(images)).float()
    spec = replace(from_config(config.attack, config.model), start="gaussian")
    climb = gradient_of(target, lambda logits: kl_divergence(logits, fixed), compute, mode)
    attacked = yield from ascent_steps(climb, images, spec, session.state.generators[ATTACK_STREAM])
    natural, adversarial = trained_logits(session, model, images), trained_logits(session, model, attacked)
    robustness = kl_divergence(adversarial, natural).mean()
    return F.cross_entropy(natural, labels) + config.trades.beta * robustness


def craft(
    session: Session, model: Pipeline, images: Tensor, labels: Tensor, spec: Attack
) -> Generator[Pulse, None, Tensor]:
    """Adversarial examples (B, 3, H, W) of the model as it stands, in the configured BatchNorm mode.

    With batch statistics an image moves the losses of all others too, and cross-entropy weighs those by how wrong the
    model is on each. Log-odds alone would weigh them equally, so there the climb is on cross-entropy itself, as
    log(1 + e^s) of the log-odds s.
    """
    target, mode = crafting_model(session, model)
    climb = log_odds_gradient(target, labels, session.compute, mode)
    if mode is batch_statistics:
        climb = gradient_of(target, lambda logits: F.softplus(log_odds(logits, labels)), session.compute, mode)
    return (yield from ascent_steps(climb, images, spec, session.state.generators[ATTACK_STREAM]))


def crafting_model(session: Session, model: Pipeline) -> tuple[nn.Module, Mode]:
    """What an attack of training climbs, and how it is frozen meanwhile: with running or with batch statistics.

    Statistics of the batch leave no constants to fold, so that mode costs about half as much again on a CPU.
    """
    if session.config.supervised.attack_batch_norm == "batch":
        return model, batch_statistics
    return fold(model), frozen


def single_step(session: Session) -> Attack:
    """The one-step attack of fast training."""
    spec = from_config(session.config.attack, session.config.model, steps=1)
    return replace(spec, step_size=session.config.fgsm.step_size, name="fgsm")


def trained_logits(session: Session, model: Pipeline, images: Tensor) -> Tensor:
    """Logits (N, K) in train mode, with a graph."""
    with training(model), session.compute.autocast():
        logits: Tensor = model(channels_last(images))
    return logits.float()
