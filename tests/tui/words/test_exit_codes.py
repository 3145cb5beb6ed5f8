import signal
import subprocess
import sys

import pytest

from claf_engine.terms.errors import ClafError, DataError, NonFiniteLoss
from claf_tui.words import exit_codes
from claf_tui.words.exit_codes import Ending, code_of


def test_work_that_ended_as_it_should_ends_with_0() -> None:
    assert code_of(Ending()) == 0


@pytest.mark.parametrize("error", [DataError("no images"), NonFiniteLoss("NaN"), ClafError("wrong")])
def test_an_error_that_a_user_can_cause_brings_its_code(error: ClafError) -> None:
    assert code_of(Ending(error=error)) == error.exit_code


@pytest.mark.parametrize("error", [ZeroDivisionError(), MemoryError(), KeyboardInterrupt()])
def test_an_error_that_nobody_expected_ends_with_1(error: BaseException) -> None:
    assert code_of(Ending(error=error)) == exit_codes.UNEXPECTED == 1


def test_a_failure_without_an_error_ends_with_1() -> None:
    assert code_of(Ending(has_failed=True)) == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGHUP, 129), (signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_as_shells_count(number: int, code: int) -> None:
    assert code_of(Ending(signal=number)) == code


def test_a_failure_while_a_signal_is_obeyed_is_a_failure() -> None:
    assert code_of(Ending(signal=signal.SIGTERM, error=DataError("the disk is full"))) == 3


@pytest.mark.parametrize(("verdict", "code"), [("fails", 8), ("warns", 0), ("passes", 0), ("not-run", 0), ("", 0)])
def test_only_an_audit_that_fails_ends_with_8(verdict: str, code: int) -> None:
    assert code_of(Ending(verdict=verdict)) == code


@pytest.mark.parametrize(("num_rows", "code"), [(0, 0), (1, 7), (6, 7)])
def test_rows_that_failed_end_with_7(num_rows: int, code: int) -> None:
    assert code_of(Ending(num_failed_rows=num_rows)) == code


def test_a_crash_is_a_crash_though_rows_have_failed_before() -> None:
    assert code_of(Ending(error=ZeroDivisionError(), num_failed_rows=2)) == exit_codes.UNEXPECTED


def test_a_signal_is_told_before_what_was_found() -> None:
    assert code_of(Ending(signal=signal.SIGINT, num_failed_rows=2)) == 130
    assert code_of(Ending(signal=signal.SIGINT, verdict="fails")) == 130


def test_the_failure_of_a_watched_run_is_not_the_watcher_s() -> None:
    assert code_of(Ending(has_failed=True, is_watched=True)) == 0
    assert code_of(Ending(has_failed=True, is_watched=True, signal=signal.SIGTERM)) == 143


def test_every_code_has_its_meaning() -> None:
    named = [getattr(exit_codes, name) for name in vars(exit_codes) if name.isupper() and name != "MEANINGS"]
    assert {str(code) for code in named if code != exit_codes.SIGNAL_BASE} == {*exit_codes.MEANINGS} - {"129, 130, 143"}


def test_deciding_a_code_needs_neither_torch_nor_textual() -> None:
    program = "import sys, claf_tui.words.exit_codes; sys.exit('torch' in sys.modules or 'textual' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_looking_on_that_breaks_is_a_failure_of_its_own() -> None:
    assert code_of(Ending(error=ValueError("a line"), has_failed=True, is_watched=True)) == exit_codes.UNEXPECTED
