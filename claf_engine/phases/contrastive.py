"""Stage 1: supervised contrastive learning of encoder and projection head (paper, section 3)."""

from collections.abc import Iterator

from torch import Tensor

from claf_engine.device import channels_last
from claf_engine.losses import supcon_loss
from claf_engine.models import Network
from claf_engine.modes import training
from claf_engine.seeding import VIEWS
from claf_engine.session import Session
from claf_engine.ticks import PartEnd, Tick
from claf_engine.views import make_views

NUM_VIEWS = 2


def contrastive(session: Session) -> Iterator[Tick]:
    """Train encoder and projection head on two random views of every image, epoch after epoch."""
    cursor = session.state.cursor
    while cursor.epoch < session.config.contrastive.epochs:
        for rows in session.batches():
            images, labels = session.training_batch(rows)
            views = make_views(images, session.config.views, NUM_VIEWS, session.state.generators[VIEWS])
            loss = contrastive_loss(session, views, labels)
            rate = session.feature_step(loss)
            yield session.finish_step("encoder", "supcon", loss, rate, len(rows))
        cursor.end_epoch()
        yield PartEnd(epoch_ended=True)


def contrastive_loss(session: Session, views: Tensor, labels: Tensor) -> Tensor:
    """SupCon loss of views (B, V, 3, H, W); all of them share one forward pass and so one BatchNorm batch."""
    network: Network = session.state.network
    batch_size, num_views = views.shape[:2]
    with training(network), session.compute.autocast():
        projections = network.project(channels_last(views.flatten(0, 1)))
    grouped = projections.view(batch_size, num_views, -1)
    return supcon_loss(grouped, labels, session.config.contrastive.temperature)
