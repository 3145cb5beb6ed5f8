"""Robust contrastive pretraining without labels (RoCL, Kim et al. 2020)."""

from collections.abc import Generator, Iterator
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from claf_engine.attacks import ascent_steps, from_config
from claf_engine.attacks.gradients import Loss, Target
from claf_engine.compute.seeding import ATTACK_STREAM, VIEWS
from claf_engine.compute.world import Part
from claf_engine.data.views import make_views
from claf_engine.events.ticks import PartEnd, Pulse, Tick
from claf_engine.models.modes import training
from claf_engine.models.network import Pipeline
from claf_engine.training.encoding import encode
from claf_engine.training.losses import nt_xent_loss
from claf_engine.training.phases.contrastive import NUM_VIEWS
from claf_engine.training.ramps import grown
from claf_engine.training.session import Session


def instance(session: Session) -> Iterator[Tick]:
    """Train encoder and projection head on two views and an instance-wise adversarial view of every image."""
    cursor, generators, network = session.state.cursor, session.state.generators, session.state.network
    # Attacks of several processes meet at every step, and a captured pass cannot.
    compute = replace(session.compute, captures=session.compute.captures and session.world.is_single)
    target = Target(Pipeline(network.encoder, network.projection_head), compute)
    climbed = partial(pair_loss, temperature=session.config.rocl.temperature)
    while cursor.epoch < session.config.rocl.epochs:
        for rows in session.batches():
            images, _ = session.training_batch(rows)
            views = make_views(images, session.config.views, NUM_VIEWS, generators[VIEWS], session.part)
            attacked = yield from craft_instances(session, target, climbed, views)
            loss_of = partial(rocl_loss, session, torch.cat([views, attacked[:, None]], dim=1))
            taken = session.feature_step(loss_of, session.config.rocl.epochs)
            yield session.finish_step("encoder", "nt_xent", *taken, session.part.total)
        cursor.end_epoch()
        yield PartEnd(epoch_ended=True)


def craft_instances(session: Session, target: Target, loss: Loss, views: Tensor) -> Generator[Pulse, None, Tensor]:
    """Adversarial views: away from what the network takes for the same image (RoCL), in eval mode.

    Args:
        session: settings and random stream.
        target: encoder and projection head.
        loss: projections and their fixed counterparts to the loss that is climbed.
        views: (B, 2, C, H, W) in [0, 1]: what is attacked, and the other view of each image, whose projections do not
            change during the attack and are computed once.

    Returns:
        (B, C, H, W) in [0, 1].
    """
    config = session.config
    target.refresh()
    loss = loss if session.world.is_single else partial(loss, part=session.part)
    climb = target.gradient(loss, target.outputs(views[:, 1]), is_joint=True)
    spec = grown(session, from_config(config.attack, config.model), config.rocl.epochs)
    stream = session.state.generators[ATTACK_STREAM]
    return (yield from ascent_steps(climb, views[:, 0], spec, stream, part=session.part))


def pair_loss(projections: Tensor, fixed: Tensor, temperature: float, part: Part | None = None) -> Tensor:
    """NT-Xent of projections (B, P) and their counterparts (B, P); `part` as in `nt_xent_loss`."""
    return nt_xent_loss(torch.stack([projections, fixed], dim=1), temperature, part)


def rocl_loss(session: Session, views: Tensor) -> Tensor:
    """NT-Xent over all views, and once more between the adversarial view and its target (RoCL).

    As in the authors' code, the terms of an anchor's positives are added up, where `nt_xent_loss` averages them: with
    three views that is twice as much, which `rocl.attack_weight` is relative to.

    Args:
        session: settings and network.
        views: (B, 3, C, H, W) in [0, 1]; the adversarial view comes last, its target before it.

    Returns:
        A 0-d tensor with its graph.
    """
    config, num_views, network = session.config.rocl, views.shape[1], session.state.network
    with training(network), session.compute.autocast():
        images = session.compute.arrange(views.flatten(0, 1))
        projections = network.projection_head(encode(network.encoder, images, session.compute))
    grouped = projections.view(len(views), num_views, projections.shape[-1])
    all_pairs = (num_views - 1) * nt_xent_loss(grouped, config.temperature, session.part)
    return all_pairs + config.attack_weight * nt_xent_loss(grouped[:, -2:], config.temperature, session.part)
