"""Adversarial contrastive pretraining against plain loops: its loss, its attack, and the BatchNorm of its streams."""

import copy
from collections.abc import Iterator
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from claf_engine.attacks.gradients import Target
from claf_engine.config import RunConfig
from claf_engine.data import to_pixels
from claf_engine.data.views import make_views
from claf_engine.events.ticks import Boundary
from claf_engine.models.dual_norms import norms_of
from claf_engine.models.network import Pipeline
from claf_engine.training.companions import OTHER_NORMS
from claf_engine.training.optimizers import learning_rate
from claf_engine.training.phases.acl import (
    DUAL,
    acl_loss,
    adversarial_contrastive,
    craft_pairs,
    joint_pair_loss,
    streams_of,
)
from claf_engine.training.phases.contrastive import contrastive
from claf_engine.training.phases.rocl import pair_loss
from claf_engine.training.session import Session
from tests.engine.tiny import exhaust, tiny_config, tiny_session

STREAMS = ("standard", "adversarial", "dual")
TAU = 0.5


def config_of(streams: str = "dual", **changes: object) -> RunConfig:
    return tiny_config(**{"method": "acl", "acl__streams": streams, "acl__dual_weight": 0.5} | changes)


def boundaries(session: Session) -> Iterator[Boundary]:
    return (tick for tick in adversarial_contrastive(session) if isinstance(tick, Boundary))


def nt_xent_loop(projections: Tensor, temperature: float) -> Tensor:
    """Equation 1 of Chen et al. over views that lie pair by pair, (2 B, P): anchor by anchor, term by term."""
    total = projections.new_zeros(())
    for anchor, own in enumerate(projections):
        scores = [own @ other / temperature for number, other in enumerate(projections) if number != anchor]
        positive = own @ projections[anchor + 1 if anchor % 2 == 0 else anchor - 1] / temperature
        total = total + torch.stack(scores).exp().sum().log() - positive
    return total / len(projections)


def attack_loop(project: object, views: Tensor, config: RunConfig, generator: torch.Generator) -> Tensor:
    """Both views climb their common loss: (B, 2, C, H, W) to the same."""
    epsilon, step = float(config.attack.epsilon), float(config.attack.step_size)
    noise = [torch.rand(views[:, 0].shape, generator=generator) * 2 - 1 for _ in range(2)]
    x = (views + epsilon * torch.stack(noise, dim=1)).clamp(0, 1)
    for _ in range(config.attack.steps):
        x = x.detach().requires_grad_(True)
        (gradient,) = torch.autograd.grad(nt_xent_loop(project(x.flatten(0, 1)), config.acl.temperature), x)  # type: ignore[operator]
        x = (views + (x.detach() + step * gradient.sign() - views).clamp(-epsilon, epsilon)).clamp(0, 1)
    return x.detach()


def acl(session: Session, num_steps: int) -> list[float]:
    """The first steps in plain torch: two whole encoders whose convolutions are set equal again after every step."""
    config, state, train = session.config, session.state, session.data.train
    network, streams, weight = state.network, state.generators, config.acl.dual_weight
    second, settings = copy.deepcopy(network.encoder), config.features_optimizer
    own = {id(parameter) for norm in norms_of(second) for parameter in norm.parameters()}
    pairs = list(zip(network.encoder.parameters(), second.parameters(), strict=True))
    trained = [*network.encoder.parameters(), *network.projection_head.parameters()]
    trained += [other for _, other in pairs if id(other) in own]
    optimizer = torch.optim.SGD(trained, lr=1, momentum=settings.momentum, weight_decay=settings.weight_decay)
    losses: list[float] = []
    for rows in torch.randperm(len(train), generator=streams["order"]).split(config.batch_size)[:num_steps]:
        views = make_views(to_pixels(train.images[rows]), config.views, 2, streams["views"])
        network.eval()
        attacked = attack_loop(network.project, views, config, streams["attack"])
        network.train()
        loss_attacked = nt_xent_loop(network.project(attacked.flatten(0, 1)), config.acl.temperature)
        natural = network.projection_head(second(views.flatten(0, 1)))
        loss = (nt_xent_loop(natural, config.acl.temperature) + weight * loss_attacked) / (1 + weight)
        optimizer.param_groups[0]["lr"] = learning_rate(settings, len(losses), 6, 3)
        optimizer.zero_grad()
        second.zero_grad()
        loss.backward()
        shared = [(one, other) for one, other in pairs if id(other) not in own]
        for one, other in shared:
            one.grad = one.grad + other.grad
        optimizer.step()
        with torch.no_grad():
            for one, other in shared:
                other.copy_(one)
        losses.append(loss.item())
    state.companions["plain"] = nn.ModuleList(norms_of(second))
    return losses


