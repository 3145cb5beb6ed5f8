import json
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from claf_engine import events as ev
from claf_engine.config.presets import resolve_config
from claf_engine.events import records
from claf_engine.events.control import Control
from claf_engine.runs import RunDirectory, create_run, list_runs, open_run, read_config
from claf_engine.terms.errors import DataError, NonFiniteLoss
from claf_tui import cli
from claf_tui.console.bridge import Engine
from claf_tui.console.launch import ConsoleResult
from claf_tui.reports.streams import OutputLost
from claf_tui.screens.checkpoints.actions import ResumeRequest
from claf_tui.words import exit_codes
from tests.engine.pictures import drawn, save
from tests.tui.commands.conftest import UseEngine
from tests.tui.hostile import EVERYTHING
from tests.tui.scripted import run_started, write_checkpoint
from tests.tui.scripted_methods import METHODS

Shown = pytest.CaptureFixture[str]


def train(*arguments: str, preset: str | None = "smoke", ui: str | None = "plain") -> int:
    chosen = [*(["--preset", preset] if preset else []), *(["--ui", ui] if ui else [])]
    return cli.run(["train", *chosen, *arguments])


def stopped_run(root: Path) -> Path:
    """A run with checkpoints of steps 10 and 20 that nobody trains."""
    directory = create_run(root, "old", resolve_config("smoke", None), ["train"])
    for step in (10, 20):
        write_checkpoint(directory.path, step)
    directory.write_status({"status": "stopped"})
    directory.close()
    return directory.path


def test_a_run_ends_with_its_results_its_folder_and_the_next_command(root: Path, capsys: Shown) -> None:
    assert train() == 0
    shown = capsys.readouterr()
    name = list_runs(root)[0].name
    assert "★" in shown.out
    assert "93.1%" in shown.out
    assert f"folder: {root / name}" in shown.out
    assert f"next:   claf-tui eval {name} --eps 16/255" in shown.out
    assert "phase begins" in shown.err


