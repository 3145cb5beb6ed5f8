"""Whatever a folder of images holds, it is read, or refused by an error of ours."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from claf_engine.config import DataConfig
from claf_engine.data import load_dataset
from claf_engine.terms.errors import DataError
from tests.engine.data.test_folder_realities import save as save_image
from tests.properties import examples

NUM_EXAMPLES, NUM_SOAKED = 30, 10_000
PARTS = ["train", "test", "val", "__MACOSX", "TRAIN"]
CLASSES = ["cat", "dog", "Dog", ".git", "a b\n", "é", os.fsdecode(b"\xff"), "__MACOSX", "x" * 200]
NAMES = ["a.png", "b.JPG", "c.jpeg", "d.txt", ".png", "Thumbs.db", os.fsdecode(b"\xff.png"), "e\n.png", "deeper/a.png"]


def image(path: Path) -> None:
    save_image(path)


def garbage(path: Path) -> None:
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))


def folder(path: Path) -> None:
    path.mkdir()


def nowhere(path: Path) -> None:
    path.symlink_to("nowhere")


def circle(path: Path) -> None:
    path.symlink_to("..")


def outside(path: Path) -> None:
    path.symlink_to("/etc/passwd")


KINDS: list[Callable[[Path], None]] = [image, image, image, garbage, folder, nowhere, circle, outside, os.mkfifo]
ENTRY = st.tuples(
    *map(st.sampled_from, (PARTS[:2] * 3 + PARTS, CLASSES[:2] * 3 + CLASSES, NAMES[:3] * 3 + NAMES, KINDS))
)


@pytest.mark.hypothesis
def test_no_tree_gets_anything_but_an_error_of_ours_out_of_a_folder_of_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    monkeypatch.setenv("CLAF_CACHE_DIR", str(tmp_path / "cache"))
    told = {"name": "tree of class folders", "examples": 0, "read": 0}
    record_property("reader", told)
    root = tmp_path / "images"

    @examples(NUM_EXAMPLES, soaked=NUM_SOAKED, suppress_health_check=list(HealthCheck))
    @given(st.booleans(), st.lists(ENTRY, max_size=6))
    def holds(is_whole: bool, entries: list[tuple[str, str, str, Callable[[Path], None]]]) -> None:
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir()
        for part in ("train", "test") if is_whole else ():
            for name in ("cat", "dog"):
                image(root / part / name / "whole.png")
        for part, name, file, make in entries:
            path = root / part / name / file
            if not os.path.lexists(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                make(path)
        told["examples"] += 1
        try:
            load_dataset(DataConfig(source=f"folder:{root}", num_validation=1), torch.device("cpu"))
        except DataError:
            assert not is_whole or entries, "the control: a whole folder is read"
        else:
            told["read"] += 1

    holds()
    assert told["read"] > 0
