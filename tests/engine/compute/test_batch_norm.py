"""BatchNorm of a batch in several processes is nn.BatchNorm of it, and its state_dict says nothing of them."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from claf_engine.compute.batch_norm import SharedBatchNorm2d, synchronise_batch_norms
from claf_engine.compute.world import World
from claf_engine.models.folding import fold_encoder
from claf_engine.models.modes import batch_statistics, evaluating
from claf_engine.terms.errors import ConfigError
from tests.engine.tiny import CPU, tiny_session


@dataclass(frozen=True)
class Exchange(World):
    """Processes in one: each is asked for its statistics first, and then given those of all."""

    rows: tuple[Tensor, ...] = ()

    def part(self, total: int) -> "Exchange":  # type: ignore[override]
        return self

    def gather_with_graph(self, rows: Tensor) -> Tensor:
        """Those of all processes in place of one's own."""
        return torch.cat(self.rows) if self.rows else _told(rows)


class Told(Exception):
    def __init__(self, rows: Tensor) -> None:
        self.rows = rows


def _told(rows: Tensor) -> Tensor:
    raise Told(rows)


def shared_outputs(norm: nn.Module, shares: list[Tensor]) -> Iterator[Tensor]:
    """The outputs of several processes with one BatchNorm each, whose buffers afterwards are those of `norm`."""
    statistics = []
    for share in shares:
        norm.world = Exchange(0, len(shares))  # type: ignore[assignment]
        with pytest.raises(Told) as told:
            norm(share)
        statistics.append(told.value.rows)
    norm.world = Exchange(0, len(shares), rows=tuple(statistics))  # type: ignore[assignment]
    before = {name: buffer.clone() for name, buffer in norm.named_buffers()}
    for share in shares:
        norm.load_state_dict(before, strict=False)
        yield norm(share)


def norms(momentum: float | None = 0.1) -> tuple[nn.BatchNorm2d, nn.Module]:
    alone = nn.BatchNorm2d(3, momentum=momentum).double()
    nn.init.uniform_(alone.weight)
    nn.init.uniform_(alone.bias)
    holder = nn.Sequential(copy.deepcopy(alone))
    synchronise_batch_norms(holder, World(0, 2), CPU)
    return alone, holder[0]


SHARES = [[4, 3], [5, 0], [1, 0, 2]]


@pytest.mark.parametrize("counts", SHARES)
@pytest.mark.parametrize("momentum", [0.1, None])
def test_it_computes_what_one_process_computes(counts: list[int], momentum: float | None) -> None:
    alone, shared = norms(momentum)
    images = torch.randn(sum(counts), 3, 4, 5, dtype=torch.float64) * 3 + 7
    leaf, other = (images.clone().requires_grad_(True) for _ in range(2))
    weights = torch.randn_like(images)
    expected, found = alone(leaf), torch.cat(list(shared_outputs(shared, list(other.split(counts)))))
    assert_close(found, expected, rtol=1e-10, atol=1e-12)
    assert_close(
        torch.autograd.grad((found * weights).sum(), [other, *shared.parameters()]),
        torch.autograd.grad((expected * weights).sum(), [leaf, *alone.parameters()]),
        rtol=1e-9,
        atol=1e-10,
    )
    assert_close(dict(shared.state_dict()), dict(alone.state_dict()), rtol=1e-12, atol=1e-12)


def test_with_batch_statistics_alone_its_buffers_stand_still() -> None:
    _, shared = norms()
    before = copy.deepcopy(shared.state_dict())
    with batch_statistics(shared):
        list(shared_outputs(shared, list(torch.randn(4, 3, 2, 2, dtype=torch.float64).split([3, 1]))))
    assert_close(dict(shared.state_dict()), dict(before), rtol=0, atol=0)


def test_in_eval_mode_nothing_is_exchanged() -> None:
    alone, shared = norms()
    images = torch.randn(4, 3, 2, 2, dtype=torch.float64)
    with evaluating(alone), evaluating(shared):
        assert_close(shared(images), alone(images), rtol=0, atol=0)


def test_a_network_of_several_processes_has_the_tensors_of_one_and_is_folded_like_it() -> None:
    network = tiny_session().state.network
    before, folded = copy.deepcopy(network.state_dict()), fold_encoder(network.encoder).state_dict()
    synchronise_batch_norms(network, World(0, 2), CPU)
    assert any(isinstance(module, SharedBatchNorm2d) for module in network.modules())
    assert_close(dict(network.state_dict()), dict(before), rtol=0, atol=0)
    assert_close(dict(fold_encoder(network.encoder).state_dict()), dict(folded), rtol=0, atol=0)


def test_on_an_accelerator_it_is_torchs_own() -> None:
    network = nn.Sequential(nn.Sequential(nn.BatchNorm2d(2)))
    synchronise_batch_norms(network, World(0, 2), torch.device("cuda", 0))
    assert isinstance(network[0][0], nn.SyncBatchNorm)


def test_for_micro_batches_it_is_ours_there_too() -> None:
    network = nn.Sequential(nn.BatchNorm2d(2))
    synchronise_batch_norms(network, World(0, 2), torch.device("cuda", 0), in_micro_batches=True)
    assert isinstance(network[0], SharedBatchNorm2d)


def test_a_layer_of_timm_that_activates_too_still_does() -> None:
    timm = pytest.importorskip("timm.layers")
    alone = timm.BatchNormAct2d(3, act_layer=nn.SiLU).double()
    nn.init.uniform_(alone.bias)
    holder = nn.Sequential(copy.deepcopy(alone))
    synchronise_batch_norms(holder, World(0, 2), torch.device("cuda", 0))
    images = torch.randn(5, 3, 4, 2, dtype=torch.float64)
    found = torch.cat(list(shared_outputs(holder[0], list(images.split([4, 1])))))
    assert_close(found, alone(images), rtol=1e-10, atol=1e-12)
    with evaluating(alone), evaluating(holder):
        assert_close(holder(images), alone(images), rtol=1e-10, atol=1e-12)


def test_a_batch_norm_of_somebody_elses_is_refused_and_not_replaced() -> None:
    class Own(nn.BatchNorm2d):
        pass

    for device in (CPU, torch.device("cuda", 0)):
        with pytest.raises(ConfigError, match="the model's Own computes BatchNorm in a way of its own"):
            synchronise_batch_norms(nn.Sequential(Own(2)), World(0, 2), device)
        synchronise_batch_norms(nn.Sequential(Own(2)), World(), device)


def test_a_single_process_keeps_what_it_has() -> None:
    network = nn.Sequential(nn.BatchNorm2d(2))
    synchronise_batch_norms(network, World(), CPU)
    assert type(network[0]) is nn.BatchNorm2d
