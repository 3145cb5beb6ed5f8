"""What every test of the engine may rely on: sums are made by one thread, whatever ran before in this process."""

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def threads_put_back() -> Iterator[None]:
    """For a test that changes the number of threads: the next one has those that were there."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)
