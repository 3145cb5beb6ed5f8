"""Two encoders against a plain loop of their equations."""

import copy
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import Tensor, nn

from claf_engine.config import RunConfig
from claf_engine.data import to_pixels
from claf_engine.data.views import shift_and_flip
from claf_engine.events.ticks import Boundary
from claf_engine.models.network import ADVERSARIAL, NATURAL
from claf_engine.training.methods import phases_of
from claf_engine.training.optimizers import learning_rate
from claf_engine.training.partner import PARTNER, Partner, measured_encoder_notices
from claf_engine.training.phases.two_encoders import contrast_loss, sides_of
from claf_engine.training.session import Session
from tests.engine.tiny import tiny_config, tiny_data, tiny_session

modes = pytest.mark.parametrize("settings", [("joint", "attacked"), ("joint", "clean"), ("separate", "attacked")])


def config_of(training: str = "joint", measured: str = "attacked", **more: object) -> RunConfig:
    return tiny_config(method="two-encoders", two_encoders={"training": training, "measured": measured, **more})


def played(session: Session) -> list[Boundary]:
    steps = []
    for phase in phases_of(session.config):
        steps += [tick for tick in phase.play(session) if isinstance(tick, Boundary)]
        session.state.cursor.end_phase()
    return steps


def contrast(rows: list[Tensor], positives: list[list[int]], temperature: float) -> Tensor:
    """The mean over anchors, one exponential after the other."""
    terms = []
    for anchor, row in enumerate(rows):
        others = [other for other in range(len(rows)) if other != anchor]
        total = sum(torch.exp(row @ rows[other] / temperature) for other in others)
        found = [torch.log(torch.exp(row @ rows[other] / temperature) / total) for other in positives[anchor]]
        terms.append(-sum(found) / len(found))
    return sum(terms) / len(terms)


def positives_of(labels: Tensor, kind: str) -> list[list[int]]:
    """Of the rows clean 0..B-1 and attacked 0..B-1: the same image by the other encoder, or all of the class."""
    count = len(labels)
    if kind == "image":
        return [[(row + count) % (2 * count)] for row in range(2 * count)]
    both = labels.repeat(2).tolist()
    return [
        [other for other in range(2 * count) if other != row and both[other] == both[row]] for row in range(2 * count)
    ]


@pytest.mark.parametrize("kind", ["image", "class"])
def test_the_contrast_is_the_slow_loop_over_anchors_and_positives(kind: str) -> None:
    session = tiny_session(config_of(positives=kind, temperature=0.4))
    projections = F.normalize(torch.randn(6, 2, 4, generator=torch.Generator().manual_seed(2)), dim=-1)
    labels = torch.tensor([0, 1, 0, 2, 1, 0])
    session.state.order = torch.arange(6)
    rows = [*projections[:, 0], *projections[:, 1]]
    expected = contrast(rows, positives_of(labels, kind), 0.4)
    assert float(contrast_loss(session, projections, labels)) == pytest.approx(float(expected), abs=1e-6)


