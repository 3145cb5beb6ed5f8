from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
import torch
from torch import Tensor, nn

from claf_engine.modes import evaluating, frozen, training

Mode = Callable[[nn.Module], AbstractContextManager[None]]


def network() -> nn.Sequential:
    """Nested, with modes and wanted gradients that differ from child to child."""
    inner = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5))
    model = nn.Sequential(inner, nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2))
    inner[1].eval()
    model[3].eval()
    model[1].bias.requires_grad_(False)
    inner[0].weight.requires_grad_(False)
    return model


def modes(model: nn.Module) -> list[bool]:
    return [module.training for module in model.modules()]


def wanted_gradients(model: nn.Module) -> list[bool]:
    return [parameter.requires_grad for parameter in model.parameters()]


def buffers(model: nn.Module) -> list[Tensor]:
    return [buffer.clone() for buffer in model.buffers()]


def images() -> Tensor:
    return torch.rand(5, 3, 4, 4, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("mode", "expected"), [(evaluating, False), (frozen, False), (training, True)])
def test_every_submodule_is_in_the_asked_for_mode(mode: Mode, expected: bool) -> None:
    model = network()
    with mode(model):
        assert set(modes(model)) == {expected}


@pytest.mark.parametrize("mode", [evaluating, frozen, training])
def test_every_submodule_gets_its_own_mode_back(mode: Mode) -> None:
    model = network()
    before = modes(model)
    with mode(model):
        pass
    assert modes(model) == before


@pytest.mark.parametrize("mode", [evaluating, frozen, training])
def test_after_an_exception_every_submodule_gets_its_own_mode_back(mode: Mode) -> None:
    model = network()
    before = modes(model)
    with pytest.raises(KeyError), mode(model):
        raise KeyError
    assert modes(model) == before


@pytest.mark.parametrize("inner", [evaluating, frozen, training])
@pytest.mark.parametrize("outer", [evaluating, frozen, training])
def test_leaving_an_inner_mode_restores_the_outer_one(outer: Mode, inner: Mode) -> None:
    model = network()
    with outer(model):
        before = (modes(model), wanted_gradients(model))
        with inner(model):
            pass
        assert (modes(model), wanted_gradients(model)) == before


def test_a_mode_of_one_part_leaves_the_others_alone() -> None:
    model = network()
    before = modes(model)[5:]
    with training(model[0]):
        assert modes(model)[5:] == before


def test_no_parameter_of_a_frozen_module_wants_a_gradient() -> None:
    model = network()
    with frozen(model):
        assert not any(wanted_gradients(model))


def test_freezing_puts_every_wanted_gradient_back() -> None:
    model = network()
    before = wanted_gradients(model)
    with frozen(model):
        pass
    assert wanted_gradients(model) == before


def test_after_an_exception_freezing_puts_every_wanted_gradient_back() -> None:
    model = network()
    before = wanted_gradients(model)
    with pytest.raises(KeyError), frozen(model):
        raise KeyError
    assert wanted_gradients(model) == before


def test_a_frozen_module_still_passes_gradients_to_its_input() -> None:
    inputs = images().requires_grad_(True)
    model = network()
    with frozen(model):
        model(inputs).sum().backward()
    assert inputs.grad is not None
    assert inputs.grad.abs().sum() > 0


def test_backward_through_a_frozen_module_leaves_its_gradients_alone() -> None:
    model = network()
    with frozen(model):
        model(images().requires_grad_(True)).sum().backward()
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("mode", [evaluating, frozen])
def test_outside_training_a_module_keeps_its_batchnorm_buffers(mode: Mode) -> None:
    model = network()
    before = buffers(model)
    with mode(model):
        model(images())
    assert all(map(torch.equal, before, buffers(model)))


def test_a_training_module_moves_its_batchnorm_buffers() -> None:
    model = network()
    before = buffers(model)
    with training(model):
        model(images())
    assert not any(map(torch.equal, before, buffers(model)))


def test_training_does_not_change_which_gradients_are_wanted() -> None:
    model = network()
    before = wanted_gradients(model)
    with training(model):
        assert wanted_gradients(model) == before
