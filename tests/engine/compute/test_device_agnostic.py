"""Training on an accelerator, proven without one.

On the device `meta` nothing is computed, so that reading a result or mixing in a tensor of the CPU is an error; whole
steps run there. FakeTensorMode also knows which device a tensor is on in every operation, but cannot differentiate
without a driver; there the gradients are made up. What is left are kernels and captured passes: `pytest -m gpu`.
"""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from claf_engine.attacks import log_odds
from claf_engine.compute.device import make_generator
from claf_engine.compute.seeding import training_generators
from claf_engine.config import RunConfig
from claf_engine.data import Dataset, Split
from claf_engine.data.views import crop_and_flip, shift_and_flip
from claf_engine.events.ticks import Tick
from claf_engine.models.folding import fold
from claf_engine.models.modes import frozen, training
from claf_engine.models.network import ATTACK_CLASSIFIER, Network
from claf_engine.training.methods import METHODS, feature_epochs, phases_of
from claf_engine.training.phases.adversarial import retrain, train_encoder
from claf_engine.training.phases.contrastive import contrastive_loss
from claf_engine.training.phases.linear import adversarial_linear_evaluation, linear_evaluation
from claf_engine.training.phases.savings import prepare_perturbations
from claf_engine.training.session import Session
from claf_engine.training.state import TrainState
from tests.engine.tiny import CPU, FP32, tiny_config, tiny_session

META, CUDA = torch.device("meta"), torch.device("cuda", 0)
NUM_CLASSES, NUM_TRAIN = 4, 20
"""Of the training images, so that the last of three batches is smaller."""

Loop = Callable[[Session], Iterator[Tick]]


def retraining(session: Session) -> Iterator[Tick]:
    """The retraining loop without the measurement before it, which reads results."""
    session.state.ledger.accuracy_before_retraining = 0.0
    session.renew_optimizer(ATTACK_CLASSIFIER)
    return retrain(session)


def warm_retraining(session: Session) -> Iterator[Tick]:
    """The same with attacks that begin where the last ones ended."""
    prepare_perturbations(session)
    return retraining(session)


def first_phase(session: Session) -> Iterator[Tick]:
    return phases_of(session.config)[0].play(session)


LOOPS: dict[str, tuple[Loop, dict[str, Any]]] = {
    **{method: (first_phase, {"method": method}) for method in METHODS},
    "retraining": (retraining, {}),
    "encoder": (train_encoder, {}),
    "linear evaluation": (linear_evaluation, {}),
    "adversarial linear evaluation": (adversarial_linear_evaluation, {}),
    "an attack in l2": (retraining, {"attack__norm": "l2", "attack__epsilon": "1/2", "attack__step_size": "1/2"}),
    "an attack in the released code's space": (retraining, {"attack__space": "released-code"}),
    "an attack on a random crop": (retraining, {"adversarial__source": "crop"}),
    "an attack with batch statistics": (first_phase, {"method": "at", "supervised__attack_batch_norm": "batch"}),
    "a random crop": (first_phase, {"method": "natural", "supervised__view": "crop"}),
    "lars": (first_phase, {"method": "claf", "features_optimizer": {"name": "lars"}}),
    "adam": (first_phase, {"method": "claf", "features_optimizer": {"name": "adam"}}),
    "a loss by chunks": (train_encoder, {}),
    "warm attacks": (warm_retraining, {"attack__warm_start": True}),
    "replayed features": (retraining, {"adversarial": {"classifier_refresh": "replay", "classifier_epochs": 2}}),
}
SWEEPS = {"replayed features": 2}
"""Of loops that are played for more than one; fake tensors take one, for they cannot select rows on the CPU either."""
BESIDE = ("acl", "two-encoders", "defense-gan", "pretext")
"""Methods that build a network beside the measured one while they train, which fake tensors cannot; `meta` can."""
EACH_LOOP = pytest.mark.parametrize("loop", LOOPS)


