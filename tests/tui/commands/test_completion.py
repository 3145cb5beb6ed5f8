"""What a shell offers when tab is pressed, asked through Typer as bash, zsh and fish ask."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from claf_engine.runs.labels import Labels, write_labels
from claf_tui import cli
from tests.tui.scripted import write_checkpoint

Shown = pytest.CaptureFixture[str]
SIMPLE_PLUGIN = """
from claf_engine import register_attack, register_loss
import claf_engine
raise SystemExit("a plugin was run")
@register_loss("half-half")
def half_half(): ...
@claf_engine.register_attack("noise")
def noise(): ...
"""


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch, capsys: Shown) -> object:
    """Ask as zsh and fish do, with the whole line; gives the words that are offered."""

    def asked(line: str) -> list[str]:
        monkeypatch.setenv("_CLAF_TUI_COMPLETE", "complete_fish")
        monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
        monkeypatch.setenv("_TYPER_COMPLETE_ARGS", f"claf-tui {line}")
        with pytest.raises(SystemExit):
            sys.exit(cli.run([]))
        return [offer.partition("\t")[0] for offer in capsys.readouterr().out.splitlines() if offer]

    return asked


@pytest.fixture
def ask_bash(monkeypatch: pytest.MonkeyPatch, capsys: Shown) -> object:
    """Ask as bash does, with the words that it has broken the line into."""

    def asked(*words: str) -> list[str]:
        monkeypatch.setenv("_CLAF_TUI_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", " ".join(("claf-tui", *words)))
        monkeypatch.setenv("COMP_CWORD", str(len(words)))
        with pytest.raises(SystemExit):
            sys.exit(cli.run([]))
        return capsys.readouterr().out.split()

    return asked


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "runs"
    for name in ("20260101-000000-old", "20260102-000000-new"):
        (root / name).mkdir(parents=True)
        (root / name / "config.toml").write_text("seed = 0\n")
    write_checkpoint(root / "20260102-000000-new", 300, natural=0.5)
    monkeypatch.setenv("CLAF_RUNS_DIR", str(root))
    monkeypatch.chdir(tmp_path)
    return root


@pytest.mark.parametrize(
    "line", ["watch ", "train --resume ", "eval ", "audit ", "steer ", "checkpoint show ", "checkpoint browse "]
)
def test_runs_are_offered_newest_first(ask, runs: Path, line: str) -> None:
    assert ask(line) == ["latest", "20260102-000000-new", "20260101-000000-old"]


def test_checkpoint_files_of_a_run_are_offered(ask, runs: Path) -> None:
    assert ask("eval runs/20260102-000000-new/checkpoints/s") == [
        "runs/20260102-000000-new/checkpoints/step-000000300.safetensors"
    ]


@pytest.mark.parametrize("line", ["eval 20260102-000000-new --checkpoint ", "train --resume latest --from "])
def test_the_steps_of_the_named_run_are_offered(ask, runs: Path, line: str) -> None:
    assert ask(line) == ["best", "last", "300"]


def test_tags_of_runs_are_offered(ask, runs: Path) -> None:
    write_labels(runs / "20260101-000000-old", Labels(tags=("night", "paper")))
    assert ask("runs tag latest ") == ["night", "paper"]
    assert ask("runs tag latest p") == ["paper"]


def test_presets_and_methods_are_offered(ask) -> None:
    assert ask("train --preset cpu") == ["cpu-small"]
    assert ask("train --method al") == ["alp"]
    assert ask("config methods tra") == ["trades"]
    assert ask("eval latest --attack ") == ["pgd", "fgsm", "mi-fgsm", "autoattack", "universal", "universal-deepfool"]


def test_keys_of_settings_are_offered(ask) -> None:
    assert ask("train --set attack.st") == ["attack.step_size=", "attack.steps=", "attack.start="]
    assert ask("train --set attack.step_") == ["attack.step_size="]
    assert ask("config show --set attack.norm=") == ["attack.norm=linf", "attack.norm=l2", "attack.norm=l1"]


@pytest.mark.parametrize(
    ("beginning", "values"),
    [
        ("attack.warm_start=", ["true", "false"]),
        ("data.num_train=n", ["none"]),
        ("method=tr", ["trades"]),
        ("model.architecture=wrn", ["wrn-28-10", "wrn-34-10"]),
        ("nothing.at_all=", []),
    ],
)
def test_values_of_a_setting_are_offered(ask, beginning: str, values: list[str]) -> None:
    key = beginning.partition("=")[0]
    assert ask(f"train --set {beginning}") == [f"{key}={value}" for value in values]


def test_names_that_a_plugin_registers_are_offered_and_it_is_not_run(ask, tmp_path: Path) -> None:
    (tmp_path / "my.py").write_text(SIMPLE_PLUGIN)
    assert ask(f"train --plugin {tmp_path}/my.py --method half") == ["half-half"]
    assert ask(f"eval latest --plugin {tmp_path}/my.py --attack n") == ["noise"]


def test_folders_of_images_are_offered(ask, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    assert ask(f"train --data folder:{tmp_path}/im") == [f"folder:{tmp_path}/images"]


def test_bash_is_offered_the_part_after_its_break_alone(ask_bash) -> None:
    assert ask_bash("train", "--set", "attack.norm", "=", "l") == ["linf", "l2", "l1"]
    assert ask_bash("train", "--set", "attack.norm", "=") == ["linf", "l2", "l1"]
    assert ask_bash("train", "--data", "torchvision", ":", "SV") == ["SVHN"]
    assert ask_bash("train", "--set", "data.source", "=", "torchvision", ":", "SV") == ["SVHN"]
    assert ask_bash("train", "--set", "attack.nor") == ["attack.norm=linf", "attack.norm=l2", "attack.norm=l1"]


def test_bash_that_breaks_no_words_is_offered_whole_ones(ask_bash) -> None:
    assert ask_bash("train", "--set", "attack.norm=l") == ["attack.norm=linf", "attack.norm=l2", "attack.norm=l1"]
    assert ask_bash("train", "--data", "torchvision:SV") == ["torchvision:SVHN"]


def test_a_folder_that_is_not_there_offers_nothing(ask, tmp_path: Path) -> None:
    assert ask(f"eval {tmp_path}/nowhere/x") == []
    assert ask(f"train --data folder:{tmp_path}/nowhere/x") == []


def test_nothing_of_torch_is_loaded_to_complete_a_word() -> None:
    line = "claf-tui train --set attack.norm="
    code = (
        "import sys; from claf_tui import cli\ntry: cli.run([])\nfinally: print({'torch', 'numpy'} & set(sys.modules))"
    )
    asked = {"_CLAF_TUI_COMPLETE": "complete_fish", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    environment = {**os.environ, **asked, "_TYPER_COMPLETE_ARGS": line}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["attack.norm=linf", "attack.norm=l2", "attack.norm=l1", "set()"]


@pytest.mark.slow
def test_a_real_bash_completes_a_setting(tmp_path: Path) -> None:
    program = tmp_path / "claf-tui"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m claf_tui "$@"\n')
    program.chmod(0o755)
    script = """
    eval "$(_CLAF_TUI_COMPLETE=source_bash claf-tui)"
    COMP_WORDS=(claf-tui train --set attack.norm = l); COMP_CWORD=5
    _claf_tui_completion claf-tui; echo "${COMPREPLY[@]}"
    """
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "linf l2 l1\n"


def test_detectors_are_offered_and_after_a_plus_their_squeezers(ask) -> None:
    assert ask("eval latest --detector s") == [
        "squeezing",
        "squeezing:bit-depth:5",
        "squeezing:median:2",
        "squeezing:nlm:13,3,2",
    ]
    assert ask("eval latest --detector squeezing:median:2+n") == ["squeezing:median:2+nlm:13,3,2"]
