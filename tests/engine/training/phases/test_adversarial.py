import copy

import pytest
import torch
import torch.nn.functional as F

from claf_engine.attacks import Attack, attack
from claf_engine.attacks.gradients import Target
from claf_engine.data import to_pixels
from claf_engine.data.views import make_views
from claf_engine.events import ClassifierRetrained, DissociationMeasured
from claf_engine.events.ticks import Boundary, PartEnd
from claf_engine.models.network import ATTACK_CLASSIFIER
from claf_engine.training.losses import supcon_loss
from claf_engine.training.optimizers import learning_rate
from claf_engine.training.phases.adversarial import adversarial, craft, retrain, train_encoder
from claf_engine.training.session import Session
from tests.engine.tiny import FP32, tiny_config, tiny_session


def losses(session: Session, part: str) -> list[float]:
    return [float(tick.loss) for tick in adversarial(session) if isinstance(tick, Boundary) and tick.part == part]


def algorithm_1(session: Session) -> tuple[list[float], list[float]]:
    """The paper's Algorithm 1 with plain torch, one line after the other; the same streams of random numbers."""
    config, state, train = session.config, session.state, session.data.train
    encoder, head = state.network.encoder, state.network.projection_head
    classifier = state.network.classifiers[ATTACK_CLASSIFIER]
    spec = Attack(config.attack.epsilon, config.attack.step_size, config.attack.steps)
    model = state.network.with_classifier(ATTACK_CLASSIFIER)
    settings = config.features_optimizer
    features_optimizer = torch.optim.SGD(
        [*encoder.parameters(), *head.parameters()],
        lr=1,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
    )
    retrain_losses, encoder_losses = [], []
    num_batches = len(train) // config.batch_size
    total = num_batches * (config.contrastive.epochs + config.adversarial.epochs)

    def loader():
        order = torch.randperm(len(train), generator=state.generators["order"])
        for rows in order.split(config.batch_size):
            yield to_pixels(train.images[rows]), train.labels[rows]

    for _ in range(config.adversarial.epochs):
        classifier_optimizer = torch.optim.Adam(classifier.parameters(), lr=1e-3)
        for _ in range(config.adversarial.classifier_epochs):
            for x, y in loader():
                x_adv = attack(model, x, y, spec, state.generators["attack"], FP32)
                encoder.eval()
                loss = F.cross_entropy(classifier(encoder(x_adv).detach()), y)
                classifier_optimizer.zero_grad()
                loss.backward()
                classifier_optimizer.step()
                retrain_losses.append(loss.item())
        for x, y in loader():
            views = make_views(x, config.views, 2, state.generators["views"])
            x_adv = attack(model, x, y, spec, state.generators["attack"], FP32)
            state.network.train()
            stacked = torch.cat([views, x_adv[:, None]], dim=1)
            z = head(encoder(stacked.flatten(0, 1))).view(len(x), 3, -1)
            loss = supcon_loss(z, y, config.contrastive.temperature)
            rate = learning_rate(settings, len(encoder_losses), total, num_batches)
            features_optimizer.param_groups[0]["lr"] = rate
            features_optimizer.zero_grad()
            loss.backward()
            features_optimizer.step()
            encoder_losses.append(loss.item())
    return retrain_losses, encoder_losses


def test_the_phase_does_what_algorithm_1_says_step_by_step() -> None:
    config = tiny_config(adversarial__classifier_epochs=2)
    expected_retrain, expected_encoder = algorithm_1(tiny_session(config))
    assert losses(tiny_session(config), "retrain") == pytest.approx(expected_retrain, abs=1e-4)
    assert losses(tiny_session(config), "encoder") == pytest.approx(expected_encoder, abs=1e-4)
    assert len(expected_retrain) == 2 * len(expected_encoder) == 12