def test_two_streams_are_the_plain_loop_of_their_equations_step_for_step() -> None:
    session, plain = tiny_session(config_of()), tiny_session(config_of())
    steps = boundaries(session)
    losses, expected = [float(next(steps).loss) for _ in range(3)], acl(plain, 3)
    assert losses[0] == pytest.approx(expected[0], abs=1e-6)
    assert losses == pytest.approx(expected, abs=1e-3)
    for one, other in zip(
        session.companion(OTHER_NORMS).state_dict().values(),
        plain.state.companions["plain"].state_dict().values(),
        strict=True,
    ):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-3)
    for name, generator in session.state.generators.items():
        assert torch.equal(generator.get_state(), plain.state.generators[name].get_state()), name


def views_of(session: Session) -> Tensor:
    images, _ = session.training_batch(torch.arange(8))
    return make_views(images, session.config.views, 2, session.state.generators["views"])


def crafted(session: Session, views: Tensor) -> Tensor:
    stream = streams_of(session).attacked
    assert stream is not None
    target = Target(Pipeline(stream.encoder, session.state.network.projection_head), session.compute)
    return exhaust(craft_pairs(session, target, partial(joint_pair_loss, temperature=TAU), views))[1]


def test_the_attack_on_both_views_is_its_plain_loop() -> None:
    session = tiny_session(config_of("adversarial", attack__steps=3))
    views, network = views_of(session), session.state.network
    stream = torch.Generator()
    stream.set_state(session.state.generators["attack"].get_state())
    attacked = crafted(session, views)
    network.eval()
    expected = attack_loop(network.project, views, session.config, stream)
    assert float((attacked - expected).abs().max()) <= 1e-6
    assert float((attacked - views).abs().max()) <= 8 / 255 + 1e-6
    assert ((attacked - views).abs().amax((2, 3, 4)) > 0).all(), "both views of every image move"


def test_the_loss_is_its_double_loop_and_that_of_rocl_where_one_view_is_fixed() -> None:
    generator = torch.Generator().manual_seed(0)
    pairs = torch.randn(5, 2, 4, generator=generator, dtype=torch.float64).requires_grad_(True)
    found = joint_pair_loss(pairs.flatten(0, 1), TAU)
    assert found.item() == pytest.approx(nt_xent_loop(pairs.flatten(0, 1), TAU).item(), abs=1e-12)
    of_rocl = pair_loss(pairs[:, 0], pairs[:, 1].detach(), TAU)
    assert of_rocl.item() == found.item()
    joint, one_sided = torch.autograd.grad(found, pairs)[0], torch.autograd.grad(of_rocl, pairs)[0]
    assert torch.equal(joint[:, 0], one_sided[:, 0]), "the same slope in the view that both attack"
    assert float(joint[:, 1].abs().sum()) > 0
    assert float(one_sided[:, 1].abs().sum()) == 0


def test_the_stream_of_natural_views_is_simclr_to_the_bit() -> None:
    session = tiny_session(config_of("standard", acl__temperature=0.2))
    simclr = tiny_session(tiny_config(method="scl", contrastive__positives="views"))
    expected = [float(tick.loss) for tick in contrastive(simclr) if isinstance(tick, Boundary)]
    assert [float(step.loss) for step in boundaries(session)] == expected


