"""`--model` and `--weights` of the commands that have them."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from claf_engine.runs import list_runs
from claf_tui import cli
from tests.models import NET
from tests.plugins import plugin_file, registries_restored

Shown = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _file(tmp_path: Path) -> Iterator[None]:
    plugin_file(tmp_path, NET, "net.py")
    with registries_restored():
        yield


def refusal(capsys: Shown, *arguments: str) -> str:
    assert cli.run(list(arguments)) == 2
    return capsys.readouterr().err


def train(*arguments: str) -> int:
    return cli.run(["train", "--preset", "smoke", "--ui", "plain", *arguments])


def settings(root: Path) -> dict[str, dict[str, object]]:
    return tomllib.loads((list_runs(root)[0].directory / "config.toml").read_text())


def test_a_run_is_begun_with_a_model_of_a_file(root: Path) -> None:
    Path("w.pt").touch()
    assert train("--model", "net.py:build", "--weights", "w.pt") == 0
    assert settings(root)["model"]["architecture"] == "net.py:build"
    assert str(settings(root)["model"]["weights"]).endswith("/w.pt")


def test_a_module_of_a_file_is_computed_in_the_usual_layout_unless_told_otherwise(root: Path) -> None:
    assert train("--model", "net.py:build") == 0
    assert settings(root)["runtime"]["layout"] == "contiguous"
    assert train("--model", "net.py:build", "--set", "runtime.layout=channels_last") == 0
    assert "channels_last" in {settings(root)["runtime"]["layout"]}


def test_a_library_s_model_brings_its_normalisation_unless_told_otherwise(root: Path, capsys: Shown) -> None:
    assert train("--model", "torchvision:resnet50") == 0
    assert "resnet50 brings settings with it, which --set overrides: model.mean=[0.485" in capsys.readouterr().err
    assert settings(root)["model"]["mean"] == [0.485, 0.456, 0.406]
    assert train("--model", "torchvision:resnet50", "--set", "model.mean=[0.5,0.5,0.5]") == 0
    assert settings(root)["model"]["mean"] == [0.5, 0.5, 0.5]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("eval",), "name a run or a checkpoint, or a model with --model and --data"),
        (("audit",), "name a run or a checkpoint, or a model with --model and --data"),
        (
            ("eval", "--model", "net.py"),
            "--model net.py names no model; give FILE.py:FUNCTION, torchvision:NAME or timm",
        ),
        (("eval", "--model", "net.py:none"), "net.py has no function 'none'; name the one that builds the model"),
        (("eval", "--model", "no.py:build"), "cannot read the plugin no.py"),
        (("eval", "--model", "resnet18"), "resnet18 is one of our own: --set model.architecture=resnet18"),
        (("eval", "latest", "--weights", "w.pt"), "--weights go with --model and no checkpoint, and latest is one"),
        (("train", "--resume", "latest", "--weights", "w.pt"), "--resume cannot be combined with --weights"),
        (("train", "--resume", "latest", "--model", "torchvision:resnet18"), "cannot be combined with --model"),
        (("train", "--preset", "smoke", "--weights", "w.pt"), "model.weights goes with --model FILE.py:FUNCTION"),
        (("train", "--dry-run", "--model", "net.py:build", "--weights", "no.pt"), "--weights: there is no file no.pt"),
        (
            ("train", "--dry-run", "--model", "torchvision:resnet19"),
            "torchvision has no classifier 'resnet19'; did you mean resnet18?",
        ),
    ],
)
def test_what_does_not_go_together_is_refused_in_a_sentence(
    capsys: Shown, arguments: tuple[str, ...], sentence: str
) -> None:
    assert sentence in " ".join(refusal(capsys, *arguments).split())


def test_a_folder_for_cards_is_made(tmp_path: Path, capsys: Shown) -> None:
    refusal(capsys, "eval", "--model", "net.py:build", "--out", "cards/of mine")
    assert (tmp_path / "cards" / "of mine").is_dir()


def test_a_folder_that_cannot_be_made_is_named(capsys: Shown) -> None:
    assert "--out: cannot make the folder net.py" in refusal(
        capsys, "eval", "--model", "net.py:build", "--out", "net.py"
    )
