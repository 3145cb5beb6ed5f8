from pathlib import Path

import pytest

from claf_engine.runs.overview import digest_of, overview_of
from claf_engine.terms.errors import ClafError
from claf_tui.screens.checkpoints.actions import ResumeRequest
from claf_tui.screens.runs.resuming import way_on
from tests.engine.runs.listed import listed, probed_run
from tests.tui.scripted import write_checkpoint


def test_the_newest_checkpoint_that_can_be_read_is_gone_on_from(tmp_path: Path) -> None:
    run = probed_run(tmp_path, "20270101-000000-a", 0.2, status="running")
    newest = [write_checkpoint(run, step) for step in (100, 200)][-1]
    (run / "checkpoints" / "step-000000300.safetensors").write_bytes(b"torn")
    assert way_on(overview_of(run, digest_of(run))) == ResumeRequest(newest)


def test_a_live_run_and_one_without_checkpoints_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ClafError, match="it is live"):
        way_on(listed(status="running"))
    run = probed_run(tmp_path, "20270101-000000-a", 0.2, status="stopped")
    with pytest.raises(ClafError, match="it has no checkpoint; .* --restart begins it anew"):
        way_on(overview_of(run, digest_of(run)))