def session_on(device: torch.device, config: RunConfig) -> Session:
    """A session whose tensors are all on a device that computes nothing; its random numbers are of the CPU's kind."""
    with device:
        network = Network(config.model, NUM_CLASSES)
        images = torch.zeros((NUM_TRAIN, 3, 8, 8), dtype=torch.uint8)
        split = Split(images, torch.zeros(NUM_TRAIN, dtype=torch.int64))
        loss_sum = torch.zeros((), dtype=torch.float64)
    state = TrainState(network, training_generators(0, CPU), {}, torch.empty(0, dtype=torch.int64), loss_sum)
    data = Dataset("nothing", tuple("abcd"), split, split, split)
    return Session(config, replace(FP32, device=device), data, state, feature_epochs(phases_of(config)))


def play(loop: str, device: torch.device, change: Callable[[Session], Session] = lambda session: session) -> None:
    """Take the steps of a loop; what comes after them reads results, as it may."""
    make, changes = LOOPS[loop]
    session = change(session_on(device, tiny_config(**changes)))
    ticks = make(session)
    while session.state.cursor.step < session.steps_per_sweep * (1 if device == CUDA else SWEEPS.get(loop, 1)):
        next(ticks)


@pytest.fixture(autouse=True)
def _chunks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "a loss by chunks" in request.node.name:
        monkeypatch.setattr("claf_engine.training.losses.DENSE_ROWS", 2)


