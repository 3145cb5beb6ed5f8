import pytest

from claf_engine.terms.errors import DeviceError
from claf_tui.runners.trackers import choosing


def test_what_is_not_installed_is_said_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "find_spec", lambda name: None)
    with pytest.raises(DeviceError, match=r"--wandb needs wandb; get it with .*\[wandb\]"):
        choosing.require_installed(["wandb"])


def test_every_tracker_is_made_by_its_name() -> None:
    assert [tracker.name for tracker in choosing.make_trackers(choosing.LIBRARIES)] == list(choosing.LIBRARIES)
