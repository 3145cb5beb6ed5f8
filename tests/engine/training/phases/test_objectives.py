"""Every objective against a plain loop of its equations, and what it may touch while it attacks."""

import copy
from collections.abc import Callable, Generator
from fractions import Fraction

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from claf_engine.compute.seeding import ATTACK_STREAM
from claf_engine.config import RunConfig
from claf_engine.data import to_pixels
from claf_engine.data.views import shift_and_flip
from claf_engine.events.ticks import Boundary, Pulse
from claf_engine.models.network import CLASSIFIERS, Pipeline
from claf_engine.models.residual import Encoder
from claf_engine.training.methods import phases_of
from claf_engine.training.optimizers import learning_rate
from claf_engine.training.phases import objectives
from claf_engine.training.phases.terms import Outputs
from claf_engine.training.session import Session
from claf_engine.training.weight_perturbation import LossOf
from tests.engine.tiny import exhaust, tiny_config, tiny_session

TRAINED = {
    "natural": "natural",
    "at": "adversarial",
    "fgsm": "adversarial",
    "alp": "adversarial",
    "trades": "adversarial",
}
METHODS = tuple(TRAINED)
modes = pytest.mark.parametrize("mode", ["running", "batch"])

Climbed = Callable[[Tensor], Tensor]


def played(session: Session) -> list[Boundary]:
    (phase,) = phases_of(session.config)
    return [tick for tick in phase.play(session) if isinstance(tick, Boundary)]


