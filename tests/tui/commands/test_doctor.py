import json
from collections.abc import Callable

import pytest
import torch

from claf_engine.selftest import checks, environment, speed
from claf_engine.selftest.findings import Check, Finding, Row
from claf_engine.selftest.places import Places, Scale
from claf_tui import cli
from claf_tui.words import exit_codes
from tests.engine.tiny import FP32
from tests.tui.hostile import EVERYTHING

Shown = pytest.CaptureFixture[str]
UseChecks = Callable[..., None]


@pytest.fixture(autouse=True)
def _is_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine of the test must not decide."""
    monkeypatch.setattr(environment, "look_around", lambda: (Row("python", "Python", "CPython", "passes", "3.11"),))


@pytest.fixture
def use_checks(monkeypatch: pytest.MonkeyPatch) -> UseChecks:
    """Puts a CPU in place of the accelerator, and a check that finds one thing in place of all checks."""

    def use(finding: Finding) -> None:
        check = Check("step", "one step", "report it", lambda _: finding)
        steps = checks.device_steps
        monkeypatch.setattr(checks, "accelerator_places", lambda: Places(FP32, FP32, Scale()))
        monkeypatch.setattr(checks, "device_steps", lambda places: steps(places, [check]))

    return use


def test_what_is_here_is_told(capsys: Shown) -> None:
    assert cli.run(["doctor"]) == exit_codes.OK
    shown = capsys.readouterr()
    assert "what is here" in shown.out
    assert "Python" in shown.out
    assert shown.err == ""


def test_a_warning_is_no_failure(capsys: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    row = Row("memory", "memory", "little", "warns", "2 GiB", "lower batch_size")
    monkeypatch.setattr(environment, "look_around", lambda: (row,))
    assert cli.run(["doctor"]) == exit_codes.OK
    assert "memory: lower batch_size" in capsys.readouterr().out


def test_a_machine_that_is_not_fit_has_an_exit_code_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    row = Row("torch", "torch", "too old", "fails", "2.0", "update it")
    monkeypatch.setattr(environment, "look_around", lambda: (row,))
    assert cli.run(["doctor"]) == exit_codes.DEVICE


def test_without_a_gpu_the_self_test_is_one_sentence_with_the_way_out(
    capsys: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert cli.run(["doctor", "--gpu"]) == exit_codes.DEVICE
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error: torch sees no CUDA device")
    assert "install" in shown.err
    assert shown.err.count("\n") == 1


def test_the_self_test_is_a_table_of_its_own(capsys: Shown, use_checks: UseChecks) -> None:
    use_checks(Finding("passes", "equal", "1e-06"))
    assert cli.run(["doctor", "--gpu"]) == exit_codes.OK
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["cpu", "against", "the", "CPU"] in lines
    assert ["one", "step", "equal", "passes", "1e-06"] in lines


def test_a_check_that_fails_is_told_and_is_the_exit_code(capsys: Shown, use_checks: UseChecks) -> None:
    use_checks(Finding("fails", "differs", "0.5"))
    assert cli.run(["doctor", "--gpu"]) == exit_codes.DEVICE
    assert "one step: report it" in capsys.readouterr().out


def test_json_holds_everything_and_nothing_else_is_printed(capsys: Shown, use_checks: UseChecks) -> None:
    use_checks(Finding("warns", "slow", "3", {"share": float("nan"), "rate": 2.5}))
    assert cli.run(["doctor", "--gpu", "--json"]) == exit_codes.OK
    record = json.loads(capsys.readouterr().out)
    assert record["device"] == "cpu"
    assert record["environment"][0]["figure"] == "3.11"
    assert record["checks"][0]["values"] == {"share": "nan", "rate": 2.5}
    assert record["checks"][0]["advice"] == "report it"


def test_json_without_a_gpu_check_says_so(capsys: Shown) -> None:
    assert cli.run(["doctor", "--json"]) == exit_codes.OK
    record = json.loads(capsys.readouterr().out)
    assert (record["device"], record["checks"]) == (None, [])


def test_what_a_library_says_does_not_reach_the_terminal_raw(capsys: Shown, use_checks: UseChecks) -> None:
    use_checks(Finding("fails", EVERYTHING, EVERYTHING))
    cli.run(["doctor", "--gpu"])
    assert not any(character in capsys.readouterr().out for character in "\x1b\x9b\x07\u202e\u200b")


@pytest.fixture
def use_speed(monkeypatch: pytest.MonkeyPatch) -> Callable[[Finding], list[int]]:
    """Puts one finding in place of what is measured; gives the batches of the settings that were asked for."""
    batches: list[int] = []

    def use(finding: Finding) -> list[int]:
        def checks_of(bench: speed.Bench) -> tuple[Check, ...]:
            batches.append(bench.config.batch_size)
            return (Check("attack", "one step", "measure again", lambda _: finding),)

        monkeypatch.setattr(speed, "speed_checks", checks_of)
        return batches

    return use


def test_the_speed_of_a_preset_is_a_table_of_its_own(capsys: Shown, use_speed: Callable[[Finding], list[int]]) -> None:
    batches = use_speed(Finding("warns", "40% of what is attainable", "3 ms"))
    assert cli.run(["doctor", "--speed", "--preset", "smoke", "--set", "batch_size=24"]) == exit_codes.OK
    out = capsys.readouterr().out
    assert batches == [24]
    assert "speed of preset smoke on cpu, fp32, channels_last, 1 thread" in " ".join(out.split())
    assert "one step: measure again" in out


def test_speed_is_in_the_record_too(capsys: Shown, use_speed: Callable[[Finding], list[int]]) -> None:
    use_speed(Finding("passes", "40%", "3 ms", {"share": 0.4}))
    assert cli.run(["doctor", "--speed", "--preset", "smoke", "--json"]) == exit_codes.OK
    [row] = json.loads(capsys.readouterr().out)["speed"]
    assert (row["name"], row["values"]) == ("attack", {"share": 0.4})


@pytest.mark.parametrize("options", [["--preset", "smoke"], ["--set", "batch_size=8"]])
def test_settings_without_speed_are_refused(capsys: Shown, options: list[str]) -> None:
    assert cli.run(["doctor", *options]) == exit_codes.USAGE
    assert "add it, or leave them out" in capsys.readouterr().err
