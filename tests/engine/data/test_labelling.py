import numpy as np
import pytest
import torch

from claf_engine.data.labelling import numbered
from claf_engine.terms.errors import DataError


def test_numbers_of_any_kind_are_labels() -> None:
    names, labels = numbered({"train": [0, np.int64(2), torch.tensor(1)]}, None, "x")
    assert (names, labels) == (("0", "1", "2"), {"train": [0, 2, 1]})


def test_words_are_classes_in_alphabetical_order_over_all_parts() -> None:
    names, labels = numbered({"train": ["dog", "ant"], "test": ["cat"]}, None, "x")
    assert (names, labels) == (("ant", "cat", "dog"), {"train": [2, 0], "test": [1]})


def test_a_thousand_classes_are_as_good_as_two() -> None:
    names, labels = numbered({"train": list(range(1000))}, None, "x")
    assert (len(names), labels["train"][-1]) == (1000, 999)


@pytest.mark.parametrize(
    ("labels", "names", "message"),
    [
        ([0, 1, None], None, r"label 2 of the train images of x is None; give whole numbers"),
        ([0, True], None, "is True; give whole numbers"),
        ([0, 1.5], None, "is 1.5; give"),
        ([0, "a"], None, "label 1 .* is 'a'; give"),
        ([0, -1], None, r"lie in \[-1, 0\]"),
        ([0, 3], ["a", "b"], r"lie in \[0, 3\], and its 2 classes allow 0 to 1"),
        (["a", "z"], ["a", "b"], "has images of class 'z', which is none of its 2 classes"),
        ([0, 0], None, r"has the classes \('0',\); give two or more"),
        ([0, 1], ["a", "a"], "give two or more different ones"),
    ],
)
def test_what_is_no_label_of_the_classes_is_refused(
    labels: list[object], names: list[str] | None, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        numbered({"train": labels}, names, "x")
