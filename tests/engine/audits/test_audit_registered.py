from collections.abc import Iterator
from pathlib import Path

import pytest

from claf_engine.audits.audit import AuditReport, AuditRequest, audit_steps
from claf_engine.config.plugins import load_plugin
from claf_engine.runs import create_run, list_checkpoints
from tests.engine.audits.test_audit import check
from tests.engine.tiny import exhaust, play, tiny_config, use_tiny_data
from tests.plugins import plugin_file, registries_restored

MODEL = """
    from torch import nn
    from claf_engine.models.registered import register_model

    @register_model("mine")
    class Mine(nn.Module):
        num_features = 3

        def __init__(self, config):
            super().__init__()
            self.layer = nn.Linear(3, 3)

        def forward(self, images):
            return self.layer(images.mean((2, 3)))
"""


@pytest.fixture(autouse=True)
def _registries_are_put_back(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    use_tiny_data(monkeypatch)
    monkeypatch.setattr("claf_engine.audits.audit.CHECKS", (check("a"),))
    with registries_restored():
        yield


def audit(checkpoint: Path) -> AuditReport:
    report: AuditReport = exhaust(audit_steps(AuditRequest(checkpoint, device="cpu")))[1]  # type: ignore[arg-type]
    return report


def notices(checkpoint: Path) -> str:
    return " ".join(audit(checkpoint).card["notices"])


def test_what_was_audited_of_another_text_of_a_plugin_is_not_taken_for_this_one(tmp_path: Path) -> None:
    load_plugin(plugin_file(tmp_path, MODEL))
    directory = create_run(tmp_path, "mine", tiny_config(method="natural", model__architecture="mine"), [])
    play(directory)
    checkpoint = list_checkpoints(directory.path)[0].path
    audit(checkpoint)
    assert "went on from what" in notices(checkpoint)
    load_plugin(plugin_file(tmp_path, MODEL.replace("images.mean((2, 3))", "images.amax((2, 3))")))
    assert "began anew" in notices(checkpoint)