class Plain:
    """The method in plain torch, one line after the other, on the same streams of random numbers."""

    def __init__(self, session: Session) -> None:
        self.config, self.state, self.train = session.config, session.state, session.data.train
        self.settings = session.config.two_encoders
        network = session.state.network
        self.measured = Partner(network, ADVERSARIAL if self.settings.measured == "attacked" else NATURAL)
        self.other = session.companion(PARTNER)

    @property
    def clean(self) -> nn.Module:
        return self.other if self.settings.measured == "attacked" else self.measured

    @property
    def attacked(self) -> nn.Module:
        return self.measured if self.settings.measured == "attacked" else self.other

    def losses(self) -> list[float]:
        if self.settings.training == "joint":
            return self.phase([*self.clean.parameters(), *self.attacked.parameters()], self.joint_loss)
        first = self.phase(
            [*self.measured.encoder.parameters(), *self.measured.classifier.parameters()], self.clean_loss
        )
        self.other.load_state_dict(copy.deepcopy(self.measured.state_dict()))
        return first + self.phase([*self.other.head.parameters(), *self.measured.parameters()], self.attacked_loss)

    def phase(self, weights: list[Tensor], loss_of: object) -> list[float]:
        settings, epochs = self.config.supervised.optimizer, self.config.supervised.epochs
        optimizer = torch.optim.SGD(weights, lr=1, momentum=settings.momentum, weight_decay=settings.weight_decay)
        num_batches, found = -(-len(self.train) // self.config.batch_size), []
        for _ in range(epochs):
            order = torch.randperm(len(self.train), generator=self.state.generators["order"])
            for rows in order.split(self.config.batch_size):
                x = to_pixels(self.train.images[rows])
                x = shift_and_flip(x, self.config.views, self.state.generators["views"])
                loss = loss_of(x, self.train.labels[rows])  # type: ignore[operator]
                optimizer.param_groups[0]["lr"] = learning_rate(settings, len(found), epochs * num_batches, num_batches)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                found.append(loss.item())
        return found

    def clean_loss(self, x: Tensor, y: Tensor) -> Tensor:
        self.measured.train()
        return F.cross_entropy(self.measured.classifier(self.measured.encoder(x)), y)

    def joint_loss(self, x: Tensor, y: Tensor) -> Tensor:
        x_adv = self.attack(x, y)
        clean, attacked = self.clean.train(), self.attacked.train()
        f_a, f_c = attacked.encoder(x_adv), clean.encoder(x)
        losses = F.cross_entropy(attacked.classifier(f_a), y) + F.cross_entropy(clean.classifier(f_c), y)
        return losses + self.settings.weight * self.contrast(clean.head(f_c), attacked.head(f_a), y)

    def attacked_loss(self, x: Tensor, y: Tensor) -> Tensor:
        x_adv = self.attack(x, y)
        clean, attacked = self.clean.eval(), self.attacked.train()
        with torch.no_grad():
            f_c = clean.encoder(x)
        f_a = attacked.encoder(x_adv)
        return F.cross_entropy(attacked.classifier(f_a), y) + self.settings.weight * self.contrast(
            clean.head.train()(f_c), attacked.head(f_a), y
        )

    def contrast(self, z_c: Tensor, z_a: Tensor, y: Tensor) -> Tensor:
        return contrast([*z_c, *z_a], positives_of(y, self.settings.positives), self.settings.temperature)

    def attack(self, x: Tensor, y: Tensor) -> Tensor:
        model, epsilon = copy.deepcopy(self.attacked).eval(), float(self.config.attack.epsilon)
        noise = torch.rand(x.shape, generator=self.state.generators["attack"]) * 2 - 1
        point = (x + epsilon * noise).clamp(0, 1)
        for _ in range(self.config.attack.steps):
            point = point.detach().requires_grad_(True)
            (gradient,) = torch.autograd.grad(F.cross_entropy(model.classifier(model.encoder(point)), y), point)
            moved = point.detach() + float(self.config.attack.step_size) * gradient.sign() - x
            point = (x + moved.clamp(-epsilon, epsilon)).clamp(0, 1)
        return point.detach()


@modes
def test_training_is_the_plain_loop_of_its_equations_loss_for_loss(settings: tuple[str, str]) -> None:
    session, plain = tiny_session(config_of(*settings)), Plain(tiny_session(config_of(*settings)))
    losses, expected = [float(step.loss) for step in played(session)], plain.losses()
    assert losses[0] == pytest.approx(expected[0], abs=1e-6)
    assert losses == pytest.approx(expected, abs=1e-3)
    assert len(losses) == (12 if settings[0] == "separate" else 6)


def moved_parts(session: Session) -> set[str]:
    """What a whole run moves, of the network and of its partner."""
    partner = session.companion(PARTNER)
    network = session.state.network
    parts = {
        "encoder": network.encoder,
        "head": network.projection_head,
        **dict(network.classifiers.items()),
        **{f"partner {name}": module for name, module in partner.named_children()},
    }
    before = {name: copy.deepcopy(module.state_dict()) for name, module in parts.items()}
    played(session)
    return {
        name
        for name, module in parts.items()
        if any(not torch.equal(before[name][key], value) for key, value in module.state_dict().items())
    }


@pytest.mark.parametrize(("measured", "classifier"), [("attacked", ADVERSARIAL), ("clean", NATURAL)])
def test_joint_training_moves_both_encoders_and_one_classifier_each(measured: str, classifier: str) -> None:
    partner = {"partner encoder", "partner head", "partner classifier"}
    assert moved_parts(tiny_session(config_of("joint", measured))) == {"encoder", "head", classifier, *partner}


def test_separate_training_leaves_the_clean_encoder_as_it_was_after_its_phase() -> None:
    session = tiny_session(config_of("separate"))
    first, second = phases_of(session.config)
    list(first.play(session))
    session.state.cursor.end_phase()
    trained = copy.deepcopy(session.state.network.encoder.state_dict())
    list(second.play(session))
    found = session.companion(PARTNER).encoder.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in trained.items())
    after = session.state.network.encoder.state_dict()
    assert not all(torch.equal(after[name], tensor) for name, tensor in trained.items())


