"""What is trained does not depend on how much memory it is trained in."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from claf_engine.compute.device import Compute
from claf_engine.events.ticks import Boundary
from claf_engine.models.registered import register_model
from claf_engine.models.segments import segments_of
from claf_engine.training.encoding import encode, recomputed
from claf_engine.training.methods import phases_of
from claf_engine.training.session import Session
from tests.engine.tiny import CPU, tiny_config, tiny_session
from tests.engine.training.test_micro_batches import gradients, network_of, peak_bytes, supcon, views
from tests.plugins import registries_restored


def session_of(method: str, **compute: Any) -> Session:
    """A session at its beginning, whose features are trained by one phase."""
    config = tiny_config(
        method=method,
        contrastive__epochs=0,
        adversarial__epochs=1,
        linear_evaluation__epochs=0,
        linear_evaluation__adversarial_epochs=0,
        supervised__epochs=1,
        rocl__epochs=1,
        rocl__head="fine-tune",
    )
    session = tiny_session(config)
    return Session(config, Compute(CPU, "fp32", 1, **compute), session.data, session.state, session.feature_epochs)


def played(session: Session) -> list[float]:
    (phase, *_) = phases_of(session.config)
    return [float(tick.loss) for tick in phase.play(session) if isinstance(tick, Boundary)]


METHODS = pytest.mark.parametrize("method", ["claf", "natural", "at", "fgsm", "trades", "alp", "rocl"])


@METHODS
def test_an_epoch_in_micro_batches_is_that_of_whole_batches(method: str) -> None:
    whole, apart = session_of(method), session_of(method, micro_batch=3)
    losses = played(whole)
    assert played(apart) == pytest.approx(losses, rel=1e-4)
    assert all(
        torch.equal(generator.get_state(), apart.state.generators[name].get_state())
        for name, generator in whole.state.generators.items()
    )
    buffers = dict(whole.state.network.named_buffers())
    for name, buffer in apart.state.network.named_buffers():
        torch.testing.assert_close(buffer, buffers[name], rtol=1e-3, atol=1e-5)


@METHODS
def test_an_epoch_that_recomputes_is_the_same_to_the_bit(method: str) -> None:
    whole, again = session_of(method), session_of(method, recompute=True)
    assert played(whole) == played(again)
    tensors = whole.state.network.state_dict()
    assert all(torch.equal(tensors[name], tensor) for name, tensor in again.state.network.state_dict().items())


def test_recomputing_takes_about_half_of_the_memory() -> None:
    whole, again = (network_of(width=8, blocks=[2, 2, 2, 2], projection_hidden=16) for _ in range(2))
    images = views(48, side=32)
    peaks = [peak_bytes(lambda: supcon(whole, images)), peak_bytes(lambda: supcon(again, images, recompute=True))]
    assert torch.equal(gradients(whole), gradients(again))
    assert peaks[1] <= 0.55 * peaks[0]


def test_recomputing_repeats_the_draws_of_dropout() -> None:
    encoder = nn.Sequential(nn.Flatten(), nn.Dropout(), nn.Linear(192, 3)).train()
    found = []
    for work in (encoder, lambda images: recomputed(encoder, images)):
        encoder.zero_grad()
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            work(views()).square().sum().backward()
        found.append(gradients(encoder))
    assert torch.equal(*found)


def test_a_plugin_gives_its_segments() -> None:
    class Parts(nn.Module):
        num_features = 3

        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = (
                nn.Conv2d(3, 3, 3),
                nn.Sequential(nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(108, 3)),
            )

        def segments(self) -> tuple[nn.Module, ...]:
            return (self.first, self.last)

        def forward(self, images: Tensor) -> Tensor:
            features: Tensor = self.last(self.first(images))
            return features

    with registries_restored():
        register_model("in-parts")(lambda config: Parts())
        encoder = network_of(architecture="in-parts").encoder.double()
        assert_same_features(encoder)


def assert_same_features(encoder: nn.Module) -> None:
    assert len(segments_of(encoder)) == 2
    whole, images = copy.deepcopy(encoder), views().double()
    whole(images).pow(4).sum().backward()
    encode(encoder, images, Compute(CPU, "fp32", 1, micro_batch=7)).pow(4).sum().backward()
    torch.testing.assert_close(gradients(encoder), gradients(whole))
