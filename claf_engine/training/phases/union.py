"""What adversarial training over several perturbation types minimises."""

from collections.abc import Generator, Sequence
from functools import partial

import torch
from torch import Tensor

from claf_engine.attacks import Attack, ascent_steps, log_odds
from claf_engine.attacks.gradients import Target, cross_entropy_by_log_odds
from claf_engine.attacks.union import multi_steepest_steps, worst_of
from claf_engine.compute.seeding import ATTACK_STREAM
from claf_engine.config.union import UnionConfig
from claf_engine.events.ticks import Pulse
from claf_engine.models.modes import batch_statistics
from claf_engine.models.network import Pipeline
from claf_engine.training.phases.objectives import Batch, trained_logits
from claf_engine.training.phases.terms import cross_entropy
from claf_engine.training.session import Session
from claf_engine.training.weight_perturbation import LossOf


def union_loss(session: Session, model: Pipeline, target: Target, batch: Batch) -> Generator[Pulse, None, LossOf]:
    """Cross-entropy of images that were attacked in several balls (see `UnionConfig.strategy`).

    "max" learns of each image the attack of highest loss, "avg" all of them, the mean over balls (Tramer and Boneh
    2019); "msd" the points of one attack (Maini et al. 2020). All attacked images share one forward pass.
    """
    images, labels = batch
    target.refresh()
    climbed = cross_entropy_by_log_odds if target.mode is batch_statistics else log_odds
    gradient = target.gradient(climbed, labels)

    def losses(points: Tensor) -> Tensor:
        return log_odds(target.outputs(points), labels)

    config = session.config.union
    if config.strategy == "msd":
        learned = [(yield from multi_steepest_steps(gradient, losses, images, balls_of(config)))]
    else:
        stream, learned = session.state.generators[ATTACK_STREAM], []
        for ball in balls_of(config):
            learned.append((yield from ascent_steps(gradient, images, ball, stream)))
        learned = [worst_of(losses, learned)] if config.strategy == "max" else learned
    return partial(mean_loss, session, model, learned, labels)


def mean_loss(session: Session, model: Pipeline, attacked: Sequence[Tensor], labels: Tensor) -> Tensor:
    """Mean cross-entropy of one or several attacked versions (B, C, H, W) each of the same images."""
    logits = trained_logits(session, model, torch.cat(list(attacked)))
    return cross_entropy(session, logits, labels.repeat(len(attacked)))


def balls_of(config: UnionConfig) -> list[Attack]:
    """The attack in every ball of the settings: PGD from the image itself, in pixel space."""
    balls = [(norm, config.ball(norm)) for norm in config.norms]
    return [Attack(ball.epsilon, ball.step_size, config.steps, "none", norm) for norm, ball in balls]
