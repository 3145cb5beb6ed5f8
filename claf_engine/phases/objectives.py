"""What supervised training minimises: one function for each method, all of them played by the one supervised loop.

Each takes a batch and yields the pulses of the attack that it crafts; it returns the loss with its graph.
"""

from collections.abc import Callable, Generator

import torch
import torch.nn.functional as F
from torch import Tensor

from claf_engine.attacks import Attack, Gradient, ascent_steps, from_config, gradient_of, log_odds_gradient
from claf_engine.device import channels_last
from claf_engine.folding import fold
from claf_engine.losses import kl_divergence, logit_distance
from claf_engine.models import Pipeline
from claf_engine.modes import batch_statistics, evaluating, training
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

    The attack climbs that divergence, from a start very near the image and against natural logits that are computed
    once: in eval mode for the attack, in train mode for the loss. The authors' code computes them again at every step
    and twice in the loss.
    """
    config, compute = session.config, session.compute
    folded = fold(model)
    with torch.no_grad(), evaluating(folded), compute.autocast():
        fixed = folded(channels_last(images)).float()
    spec = from_config(config.attack, config.model)
    spec = Attack(spec.epsilon, spec.step_size, spec.steps, "gaussian", spec.norm, None, spec.name, spec.space)
    climb = gradient_of(folded, lambda logits: kl_divergence(logits, fixed), compute)
    attacked = yield from ascent_steps(climb, images, spec, session.state.generators[ATTACK_STREAM])
    natural, adversarial = trained_logits(session, model, images), trained_logits(session, model, attacked)
    robustness = kl_divergence(adversarial, natural).mean()
    return F.cross_entropy(natural, labels) + config.trades.beta * robustness


def craft(
    session: Session, model: Pipeline, images: Tensor, labels: Tensor, spec: Attack
) -> Generator[Pulse, None, Tensor]:
    """Adversarial examples (B, 3, H, W) of the model as it stands, in the configured BatchNorm mode."""
    if session.config.supervised.attack_batch_norm == "batch":
        climb: Gradient = log_odds_gradient(model, labels, session.compute, batch_statistics)
    else:
        climb = log_odds_gradient(fold(model), labels, session.compute)
    return (yield from ascent_steps(climb, images, spec, session.state.generators[ATTACK_STREAM]))


def single_step(session: Session) -> Attack:
    """The one-step attack of fast training."""
    spec = from_config(session.config.attack, session.config.model, steps=1)
    step_size = session.config.fgsm.step_size
    return Attack(spec.epsilon, step_size, 1, spec.start, spec.norm, None, "fgsm", spec.space)


def trained_logits(session: Session, model: Pipeline, images: Tensor) -> Tensor:
    """Logits (N, K) in train mode, with a graph."""
    with training(model), session.compute.autocast():
        logits: Tensor = model(channels_last(images))
    return logits.float()