class Plain:
    """One supervised method in plain torch, one line after the other, on the same streams of random numbers."""

    def __init__(self, session: Session) -> None:
        self.config, self.state, self.train = session.config, session.state, session.data.train
        self.method = session.config.method
        self.model = session.state.network.with_classifier(TRAINED[self.method])

    def losses(self) -> list[float]:
        settings, epochs = self.config.supervised.optimizer, self.config.supervised.epochs
        optimizer = torch.optim.SGD(
            self.model.parameters(), lr=1, momentum=settings.momentum, weight_decay=settings.weight_decay
        )
        num_batches, found = -(-len(self.train) // self.config.batch_size), []
        for _ in range(epochs):
            order = torch.randperm(len(self.train), generator=self.state.generators["order"])
            for rows in order.split(self.config.batch_size):
                x = shift_and_flip(
                    to_pixels(self.train.images[rows]), self.config.views, self.state.generators["views"]
                )
                loss = self.loss(x, self.train.labels[rows])
                optimizer.param_groups[0]["lr"] = learning_rate(settings, len(found), epochs * num_batches, num_batches)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                found.append(loss.item())
        return found

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        model = self.model.train()
        if self.method == "natural":
            return F.cross_entropy(model(x), y)
        if self.method == "trades":
            x_adv = self.trades_attack(x)
            p, q = model(x).softmax(1), model(x_adv).softmax(1)
            divergence = (p * (p / q).log()).sum(1).mean()
            return -p[torch.arange(len(y)), y].log().mean() + self.config.trades.beta * divergence
        target = self.target()
        step_size = self.config.fgsm.step_size if self.method == "fgsm" else self.config.attack.step_size
        steps = 1 if self.method == "fgsm" else self.config.attack.steps
        x_adv = self.climb(lambda point: F.cross_entropy(target(point), y), x, self.uniform(x), (steps, step_size))
        if self.method == "alp":
            logits = model(torch.cat([x, x_adv]))
            pairing = (logits[: len(x)] - logits[len(x) :]).pow(2).mean()
            return F.cross_entropy(logits, torch.cat([y, y])) + self.config.alp.weight * pairing
        return F.cross_entropy(model(x_adv), y)

    def target(self) -> nn.Module:
        """A copy to attack: its BatchNorm buffers may drift, those of the model must not."""
        return copy.deepcopy(self.model).train(self.config.supervised.attack_batch_norm == "batch")

    def trades_attack(self, x: Tensor) -> Tensor:
        target = self.target()
        p = target(x).softmax(1).detach()
        start = x + 0.001 * torch.randn(x.shape, generator=self.state.generators["attack"])
        plan = self.config.attack.steps, self.config.attack.step_size

        def divergence(point: Tensor) -> Tensor:
            return F.kl_div(target(point).log_softmax(1), p, reduction="sum")

        return self.climb(divergence, x, start.clamp(0, 1), plan)

    def uniform(self, x: Tensor) -> Tensor:
        noise = torch.rand(x.shape, generator=self.state.generators["attack"]) * 2 - 1
        return (x + float(self.config.attack.epsilon) * noise).clamp(0, 1)

    def climb(self, loss: Climbed, x: Tensor, point: Tensor, plan: tuple[int, Fraction]) -> Tensor:
        epsilon = float(self.config.attack.epsilon)
        for _ in range(plan[0]):
            point = point.detach().requires_grad_(True)
            (gradient,) = torch.autograd.grad(loss(point), point)
            moved = point.detach() + float(plan[1]) * gradient.sign() - x
            point = (x + moved.clamp(-epsilon, epsilon)).clamp(0, 1)
        return point.detach()


def config_of(method: str, **changes: object) -> RunConfig:
    return tiny_config(method=method, **changes)


@modes
@pytest.mark.parametrize("method", METHODS)
def test_a_method_is_the_plain_loop_of_its_equations_loss_for_loss(method: str, mode: str) -> None:
    config = config_of(method, supervised__attack_batch_norm=mode)
    session, plain = tiny_session(config), Plain(tiny_session(config))
    losses, expected = [float(step.loss) for step in played(session)], plain.losses()
    # So near its start the gradient of TRADES is small enough for folding to turn some of its signs.
    assert losses == pytest.approx(expected, abs=2e-3 if method == "trades" else 1e-4)
    assert losses[0] == pytest.approx(expected[0], abs=1e-5)
    assert len(losses) == 6
    ours = session.state.network.with_classifier(TRAINED[method]).state_dict()
    for name, value in plain.model.state_dict().items():
        torch.testing.assert_close(ours[name], value, rtol=0, atol=1e-2 if method == "trades" else 1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_a_method_takes_as_many_random_numbers_as_the_plain_loop(method: str) -> None:
    session, plain = tiny_session(config_of(method)), Plain(tiny_session(config_of(method)))
    played(session)
    plain.losses()
    for name, generator in session.state.generators.items():
        assert torch.equal(generator.get_state(), plain.state.generators[name].get_state()), name


@pytest.mark.parametrize("method", METHODS)
def test_a_method_trains_the_encoder_and_its_own_classifier_alone(method: str) -> None:
    session = tiny_session(config_of(method))
    network = session.state.network
    before = {name: copy.deepcopy(module.state_dict()) for name, module in parts(network).items()}
    played(session)
    moved = {
        name
        for name, module in parts(network).items()
        if any(not torch.equal(before[name][key], value) for key, value in module.state_dict().items())
    }
    assert moved == {"encoder", TRAINED[method]}


def parts(network: nn.Module) -> dict[str, nn.Module]:
    classifiers = {name: network.get_submodule(f"classifiers.{name}") for name in CLASSIFIERS}
    return {"encoder": network.encoder, "head": network.projection_head, **classifiers}


@modes
@pytest.mark.parametrize(("method", "per_step"), [("natural", 1), ("at", 1), ("fgsm", 1), ("alp", 1), ("trades", 2)])
def test_attacking_leaves_the_statistics_of_batchnorm_alone(method: str, per_step: int, mode: str) -> None:
    """Only the passes of the loss count; both halves of logit pairing share one of them."""
    session = tiny_session(config_of(method, supervised__attack_batch_norm=mode))
    num_steps = len(played(session))
    assert int(session.state.network.encoder.norm.num_batches_tracked) == num_steps * per_step


@modes
def test_trades_computes_the_natural_logits_of_its_attack_once(monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    session = tiny_session(config_of("trades", attack__steps=4, supervised__attack_batch_norm=mode))
    forward, num_passes = Encoder.forward, []

    def counted(encoder: Encoder, images: Tensor) -> Tensor:
        num_passes.append(len(images))
        return forward(encoder, images)

    monkeypatch.setattr(Encoder, "forward", counted)
    phase = phases_of(session.config)[0]
    next(tick for tick in phase.play(session) if isinstance(tick, Boundary))
    assert len(num_passes) == 1 + 4 + 2


def shown(session: Session, monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """The images of one batch that a method takes its loss on: natural and attacked, or attacked alone."""
    seen, trained_pass = [], objectives.trained_pass

    def spy(spied: Session, model: Pipeline, images: Tensor) -> Outputs:
        seen.append(images)
        return trained_pass(spied, model, images)

    monkeypatch.setattr(objectives, "trained_pass", spy)
    phase = phases_of(session.config)[0]
    next(tick for tick in phase.play(session) if isinstance(tick, Boundary))
    return seen


@pytest.mark.parametrize("random_start", [True, False])
def test_trades_attacks_from_a_thousandth_of_gaussian_noise(
    monkeypatch: pytest.MonkeyPatch, random_start: bool
) -> None:
    """Whatever the setting for the other methods says: at the image itself the divergence has no gradient."""
    config = config_of("trades", attack__steps=0, attack__random_start=random_start)
    stream = tiny_session(config).state.generators[ATTACK_STREAM]
    natural, attacked = shown(tiny_session(config), monkeypatch)
    expected = (natural + 0.001 * torch.randn(natural.shape, generator=stream)).clamp(0, 1)
    torch.testing.assert_close(attacked, expected, rtol=0, atol=1e-7)
    assert not torch.equal(attacked, natural)


@pytest.mark.parametrize("method", ["at", "trades", "alp", "fgsm"])
def test_training_attacks_stay_in_the_ball_of_the_settings(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    config = config_of(method, attack__epsilon="3/255", attack__random_start=False, supervised__view="image")
    session = tiny_session(config)
    images = session.data.train.images[torch.randperm(24, generator=tiny_session(config).state.generators["order"])[:8]]
    attacked = shown(session, monkeypatch)[-1][-8:]
    distance = float((attacked - to_pixels(images)).abs().max())
    assert 2.9 / 255 < distance <= 3 / 255 + 1e-6


def test_fgsm_takes_one_step_of_its_own_length() -> None:
    session = tiny_session(config_of("fgsm", fgsm__step_size="1/255", attack__random_start=False))
    spec = objectives.single_step(session)
    assert (spec.name, spec.steps, spec.step_size, spec.start) == ("fgsm", 1, Fraction(1, 255), "none")


def weighted(method: str, section: str, weight: float) -> float:
    key = {"trades": "beta", "alp": "weight"}[section]
    session = tiny_session(config_of(method, **{f"{section}__{key}": weight}))
    return float(played(session)[0].loss)


def test_trades_without_its_robustness_term_is_natural_training() -> None:
    natural = float(played(tiny_session(config_of("natural", seed=0)))[0].loss)
    session = tiny_session(config_of("trades", trades__beta=0))
    # Another classifier is trained, so it gets the weights of the natural one.
    classifiers = session.state.network.classifiers
    classifiers["adversarial"].load_state_dict(classifiers["natural"].state_dict())
    assert float(played(session)[0].loss) == natural


@pytest.mark.parametrize(("method", "section"), [("trades", "trades"), ("alp", "alp")])
def test_the_weight_of_the_second_term_scales_it_alone(method: str, section: str) -> None:
    none, one, three = (weighted(method, section, weight) for weight in (0, 1, 3))
    assert one > none
    assert three - none == pytest.approx(3 * (one - none), rel=1e-4)


def test_an_objective_pulses_before_every_step_of_its_attack() -> None:
    session = tiny_session(config_of("at", attack__steps=3))
    images, labels = session.training_batch(torch.arange(8))
    model = session.state.network.with_classifier("adversarial")
    steps: Generator[Pulse, None, LossOf] = objectives.adversarial_loss(
        session, model, objectives.crafting_target(session, model), (images, labels)
    )
    pulses, loss_of = exhaust(steps)
    assert [(pulse.done, pulse.total) for pulse in pulses] == [(0, 3), (1, 3), (2, 3)]
    assert loss_of().requires_grad
    assert all(parameter.requires_grad for parameter in model.parameters())
