import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from claf_engine.attacks import Attack, attack
from claf_engine.compute.device import Compute
from claf_engine.data import to_pixels
from claf_engine.events.ticks import Boundary, PartEnd, Pulse
from claf_engine.models.network import ADVERSARIAL, ATTACK_CLASSIFIER, NATURAL
from claf_engine.training.optimizers import learning_rate
from claf_engine.training.phases.contrastive import contrastive
from claf_engine.training.phases.linear import adversarial_linear_evaluation, feature_steps, linear_evaluation
from claf_engine.training.session import Session
from claf_engine.training.state import FEATURES
from tests.engine.tiny import CPU, FP32, exhaust, tiny_config, tiny_data, tiny_session

PHASES = {NATURAL: linear_evaluation, ADVERSARIAL: adversarial_linear_evaluation}
both = pytest.mark.parametrize("classifier", PHASES)


def trained(**changes: object) -> Session:
    """A session whose encoder was trained for an epoch, so that its BatchNorm statistics mean something."""
    session = tiny_session(tiny_config(contrastive__epochs=1, **changes))
    list(contrastive(session))
    session.state.cursor.end_phase()
    return session


def boundaries(session: Session, classifier: str) -> list[Boundary]:
    return [tick for tick in PHASES[classifier](session) if isinstance(tick, Boundary)]


def snapshot(module: torch.nn.Module) -> dict[str, Tensor]:
    return copy.deepcopy(module.state_dict())


def unchanged(before: dict[str, Tensor], module: torch.nn.Module) -> bool:
    return all(torch.equal(before[name], value) for name, value in module.state_dict().items())


@both
def test_the_encoder_and_its_batchnorm_buffers_stand_still(classifier: str) -> None:
    session = trained()
    encoder = session.state.network.encoder
    before = snapshot(encoder)
    boundaries(session, classifier)
    assert unchanged(before, encoder)


@both
def test_the_other_classifiers_and_the_projection_head_stand_still(classifier: str) -> None:
    session = trained()
    network = session.state.network
    others = [network.projection_head, *(layer for name, layer in network.classifiers.items() if name != classifier)]
    before = [snapshot(other) for other in others]
    boundaries(session, classifier)
    assert all(unchanged(old, other) for old, other in zip(before, others, strict=True))


@both
def test_the_classifier_is_fitted(classifier: str) -> None:
    session = trained()
    before = snapshot(session.state.network.classifiers[classifier])
    boundaries(session, classifier)
    assert not torch.equal(before["weight"], session.state.network.classifiers[classifier].weight)


def test_the_natural_classifier_is_fitted_as_if_features_were_computed_in_every_step() -> None:
    session, plain = trained(), trained()
    steps = boundaries(session, NATURAL)
    config, train, network = plain.config.linear_evaluation, plain.data.train, plain.state.network.eval()
    classifier = network.classifiers[NATURAL]
    optimizer = torch.optim.Adam(classifier.parameters())
    expected = []
    for _ in range(config.epochs):
        order = torch.randperm(len(train), generator=plain.state.generators["order"])
        for rows in order.split(plain.config.batch_size):
            features = network.encoder(to_pixels(train.images[rows])).detach()
            loss = F.cross_entropy(classifier(features), train.labels[rows])
            optimizer.param_groups[0]["lr"] = learning_rate(config.optimizer, len(expected), 6, 3)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            expected.append(loss.item())
    assert [float(step.loss) for step in steps] == pytest.approx(expected, rel=1e-5)
    assert torch.allclose(session.state.network.classifiers[NATURAL].weight, classifier.weight, atol=1e-5)


def test_the_adversarial_classifier_is_fitted_on_images_attacked_through_itself() -> None:
    session, plain = trained(), trained()
    steps = boundaries(session, ADVERSARIAL)
    config, train, network = plain.config, plain.data.train, plain.state.network.eval()
    network.classifiers[ADVERSARIAL].load_state_dict(network.classifiers[ATTACK_CLASSIFIER].state_dict())
    model, classifier = network.with_classifier(ADVERSARIAL), network.classifiers[ADVERSARIAL]
    spec = Attack(config.attack.epsilon, config.attack.step_size, config.linear_evaluation.adversarial_steps)
    optimizer = torch.optim.Adam(classifier.parameters())
    order = torch.randperm(len(train), generator=plain.state.generators["order"])
    expected = []
    for index, rows in enumerate(order.split(config.batch_size)):
        images, labels = to_pixels(train.images[rows]), train.labels[rows]
        attacked = attack(model, images, labels, spec, plain.state.generators["attack"], FP32)
        loss = F.cross_entropy(classifier(network.encoder(attacked).detach()), labels)
        optimizer.param_groups[0]["lr"] = steps[index].learning_rate
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        expected.append(loss.item())
    assert [float(step.loss) for step in steps] == pytest.approx(expected, rel=1e-4)


