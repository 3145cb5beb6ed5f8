import json
from pathlib import Path

import pytest
import torch

from claf_engine.runs.header import read_info
from claf_tui import cli
from claf_tui.screens.checkpoints.actions import ResumeRequest
from tests.engine.networks import checkpoint_of
from tests.engine.resnets import weights, write
from tests.tui.hostile import EVERYTHING
from tests.tui.scripted import write_checkpoint

Shown = pytest.CaptureFixture[str]


@pytest.fixture
def folder(root: Path) -> Path:
    """A run with checkpoints of steps 10 (best) and 20 (last)."""
    folder = root / "20260101-000000-old"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text("")
    write_checkpoint(folder, 10, natural=0.9)
    write_checkpoint(folder, 20, natural=0.5)
    return folder


def test_a_run_stands_for_its_best_checkpoint(folder: Path, capsys: Shown) -> None:
    assert cli.run(["checkpoint", "show", "latest", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["step"], record["kept_as"]) == (10, ["best"])


def test_json_has_what_a_program_needs_to_recognise_the_weights(folder: Path, capsys: Shown) -> None:
    path = folder / "checkpoints" / "step-000000020.safetensors"
    assert cli.run(["checkpoint", "show", str(path), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    info = read_info(path)
    assert record["weights_sha256"] == info.weights_sha256
    assert record["metrics"] == info.metrics
    assert (record["phase"], record["epoch"], record["run"], record["path"]) == (
        "adversarial",
        3,
        folder.name,
        str(path),
    )
    assert record["num_bytes"] == path.stat().st_size
    assert {"name": "classifier.weight", "shape": [10, 64], "dtype": "F32"} in record["tensors"]


def test_the_table_shows_figures_and_tensors(folder: Path, capsys: Shown) -> None:
    assert cli.run(["checkpoint", "show", "old", "--checkpoint", "last"]) == 0
    shown = capsys.readouterr().out
    assert all(text in shown for text in ("step-000000020", "50.0%", "last", "classifier.weight", "10x64", "F32"))


def test_a_checkpoint_outside_of_any_run_can_be_shown(tmp_path: Path, capsys: Shown) -> None:
    path = write_checkpoint(tmp_path / "x", 10).rename(tmp_path / "alone.safetensors")
    assert cli.run(["checkpoint", "show", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kept_as"] == []


def test_foreign_names_reach_the_terminal_only_cleaned(root: Path, capsys: Shown) -> None:
    path = write_checkpoint(root / "x", 10, phase=EVERYTHING)
    assert cli.run(["checkpoint", "show", str(path)]) == 0
    assert not any(character in capsys.readouterr().out for character in "\x1b\x9b\x07\u202e\u200b")


@pytest.mark.parametrize(
    "damage", [lambda data: data[:200], lambda data: data[:-1], lambda data: b"", lambda data: b"PK" + data]
)
def test_a_damaged_file_is_one_sentence_and_exit_code_3(folder: Path, capsys: Shown, damage: object) -> None:
    path = folder / "checkpoints" / "step-000000020.safetensors"
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    assert cli.run(["checkpoint", "show", str(path)]) == 3
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1


def test_the_browser_without_a_terminal_is_refused(folder: Path, capsys: Shown) -> None:
    assert cli.run(["checkpoint", "browse", "latest"]) == 2
    assert "the checkpoint browser needs a terminal" in capsys.readouterr().err


def test_resuming_from_the_browser_trains_from_that_checkpoint(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Shown
) -> None:
    newest = folder / "checkpoints" / "step-000000020.safetensors"
    monkeypatch.setattr("claf_tui.runners.train.choose_ui", lambda _: "plain")
    monkeypatch.setattr("claf_tui.runners.ui_mode.choose_ui", lambda _: "tui")
    monkeypatch.setattr("claf_tui.console.browser_app.BrowserApp.run", lambda _: ResumeRequest(newest))
    assert cli.run(["checkpoint", "browse"]) == 0
    assert f"folder: {folder}" in capsys.readouterr().out


def test_leaving_the_browser_does_nothing_more(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Shown) -> None:
    monkeypatch.setattr("claf_tui.runners.ui_mode.choose_ui", lambda _: "tui")
    monkeypatch.setattr("claf_tui.console.browser_app.BrowserApp.run", lambda _: None)
    assert cli.run(["checkpoint", "browse"]) == 0
    assert capsys.readouterr().out == ""


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """Weights of a very narrow ResNet-18 that somebody else trained."""
    return write(tmp_path / "their model.pt", {"net": weights(), "acc": 91.0})


def test_an_imported_model_is_a_run_named_after_its_file(foreign: Path, root: Path, capsys: Shown) -> None:
    assert cli.run(["checkpoint", "import", str(foreign), "--arch", "resnet18"]) == 0
    shown = capsys.readouterr()
    (folder,) = root.iterdir()
    assert folder.name.endswith("-their-model")
    assert "122 tensors of their model.pt, SHA-256 " in shown.out
    assert "untrained: projection_head, classifiers.attack, classifiers.adversarial" in shown.out
    assert shown.out.endswith(f"next:   claf-tui eval {folder.name}\n")
    assert shown.err == "left aside, because it is no part of the network: acc\n"


def test_an_imported_model_is_listed_and_shown_as_what_it_is(foreign: Path, root: Path, capsys: Shown) -> None:
    assert cli.run(["checkpoint", "import", str(foreign), "--name", "theirs"]) == 0
    capsys.readouterr()
    assert cli.run(["runs"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if "-theirs" in line)
    assert line.split()[1:6] == ["imported", "just", "now", "foreign", "cifar10"]
    assert cli.run(["checkpoint", "show", "theirs"]) == 0
    assert "imported from their model.pt (resnet18), SHA-256 " in capsys.readouterr().out


def test_json_of_an_import_names_the_run_and_the_file(foreign: Path, root: Path, capsys: Shown) -> None:
    flags = ["--mean", "0.5,0.25,0.125", "--std", "1,1,2", "--json"]
    assert cli.run(["checkpoint", "import", str(foreign), *flags]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["file"], record["mean"], record["std"]) == ("their model.pt", [0.5, 0.25, 0.125], [1.0, 1.0, 2.0])
    assert cli.run(["checkpoint", "show", record["checkpoint"], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["imported"]["sha256"] == record["file_sha256"]


@pytest.mark.parametrize("text", ["0,0", "0,0,0,0", "a,b,c", ""])
def test_channels_that_are_not_three_numbers_are_refused(foreign: Path, root: Path, capsys: Shown, text: str) -> None:
    assert cli.run(["checkpoint", "import", str(foreign), "--mean", text]) == 2
    assert "is not three numbers, such as 0,0,0" in capsys.readouterr().err
    assert not root.exists()


def test_weights_that_do_not_fit_are_one_sentence_and_exit_code_3(tmp_path: Path, root: Path, capsys: Shown) -> None:
    file = write(tmp_path / "m.pt", {**weights(), "extra\x1b[2J": torch.zeros(1)})
    assert cli.run(["checkpoint", "import", str(file)]) == 3
    shown = capsys.readouterr()
    assert "unknown: extra" in shown.err
    assert (shown.out, shown.err.count("\n"), "\x1b" in shown.err) == ("", 1, False)
    assert not root.exists()


def test_an_imported_model_cannot_be_trained(foreign: Path, root: Path, capsys: Shown) -> None:
    assert cli.run(["checkpoint", "import", str(foreign), "--name", "theirs"]) == 0
    assert cli.run(["train", "--resume", "theirs"]) == 3
    assert "is imported; evaluate it with `claf-tui eval" in capsys.readouterr().err


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoint_of(tmp_path_factory.mktemp("trained"), width=4, blocks=(1, 1))


def test_an_export_says_what_was_written_and_how_it_was_checked(trained: Path, tmp_path: Path, capsys: Shown) -> None:
    assert cli.run(["checkpoint", "export", str(trained), "--to", "out", "--names", "kuangliu"]) == 0
    written, card, checked = capsys.readouterr().out.splitlines()
    assert written == (
        "exported: the natural classifier to out, in the names of kuangliu: config.json, model.safetensors"
    )
    assert card.startswith("robustness: no card was there")
    assert checked == "checked:  opened by claf-tui, logits differ by at most 0.0e+00 on 3 random images"


def test_an_export_comes_back_without_another_word(trained: Path, tmp_path: Path, capsys: Shown) -> None:
    assert cli.run(["checkpoint", "export", str(trained), "--to", "out", "--format", "hub", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["files"] == ["README.md", "config.json", "model.safetensors"]
    assert cli.run(["checkpoint", "import", "out"]) == 0
    shown = capsys.readouterr().out
    assert "normalises by mean 0.4914,0.4822,0.4465" in shown
    assert "outputs: disc, ring, " in shown


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["--names", "trades"], 2, "can be exported with --names ours or torchvision or timm or kuangliu, not trades"),
        (["--format", "onnx", "--names", "timm"], 2, "leave --names out"),
        (["--classifier", "attack"], 3, "is untrained"),
        (["--to", "taken"], 3, "taken is no folder"),
    ],
)
def test_an_export_that_cannot_be_is_one_sentence(
    trained: Path, tmp_path: Path, capsys: Shown, flags: list[str], code: int, message: str
) -> None:
    (tmp_path / "taken").write_text("mine")
    assert cli.run(["checkpoint", "export", str(trained), "--to", "out", *flags]) == code
    shown = capsys.readouterr()
    assert message in shown.err
    assert (shown.out, shown.err.count("\n"), (tmp_path / "out").exists()) == ("", 1, False)


def test_an_export_is_not_overwritten_unless_forced(trained: Path, capsys: Shown) -> None:
    assert cli.run(["checkpoint", "export", str(trained), "--to", "out"]) == 0
    assert cli.run(["checkpoint", "export", str(trained), "--to", "out"]) == 3
    assert "or replace them with --force" in capsys.readouterr().err
    assert cli.run(["checkpoint", "export", str(trained), "--to", "out", "--force"]) == 0