def test_retraining_leaves_encoder_and_its_batchnorm_buffers_untouched() -> None:
    session = tiny_session()
    network = session.state.network
    before = copy.deepcopy(network.encoder.state_dict())
    classifier_before = copy.deepcopy(network.classifiers[ATTACK_CLASSIFIER].state_dict())
    list(retrain(session))
    assert all(torch.equal(before[name], value) for name, value in network.encoder.state_dict().items())
    assert not torch.equal(classifier_before["weight"], network.classifiers[ATTACK_CLASSIFIER].weight)


def test_the_encoder_epoch_leaves_every_classifier_untouched() -> None:
    session = tiny_session()
    network = session.state.network
    before = copy.deepcopy(network.classifiers.state_dict())
    list(train_encoder(session))
    assert all(torch.equal(before[name], value) for name, value in network.classifiers.state_dict().items())


def test_retraining_takes_a_fresh_optimizer_each_epoch_and_drops_it() -> None:
    session = tiny_session()
    list(retrain(session))
    assert ATTACK_CLASSIFIER not in session.state.optimizers


def test_dissociation_is_fitted_minus_moved_and_moved_is_the_next_before() -> None:
    ticks = list(adversarial(tiny_session()))
    retrained = [tick for tick in ticks if isinstance(tick, ClassifierRetrained)]
    dissociated = [tick for tick in ticks if isinstance(tick, DissociationMeasured)]
    assert [tick.fitted for tick in dissociated] == [tick.after for tick in retrained]
    assert dissociated[0].moved == retrained[1].before
    assert all(tick.dissociation == tick.fitted - tick.moved for tick in dissociated)


def test_an_epoch_retrains_then_trains_the_encoder() -> None:
    names = [
        tick.part if isinstance(tick, Boundary) else "end"
        for tick in adversarial(tiny_session())
        if isinstance(tick, Boundary | PartEnd)
    ]
    assert names == ["retrain"] * 3 + ["end"] + ["encoder"] * 3 + ["end"] + ["retrain"] * 3 + ["end"] + [
        "encoder"
    ] * 3 + ["end"]


def test_the_number_of_retraining_passes_is_configurable() -> None:
    session = tiny_session(tiny_config(adversarial__classifier_epochs=3))
    assert sum(isinstance(tick, Boundary) for tick in retrain(session)) == 9


def test_a_reinitialised_classifier_starts_each_retraining_from_fresh_weights() -> None:
    session = tiny_session(tiny_config(adversarial__classifier_start="reinitialise", adversarial__classifier_epochs=0))
    before = session.state.network.classifiers[ATTACK_CLASSIFIER].weight.clone()
    list(retrain(session))
    assert not torch.equal(before, session.state.network.classifiers[ATTACK_CLASSIFIER].weight)


def test_a_continued_classifier_keeps_its_weights_when_nothing_is_retrained() -> None:
    session = tiny_session(tiny_config(adversarial__classifier_epochs=0))
    before = session.state.network.classifiers[ATTACK_CLASSIFIER].weight.clone()
    list(retrain(session))
    assert torch.equal(before, session.state.network.classifiers[ATTACK_CLASSIFIER].weight)


def crafted(session: Session) -> tuple[torch.Tensor, torch.Tensor]:
    images, labels = session.training_batch(torch.arange(8))
    target = Target(session.state.network.with_classifier(ATTACK_CLASSIFIER), session.compute)
    steps = craft(session, target, images, labels)
    while True:
        try:
            next(steps)
        except StopIteration as stop:
            return images, stop.value


def test_the_adversarial_view_of_an_image_stays_in_its_ball() -> None:
    images, adversarial_view = crafted(tiny_session())
    assert float((adversarial_view - images).abs().max()) <= 8 / 255 + 1e-6
    assert 0 <= float(adversarial_view.min()) <= float(adversarial_view.max()) <= 1


def test_with_source_crop_what_is_attacked_is_a_crop() -> None:
    images, adversarial_view = crafted(tiny_session(tiny_config(adversarial__source="crop")))
    assert float((adversarial_view - images).abs().max()) > 8 / 255 + 1e-6