def buffers(norms: list[nn.Module]) -> list[Tensor]:
    return [buffer.clone() for norm in norms for buffer in norm.buffers()]


def same(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(map(torch.equal, one, other))


def test_the_statistics_of_a_stream_follow_its_own_views_alone() -> None:
    found = []
    for shift in (0.0, 0.3):
        session = tiny_session(config_of())
        views, streams = views_of(session), streams_of(session)
        acl_loss(session, streams, views, (views + shift).clamp(0, 1))
        encoders = streams.natural, streams.attacked
        found.append([buffers(norms_of(stream.encoder)) for stream in encoders if stream is not None])
    (natural, attacked), (natural_too, others) = found
    assert same(natural, natural_too)
    assert not same(attacked, others)


@pytest.mark.parametrize("measured", ["adversarial", "natural"])
def test_the_attack_goes_through_the_batch_norm_of_attacked_views_and_leaves_it(measured: str) -> None:
    session = tiny_session(config_of(acl__measured_statistics=measured))
    streams, views = streams_of(session), views_of(session)
    assert streams.attacked is not None
    assert streams.natural is not None
    own, other = norms_of(streams.attacked.encoder), norms_of(streams.natural.encoder)
    with torch.no_grad():
        for norm in own:
            norm.bias.add_(1)  # type: ignore[operator]
    before = buffers(own), buffers(other)
    stream = torch.Generator()
    stream.set_state(session.state.generators["attack"].get_state())
    attacked = crafted(session, views)
    model = Pipeline(streams.attacked.encoder, session.state.network.projection_head).eval()
    assert float((attacked - attack_loop(model, views, session.config, stream)).abs().max()) <= 1e-6
    assert same(buffers(own), before[0])
    assert same(buffers(other), before[1])


def test_which_batch_norm_the_network_keeps_changes_no_number_of_pretraining() -> None:
    kept = {}
    for measured in ("adversarial", "natural"):
        session = tiny_session(config_of(acl__measured_statistics=measured))
        steps = boundaries(session)
        losses = [float(next(steps).loss) for _ in range(2)]
        own = nn.ModuleList(norms_of(session.state.network.encoder)).state_dict()
        kept[measured] = losses, own, copy.deepcopy(session.companion(OTHER_NORMS).state_dict())
    (losses, attacked, natural), (same_losses, natural_too, attacked_too) = kept["adversarial"], kept["natural"]
    assert losses == same_losses
    assert all(torch.equal(attacked[name], attacked_too[name]) for name in attacked)
    assert all(torch.equal(natural[name], natural_too[name]) for name in natural)
    assert not all(torch.equal(attacked[name], natural[name]) for name in natural)


def test_the_other_batch_norm_and_its_optimiser_do_not_outlive_pretraining() -> None:
    session = tiny_session(config_of())
    during = {(tuple(session.state.optimizers), tuple(session.state.companions)) for _ in boundaries(session)}
    assert during == {((DUAL,), (OTHER_NORMS,))}
    assert not session.state.optimizers
    assert not session.state.companions


@pytest.mark.parametrize("changes", [{}, {"weight_perturbation": {"gamma": 0.01, "after": 0}}])
def test_both_batch_norms_move_once_a_step(changes: dict[str, object]) -> None:
    session = tiny_session(config_of(**changes))
    steps = boundaries(session)
    for _ in range(2):
        next(steps)
    norms = [*norms_of(session.state.network.encoder), *norms_of(session.companion(OTHER_NORMS))]
    assert {int(norm.num_batches_tracked) for norm in norms} == {2}  # type: ignore[call-overload]


@pytest.mark.parametrize("streams", STREAMS)
def test_pretraining_trains_encoder_and_projection_head_alone(streams: str) -> None:
    session = tiny_session(config_of(streams))
    network = session.state.network
    before = copy.deepcopy(network.state_dict())
    next(boundaries(session))
    moved = {name.split(".")[0] for name, value in network.state_dict().items() if not torch.equal(before[name], value)}
    assert moved == {"encoder", "projection_head"}
