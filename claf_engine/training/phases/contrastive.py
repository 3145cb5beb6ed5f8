"""Stage 1: contrastive learning of encoder and projection head, with labels (paper, section 3) or without (SimCLR)."""

from collections.abc import Iterator
from functools import partial

from torch import Tensor

from claf_engine.compute.seeding import VIEWS
from claf_engine.data.views import make_views
from claf_engine.events.ticks import PartEnd, Tick
from claf_engine.models.modes import training
from claf_engine.models.network import Network
from claf_engine.training.encoding import encode
from claf_engine.training.losses import nt_xent_loss, supcon_loss
from claf_engine.training.session import Session

NUM_VIEWS = 2


def contrastive(session: Session) -> Iterator[Tick]:
    """Train encoder and projection head on two random views of every image, epoch after epoch."""
    cursor = session.state.cursor
    while cursor.epoch < session.config.contrastive.epochs:
        for rows in session.batches():
            images, labels = session.training_batch(rows)
            views = make_views(images, session.config.views, NUM_VIEWS, session.state.generators[VIEWS], session.part)
            loss_of = partial(contrastive_loss, session, views, labels)
            taken = session.feature_step(loss_of, session.config.contrastive.epochs)
            yield session.finish_step("encoder", loss_name(session), *taken, session.part.total)
        cursor.end_epoch()
        yield PartEnd(epoch_ended=True)


def contrastive_loss(session: Session, views: Tensor, labels: Tensor) -> Tensor:
    """Contrastive loss of views (B, V, C, H, W); all of them share one forward pass and so one BatchNorm batch."""
    network: Network = session.state.network
    batch_size, num_views = views.shape[:2]
    with training(network), session.compute.autocast():
        images = session.compute.arrange(views.flatten(0, 1))
        projections = network.projection_head(encode(network.encoder, images, session.compute))
    grouped = projections.view(batch_size, num_views, projections.shape[-1])
    config = session.config.contrastive
    if config.positives == "views":
        return nt_xent_loss(grouped, config.temperature, session.part)
    return supcon_loss(grouped, labels, config.temperature, session.part)


def loss_name(session: Session) -> str:
    """The name under which the contrastive loss is logged."""
    return "nt_xent" if session.config.contrastive.positives == "views" else "supcon"
