"""RoCL: pretraining against a plain loop, and the three heads on top of it."""

import copy
from collections.abc import Generator
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from claf_engine.attacks.gradients import Target
from claf_engine.config import RunConfig
from claf_engine.data import to_pixels
from claf_engine.data.views import make_views
from claf_engine.events.ticks import Boundary, PartEnd, Pulse
from claf_engine.models.network import ADVERSARIAL, ATTACK_CLASSIFIER, NATURAL, Pipeline
from claf_engine.models.residual import Encoder
from claf_engine.training.losses import nt_xent_loss
from claf_engine.training.methods import phases_of
from claf_engine.training.optimizers import learning_rate
from claf_engine.training.phases.rocl import craft_instances, instance, pair_loss, rocl_loss
from claf_engine.training.session import Session
from tests.engine.tiny import exhaust, tiny_config, tiny_session

HEADS = {"linear": NATURAL, "robust-linear": ADVERSARIAL, "fine-tune": ADVERSARIAL}
heads = pytest.mark.parametrize("head", HEADS)


def config_of(**changes: object) -> RunConfig:
    return tiny_config(**{"method": "rocl", "rocl__epochs": 2, "rocl__attack_weight": 0.25} | changes)


def boundaries(session: Session) -> list[Boundary]:
    return [tick for tick in instance(session) if isinstance(tick, Boundary)]


def nt_xent_sums(projections: Tensor, temperature: float) -> Tensor:
    """Over pairs of views of one image, added up for each anchor and averaged over anchors: (B, V, P) to 0-d."""
    num_images, num_views, _ = projections.shape
    anchors = projections.flatten(0, 1)
    similarity = (anchors @ anchors.T / temperature).exp() * (1 - torch.eye(len(anchors)))
    total, image = similarity.sum(1), torch.arange(num_images).repeat_interleave(num_views)
    is_pair = (image[:, None] == image[None, :]) & ~torch.eye(len(anchors), dtype=torch.bool)
    return -(similarity / total[:, None])[is_pair].log().sum() / len(anchors)


def rocl(session: Session) -> list[float]:
    """Robust contrastive pretraining with plain torch, one line after the other; the same streams."""
    config, state, train, attack = session.config, session.state, session.data.train, session.config.attack
    network, streams, tau = state.network, state.generators, config.rocl.temperature
    settings = config.features_optimizer
    trained = [*network.encoder.parameters(), *network.projection_head.parameters()]
    optimizer = torch.optim.SGD(trained, lr=1, momentum=settings.momentum, weight_decay=settings.weight_decay)
    losses: list[float] = []
    for _ in range(config.rocl.epochs):
        for rows in torch.randperm(len(train), generator=streams["order"]).split(config.batch_size):
            views = make_views(to_pixels(train.images[rows]), config.views, 2, streams["views"])
            t1, t2 = views[:, 0], views[:, 1]
            network.eval()
            target = network.project(t2).detach()
            noise = torch.rand(t1.shape, generator=streams["attack"]) * 2 - 1
            x = (t1 + float(attack.epsilon) * noise).clamp(0, 1)
            for _ in range(attack.steps):
                x = x.detach().requires_grad_(True)
                pair = torch.stack([network.project(x), target], dim=1)
                (gradient,) = torch.autograd.grad(nt_xent_sums(pair, tau), x)
                moved = x.detach() + float(attack.step_size) * gradient.sign() - t1
                x = (t1 + moved.clamp(-float(attack.epsilon), float(attack.epsilon))).clamp(0, 1)
            network.train()
            z = network.project(torch.stack([t1, t2, x], dim=1).flatten(0, 1)).view(len(rows), 3, -1)
            loss = nt_xent_sums(z, tau) + config.rocl.attack_weight * nt_xent_sums(z[:, 1:], tau)
            optimizer.param_groups[0]["lr"] = learning_rate(settings, len(losses), 6, 3)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses


def test_pretraining_is_the_plain_loop_of_its_equations_loss_for_loss() -> None:
    session, plain = tiny_session(config_of()), tiny_session(config_of())
    losses, expected = [float(step.loss) for step in boundaries(session)], rocl(plain)
    assert losses == pytest.approx(expected, abs=1e-3)
    assert losses[0] == pytest.approx(expected[0], abs=1e-5)
    assert len(losses) == 6
    for name, generator in session.state.generators.items():
        assert torch.equal(generator.get_state(), plain.state.generators[name].get_state()), name


def test_labels_play_no_part_in_pretraining() -> None:
    session, mixed = tiny_session(config_of()), tiny_session(config_of())
    mixed.data.train.labels.copy_(mixed.data.train.labels.flip(0))
    assert [float(step.loss) for step in boundaries(session)] == [float(step.loss) for step in boundaries(mixed)]


def views_of(session: Session) -> Tensor:
    images, _ = session.training_batch(torch.arange(8))
    return make_views(images, session.config.views, 2, session.state.generators["views"])


def crafting(session: Session, views: Tensor) -> Generator[Pulse, None, Tensor]:
    network = session.state.network
    target = Target(Pipeline(network.encoder, network.projection_head), session.compute)
    return craft_instances(session, target, partial(pair_loss, temperature=0.5), views)


