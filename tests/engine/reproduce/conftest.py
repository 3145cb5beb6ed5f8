import shutil
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from claf_engine import events as ev
from claf_engine.data import Dataset
from claf_engine.events.control import Control
from claf_engine.events.ticks import Pulse
from claf_engine.reproduce.plan import ReproductionRequest
from claf_engine.reproduce.runner import reproduce
from claf_engine.runs import to_plain
from tests.engine.tiny import tiny_config, tiny_data, use_tiny_data

METHODS = {
    "natural": "natural",
    "fgsm": "fgsm",
    "alp": "alp",
    "scl": "scl",
    "at": "at",
    "trades": "trades",
    "rocl-at": "rocl",
    "claf": "claf",
}


def tiny_sections(_scale: str) -> dict[str, Any]:
    """The settings of a scale at which a run takes less than a second."""
    common = to_plain(tiny_config(contrastive__epochs=1, adversarial__epochs=1, supervised__epochs=1, rocl__epochs=1))
    sections = {"compute": {"units_per_image": 40}, "measure": {"autoattack": 0}, "common": common}
    return {**sections, **{recipe: {"method": method} for recipe, method in METHODS.items()}}


def use_tiny_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every scale but the paper's have tiny runs on tiny images, tell every pulse, and estimate nothing."""

    def images(*_: object) -> Generator[Pulse, None, Dataset]:
        yield Pulse("drawing tiny images")
        return tiny_data()

    use_tiny_data(monkeypatch)
    monkeypatch.setattr("claf_engine.reproduce.measuring.dataset_steps", images)
    monkeypatch.setattr("claf_engine.reproduce.scales.scale_sections", tiny_sections)
    monkeypatch.setattr("claf_engine.reproduce.runner.forecast", lambda _: [])
    monkeypatch.setattr("claf_engine.reproduce.runner.PROGRESS_SECONDS", 0.0)


@pytest.fixture
def tiny_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiny runs for one test."""
    use_tiny_scale(monkeypatch)


@dataclass(frozen=True)
class Reproduced:
    """A reproduction of Table 4 that several tests look at, and none changes."""

    root: Path
    events: list[ev.Event]

    def copy(self, root: Path) -> Path:
        """Its runs and measurements, for a test that goes on from them."""
        shutil.copytree(self.root, root, dirs_exist_ok=True)
        return root


@pytest.fixture(scope="session")
def reproduced(tmp_path_factory: pytest.TempPathFactory) -> Reproduced:
    """Table 4, reproduced once."""
    root = tmp_path_factory.mktemp("table4")
    with pytest.MonkeyPatch.context() as monkeypatch:
        use_tiny_scale(monkeypatch)
        events = list(reproduce(request_of(root), Control()))
    return Reproduced(root, events)


def request_of(root: Path, table: Any = "table4", **changes: Any) -> ReproductionRequest:
    """A tiny reproduction, without audits."""
    return ReproductionRequest(**{"table": table, "root": root, "scale": "tiny", "audit": False, **changes})
