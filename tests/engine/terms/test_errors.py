import inspect

import pytest

from claf_engine.terms import errors
from claf_engine.terms.errors import (
    CheckpointError,
    ClafError,
    ConfigError,
    DataError,
    DeviceError,
    NonFiniteLoss,
    RunEnded,
    RunError,
    RunLocked,
)

CLASSES = [error for _, error in inspect.getmembers(errors, inspect.isclass)]


@pytest.mark.parametrize("error", CLASSES)
def test_every_error_can_be_caught_as_a_claf_error(error: type[Exception]) -> None:
    assert issubclass(error, ClafError)


@pytest.mark.parametrize("error", CLASSES)
def test_no_error_leaves_the_process_as_if_it_had_succeeded(error: type[ClafError]) -> None:
    assert 1 <= error.exit_code <= 125


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (ClafError, 1),
        (ConfigError, 2),
        (DataError, 3),
        (CheckpointError, 3),
        (RunError, 3),
        (RunEnded, 3),
        (RunLocked, 3),
        (NonFiniteLoss, 4),
        (DeviceError, 5),
    ],
)
def test_scripts_can_rely_on_the_exit_code(error: type[ClafError], exit_code: int) -> None:
    assert error.exit_code == exit_code


@pytest.mark.parametrize("error", [RunEnded, RunLocked])
def test_a_run_that_cannot_be_gone_on_with_can_be_caught_as_an_error_of_the_run(error: type[Exception]) -> None:
    assert issubclass(error, RunError)


def test_an_error_prints_as_its_sentence_alone() -> None:
    assert str(DataError("no images in /data; choose another folder")) == "no images in /data; choose another folder"


@pytest.mark.parametrize(
    ("error", "told"), [(ValueError(" odd.\nmore"), "odd"), (KeyError(), "KeyError"), (OSError("a. b. "), "a. b")]
)
def test_the_first_line_of_an_error_goes_into_a_sentence(error: Exception, told: str) -> None:
    assert errors.first_line(error) == told
