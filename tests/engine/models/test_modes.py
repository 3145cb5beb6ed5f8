import copy
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
import torch
from torch import Tensor, nn

from claf_engine.models.modes import batch_statistics, buffers_kept, evaluating, frozen, training

Mode = Callable[[nn.Module], AbstractContextManager[None]]
MODES = (evaluating, frozen, training, batch_statistics)
EACH_MODE = pytest.mark.parametrize("mode", MODES)
EACH_FROZEN_MODE = pytest.mark.parametrize("mode", [frozen, batch_statistics])


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


@EACH_MODE
def test_every_submodule_gets_its_own_mode_back(mode: Mode) -> None:
    model = network()
    before = modes(model)
    with mode(model):
        pass
    assert modes(model) == before


@EACH_MODE
def test_after_an_exception_every_submodule_gets_its_own_mode_back(mode: Mode) -> None:
    model = network()
    before = modes(model)
    with pytest.raises(KeyError), mode(model):
        raise KeyError
    assert modes(model) == before


@pytest.mark.parametrize("inner", MODES)
@pytest.mark.parametrize("outer", MODES)
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


@EACH_FROZEN_MODE
def test_no_parameter_of_a_frozen_module_wants_a_gradient(mode: Mode) -> None:
    model = network()
    with mode(model):
        assert not any(wanted_gradients(model))


@EACH_FROZEN_MODE
def test_freezing_puts_every_wanted_gradient_back(mode: Mode) -> None:
    model = network()
    before = wanted_gradients(model)
    with mode(model):
        pass
    assert wanted_gradients(model) == before


@EACH_FROZEN_MODE
def test_after_an_exception_freezing_puts_every_wanted_gradient_back(mode: Mode) -> None:
    model = network()
    before = wanted_gradients(model)
    with pytest.raises(KeyError), mode(model):
        raise KeyError
    assert wanted_gradients(model) == before


@EACH_FROZEN_MODE
def test_a_frozen_module_still_passes_gradients_to_its_input(mode: Mode) -> None:
    inputs = images().requires_grad_(True)
    model = network()
    with mode(model):
        model(inputs).sum().backward()
    assert inputs.grad is not None
    assert inputs.grad.abs().sum() > 0


@EACH_FROZEN_MODE
def test_backward_through_a_frozen_module_leaves_its_gradients_alone(mode: Mode) -> None:
    model = network()
    with mode(model):
        model(images().requires_grad_(True)).sum().backward()
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize("mode", [evaluating, frozen, batch_statistics])
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


def settled_norm(momentum: float | None = 0.1) -> nn.BatchNorm2d:
    """A BatchNorm layer whose running statistics are far from those of `images`."""
    norm = nn.BatchNorm2d(3, momentum=momentum)
    for buffer, value in ((norm.running_mean, 5.0), (norm.running_var, 9.0)):
        assert buffer is not None
        buffer.fill_(value)
    return norm.eval()


def test_with_batch_statistics_batchnorm_normalises_by_the_batch() -> None:
    norm, batch = settled_norm(), images()
    with batch_statistics(norm):
        normalised = norm(batch)
    expected = (batch - batch.mean((0, 2, 3), keepdim=True)) / batch.std((0, 2, 3), correction=0, keepdim=True)
    torch.testing.assert_close(normalised, expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("momentum", [0.1, None])
def test_with_batch_statistics_no_buffer_changes(momentum: float | None) -> None:
    norm = settled_norm(momentum)
    before = buffers(norm)
    with batch_statistics(norm):
        norm(images())
        assert all(map(torch.equal, before, buffers(norm)))
    assert all(map(torch.equal, before, buffers(norm)))


def test_after_an_exception_with_batch_statistics_no_buffer_has_changed() -> None:
    model = network()
    before = buffers(model)

    def fail_after_a_forward_pass() -> None:
        with batch_statistics(model):
            model(images())
            raise KeyError

    with pytest.raises(KeyError):
        fail_after_a_forward_pass()
    assert all(map(torch.equal, before, buffers(model)))


def test_after_batch_statistics_batchnorm_is_as_it_was() -> None:
    norm, batch = settled_norm(), images()
    before = norm(batch)
    with batch_statistics(norm):
        norm(batch)
    assert torch.equal(norm(batch), before)


def test_after_batch_statistics_training_moves_the_buffers_again() -> None:
    norm = settled_norm()
    before = buffers(norm)
    with pytest.raises(KeyError), batch_statistics(norm):
        raise KeyError
    with training(norm):
        norm(images())
    assert not any(map(torch.equal, before, buffers(norm)))


def test_with_batch_statistics_only_batchnorm_is_in_train_mode() -> None:
    model = network()
    with batch_statistics(model):
        in_training = {type(module) for module in model.modules() if module.training}
    assert in_training == {nn.BatchNorm2d}


def test_with_batch_statistics_a_layer_that_never_tracked_stays_so() -> None:
    norm = nn.BatchNorm2d(3, track_running_stats=False)
    with batch_statistics(norm):
        norm(images())
    assert not norm.track_running_stats


def test_batch_statistics_hold_for_features_too() -> None:
    norm = nn.BatchNorm1d(3).eval()
    with batch_statistics(norm):
        normalised = norm(torch.tensor([[1.0, 2, 3], [3, 6, 9]]))
    torch.testing.assert_close(normalised, torch.tensor([[-1.0] * 3, [1.0] * 3]), rtol=0, atol=1e-4)


def test_kept_buffers_are_as_before_though_passes_moved_copies_of_them() -> None:
    norm = nn.BatchNorm2d(3).train()
    before = copy.deepcopy(norm.state_dict())
    with buffers_kept(norm):
        norm(torch.rand(4, 3, 2, 2))
        assert not torch.equal(norm.running_mean, before["running_mean"])
    assert all(torch.equal(before[name], tensor) for name, tensor in norm.state_dict().items())
