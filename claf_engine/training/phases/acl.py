"""Adversarial contrastive pretraining (ACL, Jiang et al. 2020): natural views, attacked views, or both in two streams.

The streams share encoder and projection head, but for BatchNorm, which each has its own of. The network keeps the one
that is measured, so that whoever opens it finds an ordinary encoder; the other one is a companion of pretraining.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from claf_engine.attacks import Attack, ascent_steps, from_config
from claf_engine.attacks.gradients import Loss, Target
from claf_engine.attacks.loop import start
from claf_engine.compute.seeding import ATTACK_STREAM, VIEWS
from claf_engine.compute.world import Part
from claf_engine.data.views import make_views
from claf_engine.events.ticks import PartEnd, Pulse, Tick
from claf_engine.models.dual_norms import norms_of, with_norms
from claf_engine.models.modes import training
from claf_engine.models.network import Pipeline
from claf_engine.training.companions import OTHER_NORMS
from claf_engine.training.encoding import encode
from claf_engine.training.losses import nt_xent_loss
from claf_engine.training.phases.contrastive import NUM_VIEWS
from claf_engine.training.ramps import grown
from claf_engine.training.session import Session
from claf_engine.training.state import FEATURES

DUAL = f"encoder+head+{OTHER_NORMS}"
"""The optimiser of two streams."""


@dataclass(frozen=True)
class Stream:
    """One stream: the encoder with its own BatchNorm, and what its loss counts in the mean."""

    encoder: nn.Module
    weight: float


@dataclass(frozen=True)
class Streams:
    """Those of a run: of natural views, of attacked ones, or both."""

    natural: Stream | None
    attacked: Stream | None


def adversarial_contrastive(session: Session) -> Iterator[Tick]:
    """Train encoder and projection head on two views of every image, as they are, attacked together, or both."""
    cursor, generators, config = session.state.cursor, session.state.generators, session.config.acl
    streams = streams_of(session)
    optimizer = DUAL if config.streams == "dual" else FEATURES
    craft = None if streams.attacked is None else partial(craft_pairs, session, *_attacked(session, streams.attacked))
    while cursor.epoch < config.epochs:
        for rows in session.batches():
            images, _ = session.training_batch(rows)
            views = make_views(images, session.config.views, NUM_VIEWS, generators[VIEWS], session.part)
            attacked = views if craft is None else (yield from craft(views))
            loss_of = partial(acl_loss, session, streams, views, attacked)
            taken = session.feature_step(loss_of, config.epochs, optimizer)
            yield session.finish_step("encoder", "nt_xent", *taken, session.part.total)
        cursor.end_epoch()
        yield PartEnd(epoch_ended=True)
    session.drop_optimizer(optimizer)
    session.drop_companion(OTHER_NORMS)


def streams_of(session: Session) -> Streams:
    """The streams of a run; the BatchNorm of the one that is not measured begins as that of the network.

    Raises:
        ConfigError: there are to be two, and the model has no BatchNorm, or cannot be put together a second time.
    """
    config, encoder = session.config.acl, session.state.network.encoder
    if config.streams == "standard":
        return Streams(Stream(encoder, 1.0), None)
    if config.streams == "adversarial":
        return Streams(None, Stream(encoder, 1.0))
    is_new = OTHER_NORMS not in session.state.companions
    norms = session.companion(OTHER_NORMS)
    assert isinstance(norms, nn.ModuleList)
    if is_new:  # those of a model that begins with weights of a file have seen images
        for norm, own in zip(norms, norms_of(encoder), strict=True):
            norm.load_state_dict(own.state_dict())
    other, share = with_norms(encoder, norms), config.dual_weight / (1 + config.dual_weight)
    natural, attacked = (encoder, other) if config.measured == "natural" else (other, encoder)
    return Streams(Stream(natural, 1 - share), Stream(attacked, share))


def craft_pairs(session: Session, target: Target, loss: Loss, views: Tensor) -> Generator[Pulse, None, Tensor]:
    """Both views of every image, attacked together: away from each other and towards other images, in eval mode.

    Args:
        session: settings and random stream.
        target: encoder and projection head of the stream of attacked views.
        loss: projections (2 B, P), pair by pair, to the loss that is climbed.
        views: (B, 2, C, H, W) in [0, 1].

    Returns:
        The same shape, each view in the ball around its own.
    """
    config = session.config
    target.refresh()
    loss = loss if session.world.is_single else partial(loss, part=session.part)
    climb = target.gradient(loss, is_joint=True)
    spec = grown(session, from_config(config.attack, config.model), config.acl.epochs)
    begin = _begin(session, spec, views)
    attacked = yield from ascent_steps(climb, views.flatten(0, 1), spec, session.state.generators[ATTACK_STREAM], begin)
    return attacked.view_as(views)


def joint_pair_loss(projections: Tensor, temperature: float, part: Part | None = None) -> Tensor:
    """NT-Xent of projections (2 B, P), in which the views of an image lie side by side; `part` as in `nt_xent_loss`."""
    return nt_xent_loss(projections.view(-1, NUM_VIEWS, projections.shape[-1]), temperature, part)


def acl_loss(session: Session, streams: Streams, views: Tensor, attacked: Tensor) -> Tensor:
    """NT-Xent of each stream's own views through its own BatchNorm, averaged by their weights.

    Args:
        session: settings and network.
        streams: those that there are.
        views: (B, 2, C, H, W) in [0, 1].
        attacked: the same shape.

    Returns:
        A 0-d tensor with its graph.
    """
    # Attacked views first, as in the authors' code.
    pairs = ((streams.attacked, attacked), (streams.natural, views))
    losses = [stream.weight * _stream_loss(session, stream.encoder, seen) for stream, seen in pairs if stream]
    return losses[0] if len(losses) == 1 else losses[0] + losses[1]


def _stream_loss(session: Session, encoder: nn.Module, views: Tensor) -> Tensor:
    head, temperature = session.state.network.projection_head, session.config.acl.temperature
    with training(encoder), training(head), session.compute.autocast():
        images = session.compute.arrange(views.flatten(0, 1))
        projections = head(encode(encoder, images, session.compute))
    return joint_pair_loss(projections, temperature, session.part)


def _attacked(session: Session, stream: Stream) -> tuple[Target, Loss]:
    """What is attacked for a stream, and what that attack climbs."""
    # Attacks of several processes meet at every step, and a captured pass cannot.
    compute = replace(session.compute, captures=session.compute.captures and session.world.is_single)
    target = Target(Pipeline(stream.encoder, session.state.network.projection_head), compute)
    return target, partial(joint_pair_loss, temperature=session.config.acl.temperature)


def _begin(session: Session, spec: Attack, views: Tensor) -> Tensor:
    """Where the attack begins (2 B, C, H, W): drawn for all first views of the batch, then for all second ones."""
    stream, space = session.state.generators[ATTACK_STREAM], spec.space
    drawn = [start(space.enter(views[:, view]), spec, stream, session.part) for view in range(NUM_VIEWS)]
    return space.leave(torch.stack(drawn, dim=1).flatten(0, 1))
