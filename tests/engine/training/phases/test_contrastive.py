import copy

import pytest
import torch

from claf_engine.data import to_pixels
from claf_engine.data.views import make_views
from claf_engine.events.ticks import Boundary, PartEnd
from claf_engine.training.losses import supcon_loss
from claf_engine.training.optimizers import learning_rate
from claf_engine.training.phases.contrastive import contrastive, contrastive_loss
from claf_engine.training.session import Session
from tests.engine.tiny import tiny_config, tiny_data, tiny_session


def boundaries(session: Session) -> list[Boundary]:
    return [tick for tick in contrastive(session) if isinstance(tick, Boundary)]


def stage_1(session: Session) -> tuple[list[float], list[float]]:
    """The paper's stage 1 with plain torch, one line after the other; the same streams of random numbers."""
    config, state, train = session.config, session.state, session.data.train
    encoder, head = state.network.encoder, state.network.projection_head
    settings = config.features_optimizer
    optimizer = torch.optim.SGD(
        [*encoder.parameters(), *head.parameters()],
        lr=1,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
    )
    num_batches = -(-len(train) // config.batch_size)
    total = num_batches * (config.contrastive.epochs + config.adversarial.epochs)
    losses, rates = [], []
    state.network.train()
    for _ in range(config.contrastive.epochs):
        order = torch.randperm(len(train), generator=state.generators["order"])
        for rows in order.split(config.batch_size):
            views = make_views(to_pixels(train.images[rows]), config.views, 2, state.generators["views"])
            z = head(encoder(views.flatten(0, 1))).view(len(rows), 2, -1)
            loss = supcon_loss(z, train.labels[rows], config.contrastive.temperature)
            rates.append(learning_rate(settings, len(losses), total, num_batches))
            optimizer.param_groups[0]["lr"] = rates[-1]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses, rates


@pytest.mark.parametrize("num_train", [24, 21])
def test_the_phase_does_what_stage_1_says_step_by_step(num_train: int) -> None:
    config, data = tiny_config(), tiny_data(num_train=num_train)
    steps = boundaries(tiny_session(config, data))
    expected_losses, expected_rates = stage_1(tiny_session(config, data))
    assert [float(step.loss) for step in steps] == expected_losses
    assert [step.learning_rate for step in steps] == expected_rates
    assert len(steps) == 6


def test_with_adam_the_phase_does_what_adam_does() -> None:
    config = tiny_config(features_optimizer={"name": "adam", "learning_rate": 0.01, "weight_decay": 0})
    session, plain = tiny_session(config), tiny_session(config)
    steps = boundaries(session)
    network, train = plain.state.network.train(), plain.data.train
    optimizer = torch.optim.Adam([*network.encoder.parameters(), *network.projection_head.parameters()])
    for index, step in enumerate(steps[:3]):
        rows = session_order(plain)[index * 8 : index * 8 + 8]
        views = make_views(to_pixels(train.images[rows]), config.views, 2, plain.state.generators["views"])
        z = network.project(views.flatten(0, 1)).view(8, 2, -1)
        loss = supcon_loss(z, train.labels[rows], config.contrastive.temperature)
        assert loss.item() == float(step.loss)
        optimizer.param_groups[0]["lr"] = step.learning_rate
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def session_order(session: Session) -> torch.Tensor:
    """The order of the first sweep, drawn when it is first asked for."""
    if not len(session.state.order):
        session.state.order = torch.randperm(len(session.data.train), generator=session.state.generators["order"])
    return session.state.order


@pytest.mark.parametrize("part", ["encoder", "projection_head"])
def test_the_phase_moves_encoder_and_projection_head(part: str) -> None:
    session = tiny_session()
    before = copy.deepcopy(dict(session.state.network.get_submodule(part).named_parameters()))
    boundaries(session)
    now = dict(session.state.network.get_submodule(part).named_parameters())
    assert not any(torch.equal(before[name], parameter) for name, parameter in now.items())


def test_the_phase_leaves_every_classifier_untouched() -> None:
    session = tiny_session()
    classifiers = session.state.network.classifiers
    before = copy.deepcopy(classifiers.state_dict())
    boundaries(session)
    assert all(torch.equal(before[name], value) for name, value in classifiers.state_dict().items())


def test_the_statistics_of_batchnorm_follow_the_views() -> None:
    session = tiny_session()
    norm = session.state.network.encoder.norm
    boundaries(session)
    assert int(norm.num_batches_tracked) == 6
    assert not torch.equal(norm.running_mean, torch.zeros_like(norm.running_mean))


def test_all_views_of_a_batch_share_one_forward_pass() -> None:
    session = tiny_session()
    views = torch.rand(8, 3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    contrastive_loss(session, views, torch.arange(8) % 2)
    assert int(session.state.network.encoder.norm.num_batches_tracked) == 1


def test_an_epoch_ends_when_every_image_was_seen() -> None:
    kinds = [type(tick) for tick in contrastive(tiny_session())]
    assert kinds == [Boundary, Boundary, Boundary, PartEnd] * 2


def test_the_phase_trains_in_train_mode_and_puts_the_flags_back() -> None:
    session = tiny_session()
    network = session.state.network.eval()
    losses = [float(step.loss) for step in boundaries(session)]
    assert losses == stage_1(tiny_session())[0]
    assert not any(module.training for module in network.modules())


def test_a_phase_whose_epochs_are_over_does_nothing() -> None:
    session = tiny_session()
    session.state.cursor.epoch = 2
    assert list(contrastive(session)) == []
