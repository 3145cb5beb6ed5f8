import copy

import pytest
import torch
import torch.nn.functional as F

from claf_engine.data import to_pixels
from claf_engine.data.views import shift_and_flip
from claf_engine.events.ticks import Boundary, PartEnd
from claf_engine.models.network import ADVERSARIAL, ATTACK_CLASSIFIER, NATURAL
from claf_engine.training.optimizers import learning_rate
from claf_engine.training.session import Session
from tests.engine.tiny import natural_training, tiny_config, tiny_data, tiny_session


def boundaries(session: Session) -> list[Boundary]:
    return [tick for tick in natural_training(session) if isinstance(tick, Boundary)]


def ordinary_training(session: Session) -> list[float]:
    """Supervised training with plain torch; the same streams of random numbers."""
    config, state, train = session.config, session.state, session.data.train
    settings, epochs = config.supervised.optimizer, config.supervised.epochs
    model = state.network.with_classifier(NATURAL).train()
    optimizer = torch.optim.SGD(
        model.parameters(), lr=1, momentum=settings.momentum, weight_decay=settings.weight_decay
    )
    num_batches = -(-len(train) // config.batch_size)
    losses: list[float] = []
    for _ in range(epochs):
        order = torch.randperm(len(train), generator=state.generators["order"])
        for rows in order.split(config.batch_size):
            images = shift_and_flip(to_pixels(train.images[rows]), config.views, state.generators["views"])
            loss = F.cross_entropy(model(images), train.labels[rows])
            optimizer.param_groups[0]["lr"] = learning_rate(settings, len(losses), epochs * num_batches, num_batches)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses


@pytest.mark.parametrize("num_train", [24, 21])
def test_the_phase_is_ordinary_supervised_training_step_by_step(num_train: int) -> None:
    data = tiny_data(num_train=num_train)
    losses = [float(step.loss) for step in boundaries(tiny_session(data=data))]
    assert losses == ordinary_training(tiny_session(data=data))
    assert len(losses) == 6


def test_the_cosine_spans_the_epochs_of_the_phase() -> None:
    session = tiny_session(tiny_config(supervised__optimizer={"learning_rate": 0.2}))
    settings = session.config.supervised.optimizer
    assert [step.learning_rate for step in boundaries(session)] == [
        learning_rate(settings, step, 6, 3) for step in range(6)
    ]


def test_the_phase_moves_the_encoder_and_the_natural_classifier() -> None:
    session = tiny_session()
    model = session.state.network.with_classifier(NATURAL)
    before = copy.deepcopy(dict(model.named_parameters()))
    boundaries(session)
    assert not any(torch.equal(before[name], parameter) for name, parameter in model.named_parameters())


def test_the_phase_leaves_the_projection_head_and_the_other_classifiers_untouched() -> None:
    session = tiny_session()
    network = session.state.network
    others = torch.nn.ModuleList(
        [network.projection_head, network.classifiers[ATTACK_CLASSIFIER], network.classifiers[ADVERSARIAL]]
    )
    before = copy.deepcopy(others.state_dict())
    boundaries(session)
    assert all(torch.equal(before[name], value) for name, value in others.state_dict().items())


@pytest.mark.parametrize("is_training", [True, False])
def test_the_phase_puts_the_training_flags_back(is_training: bool) -> None:
    session = tiny_session()
    network = session.state.network.train(is_training)
    boundaries(session)
    assert {module.training for module in network.modules()} == {is_training}


def test_an_epoch_ends_when_every_image_was_seen() -> None:
    kinds = [type(tick) for tick in natural_training(tiny_session())]
    assert kinds == [Boundary, Boundary, Boundary, PartEnd] * 2


def test_no_optimizer_is_left_in_the_end() -> None:
    session = tiny_session()
    boundaries(session)
    assert session.state.optimizers == {}
