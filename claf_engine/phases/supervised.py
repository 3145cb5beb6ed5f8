"""Ordinary supervised training with cross-entropy: what CLAF is compared with."""

from collections.abc import Iterator

import torch.nn.functional as F

from claf_engine.device import channels_last
from claf_engine.models import NATURAL
from claf_engine.modes import training
from claf_engine.seeding import VIEWS
from claf_engine.session import Session
from claf_engine.state import SUPERVISED
from claf_engine.ticks import PartEnd, Tick
from claf_engine.views import crop_and_flip, shift_and_flip

VIEW_OF = {"shift": shift_and_flip, "crop": crop_and_flip}


def supervised(session: Session) -> Iterator[Tick]:
    """Train encoder and natural classifier on the configured view of every image, epoch after epoch."""
    state, config = session.state, session.config
    cursor, epochs = state.cursor, config.supervised.epochs
    model = state.network.with_classifier(NATURAL)
    while cursor.epoch < epochs:
        for rows in session.batches():
            images, labels = session.training_batch(rows)
            if config.supervised.view != "image":
                images = VIEW_OF[config.supervised.view](images, config.views, state.generators[VIEWS])
            with training(model), session.compute.autocast():
                logits = model(channels_last(images))
            loss = F.cross_entropy(logits.float(), labels)
            done = cursor.epoch * session.steps_per_sweep + cursor.batch
            rate = session.step_optimizer(SUPERVISED, loss, done, epochs * session.steps_per_sweep)
            yield session.finish_step("supervised", "cross_entropy", loss, rate, len(rows))
        cursor.end_epoch()
        yield PartEnd(epoch_ended=True)
    session.drop_optimizer(SUPERVISED)