def test_help_leads_to_every_method(capsys: Shown) -> None:
    assert cli.run(["train", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "Train an image classifier with CLAF, or with a method that it is compared with" in text
    assert "which claf-tui config methods tells" in text
    assert cli.run(["config", "methods"]) == 0
    listed = capsys.readouterr().out
    assert all(re.search(rf"^{method} ", listed, re.MULTILINE) for method in METHODS)


def test_json_lines_are_the_run_s_events_and_nothing_else(capsys: Shown) -> None:
    assert train(ui="jsonl") == 0
    events = [records.from_record(json.loads(line)) for line in capsys.readouterr().out.splitlines()]
    assert isinstance(events[0], ev.RunStarted)
    assert isinstance(events[-1], ev.RunFinished)
    assert not any(isinstance(event, ev.Progressed) for event in events)


def test_without_a_terminal_a_run_prints_lines(capsys: Shown) -> None:
    assert train(ui=None) == 0
    assert "phase begins" in capsys.readouterr().err


def test_the_console_without_a_terminal_is_refused_and_nothing_is_written(root: Path, capsys: Shown) -> None:
    assert train(ui="tui") == 2
    assert capsys.readouterr().err.startswith("error: --ui tui needs a terminal")
    assert not root.exists()


def test_the_options_reach_the_run_s_configuration(root: Path) -> None:
    options = ["--data", "cifar10", "--seed", "3", "--device", "cpu", "--method", "natural", "--set", "batch_size=32"]
    assert train(*options) == 0
    config = read_config(list_runs(root)[0].directory)
    assert (config.data.source, config.seed, config.runtime.device) == ("cifar10", 3, "cpu")
    assert (config.method, config.batch_size, config.model.width) == ("natural", 32, 8)


@pytest.mark.parametrize(
    ("arguments", "name"), [([], "smoke"), (["--name", "mine"], "mine"), (["--config", "my file.toml"], "smoke")]
)
def test_the_run_is_named_after_its_name_or_its_preset(
    root: Path, tmp_path: Path, arguments: list[str], name: str
) -> None:
    (tmp_path / "my file.toml").write_text("seed = 3\n")
    assert train(*arguments) == 0
    assert list_runs(root)[0].name.endswith(f"-{name}")


def test_a_run_of_a_file_alone_is_named_after_the_file(root: Path, tmp_path: Path) -> None:
    (tmp_path / "my file.toml").write_text("seed = 3\n")
    assert train("--config", "my file.toml", preset=None) == 0
    assert list_runs(root)[0].name.endswith("-my-file")


def test_the_run_remembers_its_command_line(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["claf-tui", "train", "--ui", "plain"])
    assert train() == 0
    assert json.loads((list_runs(root)[0].directory / "run.json").read_text())["command"][1:3] == ["train", "--ui"]


def test_a_dry_run_says_which_sizes_a_small_folder_can_give(tmp_path: Path, capsys: Shown) -> None:
    for number in range(20):
        for part in ("train", "test"):
            save(tmp_path / "few" / part / "ab"[number % 2] / f"{number}.png", drawn(number % 2, number))
    options = ["--dry-run", "--data", f"folder:{tmp_path / 'few'}", "--set", "data.num_train=none"]
    assert train(*options, "--set", "data.num_test=50") == 3
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.endswith("take --set data.num_validation=4 --set data.num_test=20")
    assert train(*options, *told.split("take ")[1].split()) == 0
    told = capsys.readouterr().err
    assert "16 to train on, 4 to validate with, 20 to test on" in told
    assert "2 classes: a, b" in told
    assert "8x8 pixels, in colour" in told
    assert re.search(r"channel means 0\.\d{4}, 0\.\d{4}, 0\.\d{4} and deviations .*, of 20 training images", told)


def test_a_dry_run_says_that_images_are_not_there(capsys: Shown) -> None:
    assert train("--dry-run", "--data", "folder:/nowhere") == 0
    assert "images of folder:/nowhere: not there (yet), and a run needs them" in capsys.readouterr().err


def test_a_dry_run_prints_the_settings_and_the_plan_and_writes_nothing(root: Path, capsys: Shown) -> None:
    assert train("--dry-run", "--set", "seed=9") == 0
    shown = capsys.readouterr()
    assert tomllib.loads(shown.out)["seed"] == 9
    assert "phase 2: 2 · adversarial features, 2 epochs" in shown.err
    assert f"would write to {root}" in shown.err
    assert not root.exists()


def test_the_plan_says_what_an_image_costs_and_that_weights_are_averaged(capsys: Shown) -> None:
    settings = ["weight_perturbation.gamma=0.005", "averaging.decay=0.999", "attack.steps=10"]
    assert train("--dry-run", "--method", "at", *(word for text in settings for word in ("--set", text))) == 0
    told = " ".join(capsys.readouterr().err.split())
    assert "epochs of 24.5 forward-units an image" in told
    assert "is the running average of the weights, decay 0.999" in told


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--set", "attack.epsilon=16"], "--set: attack.epsilon: 16 is above 1, .*; did you mean 16/255"),
        (["--set", "sede=1"], "--set: unknown key sede; did you mean seed"),
        (["--set", "seed"], "--set 'seed' is not KEY=VALUE"),
        (["--data", "mnist"], "--data: data.source: unknown data source 'mnist'"),
        (["--device", "tpu"], "--device: runtime.device: unknown device 'tpu'"),
        (["--config", "none.toml"], "cannot read the configuration file none.toml: No such file"),
        (["--config", "bad.toml"], r"bad\.toml: unknown key attack.epsilom; did you mean attack.epsilon"),
        (["--preset", "smokke"], "unknown preset 'smokke'; did you mean smoke"),
        (["--preset", EVERYTHING], "unknown preset "),
    ],
)
def test_a_wrong_setting_is_one_sentence_and_exit_code_2_and_nothing_is_written(
    root: Path, tmp_path: Path, capsys: Shown, arguments: list[str], sentence: str
) -> None:
    (tmp_path / "bad.toml").write_text("[attack]\nepsilom = 1\n")
    assert train(*arguments) == 2
    shown = capsys.readouterr()
    assert re.match(f"error: {sentence}", shown.err)
    assert shown.err.count("\n") == 1
    assert "\x1b" not in shown.err
    assert not root.exists()