def test_the_attack_climbs_the_loss_against_the_other_view() -> None:
    session = tiny_session(config_of(attack={"epsilon": "32/255", "step_size": "8/255", "steps": 8}))
    views, network = views_of(session), session.state.network
    _, attacked = exhaust(crafting(session, views))
    network.eval()
    fixed = network.project(views[:, 1])
    before, after = (nt_xent_loss(torch.stack([network.project(x), fixed], 1), 0.5) for x in (views[:, 0], attacked))
    assert after > before + 0.01
    assert float((attacked - views[:, 0]).abs().max()) <= 32 / 255 + 1e-6


def test_the_attack_leaves_the_network_as_it_was() -> None:
    session = tiny_session(config_of())
    views, network = views_of(session), session.state.network
    before = copy.deepcopy(network.state_dict())
    exhaust(crafting(session, views))
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert all(parameter.requires_grad for parameter in network.parameters())
    assert all(module.training for module in network.modules())


def test_the_targets_projections_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    session = tiny_session(config_of(attack__steps=4))
    forward, num_images = Encoder.forward, []

    def counted(encoder: Encoder, images: Tensor) -> Tensor:
        num_images.append(len(images))
        return forward(encoder, images)

    monkeypatch.setattr(Encoder, "forward", counted)
    next(tick for tick in instance(session) if isinstance(tick, Boundary))
    assert num_images == [8] + 4 * [8] + [24]


def test_the_weight_of_the_extra_term_scales_it_alone() -> None:
    losses = []
    for weight in (0.0, 1.0, 3.0):
        session = tiny_session(config_of(rocl__attack_weight=weight))
        views = views_of(session)
        losses.append(rocl_loss(session, torch.cat([views, views[:, :1]], dim=1)).item())
    assert losses[1] > losses[0]
    assert losses[2] - losses[0] == pytest.approx(3 * (losses[1] - losses[0]), rel=1e-5)


def test_pretraining_trains_encoder_and_projection_head_alone() -> None:
    session = tiny_session(config_of())
    network = session.state.network
    before = copy.deepcopy(network.state_dict())
    boundaries(session)
    moved = {name.split(".")[0] for name, value in network.state_dict().items() if not torch.equal(before[name], value)}
    assert moved == {"encoder", "projection_head"}


def test_an_epoch_of_pretraining_ends_when_every_image_was_seen() -> None:
    kinds = [type(tick) for tick in instance(tiny_session(config_of())) if isinstance(tick, Boundary | PartEnd)]
    assert kinds == [Boundary, Boundary, Boundary, PartEnd] * 2


def pretrained(head: str) -> Session:
    session = tiny_session(config_of(rocl__head=head))
    boundaries(session)
    session.state.cursor.end_phase()
    return session


@heads
def test_a_head_is_one_phase_after_pretraining(head: str) -> None:
    names = [phase.name for phase in phases_of(config_of(rocl__head=head))]
    last = {"linear": "linear_evaluation", "robust-linear": "adversarial_linear_evaluation", "fine-tune": "supervised"}
    assert names == ["instance", last[head]]


@heads
def test_a_head_trains_its_classifier_and_only_fine_tuning_the_encoder(head: str) -> None:
    session = pretrained(head)
    network = session.state.network
    before = copy.deepcopy(network.state_dict())
    list(phases_of(session.config)[1].play(session))
    moved = {name for name, value in network.state_dict().items() if not torch.equal(before[name], value)}
    trained = {f"classifiers.{HEADS[head]}.{kind}" for kind in ("weight", "bias")}
    encoder = {f"encoder.{name}" for name in network.encoder.state_dict() if not name.endswith(("mean", "std"))}
    buffers = {name for name in network.state_dict() if "running" in name}
    assert moved == trained | (encoder | buffers if head == "fine-tune" else set())


def test_fine_tuning_goes_on_from_the_pretrained_encoder() -> None:
    """It is the phase of the method "at" on that encoder, to the bit."""
    session = pretrained("fine-tune")
    other = tiny_session(tiny_config(method="at"))
    copy_into(other, session)
    fine_tuned = [float(tick.loss) for tick in phases_of(session.config)[1].play(session) if isinstance(tick, Boundary)]
    trained = [float(tick.loss) for tick in phases_of(other.config)[0].play(other) if isinstance(tick, Boundary)]
    from_scratch = tiny_session(tiny_config(method="at"))
    scratch = [tick for tick in phases_of(from_scratch.config)[0].play(from_scratch) if isinstance(tick, Boundary)]
    assert fine_tuned == trained
    assert fine_tuned != [float(tick.loss) for tick in scratch]


def copy_into(session: Session, source: Session) -> None:
    session.state.network.load_state_dict(source.state.network.state_dict())
    for name, generator in source.state.generators.items():
        session.state.generators[name].set_state(generator.get_state())


@heads
def test_no_optimizer_of_pretraining_outlives_it(head: str) -> None:
    session = pretrained(head)
    kinds = [set(session.state.optimizers) for tick in phases_of(session.config)[1].play(session) if is_step(tick)]
    assert all("features" not in names for names in kinds)
    assert session.state.optimizers == {}


def is_step(tick: object) -> bool:
    return isinstance(tick, Boundary)


def test_a_robust_linear_head_from_the_attack_classifier_starts_from_scratch() -> None:
    """No attack classifier is trained in this method."""
    session = pretrained("robust-linear")
    fresh = tiny_session(config_of())
    attack: nn.Module = session.state.network.classifiers[ATTACK_CLASSIFIER]
    assert torch.equal(attack.weight, fresh.state.network.classifiers[ATTACK_CLASSIFIER].weight)
