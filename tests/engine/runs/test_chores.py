import errno

import pytest

from claf_engine.runs.chores import Chores
from claf_engine.terms.errors import RunError


def failing(chores: Chores, number: int = errno.EIO) -> None:
    with chores.attempt("sweep"):
        raise OSError(number, "no broom")


def test_a_chore_that_fails_is_told_once() -> None:
    chores = Chores()
    failing(chores)
    assert chores.take_untold() == ["cannot sweep: no broom; training goes on, and it is tried again"]
    failing(chores)
    assert chores.take_untold() == []


def test_a_chore_that_succeeds_is_not_told() -> None:
    chores = Chores()
    with chores.attempt("sweep"):
        pass
    assert chores.take_untold() == []


def test_an_error_of_ours_is_told_by_what_the_system_said() -> None:
    chores = Chores()
    with chores.attempt("sweep"):
        raise RunError("cannot write status.json") from OSError(errno.EROFS, "Read-only file system")
    assert chores.take_untold() == ["cannot sweep: Read-only file system; training goes on, and it is tried again"]


def test_another_kind_of_error_is_not_a_chore_s() -> None:
    with pytest.raises(ZeroDivisionError), Chores().attempt("sweep"):
        raise ZeroDivisionError
