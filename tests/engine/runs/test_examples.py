import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save

from claf_engine.runs.examples import (
    About,
    Answers,
    CleanExamples,
    ProbedExamples,
    drop_examples,
    list_steps,
    read_clean,
    read_probed,
    write_examples,
)
from claf_engine.terms.errors import ForeignFileError, MissingFile


def clean_examples(seed: int = 0, num_pictures: int = 3, count: int = 6) -> CleanExamples:
    drawn = np.random.default_rng(seed)
    return CleanExamples(
        drawn.integers(0, 256, (num_pictures, 3, 8, 10), dtype=np.uint8), np.arange(count, dtype=np.int64) % 4
    )


def probed_examples(clean: CleanExamples, step: int = 7, seed: int = 1) -> ProbedExamples:
    drawn = np.random.default_rng(seed)
    count = len(clean.labels)

    def answers() -> Answers:
        features = drawn.normal(size=(count, 5)).astype(np.float16).astype(np.float32)
        confidences = drawn.random(count).astype(np.float16).astype(np.float32)
        return Answers(drawn.integers(0, 4, count), confidences, features)

    pictures = drawn.integers(0, 256, clean.pictures.shape, dtype=np.uint8)
    return ProbedExamples(
        About(step, 2, "2 · adversarial", "attack"), "PGD-10 at 8/255", pictures, answers(), answers()
    )


def path_of(run: Path, step: int = 7) -> Path:
    return run / "examples" / f"step-{step:09d}.safetensors"


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    clean = clean_examples()
    probed = probed_examples(clean)
    write_examples(tmp_path, clean, probed)
    again = read_clean(tmp_path)
    assert np.array_equal(again.pictures, clean.pictures)
    assert np.array_equal(again.labels, clean.labels)
    found = read_probed(tmp_path, 7, again)
    assert (found.about, found.attack) == (probed.about, probed.attack)
    assert np.array_equal(found.pictures, probed.pictures)
    for one, other in ((found.before, probed.before), (found.after, probed.after)):
        assert np.array_equal(one.classes, other.classes)
        assert np.array_equal(one.confidences, other.confidences)
        assert np.array_equal(one.features, other.features)


def test_the_probes_are_listed_by_their_steps_whatever_else_lies_there(tmp_path: Path) -> None:
    assert list_steps(tmp_path) == ()
    clean = clean_examples()
    for step in (20, 3, 1_000_000_000):
        write_examples(tmp_path, clean, probed_examples(clean, step))
    (tmp_path / "examples" / "step-5.safetensors").touch()
    (tmp_path / "examples" / "step-000000006.txt").touch()
    assert list_steps(tmp_path) == (3, 20, 1_000_000_000)


def test_a_later_probe_at_the_same_step_takes_the_place_of_the_earlier(tmp_path: Path) -> None:
    clean = clean_examples()
    write_examples(tmp_path, clean, probed_examples(clean, seed=1))
    write_examples(tmp_path, clean, later := probed_examples(clean, seed=2))
    assert np.array_equal(read_probed(tmp_path, 7, clean).pictures, later.pictures)


def test_clean_images_are_written_once(tmp_path: Path) -> None:
    clean = clean_examples()
    write_examples(tmp_path, clean, probed_examples(clean, 1))
    inode = (tmp_path / "examples" / "clean.safetensors").stat().st_ino
    write_examples(tmp_path, clean, probed_examples(clean, 2))
    assert (tmp_path / "examples" / "clean.safetensors").stat().st_ino == inode


def test_a_probe_of_other_images_than_the_clean_ones_is_refused(tmp_path: Path) -> None:
    first, second = clean_examples(0), clean_examples(1)
    write_examples(tmp_path, first, probed_examples(first, 1))
    write_examples(tmp_path, second, probed_examples(second, 2))
    now = read_clean(tmp_path)
    assert read_probed(tmp_path, 2, now).about.step == 2
    with pytest.raises(ForeignFileError, match="of other images"):
        read_probed(tmp_path, 1, now)


def test_probes_after_a_step_are_dropped_with_what_a_killed_process_left(tmp_path: Path) -> None:
    clean = clean_examples()
    for step in (1, 2, 3):
        write_examples(tmp_path, clean, probed_examples(clean, step))
    (tmp_path / "examples" / ".tmp-step").touch()
    (tmp_path / "examples" / "notes.txt").touch()
    drop_examples(tmp_path, 2)
    assert list_steps(tmp_path) == (1, 2)
    names = {path.name for path in (tmp_path / "examples").iterdir()}
    assert names == {"clean.safetensors", "notes.txt", path_of(tmp_path, 1).name, path_of(tmp_path, 2).name}


