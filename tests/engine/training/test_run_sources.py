"""Sets of other sizes, channels and numbers of classes: trained on, measured and audited."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from claf_engine import events as ev
from claf_engine.audits.audit import audit_checkpoint
from claf_engine.audits.request import AuditRequest
from claf_engine.config import RunConfig
from claf_engine.config.presets import resolve_config
from claf_engine.evaluation.evaluate import evaluate
from claf_engine.evaluation.request import EvaluationRequest
from claf_engine.runs import create_run
from claf_engine.runs.examples import list_steps, read_clean
from tests.engine.data.sets import write_cifar100, write_mnist, write_svhn
from tests.engine.pictures import write_folder
from tests.engine.tiny import play

Prepare = Callable[[Path, pytest.MonkeyPatch], str]


@dataclass(frozen=True)
class Expected:
    """A set, how it is laid, and what a run finds in it."""

    source: Prepare
    num_classes: int
    channels: int
    num_test: int


def cifar100(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    write_cifar100(folder, monkeypatch)
    return "torchvision:CIFAR100"


def svhn(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    write_svhn(folder, monkeypatch)
    return "torchvision:SVHN"


def gray(folder: Path, _: pytest.MonkeyPatch) -> str:
    return f"folder:{write_folder(folder, {'train': 15, 'test': 5}, side=28, channels=1)}"


def mnist(folder: Path, _: pytest.MonkeyPatch) -> str:
    write_mnist(folder)
    return "torchvision:MNIST"


def with_val(folder: Path, _: pytest.MonkeyPatch) -> str:
    return f"folder:{write_folder(folder, {'train': 12, 'val': 6}, num_classes=3, side=20)}"


def thousand(folder: Path, _: pytest.MonkeyPatch) -> str:
    return f"folder:{write_folder(folder, {'train': 2, 'test': 1}, num_classes=1000)}"


SETS = {
    "CIFAR-100": Expected(cifar100, 100, 3, 100),
    "SVHN": Expected(svhn, 10, 3, 20),
    "gray, 2 classes": Expected(gray, 2, 1, 10),
    "MNIST": Expected(mnist, 10, 1, 15),
    "folder with val/": Expected(with_val, 3, 3, 18),
    "1,000 classes": Expected(thousand, 1000, 3, 1000),
}


def config_of(source: str) -> RunConfig:
    """All three stages at the smallest size."""
    changes = {
        "data.source": source,
        "data.num_train": "none",
        "data.num_test": "none",
        "data.num_validation": 12,
        "data.download": "false",
        "batch_size": 32,
        "model.width": 4,
        "model.blocks": "[1]",
        "contrastive.epochs": 1,
        "adversarial.epochs": 1,
        "linear_evaluation.epochs": 1,
        "linear_evaluation.adversarial_epochs": 0,
        "probe.num_examples": 12,
        "evaluation.num_examples": 12,
        "runtime.threads": 1,
    }
    return resolve_config("smoke", overrides=[f"{key}={value}" for key, value in changes.items()])


@pytest.mark.parametrize("name", SETS)
def test_a_set_is_trained_on_measured_and_audited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("CLAF_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("CLAF_CACHE_DIR", str(tmp_path / "cache"))
    expected = SETS[name]
    directory = create_run(tmp_path / "runs", "set", config_of(expected.source(tmp_path / "data", monkeypatch)), [])
    *_, finished = play(directory)
    assert isinstance(finished, ev.RunFinished)
    assert finished.status == "finished"
    assert finished.checkpoint is not None
    assert len(directory.config.model.mean) == expected.channels
    kept = list_steps(directory.path)
    assert read_clean(directory.path).pictures.shape[1] == expected.channels
    assert kept
    checkpoint = Path(finished.checkpoint)
    report = evaluate(EvaluationRequest(checkpoint, steps=2, restarts=1))
    assert (report.num_examples, len(report.classes)) == (expected.num_test, expected.num_classes)
    audited = audit_checkpoint(AuditRequest(checkpoint, num_examples=8))
    assert audited.verdict in {"passes", "warns", "fails"}
    assert audited.diagnostics
