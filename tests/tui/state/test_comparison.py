from pathlib import Path

import pytest

from claf_engine.accuracy.intervals import difference_interval
from claf_engine.config import RunConfig
from claf_engine.terms.errors import ConfigError
from claf_tui.state.comparison import SettingRow, compare, require_comparable
from tests.tui.compared import compared_folder, figure, read_folder, result
from tests.tui.scripted_methods import played


def test_settings_that_differ_are_told_and_equal_ones_counted(tmp_path: Path) -> None:
    plain = RunConfig(method="at")
    other = plain.model_copy(update={"batch_size": 17, "runtime": plain.runtime.model_copy(update={"threads": 3})})
    folders = [
        compared_folder(tmp_path, name, method="at", settings=settings)
        for name, settings in (("a", plain), ("b", other))
    ]
    found = compare([read_folder(key, folder) for key, folder in zip("AB", folders, strict=True)])
    assert found.settings == (
        SettingRow("batch_size", (plain.batch_size, 17)),
        SettingRow("runtime.threads", (None, 3), is_silent=True),
    )
    assert found.num_equal > 50


def test_a_difference_is_that_of_the_shares_with_the_interval_of_newcombe(tmp_path: Path) -> None:
    runs = [
        read_folder(key, compared_folder(tmp_path, key, results=[result([figure(share)], natural)]))
        for key, share, natural in (("A", 0.6, 0.9), ("B", 0.5, 0.9))
    ]
    natural, robust = compare(runs).differences
    assert (robust.column, robust.difference) == ("8/255", pytest.approx(0.1))
    assert (robust.low, robust.high) == difference_interval(600, 1000, 500, 1000)
    assert (robust.is_noise, natural.is_noise) == (False, True)


def test_every_two_runs_are_compared_in_the_order_in_which_they_were_named(tmp_path: Path) -> None:
    runs = [read_folder(key, compared_folder(tmp_path, key)) for key in "ABC"]
    pairs = [(item.first, item.second) for item in compare(runs).differences if item.column == "natural"]
    assert pairs == [("A", "B"), ("A", "C"), ("B", "C")]


def test_test_and_validation_images_are_not_compared(tmp_path: Path) -> None:
    events = list(played(tmp_path / "b", "claf"))[:-1]
    running = compared_folder(tmp_path, "b", status="running", events=events)
    runs = [read_folder("A", compared_folder(tmp_path, "a")), read_folder("B", running)]
    assert compare(runs).differences == ()


def test_other_images_another_attack_and_a_doubted_figure_are_said(tmp_path: Path) -> None:
    doubted = figure(0.5, steps=40, notice="it does not cross")
    first = compared_folder(tmp_path, "a", results=[result([figure(0.6)])])
    second = compared_folder(tmp_path, "b", results=[result([doubted])], test_images="6" * 64)
    natural, robust = compare([read_folder("A", first), read_folder("B", second)]).differences
    assert natural.doubts == ("other images",)
    assert robust.doubts == ("other images", "another attack", "the figure cannot be right")


def test_radii_are_columns_by_their_size_and_each_norm_and_space_its_own(tmp_path: Path) -> None:
    one = result([figure(0.4, "16/255"), figure(0.6, "4/255")])
    other = result([figure(0.5), figure(0.5, "0.5", norm="l2"), figure(0.9, space="released-code")])
    folders = [compared_folder(tmp_path, name, results=[each]) for name, each in (("a", one), ("b", other))]
    found = compare([read_folder(key, folder) for key, folder in zip("AB", folders, strict=True)])
    assert found.columns == ("natural", "L2 0.5", "4/255", "8/255", "16/255", "8/255 (no ball)")


def test_of_two_figures_at_one_radius_the_one_that_nothing_speaks_against_counts(tmp_path: Path) -> None:
    both = result([figure(0.3, notice="too weak"), figure(0.35, steps=40)])
    run = read_folder("A", compared_folder(tmp_path, "a", results=[both]))
    other = read_folder("B", compared_folder(tmp_path, "b", results=[result([figure(0.35)])]))
    robust = compare([run, other]).differences[1]
    assert robust.difference == 0


@pytest.mark.parametrize(("count", "told"), [(1, "at least two"), (9, "at most 8")])
def test_too_few_and_too_many_are_one_sentence(count: int, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        require_comparable([Path(str(number)) for number in range(count)])


def test_a_run_that_is_named_twice_is_one_sentence() -> None:
    with pytest.raises(ConfigError, match="run a is named twice"):
        require_comparable([Path("a"), Path("b"), Path("a")])
