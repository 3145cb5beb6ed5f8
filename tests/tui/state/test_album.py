from pathlib import Path

import numpy as np
import pytest

from claf_engine.runs.examples import Answers, CleanExamples, ProbedExamples, write_examples
from claf_tui.state.album import BROKEN, MAX_HISTORY, SURVIVES, UNKNOWN, WRONG, Album, NoPage, Page, fates_of
from tests.tui.hostile import EVERYTHING
from tests.tui.scripted_examples import clean_examples, probed_examples, write_probes

NAMES = ("disc", "ring", "square")


def opened(run: Path, step: int | None = None) -> Page:
    album = Album(run, NAMES)
    album.look()
    page = album.page(step)
    assert isinstance(page, Page)
    return page


def path_of(run: Path, step: int) -> Path:
    return run / "examples" / f"step-{step:09d}.safetensors"


def test_the_newest_probe_is_opened_unless_another_is_asked_for(tmp_path: Path) -> None:
    write_probes(tmp_path, (10, 20, 30))
    assert (opened(tmp_path).number, opened(tmp_path).probed.about.step) == (2, 30)
    assert (opened(tmp_path, 20).number, opened(tmp_path, 20).probed.about.step) == (1, 20)
    assert opened(tmp_path, 25).probed.about.step == 30, "a probe that is gone"


def test_a_page_looks_back_on_how_each_image_fared(tmp_path: Path) -> None:
    clean = write_probes(tmp_path, (10, 20, 30))
    page = opened(tmp_path, 20)
    for column, step in enumerate((10, 20, 30)):
        there = opened(tmp_path, step)
        assert np.array_equal(page.history[:, column], fates_of(clean, there.probed))
    assert page.column == 1
    assert page.oldest.about.step == 10
    assert page.newest.about.step == 30


def test_fates_tell_what_an_attack_did_and_what_was_wrong_before() -> None:
    clean, features = clean_examples(), np.zeros((48, 2), np.float32)
    clean = CleanExamples(clean.pictures, np.zeros(48, np.int64))
    sure = np.ones(48, np.float32)
    before, after = np.zeros(48, np.int64), np.zeros(48, np.int64)
    after[1] = before[2] = after[2] = before[3] = 1
    whole = probed_examples(clean_examples(), 1, 0.5)
    probed = ProbedExamples(
        whole.about, whole.attack, whole.pictures, Answers(before, sure, features), Answers(after, sure, features)
    )
    assert fates_of(clean, probed)[:5].tolist() == [SURVIVES, BROKEN, WRONG, SURVIVES, SURVIVES]


def test_a_new_probe_is_found_and_nothing_is_found_twice(tmp_path: Path) -> None:
    album = Album(tmp_path, NAMES)
    assert not album.look()
    assert isinstance(album.page(None), NoPage)
    write_probes(tmp_path, (10,))
    assert album.look()
    assert not album.look()
    assert isinstance(album.page(None), Page)


def test_a_probe_that_is_made_anew_after_a_resume_is_read_anew(tmp_path: Path) -> None:
    clean = write_probes(tmp_path, (10, 20))
    album = Album(tmp_path, NAMES)
    album.look()
    before = album.page(20)
    path_of(tmp_path, 20).unlink()
    album.look()
    write_examples(tmp_path, clean, probed_examples(clean, 20, 0.9))
    album.look()
    after = album.page(20)
    assert isinstance(before, Page)
    assert isinstance(after, Page)
    assert after.num_surviving < before.num_surviving


def test_a_damaged_probe_is_a_sentence_and_the_others_are_shown(tmp_path: Path) -> None:
    write_probes(tmp_path, (10, 20, 30))
    path_of(tmp_path, 20).write_bytes(b"\x1b]0;owned\x07")
    album = Album(tmp_path, NAMES)
    album.look()
    damaged, page = album.page(20), album.page(30)
    assert isinstance(damaged, NoPage)
    assert "is damaged" in damaged.reason
    assert isinstance(page, Page)
    assert (page.history[:, 1] == UNKNOWN).all()
    assert (page.history[:, 2] != UNKNOWN).all()


@pytest.mark.parametrize("is_there", [True, False])
def test_clean_images_that_cannot_be_read_are_a_sentence(tmp_path: Path, is_there: bool) -> None:
    write_probes(tmp_path, (10,))
    clean = tmp_path / "examples" / "clean.safetensors"
    clean.write_bytes(b"no tensors") if is_there else clean.unlink()
    album = Album(tmp_path, NAMES)
    album.look()
    page = album.page(None)
    assert isinstance(page, NoPage)
    assert ("is damaged" if is_there else "not there") in page.reason


def test_a_page_of_a_long_run_reads_only_so_many_probes(tmp_path: Path) -> None:
    clean = clean_examples(num_pictures=1)
    steps = tuple(range(1, MAX_HISTORY + 41))
    write_probes(tmp_path, steps, clean)
    for step, column in ((1, 0), (steps[-1], MAX_HISTORY - 1), (50, MAX_HISTORY // 2)):
        page = opened(tmp_path, step)
        assert page.history.shape == (48, MAX_HISTORY)
        assert page.column == column
        assert np.array_equal(page.history[:, column], page.fates)


def test_names_of_classes_are_made_safe_and_a_class_without_one_has_its_number(tmp_path: Path) -> None:
    write_probes(tmp_path, (10,))
    album = Album(tmp_path, (EVERYTHING,))
    album.look()
    page = album.page(None)
    assert isinstance(page, Page)
    assert page.name(0).isprintable()
    assert page.name(2) == "class 2"
