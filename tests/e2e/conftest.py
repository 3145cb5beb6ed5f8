"""What tests of real processes share: one that has torch loaded, and forks others."""

from collections.abc import Iterator

import pytest

from tests.e2e.processes import Nursery, begin_nursery


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """A nursery of processes for all tests: to have torch loaded costs seconds."""
    with begin_nursery(tmp_path_factory.mktemp("nursery")) as nursery:
        yield nursery
