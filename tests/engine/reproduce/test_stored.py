from pathlib import Path

import pytest
import torch

from claf_engine.reproduce.stored import key_of, packed, read_stored, store, unpacked
from claf_engine.terms.errors import RunError


@pytest.mark.parametrize("count", [1, 7, 8, 9, 2000])
def test_outcomes_come_back_bit_by_bit(count: int) -> None:
    right = torch.rand(count, generator=torch.Generator().manual_seed(count)) < 0.5
    assert torch.equal(unpacked(packed(right), count), right)


def test_ten_thousand_images_take_less_than_two_kilobytes() -> None:
    assert len(packed(torch.ones(10_000, dtype=torch.bool))) < 2000


@pytest.mark.parametrize(("text", "count"), [("AA==", 9), ("AA==", 0), ("AAA=", 8), ("?", 1)])
def test_outcomes_of_other_images_are_refused(text: str, count: int) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (of base64 or ours)
        unpacked(text, count)


def test_what_is_stored_is_read_again_and_what_is_damaged_is_nothing(tmp_path: Path) -> None:
    file = tmp_path / "new" / "x.json"
    store(file, {"a": 1})
    assert read_stored(file, lambda record: record["a"]) == 1
    assert read_stored(file, lambda record: record["b"]) is None
    file.write_text("{")
    assert read_stored(file, lambda record: record["a"]) is None


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="make room and reproduce again"):
        store(tmp_path / "file" / "x.json", {})


def test_other_values_have_other_names() -> None:
    assert key_of([1, "2"]) != key_of([12, ""])