def test_a_name_that_is_no_file_name_is_refused(root: Path, capsys: Shown) -> None:
    assert train("--name", "../x") == 3
    assert "is no run name" in capsys.readouterr().err
    assert not root.exists()


def test_a_runs_folder_that_cannot_be_written_is_named(root: Path, capsys: Shown) -> None:
    root.write_text("a file")
    assert train() == 3
    assert "set CLAF_RUNS_DIR to another folder" in capsys.readouterr().err


def test_a_stopped_run_can_be_resumed_in_its_own_folder(root: Path) -> None:
    stopped_run(root)
    assert cli.run(["train", "--resume", "latest", "--ui", "plain"]) == 0
    assert [run.status for run in list_runs(root)] == ["finished"]


def test_a_finished_run_cannot_be_resumed(root: Path, capsys: Shown) -> None:
    assert train() == 0
    assert cli.run(["train", "--resume", "latest"]) == 3
    assert "is finished; evaluate it with" in capsys.readouterr().err


@pytest.mark.parametrize(
    "option",
    [["--seed", "0"], ["--preset", "demo"], ["--data", "shapes"], ["--dry-run"]],
)
def test_resuming_under_other_settings_is_refused(root: Path, capsys: Shown, option: list[str]) -> None:
    stopped_run(root)
    assert cli.run(["train", "--resume", "latest", *option]) == 2
    sentence = capsys.readouterr().err
    assert sentence.startswith(f"error: --resume cannot be combined with {option[0]}: a resumed run keeps its config")
    assert "can be edited while it goes on (key e, claf-tui steer)" in sentence


def test_a_run_in_use_is_refused_with_who_holds_it(root: Path, capsys: Shown) -> None:
    holder = open_run(stopped_run(root))
    assert cli.run(["train", "--resume", "latest"]) == 3
    holder.close()
    assert "is in use by process" in capsys.readouterr().err


def test_the_newest_checkpoint_of_a_run_resumes_the_run_itself(root: Path) -> None:
    newest = stopped_run(root) / "checkpoints" / "step-000000020.safetensors"
    assert cli.run(["train", "--resume", str(newest), "--ui", "plain"]) == 0
    assert len(list_runs(root)) == 1


