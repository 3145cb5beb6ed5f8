import pytest

from claf_tui import cli
from claf_tui.commands import options
from claf_tui.state.draft import Draft

Shown = pytest.CaptureFixture[str]


def test_without_a_terminal_the_form_says_what_does_the_same(capsys: Shown) -> None:
    assert cli.run(["train", "--form"]) == 2
    assert "--form needs a terminal; without one, --set KEY=VALUE says the same" in capsys.readouterr().err


@pytest.mark.parametrize("more", [["--resume", "latest"], ["--config", "x.toml"], ["--dry-run"]])
def test_the_form_begins_a_new_run_from_a_preset_alone(more: list[str], capsys: Shown) -> None:
    assert cli.run(["train", "--form", *more]) == 2
    assert f"--form cannot be combined with {more[0]}" in capsys.readouterr().err


def test_options_beside_it_are_where_it_begins() -> None:
    values = ["attack.steps=7", "trades.weighting = none"]
    draft = options.drafted("smoke", values, {"--method": "trades", "--seed": 3, "--device": None}, "mine", None)
    assert draft == Draft("smoke", {"attack.steps": "7", "method": "trades", "seed": "3"}, "mine")


def test_a_tracker_that_is_not_installed_is_said_before_a_run_begins(
    capsys: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("claf_tui.runners.trackers.choosing.find_spec", lambda name: None)
    assert cli.run(["train", "--mlflow", "--dry-run"]) == 5
    assert "--mlflow needs mlflow; get it with" in capsys.readouterr().err
