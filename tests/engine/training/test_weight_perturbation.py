from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from claf_engine.config import WeightPerturbationConfig
from claf_engine.events.ticks import Boundary
from claf_engine.models.modes import training
from claf_engine.models.network import NATURAL, Pipeline
from claf_engine.terms.errors import NonFiniteLoss
from claf_engine.training.checkpoint import state_tensors
from claf_engine.training.methods import phases_of
from claf_engine.training.registered import register_loss
from claf_engine.training.session import Session
from claf_engine.training.weight_perturbation import gamma_at, moved, perturbations
from tests.engine.tiny import tiny_config, tiny_session
from tests.plugins import registries_restored

GAMMA = 0.05
ALWAYS = {"weight_perturbation": {"gamma": GAMMA, "after": 0}}


@pytest.mark.parametrize(("done", "gamma"), [(0, 0), (59, 0), (60, 0.01), (99, 0.01)])
def test_weights_are_moved_after_a_share_of_the_phase(done: int, gamma: float) -> None:
    assert gamma_at(WeightPerturbationConfig(gamma=0.01, after=0.6), Fraction(done, 100)) == gamma


def test_a_perturbation_is_along_the_gradient_and_a_share_of_the_weight_as_long() -> None:
    weight = torch.tensor([[3.0, 0.0], [0.0, 4.0]], requires_grad=True)
    weight.grad = torch.tensor([[0.0, 2.0], [0.0, 0.0]])
    (found,) = perturbations([weight], 0.1)
    assert torch.allclose(found, torch.tensor([[0.0, 0.5], [0.0, 0.0]]))


def test_a_weight_without_a_slope_stays() -> None:
    weight = torch.ones(2, 2, requires_grad=True)
    weight.grad = torch.zeros(2, 2)
    assert perturbations([weight], 0.1)[0].tolist() == [[0, 0], [0, 0]]


def test_moved_weights_come_back_to_the_bit_even_after_an_error() -> None:
    weight = torch.randn(5, 5, requires_grad=True, generator=torch.Generator().manual_seed(0))
    before = weight.detach().clone()
    with moved([weight], [torch.full((5, 5), 1 / 3)]):
        assert not torch.equal(weight, before), "the control"
    assert torch.equal(weight, before)
    with pytest.raises(NonFiniteLoss), moved([weight], [torch.full((5, 5), 1 / 3)]):
        raise NonFiniteLoss("diverged")
    assert torch.equal(weight, before)


def tensors_after(session: Session, steps: int) -> dict[str, Tensor]:
    """The state after some steps of the first phase."""
    for _ in zip(range(steps), boundaries(session), strict=False):
        pass
    return state_tensors(session.state)


def boundaries(session: Session) -> Iterator[Boundary]:
    for tick in phases_of(session.config)[0].play(session):
        if isinstance(tick, Boundary):
            yield tick


def slow_step(model: Pipeline, images: Tensor, labels: Tensor, rate: float) -> float:
    """One step of SGD without momentum or decay, as the equations say it; gives the loss at the moved weights."""
    kept = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    parameters = [parameter for _, parameter in model.named_parameters()]
    gradients = torch.autograd.grad(F.cross_entropy(model(images), labels), parameters)
    model.load_state_dict(kept)
    worst = dict(kept)
    for (name, parameter), gradient in zip(model.named_parameters(), gradients, strict=True):
        if parameter.dim() > 1:
            length = sum(float(value) ** 2 for value in kept[name].flatten()) ** 0.5
            slope = sum(float(value) ** 2 for value in gradient.flatten()) ** 0.5
            worst[name] = kept[name] + GAMMA * length * gradient / slope
    model.load_state_dict(worst)
    loss = F.cross_entropy(model(images), labels)
    gradients = torch.autograd.grad(loss, parameters)
    buffers = {name: tensor.clone() for name, tensor in model.named_buffers()}
    stepped = {
        name: kept[name] - rate * gradient
        for (name, _), gradient in zip(model.named_parameters(), gradients, strict=True)
    }
    model.load_state_dict(stepped | buffers)
    return float(loss.detach())


