import logging
import sys
from types import FrameType
from typing import Any

import pytest
import torch

from claf_engine.accuracy.autoattack_library import LOGGER, contained
from tests.engine.tiny import FP32

Shown = pytest.CaptureFixture[str]


def divide_by(number: float) -> float:
    return 1 / number


def test_the_library_may_seed_the_process() -> None:
    torch.rand(5)
    before = torch.get_rng_state()
    with contained(FP32):
        torch.random.seed()
    assert torch.equal(torch.get_rng_state(), before)


def test_what_it_raises_is_passed_on_and_all_is_put_back() -> None:
    torch.rand(5)
    before = torch.get_rng_state()
    with pytest.raises(ZeroDivisionError), contained(FP32):
        divide_by(torch.random.seed() * 0)
    assert torch.equal(torch.get_rng_state(), before)
    assert logging.getLogger(LOGGER).handlers == []
    assert logging.getLogger(LOGGER).propagate


def test_the_trace_function_of_a_debugger_stays() -> None:
    def trace(_frame: FrameType, _event: str, _argument: Any) -> None:
        return None

    original = sys.gettrace()
    sys.settrace(trace)
    try:
        with contained(FP32):
            sys.settrace(None)
        found = sys.gettrace()
    finally:
        sys.settrace(original)
    assert found is trace


def test_warnings_are_collected_and_do_not_reach_the_terminal(capsys: Shown) -> None:
    with contained(FP32) as warnings:
        logging.getLogger(LOGGER).warning("it seems to be a randomized defense! See flags_doc.md for details.")
        logging.getLogger(LOGGER).info("progress")
    assert warnings == ["AutoAttack warns: it seems to be a randomized defense!"]
    assert capsys.readouterr() == ("", "")


def test_a_count_that_differs_from_batch_to_batch_is_left_out() -> None:
    with contained(FP32) as warnings:
        for count in (3, 17):
            logging.getLogger(LOGGER).warning(f"there are {count} points with zero gradient!")
    assert set(warnings) == {"AutoAttack warns: there are points with zero gradient!"}


def test_a_level_that_would_hide_warnings_is_lifted_for_the_moment() -> None:
    logger = logging.getLogger(LOGGER)
    logger.setLevel(logging.CRITICAL)
    try:
        with contained(FP32) as warnings:
            logger.warning("something")
        assert logger.level == logging.CRITICAL
    finally:
        logger.setLevel(logging.NOTSET)
    assert warnings == ["AutoAttack warns: something"]