@pytest.fixture
def meta(monkeypatch: pytest.MonkeyPatch) -> torch.device:
    """The device `meta`, without what it does not have: autocast and fused optimisers."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())
    use_plain_optimizers(monkeypatch)
    return META


def use_plain_optimizers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SGD", "Adam"):
        monkeypatch.setattr(torch.optim, name, plain(getattr(torch.optim, name)))


def plain(optimizer: Callable[..., torch.optim.Optimizer]) -> Callable[..., torch.optim.Optimizer]:
    return lambda *values, fused, **settings: optimizer(*values, **settings)


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    """A CUDA device of fake tensors, with made-up gradients and without what those lack: fused optimisers, copies."""

    def backward(loss: Tensor) -> None:
        assert loss.shape == ()
        assert loss.requires_grad
        for module in networks:
            for parameter in module.parameters():
                parameter.grad = torch.empty_like(parameter)

    def gradients(loss: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
        assert loss.shape == ()
        return tuple(torch.empty_like(each) for each in inputs)

    def copied(tensor: Tensor, memo: dict[int, Any]) -> Tensor:
        kind = nn.Parameter if isinstance(tensor, nn.Parameter) else Tensor.detach
        return memo.setdefault(id(tensor), kind(torch.empty_like(tensor)))

    networks: list[nn.Module] = []
    made = Network.__init__

    def remember(network: Network, *values: Any) -> None:
        made(network, *values)
        networks.append(network)

    monkeypatch.setattr(Network, "__init__", remember)
    monkeypatch.setattr(Tensor, "backward", backward)
    monkeypatch.setattr(torch.autograd, "grad", gradients)
    monkeypatch.setattr(Tensor, "__deepcopy__", copied)
    monkeypatch.setattr(nn.Parameter, "__deepcopy__", copied)
    use_plain_optimizers(monkeypatch)
    with FakeTensorMode():
        yield CUDA


@EACH_LOOP
def test_whole_steps_neither_read_a_result_nor_mix_devices(loop: str, meta: torch.device) -> None:
    play(loop, meta)


@pytest.mark.parametrize("loop", [loop for loop in LOOPS if loop not in BESIDE])
def test_every_operation_of_a_step_has_its_tensors_on_one_device(loop: str, cuda: torch.device) -> None:
    play(loop, cuda)


def on_the_cpu(session: Session) -> Session:
    """Labels left on the CPU."""
    train = Split(session.data.train.images, torch.zeros(NUM_TRAIN, dtype=torch.int64))
    return replace(session, data=replace(session.data, train=train))


def reading(session: Session) -> Session:
    """A session that asks for every loss, as it does on a CPU."""
    step = Session.step_optimizer

    class Reading(Session):
        def step_optimizer(self, name: str, loss: Tensor, *values: Any, **others: Any) -> float:
            self.require_finite(float(loss.detach()))
            return step(self, name, loss, *values, **others)

    return Reading(session.config, session.compute, session.data, session.state, session.feature_epochs)


@pytest.mark.parametrize("fault", [on_the_cpu, reading])
@pytest.mark.parametrize("loop", ["natural", "retraining"])
def test_a_stray_tensor_or_read_is_an_error_on_meta(
    loop: str, fault: Callable[[Session], Session], meta: torch.device
) -> None:
    with pytest.raises((RuntimeError, NotImplementedError)):
        play(loop, meta, fault)


@pytest.mark.parametrize("fault", [on_the_cpu, reading])
@pytest.mark.parametrize("loop", ["natural", "retraining"])
def test_a_stray_tensor_or_read_is_an_error_of_fake_tensors(
    loop: str, fault: Callable[[Session], Session], cuda: torch.device
) -> None:
    with pytest.raises((RuntimeError, torch._subclasses.fake_tensor.DataDependentOutputException)):
        play(loop, cuda, fault)


BACKENDS = pytest.mark.parametrize("backend", ["eager", "aot_eager"])
"""The first traces Python into one graph, the second derives its backward pass too; neither needs a compiler."""


def compiled(work: Callable[..., Tensor], backend: str) -> Callable[..., Tensor]:
    """The work as one graph: what would break it in two is an error."""
    torch._dynamo.reset()
    return torch.compile(work, backend=backend, fullgraph=True)


def gradients_of(loss: Tensor, *inputs: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(loss, inputs))


def examples() -> tuple[Tensor, Tensor]:
    images = torch.rand((8, 3, 8, 8), generator=make_generator(CPU, 0))
    return images, torch.arange(8) % NUM_CLASSES


@pytest.mark.slow
@BACKENDS
def test_the_loss_of_the_encoders_step_is_one_graph(backend: str) -> None:
    session = tiny_session()
    images, labels = examples()
    views, weight = images[:, None].repeat(1, 3, 1, 1, 1), session.state.network.encoder.stem.weight
    assert isinstance(weight, Tensor)
    loss = partial(contrastive_loss, session)
    with training(session.state.network):
        expected = gradients_of(loss(views, labels), weight)
        found = gradients_of(compiled(loss, backend)(views, labels), weight)
    torch.testing.assert_close(found, expected)


@pytest.mark.slow
@BACKENDS
def test_what_an_attack_climbs_is_one_graph(backend: str) -> None:
    model, (images, labels) = fold(tiny_session().state.network.with_classifier(ATTACK_CLASSIFIER)), examples()
    points = images.requires_grad_(True)

    def climbed(points: Tensor, labels: Tensor) -> Tensor:
        return log_odds(model(FP32.arrange(points)).float(), labels).sum()

    with frozen(model):
        expected = gradients_of(climbed(points, labels), points)
        found = gradients_of(compiled(climbed, backend)(points, labels), points)
    torch.testing.assert_close(found, expected)


@pytest.mark.slow
@BACKENDS
@pytest.mark.parametrize("view", [crop_and_flip, shift_and_flip])
def test_crops_and_shifts_are_one_graph(view: Callable[..., Tensor], backend: str) -> None:
    images, _ = examples()
    config = tiny_config().views

    def augment(images: Tensor) -> Tensor:
        # A graph cannot hold a generator of ours, so that these numbers come from torch's own.
        return view(images, config, None)

    with torch.random.fork_rng(devices=()):
        views = compiled(augment, backend)(images)
    assert views.shape == images.shape
    assert 0 <= float(views.min()) <= float(views.max()) <= 1


def test_a_graph_that_breaks_is_an_error() -> None:
    def broken(images: Tensor) -> Tensor:
        return images * float(images.sum().item() > 0) if images.sum() > 0 else images

    with pytest.raises(torch._dynamo.exc.Unsupported):
        compiled(broken, "eager")(examples()[0])
