from dataclasses import replace

import pytest
from torch import Tensor, nn

from claf_engine.compute.world import World
from claf_engine.terms.errors import ConfigError
from claf_engine.training.opening import require_shares
from claf_engine.training.session import Session
from tests.engine.tiny import tiny_data, tiny_session


class Counting(nn.Module):
    """Leaves the number of values of an image to be counted, which those of no image do not tell."""

    def forward(self, images: Tensor) -> Tensor:
        return images.reshape(len(images), -1)


def shared(num_processes: int, num_train: int) -> Session:
    """A session whose model cannot compute no images."""
    session = tiny_session(data=tiny_data(num_train))
    session.state.network.encoder = Counting()  # type: ignore[assignment]
    return replace(session, compute=replace(session.compute, world=World(0, num_processes)))


@pytest.mark.parametrize(("num_processes", "num_train"), [(2, 25), (3, 26), (9, 24)])
def test_a_last_batch_that_a_process_has_no_part_in_is_refused_at_the_start(num_processes: int, num_train: int) -> None:
    with pytest.raises(ConfigError, match=rf"leaves some of {num_processes} processes without any.*batch_size"):
        require_shares(shared(num_processes, num_train))


@pytest.mark.parametrize(("num_processes", "num_train"), [(1, 25), (2, 26), (8, 24)])
def test_where_every_process_has_a_part_it_is_not(num_processes: int, num_train: int) -> None:
    require_shares(shared(num_processes, num_train))


def test_a_model_that_computes_no_images_may_be_given_none() -> None:
    session = tiny_session(data=tiny_data(25))
    require_shares(replace(session, compute=replace(session.compute, world=World(0, 2))))
