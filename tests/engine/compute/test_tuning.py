"""What a device is fastest in: the choice as a function of the measurement, and the measurement itself."""

from itertools import product

import pytest
import torch

from claf_engine.compute.device import synchronise
from claf_engine.compute.tuning import LAYOUTS, PRECISIONS, Candidate, choose, measure

CPU = torch.device("cpu")
EVERY = tuple(product(PRECISIONS, LAYOUTS))


def measured(**changes: float) -> dict[Candidate, float]:
    """One second for every candidate, but for those named as precision__layout."""
    seconds = dict.fromkeys(EVERY, 1.0)
    return seconds | {tuple(name.split("__", 1)): value for name, value in changes.items()}  # type: ignore[misc]


def test_equal_speeds_give_full_precision_and_channels_last() -> None:
    assert choose(measured(), PRECISIONS, LAYOUTS) == ("fp32", "channels_last")


def test_bf16_is_taken_where_it_is_clearly_faster() -> None:
    assert choose(measured(bf16__channels_last=0.5), PRECISIONS, LAYOUTS) == ("bf16", "channels_last")


def test_a_small_gain_is_not_worth_the_rounding_of_bf16() -> None:
    assert choose(measured(bf16__channels_last=0.9), PRECISIONS, LAYOUTS)[0] == "fp32"


def test_contiguous_is_taken_where_it_is_clearly_faster_in_the_chosen_precision() -> None:
    seconds = measured(bf16__channels_last=0.5, bf16__contiguous=0.2, fp32__contiguous=5.0)
    assert choose(seconds, PRECISIONS, LAYOUTS) == ("bf16", "contiguous")


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_precision_that_was_asked_for_is_kept_whatever_is_faster(precision: str) -> None:
    assert choose(measured(bf16__channels_last=0.1), (precision,), LAYOUTS)[0] == precision


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_that_was_asked_for_is_kept_whatever_is_faster(layout: str) -> None:
    assert choose(measured(fp32__contiguous=0.1), PRECISIONS, (layout,))[1] == layout


def test_every_candidate_is_measured_on_the_device() -> None:
    seconds = measure(CPU, torch.get_num_threads(), synchronise, EVERY)
    assert set(seconds) == set(EVERY)
    assert all(0 < value < 60 for value in seconds.values())


def test_a_device_is_measured_once_a_process() -> None:
    assert measure(CPU, 1, synchronise, EVERY) is measure(CPU, 1, synchronise, EVERY)


def test_only_what_may_be_chosen_is_measured() -> None:
    candidates = (("fp32", "channels_last"), ("fp32", "contiguous"))
    assert tuple(measure(CPU, torch.get_num_threads(), synchronise, candidates)) == candidates
