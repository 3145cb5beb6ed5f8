from pathlib import Path

import pytest

from claf_tui.runners.trackers.wandb import WeightsAndBiases, has_key
from tests.tui.runners.trackers.fakes import fake_wandb
from tests.tui.scripted import run_started


@pytest.fixture(autouse=True)
def _nobody_is_logged_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_PROJECT", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


def test_figures_settings_and_the_end_are_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = fake_wandb(monkeypatch)
    monkeypatch.setenv("WANDB_API_KEY", "0123456789")
    tracker = WeightsAndBiases()
    assert tracker.begin(run_started(tmp_path / "a-run")) == "records run a-run"
    tracker.scalars(7, {"learning_rate": 0.1}, 5.0)
    tracker.end("diverged")
    ((call, run),) = calls
    assert (call["id"], call["project"], call["resume"], call["mode"]) == ("a-run", "claf-tui", "allow", None)
    assert call["settings"].console == "off"
    assert run.config == {"probe": {"every_epochs": 5}}
    assert run.logged == [(7, {"learning_rate": 0.1, "time": 5.0})]
    assert (run.summary["status"], run.exit_code) == ("diverged", 1)


def test_where_nobody_is_logged_in_it_records_offline_and_asks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = fake_wandb(monkeypatch)
    assert "offline" in WeightsAndBiases().begin(run_started(tmp_path / "a-run"))
    assert calls[0][0]["mode"] == "offline"


def test_a_project_of_their_own_variable_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = fake_wandb(monkeypatch)
    monkeypatch.setenv("WANDB_PROJECT", "mine")
    WeightsAndBiases().begin(run_started(tmp_path / "a-run"))
    assert calls[0][0]["project"] == "mine"


def test_a_login_is_found_where_their_library_keeps_it(tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text("machine api.wandb.ai login user password 0123456789\n")
    assert has_key({"NETRC": str(tmp_path / "netrc")})
    assert not has_key({"NETRC": str(tmp_path / "netrc"), "WANDB_BASE_URL": "https://wandb.example.org"})
    assert not has_key({"NETRC": str(tmp_path / "nowhere")})