@both
@pytest.mark.parametrize("final_fraction", [0.0, 0.5])
def test_the_cosine_acts_on_the_optimizer_of_the_classifier(classifier: str, final_fraction: float) -> None:
    optimizer = {"name": "sgd", "learning_rate": 0.3, "final_fraction": final_fraction}
    session = trained(linear_evaluation__optimizer=optimizer, linear_evaluation__adversarial_epochs=2)
    settings = session.config.linear_evaluation.optimizer
    rates = [step.learning_rate for step in boundaries(session, classifier)]
    assert rates == [learning_rate(settings, step, 6, 3) for step in range(6)]
    assert rates[3] == pytest.approx(0.15 * (1 + final_fraction))


@both
def test_a_vanishing_learning_rate_leaves_the_classifier_where_it_began(classifier: str) -> None:
    """The scheduled rate is the one that steps: the released code schedules an optimiser that nothing uses."""
    session = trained(linear_evaluation__optimizer={"name": "sgd", "learning_rate": 1e-30})
    start = ATTACK_CLASSIFIER if classifier == ADVERSARIAL else classifier
    before = snapshot(session.state.network.classifiers[start])
    boundaries(session, classifier)
    assert torch.equal(before["weight"], session.state.network.classifiers[classifier].weight)


def test_the_adversarial_classifier_begins_with_the_weights_of_the_attack_classifier() -> None:
    session = trained()
    classifiers = session.state.network.classifiers
    ticks = adversarial_linear_evaluation(session)
    next(ticks)
    assert torch.equal(classifiers[ADVERSARIAL].weight, classifiers[ATTACK_CLASSIFIER].weight)
    assert torch.equal(classifiers[ADVERSARIAL].bias, classifiers[ATTACK_CLASSIFIER].bias)


@pytest.mark.parametrize("num_done", [1, 3, 4])
def test_a_resumed_adversarial_classifier_does_not_begin_again(num_done: int) -> None:
    session, whole = (trained(linear_evaluation__adversarial_epochs=2) for _ in range(2))
    expected = [float(step.loss) for step in boundaries(whole, ADVERSARIAL)]
    losses: list[float] = []
    for tick in adversarial_linear_evaluation(session):
        if isinstance(tick, Boundary):
            losses.append(float(tick.loss))
        if len(losses) == num_done and isinstance(tick, PartEnd if num_done == 3 else Boundary):
            break
    losses += [float(step.loss) for step in boundaries(session, ADVERSARIAL)]
    assert losses == expected


@both
def test_only_unaugmented_images_are_fitted_on(classifier: str) -> None:
    session = trained()
    before = session.state.generators["views"].get_state()
    boundaries(session, classifier)
    assert torch.equal(before, session.state.generators["views"].get_state())


@both
def test_optimizers_that_no_later_phase_uses_are_dropped(classifier: str) -> None:
    session = trained()
    session.drop_optimizer(FEATURES)
    boundaries(session, classifier)
    assert session.state.optimizers == {}


def test_linear_evaluation_has_no_more_use_for_the_optimizer_of_the_features() -> None:
    session = trained()
    assert FEATURES in session.state.optimizers
    next(linear_evaluation(session))
    assert FEATURES not in session.state.optimizers


@both
def test_the_phase_puts_the_training_flags_back(classifier: str) -> None:
    session = trained()
    before = [module.training for module in session.state.network.modules()]
    boundaries(session, classifier)
    assert [module.training for module in session.state.network.modules()] == before


@both
def test_an_attack_on_the_training_images_takes_the_radius_of_the_settings(classifier: str) -> None:
    names = {tick.activity for tick in PHASES[classifier](trained()) if isinstance(tick, Pulse)}
    expected = {NATURAL: "features of the training images", ADVERSARIAL: "PGD-2 at 8/255"}
    assert names == {expected[classifier]}


def test_features_are_those_of_the_encoder_in_eval_mode() -> None:
    session = trained()
    network, split = session.state.network, session.data.train
    _, features = exhaust(feature_steps(network.encoder, split, FP32))
    with torch.no_grad():
        assert torch.allclose(features, network.eval().encoder(to_pixels(split.images)), atol=1e-6)


def test_features_are_computed_in_fp32_whatever_the_run_trains_in() -> None:
    session = trained()
    encoder, split = session.state.network.encoder, session.data.train
    _, exact = exhaust(feature_steps(encoder, split, FP32))
    _, features = exhaust(feature_steps(encoder, split, Compute(CPU, "bf16", 1)))
    assert torch.equal(features, exact)


def test_features_keep_the_order_of_the_images_over_several_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    session = trained()
    encoder, split = session.state.network.encoder, tiny_data(num_train=22).train
    _, at_once = exhaust(feature_steps(encoder, split, FP32))
    monkeypatch.setattr("claf_engine.training.phases.linear.FEATURE_BATCH", 8)
    pulses, features = exhaust(feature_steps(encoder, split, FP32))
    assert torch.allclose(features, at_once, atol=1e-6)
    assert [(pulse.done, pulse.total, pulse.abandonable) for pulse in pulses] == [
        (0, 3, True),
        (1, 3, True),
        (2, 3, True),
    ]