def test_a_run_without_examples_says_so_and_has_none_to_drop(tmp_path: Path) -> None:
    drop_examples(tmp_path, 0)
    with pytest.raises(MissingFile):
        read_clean(tmp_path)
    with pytest.raises(MissingFile):
        read_probed(tmp_path, 7, clean_examples())


def test_features_too_large_for_half_precision_are_cut_and_not_lost(tmp_path: Path) -> None:
    clean = clean_examples()
    probed = probed_examples(clean)
    probed.after.features[0] = 1e9
    probed.after.features[1] = np.nan
    write_examples(tmp_path, clean, probed)
    features = read_probed(tmp_path, 7, clean).after.features
    assert (features[0] == 65504).all()
    assert (features[1] == 0).all()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run, clean = tmp_path_factory.mktemp("run"), clean_examples()
    write_examples(run, clean, probed_examples(clean))
    return run


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(0, 2000), at=st.integers(0, 2000), byte=st.integers(0, 255))
@pytest.mark.parametrize("name", ["clean.safetensors", "step-000000007.safetensors"])
def test_a_cut_or_altered_file_gives_a_sentence_or_examples_of_the_right_form(
    written: Path, tmp_path: Path, name: str, cut: int, at: int, byte: int
) -> None:
    clean = clean_examples()
    for path in (written / "examples").iterdir():
        (tmp_path / "examples").mkdir(exist_ok=True)
        (tmp_path / "examples" / path.name).write_bytes(path.read_bytes())
    data = bytearray((written / "examples" / name).read_bytes())
    data[at % len(data)] = byte
    (tmp_path / "examples" / name).write_bytes(data[: len(data) - cut])
    try:
        probed = read_probed(tmp_path, 7, read_clean(tmp_path))
    except ForeignFileError as error:
        assert str(tmp_path) in str(error)  # noqa: PT017 (a sentence is one of two right ends)
    else:
        assert probed.pictures.shape == clean.pictures.shape
        assert np.isfinite(probed.after.features).all()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("change", np.frombuffer(zlib.compress(bytes(100_000_000)), np.uint8)),
        ("change", np.frombuffer(zlib.compress(b"too short"), np.uint8)),
        ("change", np.frombuffer(b"no deflated bytes", np.uint8)),
        ("after.classes", np.full(6, -1, np.int16)),
        ("after.classes", np.zeros(5, np.int16)),
        ("before.confidences", np.full(6, np.nan, np.float16)),
        ("before.confidences", np.full(6, 1.5, np.float16)),
        ("after.features", np.full((6, 5), np.inf, np.float16)),
        ("after.features", np.zeros((6, 4), np.float16)),
        ("after.features", np.zeros((6, 17), np.float16)),
        ("before.features", np.zeros((6, 5), np.float64)),
    ],
)
def test_values_that_no_probe_gives_are_refused(
    written: Path, tmp_path: Path, name: str, value: np.ndarray[Any, Any]
) -> None:
    whole = path_of(written).read_bytes()
    length = int.from_bytes(whole[:8], "little")
    metadata = json.loads(whole[8 : 8 + length])["__metadata__"]
    (tmp_path / "examples").mkdir()
    path_of(tmp_path).write_bytes(save({**load(whole), name: value}, metadata))
    with pytest.raises(ForeignFileError, match="is damaged"):
        read_probed(tmp_path, 7, clean_examples())


def test_untouched_values_are_taken(written: Path) -> None:
    """What the refusals above are compared with."""
    assert read_probed(written, 7, clean_examples()).about.step == 7


def test_a_file_under_the_name_of_another_step_is_refused(written: Path, tmp_path: Path) -> None:
    (tmp_path / "examples").mkdir()
    path_of(tmp_path, 8).write_bytes(path_of(written).read_bytes())
    with pytest.raises(ForeignFileError, match="step"):
        read_probed(tmp_path, 8, clean_examples())


def test_gray_pictures_are_read_back_as_they_were(tmp_path: Path) -> None:
    drawn = clean_examples()
    clean = CleanExamples(drawn.pictures[:, :1].copy(), drawn.labels)
    probed = probed_examples(clean)
    write_examples(tmp_path, clean, probed)
    again = read_clean(tmp_path)
    assert np.array_equal(again.pictures, clean.pictures)
    assert np.array_equal(read_probed(tmp_path, 7, again).pictures, probed.pictures)
