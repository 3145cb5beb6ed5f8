import json
from pathlib import Path
from typing import Any

import pytest

from claf_engine.accuracy.autoattack_state import MEMBERS, Survivors, load_survivors, save_survivors, untouched
from claf_engine.terms.errors import CheckpointError


def some() -> Survivors:
    """Five examples, of which two attacks broke one each."""
    survivors = untouched("key", 5)
    survivors.mark_broken(1, "apgd-ce", 0.03)
    survivors.mark_broken(4, "fab-t", 0.01)
    survivors.batches_done.update({"apgd-ce": 2, "apgd-t": 2, "fab-t": 1})
    survivors.tell("a notice")
    return survivors


def test_the_attacks_are_those_of_the_standard_version_in_its_order() -> None:
    assert MEMBERS == ("apgd-ce", "apgd-t", "fab-t", "square")


def test_in_the_beginning_all_examples_stand() -> None:
    assert untouched("key", 3).count == 3
    assert untouched("key", 3).targets("square") == [0, 1, 2]


@pytest.mark.parametrize(
    ("attack", "targets"),
    [("apgd-ce", [0, 1, 2, 3, 4]), ("apgd-t", [0, 2, 3, 4]), ("fab-t", [0, 2, 3, 4]), ("square", [0, 2, 3])],
)
def test_the_targets_of_an_attack_are_those_that_stood_when_it_began(attack: Any, targets: list[int]) -> None:
    assert some().targets(attack) == targets


def test_a_notice_is_told_once() -> None:
    survivors = some()
    survivors.tell("a notice")
    assert survivors.notices == ["a notice"]


def test_a_saved_state_comes_back_as_it_was(tmp_path: Path) -> None:
    save_survivors(tmp_path / "new" / "state.json", some())
    assert load_survivors(tmp_path / "new" / "state.json", "key", 5) == some()


def test_no_file_is_no_state(tmp_path: Path) -> None:
    assert load_survivors(tmp_path / "none.json", "key", 5) is None


def test_a_state_of_another_key_is_no_state(tmp_path: Path) -> None:
    save_survivors(tmp_path / "state.json", some())
    assert load_survivors(tmp_path / "state.json", "other", 5) is None


def test_a_folder_in_place_of_the_state_is_told(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"cannot read .*: Is a directory"):
        load_survivors(tmp_path, "key", 5)


@pytest.mark.parametrize(
    "change",
    [
        {"broken_by": None},
        {"broken_by": ["pgd", None, None, None, None]},
        {"broken_by": [None] * 5},
        {"distances": [0.1] * 5},
        {"distances": [None, -0.1, None, None, 0.1]},
        {"batches_done": {"apgd-ce": -1}},
        {"batches_done": {"pgd": 1}},
        {"batches_done": {"apgd-ce": "1"}},
        {"another": 1},
        {"key": 3},
    ],
    ids=str,
)
def test_a_state_that_says_what_cannot_be_is_damaged(tmp_path: Path, change: dict[str, Any]) -> None:
    plain = {**json.loads(some().model_dump_json()), **change}
    (tmp_path / "state.json").write_text(json.dumps(plain))
    with pytest.raises(CheckpointError, match=r"state\.json is damaged: ") as caught:
        load_survivors(tmp_path / "state.json", "key", 5)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"[1]", b"\xff", b'{"key": "key"}', b"9" * 10])
def test_a_file_that_is_no_state_is_damaged(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state.json").write_bytes(content)
    with pytest.raises(CheckpointError, match="is damaged"):
        load_survivors(tmp_path / "state.json", "key", 5)


def test_a_state_about_another_number_of_examples_is_damaged(tmp_path: Path) -> None:
    save_survivors(tmp_path / "state.json", some())
    with pytest.raises(CheckpointError, match="it is about 5 examples, not 6"):
        load_survivors(tmp_path / "state.json", "key", 6)