def test_the_attack_is_on_the_attacked_encoder_whichever_is_measured() -> None:
    for measured in ("attacked", "clean"):
        sides = sides_of(session := tiny_session(config_of(measured=measured)))
        network = session.state.network.encoder
        assert (sides.attacked.pipeline.encoder is network) == (measured == "attacked")
        assert (sides.clean.pipeline.encoder is network) == (measured == "clean")


def test_without_the_contrast_the_attacked_encoder_is_adversarial_training() -> None:
    session = tiny_session(config_of(weight=0))
    adversarial = tiny_session(tiny_config(method="at"))
    played(session)
    played(adversarial)
    found, expected = (each.state.network.encoder.state_dict() for each in (session, adversarial))
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=1e-5)


def test_weights_of_worst_weights_nearby_leave_the_partner_s_statistics_to_the_pass_that_is_descended() -> None:
    config = config_of()
    perturbed = config.model_copy(
        update={"weight_perturbation": config.weight_perturbation.model_copy(update={"gamma": 0.01, "after": 0.0})}
    )
    session = tiny_session(perturbed)
    num_steps = len(played(session))
    counts = [
        int(module.num_batches_tracked)
        for encoder in (session.state.network.encoder, session.companion(PARTNER).encoder)
        for module in encoder.modules()
        if isinstance(module, nn.BatchNorm2d)
    ]
    assert set(counts) == {num_steps}


def test_measuring_the_clean_encoder_of_separate_training_is_refused_with_a_way_out() -> None:
    with pytest.raises(ValidationError, match="is natural training, because .* set training to 'joint', or choose"):
        config_of("separate", "clean")


def test_the_encoder_that_is_measured_is_named() -> None:
    attacked, clean = (phases_of(config_of(measured=name))[-1].title for name in ("attacked", "clean"))
    assert (attacked, clean) == ("two encoders, attacked measured", "two encoders, clean measured")
    (told,) = measured_encoder_notices(config_of(measured="clean"))
    assert told.startswith("of two encoders, trained in joint mode, the clean one is measured")
    assert measured_encoder_notices(tiny_config(method="at")) == ()


def test_the_two_begin_with_other_weights_and_the_same_seed_with_the_same() -> None:
    one, again = (tiny_session(config_of()).companion(PARTNER).state_dict() for _ in range(2))
    own = Partner(tiny_session(config_of()).state.network, ADVERSARIAL).state_dict()
    assert all(torch.equal(one[name], again[name]) for name in one)
    weights = [name for name in one if name.endswith("weight") and one[name].dim() > 1]
    assert not any(torch.equal(one[name], own[name]) for name in weights)
    assert weights


@pytest.mark.parametrize("weights", [None, "begun.pt"])
def test_both_begin_with_the_weights_of_a_file_where_there_is_one(weights: str | None) -> None:
    config = config_of()
    session = tiny_session(config)
    given = replace(
        session, config=config.model_copy(update={"model": config.model.model_copy(update={"weights": weights})})
    )
    sides_of(given)
    own = session.state.network.encoder.state_dict()
    found = session.companion(PARTNER).encoder.state_dict()
    assert all(torch.equal(found[name], own[name]) for name in own) == (weights is not None)


@pytest.mark.slow
@pytest.mark.parametrize("training", ["joint", "separate"])
def test_a_model_of_a_library_is_built_twice(training: str) -> None:
    model = {"architecture": "timm:resnet10t", "mean": [0.5] * 3, "std": [0.5] * 3, "projection_hidden": 8}
    config = tiny_config(method="two-encoders", two_encoders__training=training, model=model, supervised__epochs=1)
    session = tiny_session(config, tiny_data(side=32))
    losses = [float(step.loss) for step in played(session)]
    assert all(0 < loss < 20 for loss in losses)
    partner = session.companion(PARTNER)
    assert type(partner.encoder) is type(session.state.network.encoder)
    assert partner.encoder is not session.state.network.encoder
