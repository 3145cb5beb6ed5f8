"""What every test may rely on, wherever the suite is started from."""

import gc
import itertools
import os
import random
import re
import signal
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.disks import spare_disks
from tests.properties import load_profile
from tests.soak import Page

load_profile()
spare_disks()
# Tests run side by side, one for each core: more threads than that would wait for each other. Before torch is loaded.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Processes of the tests share what one of them has compiled: 1 s of each that trains or shows a console.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


_NUMBERS = itertools.count()


@pytest.fixture
def tmp_path(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the test an empty folder of its own, numbered within this process.

    The one of pytest is numbered by a look at the folders of all tests before: 3 ms at 6,000 of them.
    """
    name = re.sub(r"\W", "_", request.node.name)[:30]
    folder = tmp_path_factory.getbasetemp() / f"{name}-{next(_NUMBERS)}"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture(autouse=True, scope="session")
def _signals_are_not_ignored() -> Iterator[None]:
    """A suite started in the background or by nohup inherits ignored signals, and so would the processes it tests."""
    ignored = [number for number in (signal.SIGINT, signal.SIGHUP) if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


def pytest_runtest_setup() -> None:
    """Every test draws the same numbers whatever ran before it: who fails by chance fails in somebody else's run."""
    random.seed(0)
    if (torch := sys.modules.get("torch")) is not None:
        torch.manual_seed(0)


def pytest_configure(config: pytest.Config) -> None:
    """Let a soak write its page: the process that hears of every test does."""
    if "CLAF_SOAK_PAGE" in os.environ and "PYTEST_XDIST_WORKER" not in os.environ:
        config.pluginmanager.register(Page(Path(os.environ["CLAF_SOAK_PAGE"]), config.invocation_params.args))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Spare the garbage collector what is loaded: libraries and 10,000 tests stay, and walking them takes 0.5 s."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what is slow, so that no worker is left alone with it; skip what needs an accelerator torch lacks."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
    waiting = [item for item in items if item.get_closest_marker("gpu")]
    if not waiting:
        return
    import torch

    if not torch.cuda.is_available():
        for item in waiting:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device, and torch sees none here"))
