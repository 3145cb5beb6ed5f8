import copy
from dataclasses import replace

import pytest
import torch

from claf_engine.compute.seeding import VIEWS
from claf_engine.compute.world import World
from claf_engine.data import to_pixels
from claf_engine.events.ticks import Boundary
from claf_engine.terms.errors import ConfigError
from claf_engine.training.phases.generator import generator
from claf_engine.training.session import Session
from claf_engine.training.wasserstein import critic_loss, generator_loss
from tests.engine.tiny import tiny_config, tiny_session

GAN = {"epochs": 2, "latent": 4, "width": 2, "critic_steps": 2, "optimizer": {"name": "sgd", "schedule": "constant"}}


@pytest.fixture
def session() -> Session:
    return tiny_session(tiny_config(method="defense-gan", defense_gan=GAN, batch_size=8))


def test_it_is_the_loop_of_the_equations(session: Session) -> None:
    """Two critic steps and then one of the generator, by plain gradient descent on the same draws."""
    made, scored = (copy.deepcopy(session.companion(name)) for name in ("generator", "critic"))
    stream = torch.Generator()
    stream.set_state(session.state.generators[VIEWS].get_state())
    phase, rate = generator(session), 0.1

    def step(module: torch.nn.Module, loss: torch.Tensor, velocity: list[torch.Tensor]) -> None:
        weights = list(module.parameters())
        for index, (weight, gradient) in enumerate(zip(weights, torch.autograd.grad(loss, weights), strict=True)):
            decayed = gradient + 1e-4 * weight.detach()
            velocity[index] = 0.9 * velocity[index] + decayed
            weight.data -= rate * velocity[index]

    moves = {module: [torch.zeros_like(weight) for weight in module.parameters()] for module in (made, scored)}
    for number in range(1, 5):
        tick = next(each for each in phase if isinstance(each, Boundary))
        rows = session.state.order[((number - 1) % 3) * 8 : ((number - 1) % 3) * 8 + 8]
        natural = to_pixels(session.data.train.images[rows])
        fake = made(torch.randn(8, 4, generator=stream))
        loss = critic_loss(scored, natural, fake, torch.rand(8, generator=stream)).total(10.0)
        assert float(tick.loss) == pytest.approx(float(loss.detach()), rel=1e-5)
        step(scored, loss, moves[scored])
        if number % 2 == 0:
            step(made, generator_loss(scored, made(torch.randn(8, 4, generator=stream))), moves[made])
    for name, module in (("generator", made), ("critic", scored)):
        for weight, expected in zip(session.companion(name).parameters(), module.parameters(), strict=True):
            assert torch.allclose(weight, expected, atol=1e-5)


def test_the_critic_is_dropped_and_the_encoder_left_alone(session: Session) -> None:
    before = copy.deepcopy(session.state.network.state_dict())
    for _ in generator(session):
        pass
    assert set(session.state.companions) == {"generator"}
    assert session.state.optimizers == {}
    assert all(torch.equal(tensor, before[name]) for name, tensor in session.state.network.state_dict().items())


def test_several_processes_are_refused_with_a_sentence(session: Session) -> None:
    together = replace(session, compute=replace(session.compute, world=World(0, 2)))
    with pytest.raises(ConfigError, match="trains its generator in one process; start it without torchrun"):
        next(generator(together))