def test_an_older_checkpoint_begins_a_new_run(root: Path) -> None:
    older = stopped_run(root) / "checkpoints" / "step-000000010.safetensors"
    assert cli.run(["train", "--resume", str(older), "--ui", "plain"]) == 0
    new, old = sorted(list_runs(root), key=lambda run: run.name, reverse=True)
    assert new.name.endswith("-old-from-10")
    assert old.status == "stopped"


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("none.safetensors", None, "no checkpoint at"),
        ("model.pt", b"\x80\x02}q\x00.", "is a pickle"),
        ("model.safetensors", b"PK\x03\x04", "is a pickle"),
        ("text.safetensors", b"hello, this is no checkpoint", "is damaged or not safetensors"),
    ],
)
def test_a_file_that_is_no_checkpoint_cannot_be_resumed(
    tmp_path: Path, capsys: Shown, name: str, content: bytes | None, sentence: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert cli.run(["train", "--resume", name]) == 3
    assert sentence in capsys.readouterr().err


def test_an_unknown_run_cannot_be_resumed(capsys: Shown) -> None:
    assert cli.run(["train", "--resume", "nope"]) == 3
    assert "no run 'nope'" in capsys.readouterr().err


def test_an_error_of_the_engine_ends_with_its_sentence_and_code(use_engine: UseEngine, capsys: Shown) -> None:
    def diverge(directory: RunDirectory, control: Control) -> Iterator[ev.Event]:
        yield run_started(directory.path)
        yield ev.RunFinished("failed", 3, 1.0, reason="training diverged")
        raise NonFiniteLoss("training diverged: the loss of step 3 is nan")

    use_engine(diverge)
    assert train() == 4
    shown = capsys.readouterr()
    assert shown.err.count("diverged") == 1
    assert "next:   claf-tui runs" in shown.out


def test_a_run_that_fails_before_it_began_leaves_no_folder_and_no_summary(
    root: Path, use_engine: UseEngine, capsys: Shown
) -> None:
    def refuse(directory: RunDirectory, control: Control) -> Iterator[ev.Event]:
        yield ev.RunFinished("failed", 0, 0.0, reason="no images")
        raise DataError("there are no images at x")

    use_engine(refuse)
    assert train() == 3
    assert list_runs(root) == []
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == "error: there are no images at x\n"


def test_an_unexpected_error_of_the_engine_leaves_its_traceback_in_the_run_s_log(
    root: Path, use_engine: UseEngine, capsys: Shown
) -> None:
    def crash(directory: RunDirectory, control: Control) -> Iterator[ev.Event]:
        yield ev.Notice("info", "x")
        raise ZeroDivisionError("oh")

    use_engine(crash)
    assert train() == 1
    log_path = list_runs(root)[0].directory / "console.log"
    assert f"error: unexpected ZeroDivisionError: oh (traceback in {log_path})" in capsys.readouterr().err
    assert "in crash" in log_path.read_text()


@pytest.mark.parametrize("ui", ["plain", "jsonl"])
def test_the_lock_is_let_go_however_a_run_ends(root: Path, use_engine: UseEngine, ui: str) -> None:
    def crash(directory: RunDirectory, control: Control) -> Iterator[ev.Event]:
        yield ev.Notice("info", "x")
        raise ZeroDivisionError("oh")

    use_engine(crash)
    assert train(ui=ui) == 1
    open_run(list_runs(root)[0].directory).close()


def test_a_run_whose_lines_nobody_reads_any_more_stops_and_saves(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(event: ev.Event) -> None:
        raise OutputLost("the reader of stdout has left")

    monkeypatch.setattr("claf_tui.reports.printers.json_line", refuse)
    assert train(ui="jsonl") == exit_codes.OUTPUT_LOST
    assert list_runs(root)[0].status == "stopped"


def test_a_run_that_has_finished_does_not_fail_for_its_table(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: Shown
) -> None:
    refused = []

    def refuse(*tables: object) -> None:
        refused.append(tables)
        raise OutputLost("cannot write to stdout: No space left on device")

    monkeypatch.setattr("claf_tui.reports.output.show", refuse)
    assert train(ui="plain") == 0
    (run,) = list_runs(root)
    assert (run.status, len(refused)) == ("finished", 1)
    assert f"No space left on device: the results are in {run.directory}" in capsys.readouterr().err


def test_a_folder_whose_name_is_not_utf_8_is_refused_before_anything_is_made(root: Path, capsys: Shown) -> None:
    assert train("--data", "folder:imb\udce9", ui="plain") == 2
    shown = capsys.readouterr().err
    assert shown.startswith("error: data.source is 'folder:")
    assert "/imb\\udce9', which is not UTF-8" in shown
    assert not root.exists() or list(root.iterdir()) == []


class Console:
    """Stands in for the live console: runs the engine and leaves as told."""

    def __init__(self, *results: ConsoleResult) -> None:
        self.results = list(results)
        self.directories: list[Path] = []

    def __call__(
        self,
        _app_class: object,
        engine: Engine,
        control: Control,
        *,
        log_path: Path,
        leave: Callable[[int], None],
    ) -> ConsoleResult:
        list(engine(control))
        self.directories.append(log_path.parent)
        return self.results.pop(0)


@pytest.fixture
def _in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("claf_tui.runners.train.choose_ui", lambda _: "tui")


@pytest.mark.usefixtures("_in_a_terminal")
def test_the_console_leaves_a_summary_in_the_terminal(monkeypatch: pytest.MonkeyPatch, capsys: Shown) -> None:
    monkeypatch.setattr("claf_tui.console.launch.run_console", Console(ConsoleResult(0)))
    assert train(ui=None) == 0
    shown = capsys.readouterr()
    assert "★" in shown.out
    assert shown.err == ""


@pytest.mark.usefixtures("_in_a_terminal")
def test_a_run_that_failed_in_the_console_says_why_and_where_more_is(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: Shown
) -> None:
    monkeypatch.setattr("claf_tui.console.launch.run_console", Console(ConsoleResult(4, reason="training diverged")))
    assert train(ui=None) == 4
    log_path = list_runs(root)[0].directory / "console.log"
    assert capsys.readouterr().err == f"error: training diverged (more in {log_path})\n"


@pytest.mark.usefixtures("_in_a_terminal")
def test_a_checkpoint_chosen_in_the_browser_starts_over_from_there(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    older = stopped_run(root) / "checkpoints" / "step-000000010.safetensors"
    console = Console(ConsoleResult(0, resume=ResumeRequest(older)), ConsoleResult(0))
    monkeypatch.setattr("claf_tui.console.launch.run_console", console)
    assert train(ui=None) == 0
    first, second = console.directories
    assert first.name.endswith("-smoke")
    assert second.name.endswith("-old-from-10")


@pytest.mark.usefixtures("_in_a_terminal")
@pytest.mark.parametrize(("status", "is_detached"), [("stopped", True), ("finished", False)])
def test_a_run_that_is_left_running_goes_on_in_a_process_of_its_own_unless_it_has_finished_by_then(
    root: Path, monkeypatch: pytest.MonkeyPatch, use_engine: UseEngine, status: ev.RunStatus, is_detached: bool
) -> None:
    def run(directory: RunDirectory, control: Control) -> Iterator[ev.Event]:
        yield run_started(directory.path)
        yield ev.RunFinished(status, 20, 1.0)

    started: list[list[str]] = []

    def start(arguments: list[str]) -> int:
        open_run(root / list_runs(root)[0].name).close()  # it lets go of the lock before
        started.append(arguments)
        return 0

    use_engine(run)
    monkeypatch.setattr("claf_tui.console.launch.run_console", Console(ConsoleResult(0, goes_on=True)))
    monkeypatch.setattr("claf_tui.runners.train.start_detached", start)
    assert train(ui=None) == 0
    (directory,) = [run.directory for run in list_runs(root)]
    assert started == ([["train", "--resume", str(directory), "--detach"]] if is_detached else [])


@pytest.mark.parametrize("flags", [[], ["--accept-changed-data"]])
def test_changed_images_are_accepted_only_where_a_person_says_so(
    root: Path, use_engine: UseEngine, flags: list[str]
) -> None:
    stopped_run(root)
    accepted = []

    def run(directory: RunDirectory, control: Control) -> Iterator[ev.Event]:
        accepted.append(directory.accepts_changed_data)
        yield run_started(directory.path)
        yield ev.RunFinished("finished", 20, 1.0)

    use_engine(run)
    assert train("--resume", "old", *flags, preset=None) == 0
    assert accepted == [bool(flags)]


def test_a_new_run_has_no_changed_images_to_accept(root: Path, capsys: Shown) -> None:
    assert train("--accept-changed-data") == 2
    assert "--accept-changed-data goes with --resume" in capsys.readouterr().err
    assert not root.exists()


def test_trackers_are_remembered_for_the_next_time_unless_they_are_declined(
    root: Path, capsys: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("claf_tui.runners.train.make_trackers", lambda _: [])
    path = stopped_run(root)
    (path / "run.json").write_text('{"trackers": ["tensorboard"]}')
    assert train("--resume", str(path), preset=None) == 0
    assert "tensorboard is told, as it was before" in capsys.readouterr().err
    (path / "status.json").write_text('{"status": "stopped"}')
    assert train("--resume", str(path), "--no-trackers", preset=None) == 0
    assert "tensorboard hears no more of this run" in capsys.readouterr().err
    assert json.loads((path / "run.json").read_text())["trackers"] == []


def test_a_new_run_has_no_trackers_to_decline(root: Path, capsys: Shown) -> None:
    assert train("--no-trackers") == 2
    assert "--no-trackers goes with --resume" in capsys.readouterr().err
    assert not root.exists()