def test_steps_are_those_of_a_slow_loop_of_the_equations() -> None:
    plain = {"momentum": 0.0, "weight_decay": 0.0, "learning_rate": 0.1, "schedule": "constant"}
    changes: dict[str, Any] = {"method": "natural", "supervised": {"epochs": 1, "view": "image", "optimizer": plain}}
    session, slow = (tiny_session(tiny_config(**changes, **ALWAYS)) for _ in range(2))
    model, losses = slow.state.network.with_classifier(NATURAL), []
    with training(model):
        for rows in slow.batches():
            images, labels = slow.training_batch(rows)
            losses.append(slow_step(model, images, labels, 0.1))
            slow.finish_step("supervised", "cross_entropy", torch.zeros(()), 0.1, len(rows))
    assert [float(tick.loss) for tick in boundaries(session)] == pytest.approx(losses, rel=1e-5)
    for name, tensor in slow.state.network.state_dict().items():
        assert torch.allclose(session.state.network.state_dict()[name], tensor, atol=1e-5), name


@pytest.mark.parametrize("method", ["natural", "at", "fgsm", "trades", "alp", "scl", "rocl"])
def test_every_method_s_main_step_moves_weights_and_its_statistics_move_once(method: str) -> None:
    found = {}
    for gamma in (0, GAMMA):
        settings = {"gamma": gamma, "after": 0}
        session = tiny_session(tiny_config(method=method, weight_perturbation=settings, attack__steps=1))
        found[gamma] = tensors_after(session, 2)
    weights = [name for name in found[0] if name.startswith("network.encoder") and name.endswith("weight")]
    assert any(not torch.equal(found[0][name], found[GAMMA][name]) for name in weights)
    counts = [name for name in found[0] if name.endswith("num_batches_tracked")]
    assert counts
    assert all(torch.equal(found[0][name], found[GAMMA][name]) for name in counts)


def test_before_its_share_of_the_phase_nothing_is_different() -> None:
    found = [
        tensors_after(tiny_session(tiny_config(method="at", weight_perturbation={"gamma": gamma, "after": 0.5})), 3)
        for gamma in (0, GAMMA)
    ]
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


@pytest.mark.parametrize("changes", [{"runtime__recompute": True}, {"runtime__micro_batch": 3}])
def test_less_memory_gives_the_same_step(changes: dict[str, Any]) -> None:
    config = tiny_config(method="trades", **ALWAYS)
    usual, saving = tiny_session(config), tiny_session(tiny_config(method="trades", **ALWAYS, **changes))
    runtime = saving.config.runtime
    saving = replace(
        saving, compute=replace(saving.compute, micro_batch=runtime.micro_batch, recompute=runtime.recompute)
    )
    one, other = tensors_after(usual, 2), tensors_after(saving, 2)
    for name, tensor in one.items():
        assert torch.allclose(tensor.double(), other[name].double(), atol=1e-4), name


def test_the_average_is_of_the_weights_themselves_and_not_of_moved_ones() -> None:
    session = tiny_session(tiny_config(method="natural", averaging__decay=0.9, **ALWAYS))
    tensors_after(session, 1)
    assert session.state.average is not None
    own = session.state.network.state_dict()
    assert all(torch.equal(tensor, own[name]) for name, tensor in session.state.average.state_dict().items())


def test_a_registered_loss_sees_the_same_attacked_images_twice() -> None:
    seen: list[Tensor] = []

    def loss(model: Any, images: Tensor, labels: Tensor, attack: Any) -> Tensor:
        seen.append(attack(images, labels))
        return F.cross_entropy(model(seen[-1]), labels)

    with registries_restored():
        register_loss("mine")(loss)
        tensors_after(tiny_session(tiny_config(method="mine", **ALWAYS)), 2)
    assert [torch.equal(seen[0], seen[1]), torch.equal(seen[2], seen[3])] == [True, True]
    assert len(seen) == 4
    assert seen[0].shape != seen[2].shape or not torch.equal(seen[0], seen[2]), "the control"
